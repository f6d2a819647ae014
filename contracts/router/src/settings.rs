//! What the owner sets, and the guardian's pause.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use parts::{
    Revert, Writer, external,
    module::{self, kind},
};
use protocol::abi::router::{
    GuardianSet, IgpSet, InterchainSecurityModuleSet, InvalidModule, NotAuthorized, PauseLifted,
    PauseStarted, PauseTooSoon, ReadIsmSet,
};
use stylus_sdk::{alloy_primitives::aliases::U64, prelude::*};

use crate::Router;

/// How long a pause lasts at most, in seconds.
const PAUSE: u64 = 6 * 60 * 60;

/// How long after the start of a pause none can start, in seconds.
const PAUSE_INTERVAL: u64 = 48 * 60 * 60;

impl Router {
    /// The module of messages to this router.
    pub(crate) fn set_module(&mut self, module: Address) -> Result<(), Revert> {
        self.check_module(module, kind::ROUTING)?;
        self.module.set(module);
        self.announce_address(InterchainSecurityModuleSet::SIGNATURE_HASH, module);
        Ok(())
    }

    /// The module that hands over results of reads.
    pub(crate) fn set_read_ism(&mut self, module: Address) -> Result<(), Revert> {
        self.check_module(module, kind::CCIP_READ)?;
        self.read_ism.set(module);
        self.announce_address(ReadIsmSet::SIGNATURE_HASH, module);
        Ok(())
    }

    /// The paymaster that integrators ask for prices. Fees are paid through the mailbox's hooks, whatever it says here.
    pub(crate) fn set_igp(&mut self, igp: Address) {
        self.igp.set(igp);
        self.announce_address(IgpSet::SIGNATURE_HASH, igp);
    }

    /// Who may pause.
    pub(crate) fn set_guardian(&mut self, guardian: Address) {
        self.guardian.set(guardian);
        self.announce_address(GuardianSet::SIGNATURE_HASH, guardian);
    }

    /// Whether dispatch is paused.
    pub(crate) fn is_paused(&self) -> bool {
        let now = self.vm().block_timestamp();
        let started = self.paused_at.get().to::<u64>();
        started != 0 && !self.pause_lifted.get() && now < started.saturating_add(PAUSE)
    }

    /// Starts a pause.
    pub(crate) fn pause(&mut self) -> Result<(), Revert> {
        let caller = self.vm().msg_sender();
        if caller != self.guardian.get() && caller != self.ownable.owner() {
            return Err(NotAuthorized { caller }.into());
        }
        let now = self.vm().block_timestamp();
        let started = self.paused_at.get().to::<u64>();
        let earliest = started.saturating_add(PAUSE_INTERVAL);
        if started != 0 && now < earliest {
            return Err(PauseTooSoon { earliest }.into());
        }
        self.paused_at.set(U64::from(now));
        self.pause_lifted.set(false);
        let until = Writer::new(1).uint64(now.saturating_add(PAUSE)).finish();
        external::log(self.vm(), &[PauseStarted::SIGNATURE_HASH, caller.into_word()], &until);
        Ok(())
    }

    /// Ends a pause early. It still counts for when the next one may start.
    pub(crate) fn unpause(&mut self) {
        self.pause_lifted.set(true);
        self.announce_address(PauseLifted::SIGNATURE_HASH, self.vm().msg_sender());
    }

    fn check_module(&self, module: Address, expected: u64) -> Result<(), Revert> {
        let is_expected = module::module_type(self.vm(), module) == Some(expected);
        if is_expected { Ok(()) } else { Err(InvalidModule { module }.into()) }
    }

    fn announce_address(&self, event: B256, address: Address) {
        external::log(self.vm(), &[event, address.into_word()], &[]);
    }
}
