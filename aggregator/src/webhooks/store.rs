use std::time::Duration;

use alloy::primitives::Address;
use api::aggregator::{Delivery, DeliveryState, Order, OrderState, Webhook, WebhookEvent};
use chain::db::{AnyRow, Db, RowExt, Tx, int};

use crate::orders::{StoreError, millis};

/// Most deliveries on one list.
const LIST: i64 = 100;
/// How long deliveries that were taken stay on the list.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long deliveries that were given up stay there, to be replayed.
const DEAD_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Webhooks and what is on its way to them.
#[derive(Clone, Debug)]
pub struct Hooks {
    db: Db,
}

/// A webhook to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHook {
    /// Name of the API key that it belongs to.
    pub owner: String,
    /// Where deliveries go; checked.
    pub url: String,
    /// Only orders of this creator.
    pub creator: Option<Address>,
}

/// A delivery whose time has come, claimed for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Name of the event.
    pub id: String,
    /// The webhook.
    pub webhook: String,
    /// Where it goes.
    pub url: String,
    /// What is sent.
    pub body: String,
    /// Which attempt this is, from 1.
    pub attempt: u64,
}

/// An attempt that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What it met.
    pub error: String,
    /// When it is tried again; `None` for never.
    pub next: Option<Duration>,
}

/// Writes down, with the change of an order, whom it is to be told.
pub(crate) async fn enqueue(tx: &mut Tx, order: &Order, now: Duration) -> Result<(), StoreError> {
    let hooks = sqlx::query("SELECT id FROM webhooks WHERE creator IS NULL OR creator = $1")
        .bind(order.creator.map(|creator| creator.to_vec()))
        .fetch_all(&mut **tx)
        .await?;
    for hook in &hooks {
        let event = WebhookEvent { id: random_id(), order: order.clone() };
        let body = serde_json::to_string(&event).map_err(StoreError::Unwritable)?;
        sqlx::query(
            "INSERT INTO deliveries (id, webhook, order_id, order_state, body, state, attempts, \
             next_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)",
        )
        .bind(&event.id)
        .bind(hook.text("id")?)
        .bind(order.id.to_vec())
        .bind(order.state.name())
        .bind(body)
        .bind(DeliveryState::Pending.name())
        .bind(millis(now))
        .bind(int(now.as_secs()))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

impl Hooks {
    /// The webhooks of a database whose tables [`crate::orders::Orders::open`] made.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Keeps a webhook; `None` when its owner has `most` already.
    pub async fn add(
        &self,
        hook: &NewHook,
        most: usize,
        now: u64,
    ) -> Result<Option<Webhook>, StoreError> {
        if self.list(&hook.owner).await?.len() >= most {
            return Ok(None);
        }
        let id = random_id();
        sqlx::query(
            "INSERT INTO webhooks (id, owner, url, creator, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&id)
        .bind(&hook.owner)
        .bind(&hook.url)
        .bind(hook.creator.map(|creator| creator.to_vec()))
        .bind(int(now))
        .execute(self.db.pool())
        .await?;
        let (url, address) = (hook.url.clone(), hook.creator);
        Ok(Some(Webhook { id, url, address, created_at: now }))
    }

    /// The webhooks of an owner, oldest first.
    pub async fn list(&self, owner: &str) -> Result<Vec<Webhook>, StoreError> {
        let rows = sqlx::query("SELECT * FROM webhooks WHERE owner = $1 ORDER BY created_at, id")
            .bind(owner)
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                let creator = row.opt_bytes("creator")?;
                Ok(Webhook {
                    id: row.text("id")?,
                    url: row.text("url")?,
                    address: creator.map(|bytes| Address::from_slice(&bytes)),
                    created_at: row.u64("created_at")?,
                })
            })
            .collect()
    }

    /// Whether this webhook is the owner's.
    pub async fn belongs(&self, id: &str, owner: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT id FROM webhooks WHERE id = $1 AND owner = $2")
            .bind(id)
            .bind(owner)
            .fetch_optional(self.db.pool())
            .await?;
        Ok(row.is_some())
    }

    /// Forgets a webhook and everything on its way to it.
    pub async fn remove(&self, id: &str) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        for statement in
            ["DELETE FROM deliveries WHERE webhook = $1", "DELETE FROM webhooks WHERE id = $1"]
        {
            sqlx::query(statement).bind(id).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The newest deliveries of a webhook, those in one state when it is given.
    pub async fn deliveries(
        &self,
        webhook: &str,
        state: Option<DeliveryState>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM deliveries WHERE webhook = $1 AND ($2 = '' OR state = $2) \
             ORDER BY created_at DESC, id LIMIT $3",
        )
        .bind(webhook)
        .bind(state.map_or("", DeliveryState::name))
        .bind(LIST)
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// Tries a delivery again from the start, also one that was given up; `false` when the webhook
    /// has no such delivery.
    pub async fn replay(
        &self,
        webhook: &str,
        delivery: &str,
        now: Duration,
    ) -> Result<bool, StoreError> {
        let updated = sqlx::query(
            "UPDATE deliveries SET state = $3, attempts = 0, next_at = $4 \
             WHERE id = $1 AND webhook = $2",
        )
        .bind(delivery)
        .bind(webhook)
        .bind(DeliveryState::Pending.name())
        .bind(millis(now))
        .execute(self.db.pool())
        .await?;
        Ok(updated.rows_affected() == 1)
    }

    /// Webhooks to which something is to be sent now.
    pub async fn waiting(&self, now: Duration) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT DISTINCT webhook FROM deliveries WHERE state = $1 AND next_at <= $2",
        )
        .bind(DeliveryState::Pending.name())
        .bind(millis(now))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(|row| Ok(row.text("webhook")?)).collect()
    }

    /// Claims up to `most` due deliveries of a webhook until `until`: whoever claimed one and died
    /// leaves it to be tried again then.
    pub async fn claim(
        &self,
        webhook: &str,
        most: usize,
        now: Duration,
        until: Duration,
    ) -> Result<Vec<Due>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.*, h.url AS url FROM deliveries d JOIN webhooks h ON h.id = d.webhook \
             WHERE d.webhook = $1 AND d.state = $2 AND d.next_at <= $3 \
             ORDER BY d.next_at, d.id LIMIT $4",
        )
        .bind(webhook)
        .bind(DeliveryState::Pending.name())
        .bind(millis(now))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(self.db.pool())
        .await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, attempts) = (row.text("id")?, row.u64("attempts")?);
            // Of two instances that read the row, one changes it.
            let mine = sqlx::query(
                "UPDATE deliveries SET next_at = $2, attempts = attempts + 1 \
                 WHERE id = $1 AND state = $3 AND attempts = $4 AND next_at <= $5",
            )
            .bind(&id)
            .bind(millis(until))
            .bind(DeliveryState::Pending.name())
            .bind(int(attempts))
            .bind(millis(now))
            .execute(self.db.pool())
            .await?;
            if mine.rows_affected() == 1 {
                claimed.push(Due {
                    id,
                    webhook: webhook.to_owned(),
                    url: row.text("url")?,
                    body: row.text("body")?,
                    attempt: attempts + 1,
                });
            }
        }
        Ok(claimed)
    }

    /// Writes down how an attempt ended.
    pub async fn tried(&self, due: &Due, outcome: Result<(), Failed>) -> Result<(), StoreError> {
        let (state, next, error) = match outcome {
            Ok(()) => (DeliveryState::Delivered, None, None),
            Err(Failed { error, next: Some(next) }) => {
                (DeliveryState::Pending, Some(next), Some(error))
            }
            Err(Failed { error, next: None }) => (DeliveryState::Dead, None, Some(error)),
        };
        // A replay in between has set the attempts back, and stands.
        sqlx::query(
            "UPDATE deliveries SET state = $2, next_at = $3, last_error = $4 \
             WHERE id = $1 AND attempts = $5",
        )
        .bind(&due.id)
        .bind(state.name())
        .bind(next.map_or(0, millis))
        .bind(error)
        .bind(int(due.attempt))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Forgets deliveries that were taken, or given up, long ago.
    pub async fn prune(&self, now: Duration) -> Result<(), StoreError> {
        for (state, kept) in [(DeliveryState::Delivered, KEPT), (DeliveryState::Dead, DEAD_KEPT)] {
            sqlx::query("DELETE FROM deliveries WHERE state = $1 AND created_at < $2")
                .bind(state.name())
                .bind(int(now.saturating_sub(kept).as_secs()))
                .execute(self.db.pool())
                .await?;
        }
        Ok(())
    }
}

fn delivery(row: &AnyRow) -> Result<Delivery, StoreError> {
    let order_id = row.b256("order_id")?;
    let unknown = |name: String| StoreError::UnknownState { order: order_id, name };
    let (order_state, state) = (row.text("order_state")?, row.text("state")?);
    Ok(Delivery {
        id: row.text("id")?,
        order_id,
        order_state: OrderState::named(&order_state).ok_or_else(|| unknown(order_state))?,
        state: DeliveryState::named(&state).ok_or_else(|| unknown(state))?,
        attempts: row.u64("attempts")?,
        last_error: row.opt_text("last_error")?,
        created_at: row.u64("created_at")?,
    })
}

fn random_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
