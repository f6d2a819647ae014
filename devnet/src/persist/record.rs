//! The lines of a chain's log.

use std::sync::Arc;

use alloy::{
    consensus::{Header, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, Bytes, U256},
};
use serde::{Deserialize, Serialize};

use super::Loaded;
use crate::{
    block::{Block, Receipt, Transaction},
    state::{Changes, Holding, Version},
};

/// One change of a chain.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Record {
    /// A block became the head.
    Block { header: Box<Header>, hash: B256, size: usize, transactions: Vec<TransactionLine> },
    /// The state changed outside of a block.
    Edit { changes: ChangesLine },
    /// The chain went back to block `number` with state version `state`.
    Rollback { number: u64, state: u64, forks: u64 },
}

/// A transaction with what it did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TransactionLine {
    raw: Bytes,
    receipt: Receipt,
    changes: ChangesLine,
}

/// [`Changes`] in a form that JSON can hold.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangesLine {
    accounts: Vec<(Address, Option<Holding>)>,
    storage: Vec<(Address, U256, U256)>,
    codes: Vec<Bytes>,
}

impl Record {
    pub(crate) fn block(block: &Block, changes: &[Changes]) -> Self {
        let transactions =
            block.transactions.iter().zip(changes).map(|(tx, changes)| TransactionLine {
                raw: tx.envelope.encoded_2718().into(),
                receipt: tx.receipt.clone(),
                changes: changes.into(),
            });
        Self::Block {
            header: Box::new(block.header.clone()),
            hash: block.hash,
            size: block.size,
            transactions: transactions.collect(),
        }
    }

    pub(crate) fn edit(changes: &Changes) -> Self {
        Self::Edit { changes: changes.into() }
    }

    pub(crate) const fn rollback(number: u64, state: Version, forks: u64) -> Self {
        Self::Rollback { number, state: state.0, forks }
    }

    /// Does again what was recorded; the error says what is wrong with the record.
    pub(super) fn apply(self, loaded: &mut Loaded) -> Result<(), String> {
        match self {
            Self::Block { header, hash, size, transactions } => {
                let expected = loaded.ledger.head().number() + 1;
                if header.number != expected {
                    return Err(format!("block {}, expected {expected}", header.number));
                }
                let transactions = transactions
                    .into_iter()
                    .map(|line| line.apply(loaded))
                    .collect::<Result<_, _>>()?;
                let block = Block { header: *header, hash, transactions, size };
                loaded.ledger.push(Arc::new(block), loaded.state.latest());
            }
            Self::Edit { changes } => {
                let version = loaded.state.commit(&changes.into());
                loaded.ledger.edited(version);
            }
            Self::Rollback { number, state, forks } => {
                while loaded.ledger.head().number() > number {
                    loaded.ledger.pop().ok_or_else(|| format!("no block {number} to return to"))?;
                }
                loaded.state.rollback(Version(state));
                loaded.ledger.edited(Version(state));
                loaded.forks = forks;
            }
        }
        Ok(())
    }
}

impl TransactionLine {
    fn apply(self, loaded: &mut Loaded) -> Result<Transaction, String> {
        let envelope = TxEnvelope::decode_2718(&mut self.raw.as_ref())
            .map_err(|error| format!("transaction {}: {error}", self.receipt.transaction_hash))?;
        let before = loaded.state.latest();
        loaded.state.commit(&self.changes.into());
        Ok(Transaction { envelope, sender: self.receipt.from, receipt: self.receipt, before })
    }
}

impl From<&Changes> for ChangesLine {
    fn from(changes: &Changes) -> Self {
        Self {
            accounts: changes.accounts.clone().into_iter().collect(),
            storage: changes.storage.iter().map(|((a, key), value)| (*a, *key, *value)).collect(),
            codes: changes.codes.values().cloned().collect(),
        }
    }
}

impl From<ChangesLine> for Changes {
    fn from(line: ChangesLine) -> Self {
        let mut changes = Self::default();
        for code in &line.codes {
            changes.insert_code(code);
        }
        changes.accounts.extend(line.accounts);
        let slots = line.storage.into_iter().map(|(address, key, value)| ((address, key), value));
        changes.storage.extend(slots);
        changes
    }
}
