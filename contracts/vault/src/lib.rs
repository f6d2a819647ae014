//! The vault of an intent: where its reward waits.
//!
//! A vault is a clone of IntentSource's [`Puppet`] at the CREATE2 address whose salt is the intent's hash. It holds
//! tokens and ETH and decides nothing; the rules of what it pays, to whom and in which order are here, and run inside
//! IntentSource. Tokens are paid first, in the order of the reward, native currency last.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolError};
use parts::{Frame, Revert, Writer, erc20, external, puppet, puppet::Puppet};
use protocol::{
    abi::{
        permit,
        vault::{NativeTransferFailed, NotPortalCaller, ZeroRecoverTokenBalance},
    },
    ids::IntentHash,
    intent::{Reward, TokenAmount},
};
use stylus_sdk::{host::VM, prelude::*};

/// The vault of one intent of the calling program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vault {
    intent: IntentHash,
    puppet: Puppet,
}

impl Vault {
    /// Creates the implementation that every vault of this program delegates to. Strangers who call a vault with data are
    /// refused with `NotPortalCaller(caller)`.
    ///
    /// # Errors
    /// An empty revert when the program has created a contract before.
    pub fn create_implementation(vm: &VM) -> Result<Address, Revert> {
        puppet::create(vm, NotPortalCaller::SELECTOR)
    }

    /// The vault of an intent, deployed or not.
    pub fn of(vm: &VM, intent: IntentHash) -> Self {
        let address = protocol::puppet::vault(vm.contract_address(), intent);
        Self { intent, puppet: Puppet(address) }
    }

    /// Its address.
    pub const fn address(self) -> Address {
        self.puppet.0
    }

    /// Puts the code there unless it is there. Paying out needs it, receiving does not.
    pub fn deploy(self, vm: &VM) -> Result<(), Revert> {
        puppet::create_clone(vm, self.address(), self.intent.0)
    }

    /// Whether it holds the reward now: native currency and each leg, each on its own. Legs of the same token are compared
    /// with the same balance, not summed.
    ///
    /// # Errors
    /// An empty revert for a reward token without code.
    pub fn holds(self, vm: &VM, reward: &Reward) -> Result<bool, Revert> {
        if vm.balance(self.address()) < reward.nativeAmount {
            return Ok(false);
        }
        for leg in &reward.tokens {
            if erc20::balance_of(vm, leg.token, self.address())? < leg.amount {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Pulls what is missing of each token from `funder`, by its allowance at `permit` (when not zero) and then by its
    /// plain allowance to this vault. Says nothing about the result: [`Self::holds`] does.
    ///
    /// # Errors
    /// What the permit or a token reverts with; `Panic(0x11)` for a permit that moves more than asked.
    pub fn fund_for(
        self,
        vm: &VM,
        reward: &Reward,
        funder: Address,
        permit: Address,
    ) -> Result<(), Revert> {
        for leg in &reward.tokens {
            let balance = erc20::balance_of(vm, leg.token, self.address())?;
            if balance >= leg.amount {
                continue;
            }
            let mut missing = leg.amount - balance;
            if !permit.is_zero() {
                missing = self.fund_by_permit(vm, leg, missing, funder, permit)?;
            }
            if missing.is_zero() {
                continue;
            }
            let amount = missing
                .min(erc20::balance_of(vm, leg.token, funder)?)
                .min(erc20::allowance(vm, leg.token, funder, self.address())?);
            if !amount.is_zero() {
                self.puppet.pull(vm, leg.token, funder, amount)?;
            }
        }
        Ok(())
    }

    /// Pulls up to `missing` through the permit contract, which is a stranger's: what it really moved is measured.
    /// An expired allowance moves nothing. Returns what is still missing.
    fn fund_by_permit(
        self,
        vm: &VM,
        leg: &TokenAmount,
        missing: U256,
        funder: Address,
        permit: Address,
    ) -> Result<U256, Revert> {
        let query = Writer::call(permit::allowanceCall::SELECTOR, 3)
            .address(funder)
            .address(leg.token)
            .address(self.address())
            .finish();
        let answer = external::view(vm, permit, &query)?;
        let answer = Frame(&answer);
        let allowed = answer.uint_of(0, 160)?;
        let expiration = answer.uint_of(1, 48)?;
        answer.uint_of(2, 48)?;

        let amount = missing.min(erc20::balance_of(vm, leg.token, funder)?).min(allowed);
        if !amount.is_zero() && U256::from(vm.block_timestamp()) <= expiration {
            let transfer = Writer::call(permit::transferFrom_1Call::SELECTOR, 4)
                .address(funder)
                .address(self.address())
                .uint(amount)
                .address(leg.token)
                .finish();
            self.puppet.call(vm, U256::ZERO, permit, U256::ZERO, &transfer)?;
        }
        let balance = erc20::balance_of(vm, leg.token, self.address())?;
        leg.amount.checked_sub(balance).ok_or_else(Revert::overflow)
    }

    /// Pays the reward to the claimant: of each leg and of the native amount what is there. Excess stays.
    ///
    /// # Errors
    /// As [`erc20::check`] for a token that will not move; `NativeTransferFailed(claimant, amount)`.
    pub fn withdraw(self, vm: &VM, reward: &Reward, claimant: Address) -> Result<(), Revert> {
        for leg in &reward.tokens {
            let amount = leg.amount.min(erc20::balance_of(vm, leg.token, self.address())?);
            if !amount.is_zero() {
                self.puppet.transfer(vm, leg.token, claimant, amount)?;
            }
        }
        if reward.nativeAmount.is_zero() {
            return Ok(());
        }
        let amount = reward.nativeAmount.min(vm.balance(self.address()));
        if amount.is_zero() || self.puppet.send(vm, claimant, amount) {
            Ok(())
        } else {
            Err(NativeTransferFailed { to: claimant, amount }.into())
        }
    }

    /// Sends everything of the reward's tokens, and all ETH, to `refundee`. ETH that it does not take stays for a later
    /// refund, so that a creator who cannot receive it still gets the tokens.
    ///
    /// # Errors
    /// As [`erc20::check`] for a token that will not move.
    pub fn refund(self, vm: &VM, reward: &Reward, refundee: Address) -> Result<(), Revert> {
        for leg in &reward.tokens {
            let amount = erc20::balance_of(vm, leg.token, self.address())?;
            if !amount.is_zero() {
                self.puppet.transfer(vm, leg.token, refundee, amount)?;
            }
        }
        let amount = vm.balance(self.address());
        if !amount.is_zero() {
            let _taken = self.puppet.send(vm, refundee, amount);
        }
        Ok(())
    }

    /// Sends all of one token to `refundee`.
    ///
    /// # Errors
    /// `ZeroRecoverTokenBalance(token)`; as [`erc20::check`].
    pub fn recover(self, vm: &VM, refundee: Address, token: Address) -> Result<(), Revert> {
        let amount = erc20::balance_of(vm, token, self.address())?;
        if amount.is_zero() {
            return Err(ZeroRecoverTokenBalance { token }.into());
        }
        self.puppet.transfer(vm, token, refundee, amount)
    }
}
