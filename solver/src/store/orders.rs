//! Orders and their history.

use alloy::{
    primitives::{Address, B256, keccak256},
    sol_types::SolValue,
};
use chain::db::{AnyRow, Kind, RowExt, Tx, int};
use futures::TryStreamExt as _;
use protocol::{
    ids::{ChainId, IntentHash},
    intent::Intent,
};

use super::{Entry, Error, Outgoing, Reservation, Store};
use crate::order::{Order, State};

/// Retry time of orders that are never looked at again.
pub(super) const NEVER: i64 = i64::MAX;

/// Whether an order was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Written now.
    New,
    /// Known before: events come at least once.
    Known,
}

/// One line of an order's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The state it took.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Unix milliseconds.
    pub at: u64,
}

/// One step of an order's life and everything that is written with it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The order after the step; its `state` is the new one.
    pub order: Order,
    /// The state before.
    pub from: State,
    /// What is reserved for it with this step.
    pub reserve: Vec<Reservation>,
    /// What happens to what was reserved before.
    pub release: Release,
    /// What is booked.
    pub entries: Vec<Entry>,
    /// The transaction that the new state allows.
    pub outgoing: Option<Outgoing>,
    /// What happens to what was booked for the fill.
    pub books: Books,
    /// With more orders of its creator in flight it is not written.
    pub most_of_creator: Option<u64>,
}

/// What a step does to what was booked for the order's fill before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// It stays.
    Keep,
    /// It is struck out: the chain took the fill back.
    StrikeFill,
}

/// What a step does to the order's reservations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// They stay.
    Keep,
    /// They are given back.
    GiveBack,
    /// They are spent as of this destination block, and count until a balance has been read there.
    Spent {
        /// The block of the fill.
        block: u64,
    },
}

impl Step {
    /// A step to a state, to be looked at again at once.
    pub fn new(order: &Order, to: State, reason: impl Into<String>, now: u64) -> Self {
        let mut order = order.clone();
        let from = std::mem::replace(&mut order.state, to);
        order.reason = reason.into();
        order.retry_at = now;
        Self {
            order,
            from,
            reserve: Vec::new(),
            release: Release::Keep,
            entries: Vec::new(),
            outgoing: None,
            books: Books::Keep,
            most_of_creator: None,
        }
    }

    /// Puts the next look off.
    #[must_use]
    pub const fn retry_at(mut self, at: u64) -> Self {
        self.order.retry_at = at;
        self
    }

    /// Gives the order's reservations back.
    #[must_use]
    pub const fn give_back(mut self) -> Self {
        self.release = Release::GiveBack;
        self.order.wallet = None;
        self
    }

    /// Books these entries.
    #[must_use]
    pub fn book(mut self, entries: Vec<Entry>) -> Self {
        self.entries = entries;
        self
    }

    /// Writes the transaction that the new state allows.
    #[must_use]
    pub fn send(mut self, outgoing: Outgoing) -> Self {
        self.outgoing = Some(outgoing);
        self
    }

    /// Enters or leaves a batch.
    #[must_use]
    pub const fn in_batch(mut self, batch: Option<B256>) -> Self {
        self.order.batch = batch;
        self
    }
}

impl Store {
    /// Writes a new order down, unless its hash is known.
    pub async fn record(&self, order: &Order) -> Result<Recorded, Error> {
        let mut tx = self.db.begin().await?;
        let recorded = self.record_in(&mut tx, order).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// As [`Self::record`], within a transaction of the caller's.
    pub(crate) async fn record_in(&self, tx: &mut Tx, order: &Order) -> Result<Recorded, Error> {
        let outcome = sqlx::query(
            "INSERT INTO orders (hash, origin, destination, creator, intent, state, reason, \
             created_at, retry_at, attempt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(order.hash.as_slice())
        .bind(int(order.origin.0))
        .bind(int(order.destination().0))
        .bind(order.reward().creator.as_slice())
        .bind(order.encoded_intent())
        .bind(order.state.name())
        .bind(&order.reason)
        .bind(int(order.created_at))
        .bind(int(order.retry_at))
        .bind(int(order.attempt))
        .execute(&mut **tx)
        .await?;
        if outcome.rows_affected() == 0 {
            return Ok(Recorded::Known);
        }
        append_history(tx, order, order.created_at).await?;
        Ok(Recorded::New)
    }

    /// The order of a hash.
    pub async fn order(&self, hash: IntentHash) -> Result<Option<Order>, Error> {
        let row = sqlx::query("SELECT * FROM orders WHERE hash = $1")
            .bind(hash.as_slice())
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(read_order).transpose()
    }

    /// Hashes of orders to look at by now, the most overdue first.
    pub async fn due(&self, now: u64, limit: u32) -> Result<Vec<IntentHash>, Error> {
        let rows =
            sqlx::query("SELECT hash FROM orders WHERE retry_at <= $1 ORDER BY retry_at LIMIT $2")
                .bind(int(now))
                .bind(i64::from(limit))
                .fetch_all(self.db.pool())
                .await?;
        rows.iter().map(|row| Ok(IntentHash(row.b256("hash")?))).collect()
    }

    /// Orders in a state, oldest first.
    pub async fn in_state(&self, state: State, limit: u32) -> Result<Vec<Order>, Error> {
        let rows =
            sqlx::query("SELECT * FROM orders WHERE state = $1 ORDER BY created_at, hash LIMIT $2")
                .bind(state.name())
                .bind(i64::from(limit))
                .fetch_all(self.db.pool())
                .await?;
        rows.iter().map(read_order).collect()
    }

    /// How many orders are in each state that has any.
    pub async fn census(&self) -> Result<Vec<(State, u64)>, Error> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS n FROM orders GROUP BY state")
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let state = row.text("state")?.parse();
                Ok((state.map_err(|_| Error::Malformed { what: "state" })?, row.u64("n")?))
            })
            .collect()
    }

    /// How many orders of a creator are in flight, that is reserved or further and not ended.
    pub async fn in_flight_of(&self, creator: Address) -> Result<u64, Error> {
        let row =
            sqlx::query(OF_CREATOR).bind(creator.as_slice()).fetch_one(self.db.pool()).await?;
        Ok(row.u64("n")?)
    }

    /// Visits every order that is reserved or further, and not ended, one at a time: there may be
    /// more than memory should hold.
    pub async fn for_each_in_flight(&self, mut visit: impl FnMut(&Order)) -> Result<(), Error> {
        let mut rows = sqlx::query(
            "SELECT * FROM orders WHERE state IN ('reserved', 'filling', 'filled', 'proving', \
             'attesting', 'challenging', 'proven', 'claiming')",
        )
        .fetch(self.db.pool());
        while let Some(row) = rows.try_next().await? {
            visit(&read_order(&row)?);
        }
        Ok(())
    }

    /// The history of an order, oldest first.
    pub async fn history(&self, hash: IntentHash) -> Result<Vec<HistoryEntry>, Error> {
        let rows = sqlx::query("SELECT * FROM history WHERE hash = $1 ORDER BY position")
            .bind(hash.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let state = row.text("state")?.parse();
                Ok(HistoryEntry {
                    state: state.map_err(|_| Error::Malformed { what: "state" })?,
                    reason: row.text("reason")?,
                    at: row.u64("at")?,
                })
            })
            .collect()
    }

    /// Sets only the time of the next look, and the reason while a decision waits.
    pub async fn postpone(&self, order: &Order, reason: &str, until: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE orders SET retry_at = $1, reason = $2 WHERE hash = $3 AND state = $4")
            .bind(int(until))
            .bind(reason)
            .bind(order.hash.as_slice())
            .bind(order.state.name())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Brings the next look of an open order forward: an event concerns it.
    pub(crate) async fn wake_in(
        &self,
        tx: &mut Tx,
        hash: IntentHash,
        now: u64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE orders SET retry_at = $1 WHERE hash = $2 AND retry_at > $1 AND retry_at < $3",
        )
        .bind(int(now))
        .bind(hash.as_slice())
        .bind(NEVER)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Brings the next look of every open order of a chain forward: it took blocks back.
    pub(crate) async fn wake_chain_in(
        &self,
        tx: &mut Tx,
        chain: ChainId,
        now: u64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE orders SET retry_at = $1 WHERE (origin = $2 OR destination = $2) \
             AND retry_at > $1 AND retry_at < $3",
        )
        .bind(int(now))
        .bind(int(chain.0))
        .bind(NEVER)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Makes every order due whose fill was written: the look that was to go on with it has died with its process.
    pub(crate) async fn wake_filling(&self, now: u64) -> Result<(), Error> {
        super::repeated(|| self.wake_filling_once(now)).await
    }

    async fn wake_filling_once(&self, now: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE orders SET retry_at = $1 WHERE state = 'filling'")
            .bind(int(now))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Writes steps, all or none.
    ///
    /// # Errors
    /// [`Error::Forbidden`] outside the table, [`Error::Moved`] when an order is elsewhere by now,
    /// [`Error::NotEnough`] when a reservation cannot be had, [`Error::TooMany`] of one creator;
    /// nothing is written then.
    pub async fn take(&self, steps: &[Step], now: u64) -> Result<(), Error> {
        super::repeated(|| self.take_once(steps, now)).await
    }

    async fn take_once(&self, steps: &[Step], now: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        self.take_in(&mut tx, steps, now).await?;
        self.commit(tx, steps).await
    }

    /// Commits a transaction that writes these steps, with a crash point on either side.
    ///
    /// Relaxed: whoever acts on a step brings it to the disk first. The sender does before a byte
    /// leaves, and its journal is in the same database, behind the step. A power cut takes back
    /// only a tail of steps that nobody has acted on.
    pub(super) async fn commit(&self, tx: Tx, steps: &[Step]) -> Result<(), Error> {
        for step in steps {
            service::crash_point!(&point(step, "before"));
        }
        tx.commit_relaxed().await?;
        for step in steps {
            service::crash_point!(&point(step, "after"));
            let (from, to) = (step.from.name(), step.order.state.name());
            metrics::counter!("solver_transitions_total", "from" => from, "to" => to).increment(1);
            tracing::info!(
                intent_hash = %step.order.hash, from, to, reason = step.order.reason, "order moved"
            );
        }
        Ok(())
    }

    /// As [`Self::take`], within a transaction of the caller's. Orders are written by their hashes, as intake does, so
    /// that no two transactions wait for each other.
    pub(super) async fn take_in(&self, tx: &mut Tx, steps: &[Step], now: u64) -> Result<(), Error> {
        let mut steps: Vec<&Step> = steps.iter().collect();
        steps.sort_by_key(|step| step.order.hash);
        for step in steps {
            let (from, to) = (step.from, step.order.state);
            if !from.can_become(to) {
                return Err(Error::Forbidden { from, to });
            }
            if let Some(most) = step.most_of_creator {
                self.refuse_too_many(tx, step.order.reward().creator, most).await?;
            }
            write_state(tx, step).await?;
            append_history(tx, &step.order, now).await?;
            super::inventory::release(tx, step).await?;
            super::inventory::reserve(tx, step.order.hash.0, &step.reserve).await?;
            if step.books == Books::StrikeFill {
                super::ledger::strike_fill(tx, step.order.hash).await?;
            }
            super::ledger::append(tx, &step.entries).await?;
            if from == State::Filling || to.is_terminal() {
                super::outbox::clear(tx, step.order.hash.0).await?;
            }
            if let Some(outgoing) = &step.outgoing {
                super::outbox::put(tx, step.order.hash.0, outgoing).await?;
            }
        }
        Ok(())
    }

    /// Counts under a lock of the creator's, held until the transaction ends: who counts after it sees what
    /// was taken. SQLite has one writer at a time anyway.
    async fn refuse_too_many(&self, tx: &mut Tx, creator: Address, most: u64) -> Result<(), Error> {
        if self.db.kind() == Kind::Postgres {
            // Two numbers: leases lock by one, and nobody who chooses a creator must come upon theirs.
            let creator = keccak256(creator);
            let key = creator.first_chunk().map_or(0, |first| i32::from_be_bytes(*first));
            sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
                .bind(OF_CREATORS)
                .bind(key)
                .execute(&mut **tx)
                .await?;
        }
        let row = sqlx::query(OF_CREATOR).bind(creator.as_slice()).fetch_one(&mut **tx).await?;
        let given = row.u64("n")?;
        if given < most { Ok(()) } else { Err(Error::TooMany { given, most }) }
    }
}

/// Class of the advisory locks on creators.
const OF_CREATORS: i32 = 7_362;

/// Counts a creator's orders in flight.
const OF_CREATOR: &str = "SELECT COUNT(*) AS n FROM orders WHERE creator = $1 AND state IN \
    ('reserved', 'filling', 'filled', 'proving', 'attesting', 'challenging', 'proven', 'claiming')";

/// The name of the crash point before or after a row of the transition table is written.
fn point(step: &Step, side: &str) -> String {
    format!("solver.{}.{}.{side}", step.from, step.order.state)
}

async fn write_state(tx: &mut Tx, step: &Step) -> Result<(), Error> {
    let order = &step.order;
    let retry_at = if order.state.is_terminal() { NEVER } else { int(order.retry_at) };
    let outcome = sqlx::query(
        "UPDATE orders SET state = $1, reason = $2, retry_at = $3, attempt = $4, wallet = $5, \
         batch = $6, filled_at = $7 WHERE hash = $8 AND state = $9",
    )
    .bind(order.state.name())
    .bind(&order.reason)
    .bind(retry_at)
    .bind(int(order.attempt))
    .bind(order.wallet.map(|w| w.to_vec()))
    .bind(order.batch.map(|b| b.to_vec()))
    .bind(order.filled_at.map(int))
    .bind(order.hash.as_slice())
    .bind(step.from.name())
    .execute(&mut **tx)
    .await?;
    if outcome.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::Moved { hash: order.hash, expected: step.from })
    }
}

async fn append_history(tx: &mut Tx, order: &Order, now: u64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO history (hash, position, state, reason, at) \
         SELECT $1, COALESCE(MAX(position) + 1, 0), $2, $3, $4 FROM history WHERE hash = $1",
    )
    .bind(order.hash.as_slice())
    .bind(order.state.name())
    .bind(&order.reason)
    .bind(int(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Reads a row of `orders`.
pub(super) fn read_order(row: &AnyRow) -> Result<Order, Error> {
    use sqlx::Row;

    let intent = Intent::abi_decode(&row.bytes("intent")?)
        .map_err(|_| Error::Malformed { what: "intent" })?;
    let wallet: Option<Vec<u8>> = row.try_get("wallet")?;
    let wallet = wallet
        .map(|bytes| Address::try_from(bytes.as_slice()))
        .transpose()
        .map_err(|_| Error::Malformed { what: "wallet" })?;
    Ok(Order {
        hash: IntentHash(row.b256("hash")?),
        origin: ChainId(row.u64("origin")?),
        intent,
        state: row.text("state")?.parse().map_err(|_| Error::Malformed { what: "state" })?,
        reason: row.text("reason")?,
        created_at: row.u64("created_at")?,
        retry_at: row.u64("retry_at")?,
        attempt: row.u64("attempt")?,
        wallet,
        batch: row.opt_b256("batch")?,
        filled_at: row.opt_u64("filled_at")?,
    })
}
