//! What the owner, the guardian and applications set.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use parts::{
    Revert, Writer, external,
    module::{kind, lane, module_type, modules_and_threshold, validators_and_threshold},
};
use protocol::{
    abi::ism::{
        ApplicationIsmSet, GuardianSet, InvalidFinality, InvalidModule, ModuleSet, NotAuthorized,
        ReadModuleSet, TierKeyShared, TierResumed, TierSuspended,
    },
    finality::Tier,
};
use stylus_sdk::prelude::*;

use crate::MetalayerIsm;

/// How deep aggregations of aggregations are followed.
const MAX_DEPTH: usize = 3;

impl MetalayerIsm {
    /// The caller's own module in place of the tier's; zero to have none.
    pub(crate) fn set_application_ism(&mut self, module: Address) -> Result<(), Revert> {
        if !module.is_zero() && !external::has_code(self.vm(), module) {
            return Err(InvalidModule { module }.into());
        }
        let application = self.vm().msg_sender();
        let mut chosen = module.into_word();
        chosen[0] = 1;
        self.applications.insert(application, chosen);
        let topics =
            [ApplicationIsmSet::SIGNATURE_HASH, application.into_word(), module.into_word()];
        external::log(self.vm(), &topics, &[]);
        Ok(())
    }

    /// The module of a tier; zero to have none.
    pub(crate) fn set_module(
        &mut self,
        origin: u32,
        tier: u8,
        module: Address,
    ) -> Result<(), Revert> {
        self.refuse_shared_keys(origin, valid(tier)?, module)?;
        self.modules.insert(lane(origin, tier), module);
        self.announce(ModuleSet::SIGNATURE_HASH, origin, tier, Some(module));
        Ok(())
    }

    /// The module of a tier for messages with reads; zero to have none.
    pub(crate) fn set_read_module(
        &mut self,
        origin: u32,
        tier: u8,
        module: Address,
    ) -> Result<(), Revert> {
        self.refuse_shared_keys(origin, valid(tier)?, module)?;
        self.read_modules.insert(lane(origin, tier), module);
        self.announce(ReadModuleSet::SIGNATURE_HASH, origin, tier, Some(module));
        Ok(())
    }

    /// Lets nothing pass of a tier of an origin, until the owner resumes it.
    pub(crate) fn suspend(&mut self, origin: u32, tier: u8) -> Result<(), Revert> {
        let caller = self.vm().msg_sender();
        if caller != self.guardian.get() && caller != self.ownable.owner() {
            return Err(NotAuthorized { caller }.into());
        }
        valid(tier)?;
        self.suspended.insert(lane(origin, tier), true);
        self.announce(TierSuspended::SIGNATURE_HASH, origin, tier, Some(caller));
        Ok(())
    }

    /// Ends a suspension.
    pub(crate) fn resume(&mut self, origin: u32, tier: u8) {
        self.suspended.insert(lane(origin, tier), false);
        self.announce(TierResumed::SIGNATURE_HASH, origin, tier, None);
    }

    /// Who may suspend.
    pub(crate) fn set_guardian(&mut self, guardian: Address) {
        self.guardian.set(guardian);
        external::log(self.vm(), &[GuardianSet::SIGNATURE_HASH, guardian.into_word()], &[]);
    }

    /// A checkpoint digest says nothing of finality: a validator of two tiers would lend the slow tier the speed, and the
    /// risk, of the fast one.
    fn refuse_shared_keys(&self, origin: u32, tier: Tier, module: Address) -> Result<(), Revert> {
        let keys = self.keys(module)?;
        for other in Tier::ALL.into_iter().filter(|other| *other != tier) {
            let lane = lane(origin, other.byte());
            for module in [self.modules.get(lane), self.read_modules.get(lane)] {
                let others = self.keys(module)?;
                if let Some(validator) = keys.iter().find(|key| others.contains(key)) {
                    return Err(TierKeyShared { validator: *validator }.into());
                }
            }
        }
        Ok(())
    }

    /// Every validator that a module asks, through aggregations.
    fn keys(&self, module: Address) -> Result<Vec<Address>, Revert> {
        let mut keys = Vec::new();
        if !module.is_zero() {
            self.collect_keys(module, MAX_DEPTH, &mut keys)?;
        }
        Ok(keys)
    }

    fn collect_keys(
        &self,
        module: Address,
        depth: usize,
        keys: &mut Vec<Address>,
    ) -> Result<(), Revert> {
        let vm = self.vm();
        let invalid = InvalidModule { module };
        match module_type(vm, module) {
            None => return Err(invalid.into()),
            Some(kind::MERKLE_ROOT_MULTISIG | kind::MESSAGE_ID_MULTISIG) => {
                keys.extend(validators_and_threshold(vm, module, &[])?.0);
            }
            Some(kind::AGGREGATION) => {
                let depth = depth.checked_sub(1).ok_or(invalid)?;
                for member in modules_and_threshold(vm, module, &[])?.0 {
                    self.collect_keys(member, depth, keys)?;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn announce(&self, event: B256, origin: u32, tier: u8, who: Option<Address>) {
        let topics = [event, U256::from(origin).into(), U256::from(tier).into()];
        let data = who.map_or(Vec::new(), |who| Writer::new(1).address(who).finish());
        external::log(self.vm(), &topics, &data);
    }
}

fn valid(finality: u8) -> Result<Tier, Revert> {
    Ok(Tier::try_from(finality).map_err(|_| InvalidFinality { finality })?)
}
