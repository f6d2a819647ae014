//! What the solver remembers, in SQL. Nothing that matters is held only in memory.
//!
//! A step of an order's life is one database transaction: the new state, its place in the history,
//! reservations taken or given back, and bookings, all or none. Whatever a state allows happens
//! after that transaction has been committed.

mod batches;
mod copies;
mod inventory;
mod latencies;
mod ledger;
mod orders;
mod outbox;
mod quotes;
mod schema;
mod switches;
mod transfers;

pub use batches::{Batch, BatchKind};
pub use inventory::{Holding, Reservation};
pub use ledger::{Entry, EntryKind, Totals};
pub use orders::{Books, HistoryEntry, Recorded, Release, Step};
pub use outbox::{Outgoing, Unopened};
pub use quotes::{Asked, Offer, QuoteBounds, StoredQuote};
pub use switches::{Mode, UnknownMode};
pub use transfers::{Transfer, TransferState};

use std::sync::Arc;

use chain::db::{self, Db};
use protocol::ids::IntentHash;

use crate::order::State;

/// The solver's tables.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// Held while quotes are written: what they hold together is bounded, and PostgreSQL would let two count at once.
    quoting: Arc<tokio::sync::Mutex<()>>,
}

/// What the store refuses, or what the database says.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// Somebody else moved the order first.
    #[error("order {hash} is no longer {expected}")]
    Moved {
        /// The order.
        hash: IntentHash,
        /// The state it was believed to be in.
        expected: State,
    },
    /// The transition table has no such row.
    #[error("an order may not go from {from} to {to}")]
    Forbidden {
        /// The state it is in.
        from: State,
        /// The state asked for.
        to: State,
    },
    /// The wallet does not hold that much beyond what is reserved.
    #[error("{given} of {asset} free, {expected} needed")]
    NotEnough {
        /// What is short.
        asset: crate::money::Asset,
        /// What is free.
        given: alloy::primitives::U256,
        /// What is needed.
        expected: alloy::primitives::U256,
    },
    /// The creator has as many orders in flight as it may.
    #[error("{given} intents of this creator are in flight, at most {most} may be")]
    TooMany {
        /// How many are.
        given: u64,
        /// How many may be.
        most: u64,
    },
    /// Quotes of callers who hold less already hold what quotes may hold of an asset.
    #[error("quotes may hold {given} USD more of {asset} for now, {expected} needed")]
    Promised {
        /// What is short.
        asset: crate::money::Asset,
        /// What there is room for.
        given: prices::Usd,
        /// What is needed.
        expected: prices::Usd,
    },
    /// As many quotes as may be belong to orders.
    #[error("orders have come for as many quotes as may be given")]
    Full,
    /// A row does not read as what was written.
    #[error("the database holds a malformed {what}")]
    Malformed {
        /// What it should have been.
        what: &'static str,
    },
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Error {
    /// Whether running the whole transaction again may work; see [`db::Error::is_conflict`].
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_conflict())
    }
}

/// How often a transaction is run at most that the database gives up for the sake of others.
const RUNS: u32 = 5;

/// Runs a transaction, and again when the database gave it up for the sake of another one: nothing of it was
/// written then. Transactions lock rows in one order where they can; where they cannot, one of two gives way.
pub(crate) async fn repeated<T, F>(mut run: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 1..RUNS {
        match run().await {
            Err(error) if error.is_conflict() => {
                metrics::counter!("solver_conflicts_total").increment(1);
                tracing::info!(%error, "a transaction gave way and is run again");
            }
            outcome => return outcome,
        }
    }
    run().await
}

impl Store {
    /// Opens the tables in a database, bringing them up to date.
    pub async fn open(db: Db) -> Result<Self, Error> {
        db.migrate("solver", schema::MIGRATIONS).await?;
        let store = Self { db, quoting: Arc::default() };
        store.add_up_reservations().await?;
        Ok(store)
    }

    /// The database, for what is written together with these tables.
    pub(crate) const fn db(&self) -> &Db {
        &self.db
    }
}

#[cfg(test)]
mod tests;
