//! An ERC-20 that anyone may mint, for `metalayer up` and tests. Nobody deploys it anywhere else.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]

extern crate alloc;

use alloc::{string::String, vec, vec::Vec};

use alloy_primitives::{Address, U8, U256};
use alloy_sol_types::sol;
use parts::Revert;
use stylus_sdk::{
    prelude::*,
    storage::{StorageMap, StorageU8, StorageU256},
};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
}

/// Balances, allowances, supply and decimals.
#[storage]
#[entrypoint]
pub struct TestToken {
    balances: StorageMap<Address, StorageU256>,
    allowances: StorageMap<Address, StorageMap<Address, StorageU256>>,
    supply: StorageU256,
    decimals: StorageU8,
}

#[public]
impl TestToken {
    /// Sets the number of decimals.
    #[constructor]
    pub fn constructor(&mut self, decimals: u8) {
        self.decimals.set(U8::from(decimals));
    }

    /// The token's name.
    pub fn name(&self) -> String {
        String::from("Test Token")
    }

    /// The token's symbol.
    pub fn symbol(&self) -> String {
        String::from("TEST")
    }

    /// How many decimals wallets show.
    pub fn decimals(&self) -> u8 {
        self.decimals.get().to()
    }

    /// All tokens there are.
    pub fn total_supply(&self) -> U256 {
        self.supply.get()
    }

    /// What an account has.
    pub fn balance_of(&self, account: Address) -> U256 {
        self.balances.get(account)
    }

    /// What `spender` may still move of `owner`'s.
    pub fn allowance(&self, owner: Address, spender: Address) -> U256 {
        self.allowances.get(owner).get(spender)
    }

    /// Lets `spender` move `amount` of the caller's.
    pub fn approve(&mut self, spender: Address, amount: U256) -> bool {
        let owner = self.vm().msg_sender();
        self.allowances.setter(owner).insert(spender, amount);
        self.vm().log(Approval { owner, spender, value: amount });
        true
    }

    /// Moves `amount` from the caller.
    ///
    /// # Errors
    /// `ERC20InsufficientBalance`.
    pub fn transfer(&mut self, to: Address, amount: U256) -> Result<bool, Vec<u8>> {
        let from = self.vm().msg_sender();
        self.shift(from, to, amount)?;
        Ok(true)
    }

    /// Moves `amount` from `from` by allowance. The greatest allowance is endless.
    ///
    /// # Errors
    /// `ERC20InsufficientAllowance`, `ERC20InsufficientBalance`.
    pub fn transfer_from(
        &mut self,
        from: Address,
        to: Address,
        amount: U256,
    ) -> Result<bool, Vec<u8>> {
        let spender = self.vm().msg_sender();
        let allowance = self.allowances.get(from).get(spender);
        if allowance < amount {
            return Err(Revert::from(ERC20InsufficientAllowance {
                spender,
                allowance,
                needed: amount,
            })
            .into());
        }
        if allowance != U256::MAX {
            self.allowances.setter(from).insert(spender, allowance - amount);
        }
        self.shift(from, to, amount)?;
        Ok(true)
    }

    /// Makes `amount` new tokens for `to`. Anyone may.
    pub fn mint(&mut self, to: Address, amount: U256) {
        self.supply.set(self.supply.get() + amount);
        self.balances.insert(to, self.balances.get(to) + amount);
        self.vm().log(Transfer { from: Address::ZERO, to, value: amount });
    }
}

impl TestToken {
    fn shift(&mut self, from: Address, to: Address, amount: U256) -> Result<(), Revert> {
        let balance = self.balances.get(from);
        if balance < amount {
            return Err(ERC20InsufficientBalance { sender: from, balance, needed: amount }.into());
        }
        self.balances.insert(from, balance - amount);
        self.balances.insert(to, self.balances.get(to) + amount);
        self.vm().log(Transfer { from, to, value: amount });
        Ok(())
    }
}
