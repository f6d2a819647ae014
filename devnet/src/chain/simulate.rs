//! Calls and gas estimates: execution that leaves nothing behind.

use std::{collections::BTreeMap, convert::Infallible};

use alloy::{
    primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256, map::B256Map},
    rpc::types::{
        BlockOverrides,
        state::{AccountOverride, StateOverride},
    },
};
use revm::{
    Database, DatabaseRef, Inspector,
    context::{BlockEnv, TxEnv},
    context_interface::result::ExecutionResult,
    database_interface::WrapDatabaseRef,
    state::{AccountInfo, Bytecode},
};

use super::{
    CallOutcome, Chain, Error, Inner,
    mine::{block_env, machine_error},
};
use crate::{
    block::{BlockParts, Ledger},
    state::{StateView, Version},
    vm::{Environment, Rules, VmContext},
};

/// Where a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simulation {
    /// In this block's place: its number and timestamp, the state after it.
    At(u64),
    /// In the block that would come next.
    Pending,
}

/// A call with what it pretends about state and block.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) tx: TxEnv,
    pub(crate) state: Option<StateOverride>,
    pub(crate) block: Option<BlockOverrides>,
}

impl Call {
    pub(crate) const fn new(tx: TxEnv) -> Self {
        Self { tx, state: None, block: None }
    }
}

/// The state as a call sees it.
pub(crate) type CallState<'a> = WrapDatabaseRef<Overridden<'a>>;

impl Chain {
    /// Runs `call` and drops what it changed.
    pub(crate) fn simulate(
        &self,
        inner: &Inner,
        place: Simulation,
        call: &Call,
    ) -> Result<CallOutcome, Error> {
        let (mut env, state) = self.stage(inner, place, call)?;
        let outcome = self
            .shared
            .executor
            .execute(&mut env, WrapDatabaseRef(state), call.tx.clone())
            .map_err(machine_error)?;
        Ok(outcome_of(outcome.result))
    }

    /// As [`Self::simulate`], watched by `inspector`.
    pub(crate) fn inspect<'a, I: Inspector<VmContext<CallState<'a>>>>(
        &self,
        inner: &'a Inner,
        place: Simulation,
        call: &'a Call,
        inspector: I,
    ) -> Result<ExecutionResult, Error> {
        let (mut env, state) = self.stage(inner, place, call)?;
        let db = WrapDatabaseRef(state);
        let outcome = self.shared.executor.inspect(&mut env, db, call.tx.clone(), inspector);
        Ok(outcome.map_err(machine_error)?.result)
    }

    /// Runs a transaction of a block again on the state it had, watched by `inspector`.
    pub(crate) fn replay<'a, I: Inspector<VmContext<CallState<'a>>>>(
        &self,
        inner: &'a Inner,
        hash: B256,
        inspector: I,
    ) -> Result<Option<ExecutionResult>, Error> {
        let Some((block, tx)) = inner.ledger.transaction(hash) else { return Ok(None) };
        let oldest = inner.ledger.oldest();
        if tx.before < inner.state.oldest() {
            return Err(Error::Pruned { number: block.number(), oldest });
        }
        let header = &block.header;
        let parts = BlockParts {
            parent_hash: header.parent_hash,
            number: header.number,
            timestamp: header.timestamp,
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
            prevrandao: header.mix_hash,
            state_root: header.state_root,
        };
        let rules = Rules { base_fee: false, ..Rules::IMPERSONATION };
        let mut env = Environment::new(self.chain_id(), block_env(&parts)).with_rules(rules);
        let state = Overridden::new(inner, tx.before, None);
        let price = tx.receipt.effective_gas_price;
        let mut tx = super::mine::tx_env(&tx.envelope, tx.sender);
        tx.gas_price = price;
        tx.gas_priority_fee = tx.gas_priority_fee.map(|_| 0);
        let outcome = self.shared.executor.inspect(&mut env, WrapDatabaseRef(state), tx, inspector);
        Ok(Some(outcome.map_err(machine_error)?.result))
    }

    /// The balance that the call's sender has where the call runs.
    pub(crate) fn caller_balance(
        &self,
        inner: &Inner,
        place: Simulation,
        call: &Call,
    ) -> Result<U256, Error> {
        let (_, state) = self.stage(inner, place, call)?;
        let Ok(account) = WrapDatabaseRef(state).basic(call.tx.caller);
        Ok(account.map_or(U256::ZERO, |account| account.balance))
    }

    fn stage<'a>(
        &self,
        inner: &'a Inner,
        place: Simulation,
        call: &'a Call,
    ) -> Result<(Environment, Overridden<'a>), Error> {
        let (mut block, version) = match place {
            Simulation::Pending => (block_env(&self.next_parts(inner)), inner.state.latest()),
            Simulation::At(number) => {
                let version = inner.state_at(number)?;
                let block = inner.block(number)?;
                let env = BlockEnv {
                    number: U256::from(number),
                    beneficiary: block.header.beneficiary,
                    timestamp: U256::from(block.header.timestamp),
                    gas_limit: block.header.gas_limit,
                    basefee: block.header.base_fee_per_gas.unwrap_or_default(),
                    prevrandao: Some(block.header.mix_hash),
                    ..BlockEnv::default()
                };
                (env, version)
            }
        };
        if let Some(overrides) = &call.block {
            override_block(&mut block, overrides);
        }
        let env = Environment::new(self.chain_id(), block).with_rules(Rules::SIMULATION);
        Ok((env, Overridden::new(inner, version, call.state.as_ref())))
    }
}

/// A state with some accounts replaced.
#[derive(Debug)]
pub(crate) struct Overridden<'a> {
    view: StateView<'a, Ledger>,
    accounts: BTreeMap<Address, &'a AccountOverride>,
    codes: B256Map<Bytecode>,
}

impl<'a> Overridden<'a> {
    fn new(inner: &'a Inner, version: Version, overrides: Option<&'a StateOverride>) -> Self {
        let accounts: BTreeMap<_, _> =
            overrides.into_iter().flatten().map(|(address, account)| (*address, account)).collect();
        let codes = accounts
            .values()
            .filter_map(|account| account.code.as_ref())
            .map(|code| (keccak256(code), Bytecode::new_raw(code.clone())))
            .collect();
        let view = StateView { state: &inner.state, version, hashes: &inner.ledger };
        Self { view, accounts, codes }
    }
}

impl DatabaseRef for Overridden<'_> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let account = self.view.basic_ref(address)?;
        let Some(replaced) = self.accounts.get(&address) else { return Ok(account) };
        let mut account = account.unwrap_or_else(|| AccountInfo {
            code_hash: KECCAK256_EMPTY,
            code: None,
            ..AccountInfo::default()
        });
        account.balance = replaced.balance.unwrap_or(account.balance);
        account.nonce = replaced.nonce.unwrap_or(account.nonce);
        if let Some(code) = &replaced.code {
            account.code_hash = keccak256(code);
        }
        Ok(Some(account))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        match self.codes.get(&code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.view.code_by_hash_ref(code_hash),
        }
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Infallible> {
        if let Some(replaced) = self.accounts.get(&address) {
            let key = B256::from(index);
            if let Some(slots) = &replaced.state {
                return Ok(slots.get(&key).map_or(U256::ZERO, |value| (*value).into()));
            }
            if let Some(value) = replaced.state_diff.as_ref().and_then(|slots| slots.get(&key)) {
                return Ok((*value).into());
            }
        }
        self.view.storage_ref(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        self.view.block_hash_ref(number)
    }
}

fn override_block(block: &mut BlockEnv, overrides: &BlockOverrides) {
    block.number = overrides.number.unwrap_or(block.number);
    block.difficulty = overrides.difficulty.unwrap_or(block.difficulty);
    block.timestamp = overrides.time.map_or(block.timestamp, U256::from);
    block.gas_limit = overrides.gas_limit.unwrap_or(block.gas_limit);
    block.beneficiary = overrides.coinbase.unwrap_or(block.beneficiary);
    block.prevrandao = overrides.random.or(block.prevrandao);
    block.basefee = overrides.base_fee.map_or(block.basefee, |fee| fee.saturating_to());
}

fn outcome_of(result: ExecutionResult) -> CallOutcome {
    let (success, gas_used) = (result.is_success(), result.tx_gas_used());
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            CallOutcome { success, output: output.into_data(), gas_used, logs, halt: None }
        }
        ExecutionResult::Revert { output, .. } => {
            CallOutcome { success, output, gas_used, ..CallOutcome::default() }
        }
        ExecutionResult::Halt { reason, .. } => {
            let halt = Some(format!("{reason:?}"));
            CallOutcome { success, gas_used, halt, ..CallOutcome::default() }
        }
    }
}
