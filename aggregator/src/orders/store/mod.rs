//! What is known of orders, in SQL.

mod page;
mod read;
mod schema;

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use api::aggregator::{OrderState, RewardToken};
use chain::db::{self, Db, RowExt, Tx, int};
use protocol::ids::{ChainId, IntentHash};

pub use self::page::{Cursor, Page};
use self::{read::read, schema::MIGRATIONS};
use super::Fact;
use crate::webhooks;

/// Marks an order as changed. The origin of one that nobody announced is where its escrow is complete:
/// to publish a hash elsewhere first costs gas alone.
const CHANGE: &str = "UPDATE orders SET changed = $2, origin = CASE WHEN announced = 1 \
    OR EXISTS (SELECT 1 FROM order_events e WHERE e.order_id = orders.id AND e.fact = 'funded' \
    AND e.removed = 0 AND e.chain_id = orders.origin) THEN origin \
    ELSE COALESCE((SELECT e.chain_id FROM order_events e WHERE e.order_id = orders.id \
    AND e.fact = 'funded' AND e.removed = 0 ORDER BY e.at, e.chain_id LIMIT 1), origin) END \
    WHERE id = $1 RETURNING *";

/// How long orders of which nothing came are kept: whoever asks what became of one asks by then.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Orders and what the chains say of them.
#[derive(Clone, Debug)]
pub struct Orders {
    db: Db,
}

/// The database failed, or holds what this program did not write.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A fact of an unknown name.
    #[error("order {order} has a fact {name:?} that this version does not know")]
    UnknownFact {
        /// The order.
        order: B256,
        /// The name.
        name: String,
    },
    /// A state of an unknown name.
    #[error("order {order} has a state {name:?} that this version does not know")]
    UnknownState {
        /// The order.
        order: B256,
        /// The name.
        name: String,
    },
    /// An event or a reward cannot be written as JSON.
    #[error("an event or a reward cannot be written: {0}")]
    Unwritable(serde_json::Error),
    /// A reward that is not JSON as this version writes it.
    #[error("the reward of order {order} cannot be read: {cause}")]
    UnreadableReward {
        /// The order.
        order: B256,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// An order that was announced to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The intent hash.
    pub id: IntentHash,
    /// The chain of the escrow.
    pub origin: ChainId,
    /// The chain of the fill.
    pub destination: ChainId,
    /// Who quoted.
    pub provider: String,
    /// Seconds that the quote estimated.
    pub estimated: u64,
    /// The origin transaction, when it was sent already.
    pub transaction: Option<B256>,
    /// Unix seconds of the block that holds the transaction, by the origin's clock, when it is mined.
    pub mined: Option<u64>,
    /// When the quote expires: without an event by then the order has failed.
    pub expires: u64,
}

/// What `IntentPublished` says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The chain of the escrow.
    pub origin: ChainId,
    /// The chain of the fill.
    pub destination: ChainId,
    /// Who gets refunds.
    pub creator: Address,
    /// Unix seconds after which it can be refunded.
    pub deadline: u64,
    /// Escrowed native amount.
    pub reward_native: U256,
    /// Escrowed tokens.
    pub reward_tokens: Vec<RewardToken>,
}

/// A fact with its place on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The order.
    pub id: IntentHash,
    /// What was seen.
    pub fact: Fact,
    /// Where.
    pub chain: ChainId,
    /// In which block.
    pub block_number: u64,
    /// In which block, exactly.
    pub block_hash: B256,
    /// Position of the log in the block.
    pub log_index: u64,
    /// The transaction.
    pub transaction: B256,
    /// Unix seconds of the block.
    pub at: u64,
}

impl Orders {
    /// Opens the tables.
    ///
    /// # Errors
    /// [`StoreError::Db`].
    pub async fn open(db: Db) -> Result<Self, StoreError> {
        db.migrate("aggregator", MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// The database, for a transaction that others take part in.
    pub const fn db(&self) -> &Db {
        &self.db
    }

    /// Keeps an order that was announced with a quote of ours. Its quote says what no hash does, on
    /// which chain the escrow is: that counts more than who published the order first.
    pub async fn announce(&self, order: &Announced, now: Duration) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO orders (id, origin, destination, provider, estimated, announced, \
             transaction_hash, expires, created_at, updated_at, seen, mined) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $8, $9, $10) \
             ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, announced = 1, \
             origin = excluded.origin, destination = excluded.destination, \
             estimated = excluded.estimated, expires = excluded.expires, failure = NULL, \
             transaction_hash = COALESCE(excluded.transaction_hash, orders.transaction_hash), \
             mined = COALESCE(excluded.mined, orders.mined)",
        )
        .bind(order.id.to_vec())
        .bind(int(order.origin.0))
        .bind(int(order.destination.0))
        .bind(&order.provider)
        .bind(int(order.estimated))
        .bind(order.transaction.map(|hash| hash.to_vec()))
        .bind(int(order.expires))
        .bind(int(now.as_secs()))
        .bind(micros(now))
        .bind(order.mined.map(int))
        .execute(&mut *tx)
        .await?;
        self.refresh(&mut tx, [order.id], now).await?;
        Ok(tx.commit().await?)
    }

    /// Writes down why nothing will come of an order that no chain has seen.
    pub async fn fail(
        &self,
        id: IntentHash,
        reason: &str,
        now: Duration,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE orders SET failure = $2, updated_at = $3 WHERE id = $1")
            .bind(id.to_vec())
            .bind(reason)
            .bind(int(now.as_secs()))
            .execute(&mut *tx)
            .await?;
        self.refresh(&mut tx, [id], now).await?;
        Ok(tx.commit().await?)
    }

    /// Keeps what a publication says. All of an order say the same, but for the chain that they are
    /// on: the first one counts as the origin until the order is announced, or funded elsewhere.
    /// `at` is the time of its block in unix seconds, and `seen` that of the first sight by our
    /// clock: it puts orders of one second in the order in which they came.
    pub async fn publish(
        &self,
        tx: &mut Tx,
        id: IntentHash,
        order: &Published,
        at: u64,
        seen: Duration,
    ) -> Result<(), StoreError> {
        let tokens = serde_json::to_string(&order.reward_tokens).map_err(StoreError::Unwritable)?;
        sqlx::query(
            "INSERT INTO orders (id, origin, destination, creator, deadline, reward_native, \
             announced, created_at, updated_at, seen, reward_tokens) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7, $8, $9) \
             ON CONFLICT (id) DO UPDATE SET creator = excluded.creator, \
             deadline = excluded.deadline, reward_native = excluded.reward_native, \
             reward_tokens = excluded.reward_tokens",
        )
        .bind(id.to_vec())
        .bind(int(order.origin.0))
        .bind(int(order.destination.0))
        .bind(order.creator.to_vec())
        .bind(int(order.deadline))
        .bind(db::word(order.reward_native))
        .bind(int(at))
        .bind(micros(seen))
        .bind(tokens)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Keeps a sighting. The same one again (another instance saw it, or the block came back after a
    /// reorg) only makes sure that it counts.
    pub async fn see(&self, tx: &mut Tx, sighting: &Sighting) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO order_events (order_id, chain_id, block_number, block_hash, log_index, \
             transaction_hash, fact, at, removed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) \
             ON CONFLICT (chain_id, block_hash, log_index) DO UPDATE SET removed = 0",
        )
        .bind(sighting.id.to_vec())
        .bind(int(sighting.chain.0))
        .bind(int(sighting.block_number))
        .bind(sighting.block_hash.to_vec())
        .bind(int(sighting.log_index))
        .bind(sighting.transaction.to_vec())
        .bind(sighting.fact.name())
        .bind(int(sighting.at))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Marks everything seen in a block that the chain took back, and says which orders it was.
    pub async fn unsee(
        &self,
        tx: &mut Tx,
        chain: ChainId,
        block: B256,
    ) -> Result<Vec<IntentHash>, StoreError> {
        let rows = sqlx::query(
            "UPDATE order_events SET removed = 1 WHERE chain_id = $1 AND block_hash = $2 \
             RETURNING order_id",
        )
        .bind(int(chain.0))
        .bind(block.to_vec())
        .fetch_all(&mut **tx)
        .await?;
        rows.iter().map(|row| Ok(row.b256("order_id")?.into())).collect()
    }

    /// Remembers a chain's own time, against which deadlines count.
    pub async fn tick(&self, tx: &mut Tx, chain: ChainId, at: u64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO chain_clocks (chain_id, at) VALUES ($1, $2) \
             ON CONFLICT (chain_id) DO UPDATE SET at = excluded.at",
        )
        .bind(int(chain.0))
        .bind(int(at))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Brings the kept state of orders up to what their facts say, and writes down in the same
    /// transaction whom that is to be told. Orders whose publication was not seen yet are left.
    ///
    /// Rows are locked in the order of their ids, so that two instances cannot wait for each other.
    pub async fn refresh(
        &self,
        tx: &mut Tx,
        ids: impl IntoIterator<Item = IntentHash>,
        now: Duration,
    ) -> Result<Vec<IntentHash>, StoreError> {
        let mut ids: Vec<_> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        for id in &ids {
            let row = sqlx::query(CHANGE)
                .bind(id.to_vec())
                .bind(millis(now))
                .fetch_optional(&mut **tx)
                .await?;
            let Some(row) = row else { continue };
            let kept = row.opt_text("state")?;
            let order = read(tx, &row, now.as_secs()).await?;
            if kept.as_deref() == Some(order.state.name()) {
                continue;
            }
            sqlx::query("UPDATE orders SET state = $2 WHERE id = $1")
                .bind(id.to_vec())
                .bind(order.state.name())
                .execute(&mut **tx)
                .await?;
            webhooks::enqueue(tx, &order, now).await?;
        }
        Ok(ids)
    }

    /// Orders whose state time alone has changed: their quote expired and nothing came, or their
    /// deadline passed.
    pub async fn overdue(&self, now: u64) -> Result<Vec<IntentHash>, StoreError> {
        let rows = sqlx::query(
            "SELECT o.id AS id FROM orders o LEFT JOIN chain_clocks c ON c.chain_id = o.origin \
             WHERE (o.state = $1 AND o.expires <= $2 AND c.at > COALESCE(o.mined, o.expires)) \
             OR (o.state IN ($3, $4) AND o.deadline <= c.at) LIMIT 256",
        )
        .bind(OrderState::Pending.name())
        .bind(int(now))
        .bind(OrderState::Published.name())
        .bind(OrderState::Funded.name())
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(|row| Ok(row.b256("id")?.into())).collect()
    }

    /// Forgets orders that failed long ago and were never seen on a chain.
    pub async fn prune(&self, now: Duration) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM orders WHERE state = $1 AND changed < $2 AND NOT EXISTS \
             (SELECT 1 FROM order_events WHERE order_events.order_id = orders.id)",
        )
        .bind(OrderState::Failed.name())
        .bind(millis(now.saturating_sub(KEPT)))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Orders that any instance changed at or after this time, with the time of the change in
    /// milliseconds.
    pub async fn changed_since(&self, at: Duration) -> Result<Vec<(IntentHash, u64)>, StoreError> {
        let rows = sqlx::query("SELECT id, changed FROM orders WHERE changed >= $1")
            .bind(millis(at))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(|row| Ok((row.b256("id")?.into(), row.u64("changed")?))).collect()
    }
}

/// A time as it is stored where orders of one moment are told apart.
fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A time as it is stored where seconds are too coarse.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
