//! What can go wrong with a request to a chain.

use alloy::primitives::{Address, B256};
use revm::context_interface::result::InvalidTransaction;
use thiserror::Error;

use crate::{mempool::Refusal, persist};

/// Why a chain did not do as asked. A transaction that reverts is a receipt, not an error.
#[derive(Debug, Error)]
pub enum Error {
    /// The pool refused the transaction.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The virtual machine refused the transaction before running it.
    #[error("{0}")]
    Invalid(#[from] InvalidTransaction),
    /// The virtual machine failed, which no transaction should be able to cause.
    #[error("virtual machine: {0}")]
    Machine(String),
    /// The program could not be deployed or activated.
    #[error("program at {address:?} refused: {reason}")]
    Program {
        /// Where it was created, if it was.
        address: Option<Address>,
        /// Revert data or halt reason.
        reason: String,
    },
    /// No block with this number is on the chain.
    #[error("block {number} not found, head is {head}")]
    UnknownBlock {
        /// Number asked for.
        number: u64,
        /// Number of the head.
        head: u64,
    },
    /// No block with this hash is on the chain.
    #[error("block {0} not found")]
    UnknownBlockHash(B256),
    /// The state of this block is no longer kept.
    #[error("missing trie node: state of block {number} is not available, oldest kept is {oldest}")]
    Pruned {
        /// Number asked for.
        number: u64,
        /// Oldest with state.
        oldest: u64,
    },
    /// No snapshot has this id, or it was taken back already.
    #[error("snapshot {0} not found")]
    UnknownSnapshot(u64),
    /// A block cannot be older than its parent.
    #[error("timestamp {given} is lower than the previous block's {previous}")]
    TimestampTooLow {
        /// Seconds asked for.
        given: u64,
        /// Seconds of the head.
        previous: u64,
    },
    /// More blocks than are kept, or all of them.
    #[error("cannot reorganize {depth} blocks, at most {most} are kept above the oldest")]
    ReorgTooDeep {
        /// Depth asked for.
        depth: u64,
        /// Deepest possible.
        most: u64,
    },
    /// More logs match than one answer may hold.
    #[error("query returned more than {limit} results")]
    TooManyLogs {
        /// The limit.
        limit: usize,
    },
    /// The block range is wider than allowed.
    #[error("block range {given} exceeds the limit of {limit}")]
    LogRange {
        /// Blocks asked for.
        given: u64,
        /// Most that may be asked for.
        limit: u64,
    },
    /// A range that ends before it begins.
    #[error("invalid block range params: from {from} is after to {to}")]
    InvertedRange {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
    /// The log on disk could not be written or read.
    #[error(transparent)]
    Persist(#[from] persist::Error),
}
