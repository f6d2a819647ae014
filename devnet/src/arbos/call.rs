use alloy::sol_types::{SolError, SolInterface};
use revm::{
    Database,
    context_interface::{Block, ContextTr, Host, JournalTr},
    primitives::{Address, B256, Bytes, Log, U256},
};

use super::state::SystemState;
use crate::vm::VmContext;

/// One call of a system contract.
pub(super) struct SystemCall<'a, DB: Database> {
    pub(super) ctx: &'a mut VmContext<DB>,
    /// The contract called.
    pub(super) contract: Address,
    pub(super) caller: Address,
    pub(super) value: U256,
    /// Whether writes are refused: a static call, or a delegate call, which would write for another.
    pub(super) read_only: bool,
    pub(super) gas_left: u64,
}

/// How a call ends that does not succeed.
#[derive(Debug)]
pub(super) enum Failure<E> {
    /// Reverts with this data; the gas left is returned.
    Revert(Bytes),
    OutOfGas,
    Database(E),
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Self::Database(error)
    }
}

pub(super) type Reply<DB, T = Vec<u8>> = Result<T, Failure<<DB as Database>::Error>>;

/// Gas of opening the system state, which every call does.
const OPEN_GAS: u64 = 800;
/// Gas of copying a word of call data or of the result.
const COPY_WORD_GAS: u64 = 3;
/// Gas of writing a word of the system state.
pub(super) const WRITE_GAS: u64 = 20_000;

impl<DB: Database> SystemCall<'_, DB> {
    /// Decodes call data, and takes what every call costs.
    pub(super) fn decode<C: SolInterface>(&mut self, data: &[u8]) -> Reply<DB, C> {
        self.burn(OPEN_GAS + copy_gas(data.len().saturating_sub(4)))?;
        C::abi_decode(data).map_err(|_| Failure::Revert(Bytes::new()))
    }

    pub(super) fn burn(&mut self, gas: u64) -> Reply<DB, ()> {
        self.gas_left = self.gas_left.checked_sub(gas).ok_or(Failure::OutOfGas)?;
        Ok(())
    }

    /// Takes the price of handing back `reply`.
    pub(super) fn burn_reply(&mut self, reply: &[u8]) -> Reply<DB, ()> {
        self.burn(copy_gas(reply.len()))
    }

    pub(super) fn require_writable(&self) -> Reply<DB, ()> {
        if self.read_only { refuse() } else { Ok(()) }
    }

    /// Functions that are not payable refuse value.
    pub(super) fn require_no_value(&self) -> Reply<DB, ()> {
        if self.value.is_zero() { Ok(()) } else { refuse() }
    }

    pub(super) const fn state(&mut self) -> SystemState<'_, DB> {
        SystemState::new(self.ctx)
    }

    /// Block time in seconds.
    pub(super) fn now(&self) -> u64 {
        self.ctx.block().timestamp().saturating_to()
    }

    /// Hash and bytes of an account's code, at the price of a cold or warm access.
    pub(super) fn code(&mut self, of: Address) -> Reply<DB, (B256, Bytes)> {
        let (warm, cold) = {
            let params = self.ctx.gas_params();
            (params.warm_storage_read_cost(), params.cold_account_additional_cost())
        };
        let load = self.ctx.journal_mut().load_account_with_code(of)?;
        let is_cold = load.is_cold;
        let code = load.info.code.as_ref().map(|code| code.original_bytes()).unwrap_or_default();
        let hash = load.info.code_hash;
        self.burn(warm + if is_cold { cold } else { 0 })?;
        Ok((hash, code))
    }

    /// Moves value out of this contract's account.
    pub(super) fn pay(&mut self, to: Address, amount: U256) -> Reply<DB, ()> {
        match self.ctx.journal_mut().transfer(self.contract, to, amount)? {
            None => Ok(()),
            Some(_) => refuse(),
        }
    }

    pub(super) fn emit(&mut self, event: impl alloy::sol_types::SolEvent) -> Reply<DB, ()> {
        let data = event.encode_log_data();
        let gas = self.ctx.gas_params().log_cost(data.topics().len() as u8, data.data.len() as u64);
        // The cost of topics and data; the operation itself is priced apart.
        self.burn(LOG_GAS + gas)?;
        self.ctx.journal_mut().log(Log { address: self.contract, data });
        Ok(())
    }
}

/// Gas of the `LOG` operation itself.
const LOG_GAS: u64 = 375;

const fn copy_gas(bytes: usize) -> u64 {
    COPY_WORD_GAS * bytes.div_ceil(32) as u64
}

/// Reverts without data.
pub(super) fn refuse<T, E>() -> Result<T, Failure<E>> {
    Err(Failure::Revert(Bytes::new()))
}

/// Reverts with an error of the contract's interface.
pub(super) fn fail<T, E>(error: impl SolError) -> Result<T, Failure<E>> {
    Err(Failure::Revert(error.abi_encode().into()))
}
