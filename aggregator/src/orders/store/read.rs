//! Reading orders: the state is derived from the facts at each read.

use alloy::primitives::{Address, B256, U256};
use api::aggregator::{Order, OrderEvent, OrderState};
use chain::db::{AnyRow, RowExt, int};
use protocol::ids::IntentHash;
use sqlx::{AnyConnection, Row};

use super::{Orders, Page, StoreError};
use crate::orders::{Fact, derive};

impl Orders {
    /// The order, or `None`.
    pub async fn get(&self, id: IntentHash, now: u64) -> Result<Option<Order>, StoreError> {
        let mut connection = self.db.pool().acquire().await?;
        let row = sqlx::query("SELECT * FROM orders WHERE id = $1")
            .bind(id.to_vec())
            .fetch_optional(&mut *connection)
            .await?;
        match row {
            Some(row) => Ok(Some(read(&mut connection, &row, now).await?)),
            None => Ok(None),
        }
    }

    /// The orders that a transaction took part in, on either chain.
    pub async fn by_transaction(&self, hash: B256, now: u64) -> Result<Vec<Order>, StoreError> {
        let mut connection = self.db.pool().acquire().await?;
        let rows = sqlx::query(
            "SELECT * FROM orders WHERE transaction_hash = $1 OR id IN \
             (SELECT order_id FROM order_events WHERE transaction_hash = $1) ORDER BY id LIMIT 256",
        )
        .bind(hash.to_vec())
        .fetch_all(&mut *connection)
        .await?;
        read_all(&mut connection, &rows, now).await
    }

    /// A page of a creator's orders, newest first.
    pub async fn page(&self, page: Page, now: u64) -> Result<Vec<Order>, StoreError> {
        let (at, id) = page.before.unwrap_or((u64::MAX, B256::repeat_byte(0xff)));
        let mut connection = self.db.pool().acquire().await?;
        let rows = sqlx::query(
            "SELECT * FROM orders WHERE creator = $1 \
             AND (created_at < $2 OR (created_at = $2 AND id < $3)) \
             ORDER BY created_at DESC, id DESC LIMIT $4",
        )
        .bind(page.creator.to_vec())
        .bind(int(at))
        .bind(id.to_vec())
        .bind(i64::from(page.limit))
        .fetch_all(&mut *connection)
        .await?;
        read_all(&mut connection, &rows, now).await
    }
}

async fn read_all(
    connection: &mut AnyConnection,
    rows: &[AnyRow],
    now: u64,
) -> Result<Vec<Order>, StoreError> {
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        orders.push(read(connection, row, now).await?);
    }
    Ok(orders)
}

/// The order of a row of `orders`, as its facts have it.
pub(super) async fn read(
    connection: &mut AnyConnection,
    row: &AnyRow,
    now: u64,
) -> Result<Order, StoreError> {
    let (id, origin) = (row.b256("id")?, row.u64("origin")?);
    let (events, facts) = events(connection, id).await?;
    let deadline = row.opt_u64("deadline")?;
    let clock = sqlx::query("SELECT at FROM chain_clocks WHERE chain_id = $1")
        .bind(int(origin))
        .fetch_optional(&mut *connection)
        .await?;
    let origin_time = clock.map(|row| row.u64("at")).transpose()?;
    let past_deadline =
        matches!((deadline, origin_time), (Some(deadline), Some(at)) if at >= deadline);
    let mut state = derive(&facts, past_deadline);
    let mut failure = None;
    if state == OrderState::Pending {
        let unsent = row.opt_u64("expires")?.is_some_and(|expires| expires <= now);
        let unseen = || "no origin transaction was seen before the quote expired".to_owned();
        failure = row.opt_text("failure")?.or_else(|| unsent.then(unseen));
        if failure.is_some() {
            state = OrderState::Failed;
        }
    }
    let creator: Option<Vec<u8>> = row.try_get("creator")?;
    let reward: Option<Vec<u8>> = row.try_get("reward_native")?;
    Ok(Order {
        id,
        state,
        failure,
        provider: row.opt_text("provider")?,
        creator: creator.map(|bytes| Address::from_slice(&bytes)),
        origin_chain_id: origin,
        destination_chain_id: row.u64("destination")?,
        deadline,
        reward_native: reward.and_then(|bytes| U256::try_from_be_slice(&bytes)).map(Into::into),
        created_at: row.u64("created_at")?,
        updated_at: events.iter().map(|event| event.at).fold(row.u64("updated_at")?, u64::max),
        events,
    })
}

/// Every event of an order, and the facts that count. Times order events across chains; within
/// one second the order of an order's life decides.
async fn events(
    connection: &mut AnyConnection,
    id: B256,
) -> Result<(Vec<OrderEvent>, Vec<Fact>), StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM order_events WHERE order_id = $1 ORDER BY at, block_number, log_index",
    )
    .bind(id.to_vec())
    .fetch_all(&mut *connection)
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
    let facts = seen.iter().filter(|(_, event)| !event.removed).map(|(fact, _)| *fact).collect();
    Ok((seen.into_iter().map(|(_, event)| event).collect(), facts))
}
