use api::aggregator::OrderState;
use chain::db::RowExt;
use protocol::ids::IntentHash;

use super::{Orders, StoreError};
use crate::reputation::{self, Outcome};

/// Counts finished orders for or against the providers that quoted them. Each counts once, also
/// with several instances at work and after a reorganization.
///
/// # Errors
/// [`StoreError`].
pub async fn settle_outcomes(orders: &Orders, now: u64) -> Result<usize, StoreError> {
    let rows = sqlx::query(
        "SELECT id, provider, estimated FROM orders WHERE outcome IS NULL \
         AND provider IS NOT NULL AND state IN ($1, $2, $3) LIMIT 256",
    )
    .bind(OrderState::Settled.name())
    .bind(OrderState::Refunded.name())
    .bind(OrderState::Refundable.name())
    .fetch_all(orders.db().pool())
    .await?;
    for row in &rows {
        let (id, provider) = (row.b256("id")?, row.text("provider")?);
        let estimated = row.opt_u64("estimated")?.unwrap_or_default();
        count(orders, id.into(), &provider, estimated, now).await?;
    }
    Ok(rows.len())
}

async fn count(
    orders: &Orders,
    id: IntentHash,
    provider: &str,
    estimated: u64,
    now: u64,
) -> Result<(), StoreError> {
    let Some(order) = orders.get(id, now).await? else { return Ok(()) };
    let at = |state| {
        let mut events = order.events.iter().filter(|event| !event.removed);
        events.find(|event| event.state == state).map(|event| event.at)
    };
    let (funded, filled) = (at(OrderState::Funded), at(OrderState::Filled));
    let (name, outcome) = match (funded, filled) {
        (Some(funded), Some(filled)) => {
            let seconds = filled.saturating_sub(funded);
            ("filled", Outcome::Filled { seconds, estimated })
        }
        // Filled without an escrow that we saw: how long it took is not known.
        (None, Some(_)) => ("filled", Outcome::Filled { seconds: estimated, estimated }),
        (Some(_), None) => ("failed", Outcome::Failed),
        // Never funded: there was nothing to fill.
        (None, None) => ("unfunded", Outcome::Unfunded),
    };
    let mut tx = orders.db().begin().await?;
    let counted = sqlx::query("UPDATE orders SET outcome = $2 WHERE id = $1 AND outcome IS NULL")
        .bind(id.to_vec())
        .bind(name)
        .execute(&mut *tx)
        .await?;
    if counted.rows_affected() == 1 {
        reputation::record(&mut tx, provider, outcome, now).await?;
    }
    Ok(tx.commit().await?)
}
