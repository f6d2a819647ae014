//! Reading orders: the state is derived from the facts at each read.

use alloy::primitives::{Address, B256, U256};
use api::aggregator::{Order, OrderEvent, OrderState};
use chain::db::{AnyRow, RowExt, int};
use protocol::ids::IntentHash;
use sqlx::{AnyConnection, Row};

use super::{Orders, StoreError};
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
}

/// The orders of rows of `orders`.
pub(super) async fn read_all(
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
    let (id, origin, destination) = (row.b256("id")?, row.u64("origin")?, row.u64("destination")?);
    let (events, facts) = events(connection, id, (origin, destination)).await?;
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
        let expires = row.opt_u64("expires")?.filter(|expires| *expires <= now);
        let mined = row.opt_u64("mined")?;
        // What is read of the chain may lag behind what happens there by more than a quote's life.
        let is_past = |at| origin_time.is_some_and(|time| time > at);
        let is_lost = expires.is_some_and(|expires| is_past(mined.unwrap_or(expires)));
        let unseen = || "no origin transaction was seen before the quote expired".to_owned();
        failure = row.opt_text("failure")?.or_else(|| is_lost.then(unseen));
        if failure.is_some() {
            state = OrderState::Failed;
        }
    }
    let creator: Option<Vec<u8>> = row.try_get("creator")?;
    let reward_tokens = serde_json::from_str(&row.text("reward_tokens")?)
        .map_err(|cause| StoreError::UnreadableReward { order: id, cause })?;
    let reward: Option<Vec<u8>> = row.try_get("reward_native")?;
    Ok(Order {
        id,
        state,
        failure,
        provider: row.opt_text("provider")?,
        creator: creator.map(|bytes| Address::from_slice(&bytes)),
        origin_chain_id: origin,
        destination_chain_id: destination,
        deadline,
        reward_native: reward.and_then(|bytes| U256::try_from_be_slice(&bytes)).map(Into::into),
        reward_tokens,
        created_at: row.u64("created_at")?,
        updated_at: events.iter().map(|event| event.at).fold(row.u64("updated_at")?, u64::max),
        events,
    })
}

/// Every event of an order, and the facts that count. Times order events across chains; within
/// one second the order of an order's life decides. What another chain says of the same hash is none
/// of the order's.
async fn events(
    connection: &mut AnyConnection,
    id: B256,
    (origin, destination): (u64, u64),
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
        let chain = row.u64("chain_id")?;
        if !fact.counts_on(chain, origin, destination) {
            continue;
        }
        let event = OrderEvent {
            state: fact.state(),
            chain_id: Some(chain),
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
