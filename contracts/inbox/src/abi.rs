//! The table of functions: `protocol::abi::inbox`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use executor::Executor;
use parts::{Frame, Lock, Program, Revert, Writer, answer, program::refuse_value};
use protocol::abi::inbox::{
    claimantsCall, executorCall, fillCall, fulfillAndProveCall, fulfillCall, proveCall, versionCall,
};
use stylus_sdk::prelude::*;

use crate::{Inbox, fulfillment::Fulfillment, proving::Delivery};

impl Program for Inbox {
    /// Creates the Executor. No arguments.
    fn construct(&mut self, _: Frame<'_>) -> Result<(), Revert> {
        Executor::create(self.vm()).map(|_| ())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            fulfillCall::SELECTOR => {
                let fulfillment = Fulfillment::read(a)?;
                let _lock = Lock::enter()?;
                self.fulfill_and_refund(fulfillment).map(|answers| results(&answers))
            }
            fulfillAndProveCall::SELECTOR => {
                let fulfillment = Fulfillment::read(a)?;
                let delivery =
                    Delivery { prover: a.address(4)?, domain: a.uint64(5)?, data: a.bytes(6)? };
                let _lock = Lock::enter()?;
                self.fulfill_and_prove(fulfillment, delivery).map(|answers| results(&answers))
            }
            proveCall::SELECTOR => {
                let delivery =
                    Delivery { prover: a.address(0)?, domain: a.uint64(1)?, data: a.bytes(3)? };
                let intents = a.words(2)?;
                let _lock = Lock::enter()?;
                let value = self.vm().msg_value();
                self.prove(&intents, delivery, value).map(|()| Vec::new())
            }
            fillCall::SELECTOR => {
                let (order_id, origin_data, filler_data) = (a.word(0)?, a.bytes(1)?, a.bytes(2)?);
                let _lock = Lock::enter()?;
                self.fill(order_id, origin_data, filler_data).map(|()| Vec::new())
            }
            _ => {
                refuse_value(self.vm())?;
                self.view(selector, a)
            }
        }
    }
}

impl Inbox {
    /// The functions that change nothing.
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            executorCall::SELECTOR => Ok(answer::address(Executor::of(self.vm()).address())),
            claimantsCall::SELECTOR => Ok(answer::word(self.claimants.get(a.word(0)?))),
            versionCall::SELECTOR => Ok(answer::text(env!("CARGO_PKG_VERSION"))),
            _ => Err(Revert::empty()),
        }
    }
}

/// What the calls of a route answered, as `bytes[]`.
fn results(answers: &[Bytes]) -> Vec<u8> {
    Writer::new(2 + 3 * answers.len()).size(0x20).bytes_array(answers).finish()
}
