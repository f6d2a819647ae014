//! Transactions that a written state allows.

use alloy::primitives::{Address, B256, Bytes, U256};
use chain::{
    db::{AnyRow, RowExt, Tx, int, word},
    sender::Request,
};
use protocol::ids::{ChainId, IntentHash};

use super::{Error, Store};

/// Owner of what belongs to no order and no batch.
const NOBODY: B256 = B256::ZERO;

/// How many of the oldest signed orders are named when one of them has to give way.
const OLDEST: u32 = 16;

/// A transaction with the wallet that sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The chain.
    pub chain: ChainId,
    /// The wallet.
    pub wallet: Address,
    /// The transaction, under its idempotency key.
    pub request: Request,
}

/// Signed orders that wait to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// Everybody's.
    pub all: u64,
    /// Those of one creator.
    pub of_creator: u64,
}

impl Store {
    /// The transaction under a key, as it was written.
    pub async fn outgoing(&self, key: &str) -> Result<Option<Outgoing>, Error> {
        let row = sqlx::query("SELECT * FROM outbox WHERE key = $1")
            .bind(key)
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Writes an order together with the transaction that opens it. What is new is the latter: the order may have been
    /// published before.
    pub async fn record_gasless(
        &self,
        order: &crate::order::Order,
        opening: &Outgoing,
    ) -> Result<super::Recorded, Error> {
        let mut tx = self.db.begin().await?;
        self.record_in(&mut tx, order).await?;
        let known = sqlx::query("SELECT key FROM outbox WHERE key = $1")
            .bind(&opening.request.key)
            .fetch_optional(&mut *tx)
            .await?;
        if known.is_some() {
            return Ok(super::Recorded::Known);
        }
        put(&mut tx, order.hash.0, opening).await?;
        tx.commit().await?;
        Ok(super::Recorded::New)
    }

    /// How many signed orders wait to be opened that still may be (`now` in unix seconds).
    pub async fn unopened(&self, creator: Address, now: u64) -> Result<Unopened, Error> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS n, COUNT(CASE WHEN orders.creator = $1 THEN 1 END) AS of_creator \
             FROM outbox JOIN orders ON orders.hash = outbox.owner WHERE outbox.key LIKE 'open:%' \
             AND outbox.deadline >= $2 AND orders.state IN ('seen', 'waiting')",
        )
        .bind(creator.as_slice())
        .bind(int(now))
        .fetch_one(self.db.pool())
        .await?;
        Ok(Unopened { all: row.u64("n")?, of_creator: row.u64("of_creator")? })
    }

    /// The oldest of the orders that [`Self::unopened`] counts and that were looked at already.
    pub(crate) async fn oldest_unopened(&self, now: u64) -> Result<Vec<IntentHash>, Error> {
        let rows = sqlx::query(
            "SELECT orders.hash AS hash FROM outbox JOIN orders ON orders.hash = outbox.owner \
             WHERE outbox.key LIKE 'open:%' AND outbox.deadline >= $1 \
             AND orders.state = 'waiting' ORDER BY orders.created_at, orders.hash LIMIT $2",
        )
        .bind(int(now))
        .bind(i64::from(OLDEST))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(|row| Ok(IntentHash(row.b256("hash")?))).collect()
    }

    /// Writes a transaction down that belongs to no order and no batch, before it is sent.
    pub async fn intend(&self, outgoing: &Outgoing) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        put(&mut tx, NOBODY, outgoing).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What [`Self::intend`] wrote and nobody has forgotten yet.
    pub async fn intended(&self) -> Result<Vec<Outgoing>, Error> {
        let rows = sqlx::query("SELECT * FROM outbox WHERE owner = $1 ORDER BY key")
            .bind(NOBODY.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Forgets a transaction that has done its work.
    pub async fn forget_outgoing(&self, key: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM outbox WHERE key = $1").bind(key).execute(self.db.pool()).await?;
        Ok(())
    }
}

/// Writes a transaction down for an order or a batch.
pub(super) async fn put(tx: &mut Tx, owner: B256, outgoing: &Outgoing) -> Result<(), Error> {
    let Outgoing { chain, wallet, request } = outgoing;
    sqlx::query(
        "INSERT INTO outbox (key, owner, chain, wallet, recipient, value, data, gas_limit, \
         deadline) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&request.key)
    .bind(owner.as_slice())
    .bind(int(chain.0))
    .bind(wallet.as_slice())
    .bind(request.to.unwrap_or_default().as_slice())
    .bind(word(request.value))
    .bind(request.data.as_ref())
    .bind(request.gas_limit.map(int))
    .bind(request.deadline.map(int))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets everything that an order was allowed to send.
pub(super) async fn clear(tx: &mut Tx, owner: B256) -> Result<(), Error> {
    sqlx::query("DELETE FROM outbox WHERE owner = $1")
        .bind(owner.as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<Outgoing, Error> {
    Ok(Outgoing {
        chain: ChainId(row.u64("chain")?),
        wallet: row.address("wallet")?,
        request: Request {
            key: row.text("key")?,
            to: Some(row.address("recipient")?),
            value: U256::from_be_slice(&row.bytes("value")?),
            data: Bytes::from(row.bytes("data")?),
            gas_limit: row.opt_u64("gas_limit")?,
            deadline: row.opt_u64("deadline")?,
        },
    })
}
