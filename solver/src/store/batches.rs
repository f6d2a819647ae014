//! Batches: several orders moved by one transaction.

use alloy::primitives::B256;
use chain::db::{RowExt, int};

use super::{Error, Outgoing, Step, Store, orders::read_order};
use crate::order::Order;

/// What a batch's transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// `Inbox.prove` on a destination.
    Proof,
    /// `IntentSource.batchWithdraw` on an origin.
    Withdrawal,
    /// `challengeIntentProof` on an origin; always one order.
    Challenge,
}

impl BatchKind {
    /// The word stored, and the beginning of the idempotency key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Withdrawal => "withdrawal",
            Self::Challenge => "challenge",
        }
    }

    fn from_name(word: &str) -> Option<Self> {
        [Self::Proof, Self::Withdrawal, Self::Challenge].into_iter().find(|k| k.name() == word)
    }
}

/// A batch that was written.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its identity.
    pub id: B256,
    /// What its transaction does.
    pub kind: BatchKind,
    /// Its transaction.
    pub outgoing: Outgoing,
    /// Its members.
    pub orders: Vec<Order>,
}

impl BatchKind {
    /// The idempotency key of a batch's transaction.
    pub fn key(self, id: B256) -> String {
        format!("{}:{id}", self.name())
    }
}

impl Store {
    /// Forms a batch: every member's step and the batch itself, all or none. Each step must carry
    /// the batch's id.
    pub async fn form_batch(
        &self,
        id: B256,
        kind: BatchKind,
        outgoing: &Outgoing,
        steps: &[Step],
        now: u64,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO batches (id, kind, chain, wallet, created_at, is_open) \
             VALUES ($1, $2, $3, $4, $5, 1)",
        )
        .bind(id.as_slice())
        .bind(kind.name())
        .bind(int(outgoing.chain.0))
        .bind(outgoing.wallet.as_slice())
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        super::outbox::put(&mut tx, id, outgoing).await?;
        self.take_in(&mut tx, steps, now).await?;
        self.commit(tx, steps).await
    }

    /// Batches whose transaction is not known to have ended, the oldest first.
    pub async fn open_batches(&self) -> Result<Vec<B256>, Error> {
        let rows = sqlx::query("SELECT id FROM batches WHERE is_open = 1 ORDER BY created_at")
            .fetch_all(self.db.pool())
            .await?;
        Ok(rows.iter().map(|row| row.b256("id")).collect::<Result<_, _>>()?)
    }

    /// A batch with its transaction and members; `None` once it has ended.
    ///
    /// These are several reads: whoever might end the batch meanwhile must be kept from it.
    pub async fn open_batch(&self, id: B256) -> Result<Option<Batch>, Error> {
        let row = sqlx::query("SELECT kind FROM batches WHERE id = $1 AND is_open = 1")
            .bind(id.as_slice())
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let kind = BatchKind::from_name(&row.text("kind")?)
            .ok_or(Error::Malformed { what: "batch kind" })?;
        let outgoing = self
            .outgoing(&kind.key(id))
            .await?
            .ok_or(Error::Malformed { what: "batch without its transaction" })?;
        let orders = self.members(id).await?;
        Ok(Some(Batch { id, kind, outgoing, orders }))
    }

    async fn members(&self, id: B256) -> Result<Vec<Order>, Error> {
        let rows = sqlx::query("SELECT * FROM orders WHERE batch = $1 ORDER BY hash")
            .bind(id.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read_order).collect()
    }

    /// Ends a batch together with its members' steps.
    pub async fn end_batch(&self, id: B256, steps: &[Step], now: u64) -> Result<(), Error> {
        super::repeated(|| self.end_batch_once(id, steps, now)).await
    }

    async fn end_batch_once(&self, id: B256, steps: &[Step], now: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE batches SET is_open = 0 WHERE id = $1")
            .bind(id.as_slice())
            .execute(&mut *tx)
            .await?;
        super::outbox::clear(&mut tx, id).await?;
        self.take_in(&mut tx, steps, now).await?;
        self.commit(tx, steps).await
    }
}
