//! Reading accounts, blocks and logs.

use std::sync::Arc;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    rpc::types::{Filter, FilterBlockOption, Log},
};

use super::{Chain, Error, Inner};
use crate::{
    block::{Block, Receipt, Transaction},
    state::{Holding, Version},
};

impl Chain {
    /// Wei that `address` has.
    #[must_use]
    pub fn balance(&self, address: Address) -> U256 {
        self.read().account(address).balance
    }

    /// Transactions that `address` has sent.
    #[must_use]
    pub fn nonce(&self, address: Address) -> u64 {
        self.read().account(address).nonce
    }

    /// Code of `address`, empty when it has none.
    #[must_use]
    pub fn code(&self, address: Address) -> Bytes {
        let inner = self.read();
        inner.state.code(inner.account(address).code_hash).original_bytes()
    }

    /// A storage slot of `address`.
    #[must_use]
    pub fn storage(&self, address: Address, slot: U256) -> U256 {
        let inner = self.read();
        inner.state.slot(address, slot, inner.state.latest())
    }

    /// The last block.
    #[must_use]
    pub fn head(&self) -> Arc<Block> {
        Arc::clone(self.read().ledger.head())
    }

    /// Timestamp of the last block, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.read().ledger.head().header.timestamp
    }

    /// Block `number`, `None` when it does not exist or is no longer kept.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<Arc<Block>> {
        self.read().ledger.block(number).cloned()
    }

    /// The receipt of a transaction in a block.
    #[must_use]
    pub fn receipt(&self, transaction: B256) -> Option<Receipt> {
        self.read().ledger.transaction(transaction).map(|(_, tx)| tx.receipt.clone())
    }

    /// Logs that match `filter`, in order.
    ///
    /// # Errors
    /// When the range is not on the chain, or an answer would exceed the configured limits.
    pub fn logs(&self, filter: &Filter) -> Result<Vec<Log>, Error> {
        let inner = self.read();
        let head = inner.ledger.head().number();
        self.logs_up_to(&inner, filter, head)
    }

    /// As [`Self::logs`], for someone who believes that `head` is the last block.
    pub(crate) fn logs_up_to(
        &self,
        inner: &Inner,
        filter: &Filter,
        head: u64,
    ) -> Result<Vec<Log>, Error> {
        let (from, to) = match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let block = inner.ledger.by_hash(hash).ok_or(Error::UnknownBlockHash(hash))?;
                (block.number(), block.number())
            }
            FilterBlockOption::Range { from_block, to_block } => {
                let from = self.number_of(from_block.unwrap_or_default(), head);
                (from, self.number_of(to_block.unwrap_or_default(), head))
            }
        };
        if from > to {
            return Err(Error::InvertedRange { from, to });
        }
        let given = to - from + 1;
        if let Some(limit) = self.config().max_log_range
            && given > limit
        {
            return Err(Error::LogRange { given, limit });
        }
        let limit = self.config().max_logs;
        let mut logs = Vec::new();
        for block in inner.ledger.range(from, to.min(head)) {
            if filter.matches_bloom(block.header.logs_bloom) {
                logs.extend(matching_logs(block, filter));
            }
            if logs.len() > limit {
                return Err(Error::TooManyLogs { limit });
            }
        }
        Ok(logs)
    }

    /// The block number that `tag` stands for when `head` is the last block.
    pub(crate) fn number_of(&self, tag: BlockNumberOrTag, head: u64) -> u64 {
        match tag {
            BlockNumberOrTag::Number(number) => number,
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => head,
            BlockNumberOrTag::Safe => head.saturating_sub(self.config().safe_lag),
            BlockNumberOrTag::Finalized => head.saturating_sub(self.config().finalized_lag),
            BlockNumberOrTag::Earliest => 0,
        }
    }
}

impl Inner {
    /// The account as of now.
    pub(crate) fn account(&self, address: Address) -> Holding {
        self.state.account(address, self.state.latest()).unwrap_or_default()
    }

    /// Block `number`.
    pub(crate) fn block(&self, number: u64) -> Result<&Arc<Block>, Error> {
        let head = self.ledger.head().number();
        self.ledger.block(number).ok_or_else(|| self.absent(number, head))
    }

    /// The state after block `number`.
    pub(crate) fn state_at(&self, number: u64) -> Result<Version, Error> {
        let head = self.ledger.head().number();
        self.ledger.state(number).ok_or_else(|| self.absent(number, head))
    }

    fn absent(&self, number: u64, head: u64) -> Error {
        if number > head {
            Error::UnknownBlock { number, head }
        } else {
            Error::Pruned { number, oldest: self.ledger.oldest() }
        }
    }
}

/// Logs of one block that match the filter's addresses and topics.
pub(crate) fn matching_logs<'a>(
    block: &'a Block,
    filter: &'a Filter,
) -> impl Iterator<Item = Log> + 'a {
    block.transactions.iter().flat_map(move |tx| {
        rpc_logs(block, tx).filter(|log| {
            filter.matches_address(log.address()) && filter.matches_topics(log.topics())
        })
    })
}

/// Logs of a transaction with their place on the chain.
pub(crate) fn rpc_logs<'a>(
    block: &'a Block,
    tx: &'a Transaction,
) -> impl Iterator<Item = Log> + 'a {
    let receipt = &tx.receipt;
    receipt.logs.iter().enumerate().map(move |(index, log)| Log {
        inner: log.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(receipt.transaction_hash),
        transaction_index: Some(receipt.transaction_index),
        log_index: Some(receipt.first_log_index + index as u64),
        removed: false,
    })
}
