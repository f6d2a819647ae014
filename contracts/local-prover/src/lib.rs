//! LocalProver: proves intents whose origin is their destination, and fulfills them with their own reward.
//!
//! What was fulfilled is read from the Inbox of this chain; nothing is stored. During [`flash`] fulfillment the intent that
//! runs counts as proven for this program, so that the reward can be withdrawn to pay for the fulfillment.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, B256, U256, b256};
use alloy_sol_types::SolCall;
use parts::{
    Frame, Program, Revert, Writer, answer::text, external, program::refuse_value, transient,
};
use protocol::{
    abi::{
        inbox::claimantsCall,
        local_prover::{
            RefundFailed, ZeroPortal, challengeIntentProofCall, flashFulfillCall, getProofTypeCall,
            proveCall, provenIntentsCall, versionCall,
        },
    },
    words::address_of,
};
use stylus_sdk::{ArbResult, host::VM, prelude::*, storage::StorageAddress};

pub mod flash;

/// keccak256("metalayer.running"): the transient slot of the intent that is being flash-fulfilled.
const RUNNING: B256 = b256!("0x718fd5cd6c78fbfa712f0fd044345c23571df1e5891563534a3090e09d12ecd4");

/// The two contracts of this chain.
#[storage]
pub struct LocalProver {
    inbox: StorageAddress,
    intent_source: StorageAddress,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { LocalProver::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}

impl Program for LocalProver {
    /// `(address inbox, address intentSource)`; `ZeroPortal()` when one is zero.
    fn construct(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        let (inbox, intent_source) = (a.address(0)?, a.address(1)?);
        if inbox.is_zero() || intent_source.is_zero() {
            return Err(ZeroPortal {}.into());
        }
        self.inbox.set(inbox);
        self.intent_source.set(intent_source);
        Ok(())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            flashFulfillCall::SELECTOR => self.flash_fulfill(a),
            proveCall::SELECTOR => {
                let sender = a.address(0)?;
                a.uint64(1)?;
                a.bytes(2)?;
                a.bytes(3)?;
                self.return_value(sender).map(|()| Vec::new())
            }
            _ => {
                refuse_value(self.vm())?;
                self.view(selector, a)
            }
        }
    }

    /// Rewards and refunds arrive here.
    fn receive(&mut self) -> Result<(), Revert> {
        Ok(())
    }
}

impl LocalProver {
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            versionCall::SELECTOR => Ok(text(env!("CARGO_PKG_VERSION"))),
            getProofTypeCall::SELECTOR => Ok(text("Local")),
            provenIntentsCall::SELECTOR => {
                let claimant = self.claimant_of(a.word(0)?)?;
                let chain_id = if claimant.is_zero() { 0 } else { self.vm().chain_id() };
                Ok(Writer::new(2).address(claimant).uint64(chain_id).finish())
            }
            challengeIntentProofCall::SELECTOR => {
                // A proof of this chain cannot be of the wrong one.
                a.uint64(0)?;
                a.word(2)?;
                Ok(Vec::new())
            }
            _ => Err(Revert::empty()),
        }
    }

    /// Who fulfilled an intent here. Nobody yet: this program while it fulfills that intent. This program itself as the
    /// Inbox's claimant, or one that is no address, proves nothing: someone fulfilled the intent to grief it, and its reward
    /// must go back to the creator.
    fn claimant_of(&self, intent: B256) -> Result<Address, Revert> {
        let vm = self.vm();
        let query = Writer::call(claimantsCall::SELECTOR, 1).word(intent).finish();
        let claimant = Frame(&external::view(vm, self.inbox.get(), &query)?).word(0)?;
        let this = vm.contract_address();
        if claimant.is_zero() && !intent.is_zero() && transient::load(RUNNING) == intent {
            return Ok(this);
        }
        Ok(address_of(claimant).filter(|claimant| *claimant != this).unwrap_or_default())
    }

    /// Proving needs nothing here: the value that the Inbox forwarded goes back to who sent it.
    fn return_value(&self, sender: Address) -> Result<(), Revert> {
        let vm = self.vm();
        let amount = vm.msg_value();
        if amount.is_zero() || sender.is_zero() || external::send(vm, sender, amount, &[]) {
            Ok(())
        } else {
            Err(RefundFailed { recipient: sender, amount }.into())
        }
    }
}
