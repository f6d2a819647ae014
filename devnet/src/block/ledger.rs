//! The blocks of a chain within its history, found by number, hash or transaction.

use std::{collections::VecDeque, sync::Arc};

use alloy::primitives::{B256, map::B256Map};

use super::{Block, Transaction};
use crate::state::{BlockHashes, Version};

/// Blocks from the oldest kept to the head. The genesis block is always kept.
#[derive(Debug)]
pub(crate) struct Ledger {
    genesis: Arc<Block>,
    blocks: VecDeque<Entry>,
    by_hash: B256Map<u64>,
    by_transaction: B256Map<(u64, usize)>,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    /// The state after the block, with edits made before the next one.
    state: Version,
}

impl Ledger {
    pub(crate) fn new(genesis: Arc<Block>, state: Version) -> Self {
        let by_hash = std::iter::once((genesis.hash, 0)).collect();
        let blocks = VecDeque::from([Entry { block: Arc::clone(&genesis), state }]);
        Self { genesis, blocks, by_hash, by_transaction: B256Map::default() }
    }

    /// The last block.
    pub(crate) fn head(&self) -> &Arc<Block> {
        self.blocks.back().map_or(&self.genesis, |entry| &entry.block)
    }

    /// Number of the oldest block with its state.
    pub(crate) fn oldest(&self) -> u64 {
        self.blocks.front().map_or(0, |entry| entry.block.number())
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        if number == 0 {
            return Some(&self.genesis);
        }
        self.entry(number).map(|entry| &entry.block)
    }

    pub(crate) fn by_hash(&self, hash: B256) -> Option<&Arc<Block>> {
        self.block(*self.by_hash.get(&hash)?)
    }

    /// The state after block `number`, `None` when it is not kept.
    pub(crate) fn state(&self, number: u64) -> Option<Version> {
        self.entry(number).map(|entry| entry.state)
    }

    pub(crate) fn transaction(&self, hash: B256) -> Option<(&Arc<Block>, &Transaction)> {
        let (number, index) = *self.by_transaction.get(&hash)?;
        let block = self.block(number)?;
        Some((block, block.transactions.get(index)?))
    }

    /// Blocks `from..=to` that are kept.
    pub(crate) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &Arc<Block>> {
        let oldest = self.oldest();
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.blocks
            .iter()
            .skip(skip)
            .map(|entry| &entry.block)
            .take_while(move |block| block.number() <= to)
    }

    pub(crate) fn push(&mut self, block: Arc<Block>, state: Version) {
        let number = block.number();
        self.by_hash.insert(block.hash, number);
        for (index, tx) in block.transactions.iter().enumerate() {
            self.by_transaction.insert(tx.receipt.transaction_hash, (number, index));
        }
        self.blocks.push_back(Entry { block, state });
    }

    /// An edit from outside changed the state after the head.
    pub(crate) fn edited(&mut self, state: Version) {
        if let Some(head) = self.blocks.back_mut() {
            head.state = state;
        }
    }

    /// Removes the head and returns it; the oldest kept block stays.
    pub(crate) fn pop(&mut self) -> Option<Arc<Block>> {
        if self.blocks.len() < 2 {
            return None;
        }
        let block = self.blocks.pop_back()?.block;
        self.unindex(&block);
        Some(block)
    }

    /// Forgets blocks so that at most `keep` remain behind the head; returns the oldest state that
    /// is still wanted when it moved.
    pub(crate) fn prune(&mut self, keep: u64) -> Option<Version> {
        let mut moved = false;
        while self.blocks.len() as u64 > keep.saturating_add(1) {
            let Some(entry) = self.blocks.pop_front() else { break };
            if entry.block.number() != 0 {
                self.unindex(&entry.block);
            }
            moved = true;
        }
        let oldest = self.blocks.front()?.state;
        moved.then_some(oldest)
    }

    fn unindex(&mut self, block: &Block) {
        self.by_hash.remove(&block.hash);
        for tx in &block.transactions {
            self.by_transaction.remove(&tx.receipt.transaction_hash);
        }
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        let index = number.checked_sub(self.oldest())?;
        self.blocks.get(usize::try_from(index).ok()?)
    }
}

impl BlockHashes for Ledger {
    fn block_hash(&self, number: u64) -> B256 {
        self.block(number).map_or(B256::ZERO, |block| block.hash)
    }
}
