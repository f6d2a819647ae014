use alloy::primitives::{Address, B256, U256};
use api::aggregator::{Order, OrderEvent, OrderState};
use chain::db::{self, Db, RowExt, Tx, int};
use protocol::ids::{ChainId, IntentHash};
use sqlx::Row;

use super::{Fact, derive};

const MIGRATIONS: &[&str] = &["\
CREATE TABLE orders (
    id BLOB NOT NULL PRIMARY KEY, origin BIGINT NOT NULL, destination BIGINT NOT NULL,
    provider TEXT, estimated BIGINT, creator BLOB, deadline BIGINT, reward_native BLOB,
    announced BIGINT NOT NULL, transaction_hash BLOB, expires BIGINT, outcome TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE INDEX orders_by_creator ON orders (creator, created_at);
CREATE INDEX orders_by_transaction ON orders (transaction_hash);
CREATE TABLE order_events (
    order_id BLOB NOT NULL, chain_id BIGINT NOT NULL, block_number BIGINT NOT NULL,
    block_hash BLOB NOT NULL, log_index BIGINT NOT NULL, transaction_hash BLOB NOT NULL,
    fact TEXT NOT NULL, at BIGINT NOT NULL, removed BIGINT NOT NULL,
    PRIMARY KEY (chain_id, block_hash, log_index));
CREATE INDEX order_events_by_order ON order_events (order_id);
CREATE INDEX order_events_by_transaction ON order_events (transaction_hash);
CREATE TABLE chain_clocks (chain_id BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)"];

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

/// Which orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only orders of this creator.
    pub creator: Address,
    /// Only orders created before this, and before this id among those of the same second.
    pub before: Option<(u64, B256)>,
    /// How many.
    pub limit: u32,
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

    /// Keeps an order that was announced; again changes only the transaction.
    pub async fn announce(&self, order: &Announced, now: u64) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO orders (id, origin, destination, provider, estimated, announced, \
             transaction_hash, expires, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $8) \
             ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, announced = 1, \
             estimated = excluded.estimated, \
             transaction_hash = COALESCE(excluded.transaction_hash, orders.transaction_hash)",
        )
        .bind(order.id.to_vec())
        .bind(int(order.origin.0))
        .bind(int(order.destination.0))
        .bind(&order.provider)
        .bind(int(order.estimated))
        .bind(order.transaction.map(|hash| hash.to_vec()))
        .bind(int(order.expires))
        .bind(int(now))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Keeps what a publication says; the first one of an order counts, the others say the same.
    pub async fn publish(
        &self,
        tx: &mut Tx,
        id: IntentHash,
        order: &Published,
        at: u64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO orders (id, origin, destination, creator, deadline, reward_native, \
             announced, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $7) \
             ON CONFLICT (id) DO UPDATE SET creator = excluded.creator, \
             deadline = excluded.deadline, reward_native = excluded.reward_native",
        )
        .bind(id.to_vec())
        .bind(int(order.origin.0))
        .bind(int(order.destination.0))
        .bind(order.creator.to_vec())
        .bind(int(order.deadline))
        .bind(db::word(order.reward_native))
        .bind(int(at))
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
        sqlx::query("UPDATE orders SET updated_at = $1 WHERE id = $2 AND updated_at < $1")
            .bind(int(sighting.at))
            .bind(sighting.id.to_vec())
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

    /// The order, or `None`.
    pub async fn get(&self, id: IntentHash, now: u64) -> Result<Option<Order>, StoreError> {
        let row = sqlx::query("SELECT * FROM orders WHERE id = $1")
            .bind(id.to_vec())
            .fetch_optional(self.db.pool())
            .await?;
        match row {
            Some(row) => Ok(Some(self.read(&row, now).await?)),
            None => Ok(None),
        }
    }

    /// The orders that a transaction took part in, on either chain.
    pub async fn by_transaction(&self, hash: B256, now: u64) -> Result<Vec<Order>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM orders WHERE transaction_hash = $1 OR id IN \
             (SELECT order_id FROM order_events WHERE transaction_hash = $1) ORDER BY id LIMIT 256",
        )
        .bind(hash.to_vec())
        .fetch_all(self.db.pool())
        .await?;
        self.read_all(&rows, now).await
    }

    /// A page of a creator's orders, newest first.
    pub async fn page(&self, page: Page, now: u64) -> Result<Vec<Order>, StoreError> {
        let (at, id) = page.before.unwrap_or((u64::MAX, B256::repeat_byte(0xff)));
        let rows = sqlx::query(
            "SELECT * FROM orders WHERE creator = $1 \
             AND (created_at < $2 OR (created_at = $2 AND id < $3)) \
             ORDER BY created_at DESC, id DESC LIMIT $4",
        )
        .bind(page.creator.to_vec())
        .bind(int(at))
        .bind(id.to_vec())
        .bind(i64::from(page.limit))
        .fetch_all(self.db.pool())
        .await?;
        self.read_all(&rows, now).await
    }

    async fn read_all(&self, rows: &[db::AnyRow], now: u64) -> Result<Vec<Order>, StoreError> {
        let mut orders = Vec::with_capacity(rows.len());
        for row in rows {
            orders.push(self.read(row, now).await?);
        }
        Ok(orders)
    }

    async fn read(&self, row: &db::AnyRow, now: u64) -> Result<Order, StoreError> {
        let (id, origin) = (row.b256("id")?, row.u64("origin")?);
        let (events, facts) = self.events(id).await?;
        let deadline = row.opt_u64("deadline")?;
        let clock = sqlx::query("SELECT at FROM chain_clocks WHERE chain_id = $1")
            .bind(int(origin))
            .fetch_optional(self.db.pool())
            .await?;
        let origin_time = clock.map(|row| row.u64("at")).transpose()?;
        let past_deadline =
            matches!((deadline, origin_time), (Some(deadline), Some(at)) if at >= deadline);
        let mut state = derive(&facts, past_deadline);
        let expires = row.opt_u64("expires")?;
        let unsent = state == OrderState::Pending && expires.is_some_and(|expires| expires <= now);
        if unsent {
            state = OrderState::Failed;
        }
        let creator: Option<Vec<u8>> = row.try_get("creator")?;
        let reward: Option<Vec<u8>> = row.try_get("reward_native")?;
        Ok(Order {
            id,
            state,
            failure: unsent
                .then(|| "no origin transaction was seen before the quote expired".into()),
            provider: row.opt_text("provider")?,
            creator: creator.map(|bytes| Address::from_slice(&bytes)),
            origin_chain_id: origin,
            destination_chain_id: row.u64("destination")?,
            deadline,
            reward_native: reward.and_then(|bytes| U256::try_from_be_slice(&bytes)).map(Into::into),
            created_at: row.u64("created_at")?,
            updated_at: row.u64("updated_at")?,
            events,
        })
    }

    /// Every event of an order, and the facts that count. Times order events across chains; within
    /// one second the order of an order's life decides.
    async fn events(&self, id: B256) -> Result<(Vec<OrderEvent>, Vec<Fact>), StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM order_events WHERE order_id = $1 ORDER BY at, block_number, log_index",
        )
        .bind(id.to_vec())
        .fetch_all(self.db.pool())
        .await?;
        let mut seen = Vec::with_capacity(rows.len());
        for row in &rows {
            let name = row.text("fact")?;
            let fact = Fact::named(&name).ok_or(StoreError::UnknownFact { order: id, name })?;
            let event = OrderEvent {
                state: fact.state(),
                chain_id: Some(row.u64("chain_id")?),
                block_number: Some(row.u64("block_number")?),
                transaction: Some(row.b256("transaction_hash")?),
                at: row.u64("at")?,
                removed: row.u64("removed")? != 0,
            };
            seen.push((fact, event));
        }
        seen.sort_by_key(|(fact, event)| (event.at, *fact));
        let facts =
            seen.iter().filter(|(_, event)| !event.removed).map(|(fact, _)| *fact).collect();
        Ok((seen.into_iter().map(|(_, event)| event).collect(), facts))
    }
}
