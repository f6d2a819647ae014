//! A chain as one call sees it: at one moment, and perhaps some blocks behind.

use std::sync::Arc;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::B256,
};
use parking_lot::RwLockReadGuard;

use super::RpcError;
use crate::{
    block::{Block, Transaction},
    chain::{Chain, Error, Inner, Simulation},
    faults::Fault,
    state::Version,
};

/// Reads under one lock, never beyond `head`.
pub(crate) struct Reader<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) inner: RwLockReadGuard<'a, Inner>,
    /// The last block that is admitted to exist.
    pub(crate) head: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(chain: &'a Chain, faults: &[Fault]) -> Self {
        let lag: u64 = faults
            .iter()
            .map(|fault| if let Fault::Stale { blocks } = fault { *blocks } else { 0 })
            .sum();
        let inner = chain.read();
        let head = inner.ledger.head().number().saturating_sub(lag);
        Self { chain, inner, head }
    }

    /// The block that `id` names, `None` when there is none.
    pub(crate) fn block(&self, id: BlockId) -> Option<&Arc<Block>> {
        let block = match id {
            BlockId::Number(tag) => self.inner.ledger.block(self.chain.number_of(tag, self.head)),
            BlockId::Hash(hash) => self.inner.ledger.by_hash(hash.block_hash),
        };
        block.filter(|block| block.number() <= self.head)
    }

    /// The number of the block that `id` names.
    pub(crate) fn number(&self, id: BlockId) -> Result<u64, RpcError> {
        match id {
            BlockId::Number(tag) => {
                let number = self.chain.number_of(tag, self.head);
                if number > self.head {
                    return Err(Error::UnknownBlock { number, head: self.head }.into());
                }
                Ok(number)
            }
            BlockId::Hash(hash) => {
                let block = self.block(id).map(|block| block.number());
                block.ok_or_else(|| Error::UnknownBlockHash(hash.block_hash).into())
            }
        }
    }

    /// The state after the block that `id` names.
    pub(crate) fn state(&self, id: BlockId) -> Result<Version, RpcError> {
        Ok(self.inner.state_at(self.number(id)?)?)
    }

    /// Where a call at `id` runs.
    pub(crate) fn place(&self, id: BlockId) -> Result<Simulation, RpcError> {
        match id {
            BlockId::Number(BlockNumberOrTag::Pending) => Ok(Simulation::Pending),
            other => Ok(Simulation::At(self.number(other)?)),
        }
    }

    /// A transaction in a block.
    pub(crate) fn transaction(&self, hash: B256) -> Option<(&Arc<Block>, &Transaction)> {
        self.inner.ledger.transaction(hash).filter(|(block, _)| block.number() <= self.head)
    }
}
