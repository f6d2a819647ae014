//! Funding: moves what is missing into the vault, and nothing else.
//!
//! Native currency is accounted from the value of the call, never from this contract's balance: what the vault does not
//! need goes back to the caller in the same call, and a caller that cannot take it back is refused, so that nothing ever
//! stays here for a stranger to take.

use alloy_primitives::{Address, U8, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, Writer, erc20, external, external::log};
use protocol::{
    abi::{
        intent_source::{InsufficientFunds, IntentFunded, InvalidStatusForFunding},
        prover::RefundFailed,
    },
    intent::{Status, TokenAmount},
};
use stylus_sdk::prelude::*;

use crate::{IntentSource, escrow::Escrow};

/// Whether a funding call has anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    AlreadyFunded,
}

impl IntentSource {
    /// Whether an intent is funded: by its status, even if the vault is short (fee-on-transfer, duplicate legs), or by
    /// what the vault holds.
    pub(crate) fn is_funded(&self, escrow: &Escrow) -> Result<bool, Revert> {
        if self.status(escrow.hash.0) == Status::Funded as u8 {
            return Ok(true);
        }
        escrow.vault.holds(self.vm(), &escrow.reward)
    }

    /// Funds from the caller; excess value goes back.
    ///
    /// # Errors
    /// As [`Self::fund_by_allowance`], and `RefundFailed(caller, amount)`.
    pub(crate) fn fund_from_caller(
        &mut self,
        escrow: &Escrow,
        allow_partial: bool,
    ) -> Result<(), Revert> {
        let funder = self.vm().msg_sender();
        let spent = self.fund_by_allowance(escrow, funder, allow_partial)?;
        self.return_excess(spent)
    }

    /// Native currency from the caller's value, tokens from `funder` by its allowances to this contract. `funder` must be
    /// the caller or have signed for this. Returns how much of the value went to the vault.
    ///
    /// Every leg is attempted even when an earlier one fell short. A leg counts by the amount asked to move, so a
    /// fee-on-transfer token counts as funded while the vault is short.
    ///
    /// # Errors
    /// `InvalidStatusForFunding(status)`; `RewardTokensNotUnique(alias)`; `InsufficientFunds(hash)` unless partial funding
    /// is allowed; what a token reverts with.
    pub(crate) fn fund_by_allowance(
        &mut self,
        escrow: &Escrow,
        funder: Address,
        allow_partial: bool,
    ) -> Result<U256, Revert> {
        if self.gate(escrow)? == Gate::AlreadyFunded {
            return Ok(U256::ZERO);
        }
        self.refuse_native_alias(&escrow.reward)?;
        let (spent, mut complete) = self.fund_native(escrow)?;
        for leg in &escrow.reward.tokens {
            complete &= self.fund_leg(escrow, leg, funder)?;
        }
        self.conclude(escrow, funder, complete, allow_partial)?;
        Ok(spent)
    }

    /// Native currency from the caller's value, tokens from `funder` by its allowances to the vault, which makes an
    /// arbitrary `funder` safe: nobody gives a vault an allowance but to fund that intent. Completeness is judged by what
    /// the vault then holds, because permit and token are strangers.
    ///
    /// Returns the vault's address, or zero when the intent was funded before (as the compatible contract does).
    ///
    /// # Errors
    /// As [`Self::fund_by_allowance`], [`Vault::fund_for`](vault::Vault::fund_for), and `RefundFailed(caller, amount)`.
    pub(crate) fn fund_from(
        &mut self,
        escrow: &Escrow,
        allow_partial: bool,
        funder: Address,
        permit: Address,
    ) -> Result<Address, Revert> {
        if self.gate(escrow)? == Gate::AlreadyFunded {
            self.return_excess(U256::ZERO)?;
            return Ok(Address::ZERO);
        }
        self.refuse_native_alias(&escrow.reward)?;
        escrow.vault.deploy(self.vm())?;
        let (spent, _) = self.fund_native(escrow)?;
        escrow.vault.fund_for(self.vm(), &escrow.reward, funder, permit)?;
        let complete = escrow.vault.holds(self.vm(), &escrow.reward)?;
        self.conclude(escrow, funder, complete, allow_partial)?;
        self.return_excess(spent)?;
        Ok(escrow.vault.address())
    }

    fn gate(&self, escrow: &Escrow) -> Result<Gate, Revert> {
        let status = self.status(escrow.hash.0);
        if status == Status::Funded as u8 {
            Ok(Gate::AlreadyFunded)
        } else if Self::is_open(status) {
            Ok(Gate::Open)
        } else {
            Err(InvalidStatusForFunding { status }.into())
        }
    }

    /// Sends the vault what it misses, as far as the caller's value goes. Returns what was sent, and whether it covers
    /// the leg. The vault takes plain ETH whether deployed or not.
    fn fund_native(&self, escrow: &Escrow) -> Result<(U256, bool), Revert> {
        let vm = self.vm();
        let balance = vm.balance(escrow.vault.address());
        let Some(missing) = escrow.reward.nativeAmount.checked_sub(balance) else {
            return Ok((U256::ZERO, true));
        };
        let amount = missing.min(vm.msg_value());
        if !amount.is_zero() {
            external::call(vm, escrow.vault.address(), amount, &[])?;
        }
        Ok((amount, amount == missing))
    }

    /// Pulls what the vault misses of one token, as far as allowance and balance of the funder go.
    fn fund_leg(
        &self,
        escrow: &Escrow,
        leg: &TokenAmount,
        funder: Address,
    ) -> Result<bool, Revert> {
        let (vm, vault) = (self.vm(), escrow.vault.address());
        let balance = erc20::balance_of(vm, leg.token, vault)?;
        if balance >= leg.amount {
            return Ok(true);
        }
        let missing = leg.amount - balance;
        let amount = missing
            .min(erc20::allowance(vm, leg.token, funder, vm.contract_address())?)
            .min(erc20::balance_of(vm, leg.token, funder)?);
        if !amount.is_zero() {
            erc20::transfer_from(vm, leg.token, funder, vault, amount)?;
        }
        Ok(amount == missing)
    }

    /// Promotes the intent to Funded, only ever from Initial, and says so.
    fn conclude(
        &mut self,
        escrow: &Escrow,
        funder: Address,
        complete: bool,
        allow_partial: bool,
    ) -> Result<(), Revert> {
        if !complete && !allow_partial {
            return Err(InsufficientFunds { intentHash: escrow.hash.0 }.into());
        }
        if complete && self.status(escrow.hash.0) == Status::Initial as u8 {
            self.statuses.insert(escrow.hash.0, U8::from(Status::Funded as u8));
        }
        let data = Writer::new(3).word(escrow.hash.0).address(funder).size(complete.into());
        log(self.vm(), &[IntentFunded::SIGNATURE_HASH], data.as_slice());
        Ok(())
    }

    /// Returns the part of the caller's value that was not spent, with all gas.
    ///
    /// # Errors
    /// `RefundFailed(caller, amount)`.
    pub(crate) fn return_excess(&self, spent: U256) -> Result<(), Revert> {
        let vm = self.vm();
        // Not an underflow: what is spent was taken from the value.
        let excess = vm.msg_value() - spent;
        let caller = vm.msg_sender();
        if excess.is_zero() || external::send(vm, caller, excess, &[]) {
            Ok(())
        } else {
            Err(RefundFailed { recipient: caller, amount: excess }.into())
        }
    }
}
