//! Blocks and what is in them.

mod build;
mod ledger;

use alloy::{
    consensus::{Header, Transaction as _, TxEnvelope},
    primitives::{Address, B256, Bytes, Log, TxKind},
};
pub(crate) use build::{BlockParts, build, consensus_receipt};
pub(crate) use ledger::Ledger;

use serde::{Deserialize, Serialize};

use crate::state::Version;

/// A sealed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Exactly what `hash` commits to. `state_root` is not a Merkle root but a chained digest of
    /// all state changes: cheap, and as telling when two histories are compared.
    pub header: Header,
    /// Keccak-256 of the RLP of `header`.
    pub hash: B256,
    /// In order of execution.
    pub transactions: Vec<Transaction>,
    /// Length of the RLP of the whole block, in bytes.
    pub size: usize,
}

impl Block {
    /// Height; genesis is 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    /// Logs of all transactions, each with its transaction, in order.
    pub fn logs(&self) -> impl Iterator<Item = (&Transaction, &Log)> {
        self.transactions.iter().flat_map(|tx| tx.receipt.logs.iter().map(move |log| (tx, log)))
    }
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// As sent. One sent without a signature (in-process, or for an impersonated account) carries
    /// a made-up one that recovers to nobody.
    pub envelope: TxEnvelope,
    /// Who it acts for, whatever the signature says.
    pub sender: Address,
    /// What happened.
    pub receipt: Receipt,
    /// The state it ran on, to run it again.
    pub(crate) before: Version,
}

/// The outcome of a transaction in a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Keccak-256 of the encoded transaction.
    pub transaction_hash: B256,
    /// Place within the block.
    pub transaction_index: u64,
    /// The block that holds it.
    pub block_hash: B256,
    /// That block's number.
    pub block_number: u64,
    /// Sender.
    pub from: Address,
    /// Who was called; `None` created a contract.
    pub to: Option<Address>,
    /// The contract that a successful creation made.
    pub contract_address: Option<Address>,
    /// False when it reverted or halted.
    pub success: bool,
    /// Gas of this transaction alone, after refunds.
    pub gas_used: u64,
    /// Gas of the block up to and including this transaction.
    pub cumulative_gas_used: u64,
    /// Wei per gas that was paid.
    pub effective_gas_price: u128,
    /// Place of `logs[0]` among the logs of the block.
    pub first_log_index: u64,
    /// Emitted logs, none when it failed.
    pub logs: Vec<Log>,
    /// Return data, revert data, or the code a creation deployed.
    pub output: Bytes,
    /// Why execution stopped when it neither returned nor reverted, for instance `OutOfGas`.
    pub halt: Option<String>,
}

impl Receipt {
    pub(crate) fn for_transaction(envelope: &TxEnvelope, sender: Address) -> Self {
        let to = match envelope.kind() {
            TxKind::Call(to) => Some(to),
            TxKind::Create => None,
        };
        Self { transaction_hash: *envelope.tx_hash(), from: sender, to, ..Self::default() }
    }
}
