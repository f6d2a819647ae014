//! Which tiers an application accepts.
//!
//! The finality byte of a message is its sender's word, and a recipient is not told which tier's validators vouched. So
//! an application says here what it accepts, and delivery refuses the rest.

use alloc::vec::Vec;

use alloy_primitives::Address;
use alloy_sol_types::SolEvent;
use parts::{Revert, Writer, external};
use protocol::{
    abi::router::{FinalityPolicySet, InvalidTierMask, PolicyAlreadySet, PolicyWidened},
    finality::TierMask,
};
use stylus_sdk::{alloy_primitives::aliases::U8, prelude::*};

use crate::Router;

/// In the stored byte: the application chose for itself.
const OWN_CHOICE: u8 = 0x80;

impl Router {
    /// The tiers at which an application accepts messages; all until somebody narrowed them.
    pub(crate) fn accepted_tiers(&self, application: Address) -> TierMask {
        let stored: u8 = self.policies.get(application).to();
        match TierMask::new(stored & !OWN_CHOICE) {
            Some(TierMask::NONE) | None => TierMask::ALL,
            Some(mask) => mask,
        }
    }

    /// The caller's own choice, which nobody else can change.
    pub(crate) fn set_finality_policy(&mut self, mask: u8) -> Result<(), Revert> {
        let application = self.vm().msg_sender();
        self.store_policy(application, valid(mask)?, OWN_CHOICE)
    }

    /// The owner's choice for an application that has made none: only ever narrower than before.
    pub(crate) fn narrow_finality_policy(
        &mut self,
        application: Address,
        mask: u8,
    ) -> Result<(), Revert> {
        self.ownable.only_owner()?;
        let stored: u8 = self.policies.get(application).to();
        if stored & OWN_CHOICE != 0 {
            return Err(PolicyAlreadySet { application }.into());
        }
        let (current, given) = (self.accepted_tiers(application), valid(mask)?);
        if !given.is_subset_of(current) {
            return Err(PolicyWidened { current: current.bits(), given: mask }.into());
        }
        self.store_policy(application, given, 0)
    }

    fn store_policy(
        &mut self,
        application: Address,
        mask: TierMask,
        choice: u8,
    ) -> Result<(), Revert> {
        self.policies.insert(application, U8::from(mask.bits() | choice));
        let data: Vec<u8> =
            Writer::new(2).uint64(mask.bits().into()).address(self.vm().msg_sender()).finish();
        let topics = [FinalityPolicySet::SIGNATURE_HASH, application.into_word()];
        external::log(self.vm(), &topics, &data);
        Ok(())
    }
}

/// A set of tiers with at least one in it.
pub(crate) fn valid(mask: u8) -> Result<TierMask, Revert> {
    match TierMask::new(mask) {
        Some(TierMask::NONE) | None => Err(InvalidTierMask { mask }.into()),
        Some(mask) => Ok(mask),
    }
}
