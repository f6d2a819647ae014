//! The Executor: the account that makes the calls of routes, so that they never run with the Inbox's powers.
//!
//! Solvers give their allowances to the Inbox, and provers accept messages from it. A route's calls are a stranger's, so
//! the Inbox has its [`Puppet`] make them. The Executor keeps what a route does not spend (tokens, ETH, approvals), and
//! any later route may use it.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]

extern crate alloc;

use alloc::vec::Vec;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolError;
use parts::{Revert, external, puppet, puppet::Puppet};
use protocol::{
    abi::executor::{CallFailed, CallToEOA, NonPortalCaller},
    intent::Call,
    puppet::first_created,
};
use stylus_sdk::{host::VM, prelude::*};

/// The Executor of the calling program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executor(Puppet);

impl Executor {
    /// Creates it. It refuses everyone else with `NonPortalCaller(caller)`.
    ///
    /// # Errors
    /// An empty revert when the program has created a contract before.
    pub fn create(vm: &VM) -> Result<Address, Revert> {
        puppet::create(vm, NonPortalCaller::SELECTOR)
    }

    /// The one created before.
    pub fn of(vm: &VM) -> Self {
        Self(Puppet(first_created(vm.contract_address())))
    }

    /// Its address.
    pub const fn address(self) -> Address {
        self.0.0
    }

    /// Hands it `endowment` wei and makes the calls in order, each with all gas. Returns what each answered.
    ///
    /// # Errors
    /// `CallToEOA(target)` for call data to an account without code; `CallFailed(call, reason)` for a call that reverts.
    pub fn execute(self, vm: &VM, endowment: U256, calls: Vec<Call>) -> Result<Vec<Bytes>, Revert> {
        // The endowment travels with the first call: one frame less.
        let mut endowment = endowment;
        if calls.is_empty() && !endowment.is_zero() {
            external::call(vm, self.address(), endowment, &[])?;
        }
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            if !call.data.is_empty() && !external::has_code(vm, call.target) {
                return Err(CallToEOA { target: call.target }.into());
            }
            let outcome = self.0.call(vm, endowment, call.target, call.value, &call.data);
            endowment = U256::ZERO;
            match outcome {
                Ok(answer) => answers.push(answer.into()),
                Err(reason) => return Err(CallFailed { call, reason: reason.0.into() }.into()),
            }
        }
        Ok(answers)
    }
}
