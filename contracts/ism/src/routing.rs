//! Which module answers for an envelope.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use parts::{
    Frame, Revert, Writer, external,
    module::{lane, open},
};
use protocol::{
    abi::{
        hyperlane::InterchainSecurityModule,
        ism::{NoModule, Suspended, applicationIsmCall},
    },
    ids::address_of,
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::MetalayerIsm;

impl MetalayerIsm {
    /// The module that must vouch for an envelope.
    pub(crate) fn route(&self, bytes: &[u8]) -> Result<Address, Revert> {
        let (_, message) = open(bytes, self.router.get(), self.local_domain.get().to())?;
        let (origin, tier) = (message.header.origin.0, message.header.tier.byte());
        let lane = lane(origin, tier);
        if self.suspended.get(lane) {
            return Err(Suspended { origin, tier }.into());
        }
        if let Some(application) = address_of(message.header.recipient) {
            let own = self.application_ism(application)?;
            if !own.is_zero() {
                return Ok(own);
            }
        }
        let modules = if message.reads.is_empty() { &self.modules } else { &self.read_modules };
        let module = modules.get(lane);
        if module.is_zero() { Err(NoModule { origin, tier }.into()) } else { Ok(module) }
    }

    /// Asks the module of an envelope. A module that reverts, reverts this too.
    pub(crate) fn verify(&self, metadata: &[u8], envelope: &[u8]) -> Result<bool, Revert> {
        let module = self.route(envelope)?;
        let vm = self.vm();
        if !external::has_code(vm, module) {
            return Ok(false);
        }
        let metadata_size = 32 + padded(metadata.len());
        let selector = InterchainSecurityModule::verifyCall::SELECTOR;
        let data = Writer::call(selector, 4 + (metadata_size + envelope.len()) / 32)
            .size(0x40)
            .size(0x40 + metadata_size)
            .bytes(metadata)
            .bytes(envelope)
            .finish();
        // Not a view: ReadIsm keeps results for the rest of the transaction.
        let answer = external::call(vm, module, U256::ZERO, &data)?;
        Ok(answer.len() == 32 && Frame(&answer).word(0)? == B256::with_last_byte(1))
    }

    /// The module an application chose, here or at the module that this one replaced; zero for none.
    pub(crate) fn application_ism(&self, application: Address) -> Result<Address, Revert> {
        let chosen = self.applications.get(application);
        let previous = self.previous.get();
        if chosen[0] != 0 || previous.is_zero() {
            return Ok(Address::from_word(chosen));
        }
        let data = Writer::call(applicationIsmCall::SELECTOR, 1).address(application).finish();
        Ok(Frame(&external::view(self.vm(), previous, &data)?).address(0)?)
    }
}
