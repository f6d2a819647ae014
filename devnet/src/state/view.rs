//! A state as of one version, as the virtual machine reads it.

use std::convert::Infallible;

use alloy::primitives::{Address, B256, U256};
use revm::{
    DatabaseRef,
    state::{AccountInfo, Bytecode},
};

use super::{State, Version};

/// Finds the hashes that the `BLOCKHASH` instruction returns.
pub(crate) trait BlockHashes {
    /// The hash of block `number`, zero when there is none.
    fn block_hash(&self, number: u64) -> B256;
}

/// Reads a [`State`] at a fixed version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StateView<'a, H> {
    pub(crate) state: &'a State,
    pub(crate) version: Version,
    pub(crate) hashes: &'a H,
}

impl<H: BlockHashes> DatabaseRef for StateView<'_, H> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.state.account(address, self.version).map(|holding| AccountInfo {
            balance: holding.balance,
            nonce: holding.nonce,
            code_hash: holding.code_hash,
            code: None,
            account_id: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        Ok(self.state.code(code_hash))
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Self::Error> {
        Ok(self.state.slot(address, index, self.version))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        Ok(self.hashes.block_hash(number))
    }
}
