//! A program's hold on its puppets (`protocol::puppet`): accounts that make the calls it asks for.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use protocol::puppet::{clone_init_code, first_created, init_code, request};
use stylus_sdk::{host::VM, prelude::*};

use crate::{Revert, erc20, external};

/// Creates a program's own puppet, which must be the first contract it ever creates: so that its address follows from
/// the program's and is never stored.
///
/// # Errors
/// An empty revert when the program has created something before.
pub fn create(vm: &VM, refusal: [u8; 4]) -> Result<Address, Revert> {
    let owner = vm.contract_address();
    let created = external::create(vm, &init_code(owner, refusal), U256::ZERO, None)?;
    if created == first_created(owner) { Ok(created) } else { Err(Revert::empty()) }
}

/// Creates a clone of this program's puppet at its CREATE2 address unless it is there already.
pub fn create_clone(vm: &VM, clone: Address, salt: B256) -> Result<(), Revert> {
    if external::has_code(vm, clone) {
        return Ok(());
    }
    let init_code = clone_init_code(first_created(vm.contract_address()));
    external::create(vm, &init_code, U256::ZERO, Some(salt)).map(|_| ())
}

/// An account that obeys this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puppet(pub Address);

impl Puppet {
    /// Makes the puppet call `target` with `value` wei of its own and `data`, all gas. `endowment` wei of this program
    /// travel along first. Returns the target's answer, or what it reverted with.
    pub fn call(
        self,
        vm: &VM,
        endowment: U256,
        target: Address,
        value: U256,
        data: &[u8],
    ) -> Result<Vec<u8>, Revert> {
        external::call(vm, self.0, endowment, &request(target, value, data))
    }

    /// Makes the puppet send `amount` wei to `to` with all gas. Says whether `to` took it.
    #[must_use = "the transfer may have failed"]
    pub fn send(self, vm: &VM, to: Address, amount: U256) -> bool {
        external::send(vm, self.0, U256::ZERO, &request(to, amount, &[]))
    }

    /// Makes the puppet transfer `amount` of `token` to `to`.
    ///
    /// # Errors
    /// As [`erc20::check`].
    pub fn transfer(
        self,
        vm: &VM,
        token: Address,
        to: Address,
        amount: U256,
    ) -> Result<(), Revert> {
        let data = erc20::transfer_data(to, amount);
        erc20::check(vm, token, self.call(vm, U256::ZERO, token, U256::ZERO, &data))
    }

    /// Makes the puppet pull `amount` of `token` from `from` to itself, by the allowance given to the puppet.
    ///
    /// # Errors
    /// As [`erc20::check`].
    pub fn pull(self, vm: &VM, token: Address, from: Address, amount: U256) -> Result<(), Revert> {
        let data = erc20::transfer_from_data(from, self.0, amount);
        erc20::check(vm, token, self.call(vm, U256::ZERO, token, U256::ZERO, &data))
    }
}
