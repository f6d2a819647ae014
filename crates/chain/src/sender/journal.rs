//! The sender's memory: requests, and every transaction that was ever signed for them.

use std::ops::Range;

use alloy::primitives::{Address, Bytes, TxHash, U256};
use protocol::ids::ChainId;

use super::{
    Error, Request,
    fees::Offer,
    request::{Inclusion, Status},
};
use crate::{
    client::Revert,
    db::{self, AnyRow, Db, RowExt, Tx, int, word},
};

const MIGRATIONS: &[&str] = &["\
CREATE TABLE sender_requests (
    chain_id BIGINT NOT NULL, sender BLOB NOT NULL, idempotency TEXT NOT NULL,
    position BIGINT NOT NULL,
    recipient BLOB, value BLOB NOT NULL, data BLOB NOT NULL, gas_limit BIGINT, deadline BIGINT,
    state TEXT NOT NULL,
    nonce BIGINT, gas BIGINT,
    hash BLOB, block_number BIGINT, block_hash BLOB, gas_used BIGINT, gas_price BLOB, success BIGINT,
    reason TEXT, reason_data BLOB,
    PRIMARY KEY (chain_id, sender, idempotency));
CREATE UNIQUE INDEX sender_nonces ON sender_requests (chain_id, sender, nonce);
CREATE INDEX sender_states ON sender_requests (chain_id, sender, state);
CREATE TABLE sender_attempts (
    chain_id BIGINT NOT NULL, sender BLOB NOT NULL, hash BLOB NOT NULL,
    idempotency TEXT NOT NULL, nonce BIGINT NOT NULL, position BIGINT NOT NULL,
    raw BLOB NOT NULL, max_fee BLOB NOT NULL, priority_fee BLOB NOT NULL, cancels BIGINT NOT NULL,
    PRIMARY KEY (chain_id, sender, hash))"];

/// The rows of one key on one chain.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    db: Db,
    chain_id: i64,
    sender: Vec<u8>,
}

/// A request that is not finished.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) request: Request,
    pub(super) position: u64,
    pub(super) status: Status,
    pub(super) nonce: Option<u64>,
    pub(super) gas: Option<u64>,
    pub(super) attempts: Vec<Attempt>,
    /// Why no node takes it, when that is so: its nonce goes to an empty transaction.
    pub(super) refusal: Option<Revert>,
}

/// One signed transaction. Any attempt of a nonce may be the one that is mined.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) hash: TxHash,
    pub(super) raw: Bytes,
    pub(super) offer: Offer,
    /// Whether it is the empty transaction that takes the nonce away.
    pub(super) cancels: bool,
}

impl Entry {
    /// A request that was just written.
    pub(super) const fn queued(request: Request, position: u64) -> Self {
        Self {
            request,
            position,
            status: Status::Queued,
            nonce: None,
            gas: None,
            attempts: Vec::new(),
            refusal: None,
        }
    }

    /// Whether its nonce goes to an empty transaction. No other attempt is handed out any more.
    pub(super) fn is_canceling(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.cancels)
    }

    /// Whether this is the empty transaction's place in the chain.
    pub(super) fn is_empty_one(&self, inclusion: &Inclusion) -> bool {
        self.attempts.iter().any(|attempt| attempt.cancels && attempt.hash == inclusion.hash)
    }

    /// What may be handed out, newest first.
    pub(super) fn to_send(&self) -> impl Iterator<Item = &Attempt> {
        let canceling = self.is_canceling();
        self.attempts.iter().rev().filter(move |attempt| attempt.cancels == canceling)
    }
}

impl Journal {
    pub(super) async fn open(db: Db, chain_id: ChainId, sender: Address) -> Result<Self, Error> {
        db.migrate("sender", MIGRATIONS).await?;
        Ok(Self { db, chain_id: int(chain_id.0), sender: sender.to_vec() })
    }

    /// Requests that are not finished, in the order they were submitted.
    pub(super) async fn unfinished(&self) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM sender_requests WHERE chain_id = $1 AND sender = $2 \
             AND state IN ('queued', 'pending', 'included') ORDER BY position",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .fetch_all(self.db.pool())
        .await?;
        self.with_attempts(rows).await
    }

    /// Finished requests whose transactions have these nonces, in the order of the nonces.
    pub(super) async fn finished(&self, nonces: Range<u64>) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query(
            "SELECT * FROM sender_requests WHERE chain_id = $1 AND sender = $2 \
             AND state IN ('confirmed', 'canceled', 'refused') AND nonce >= $3 AND nonce < $4 ORDER BY nonce",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(int(nonces.start))
        .bind(int(nonces.end))
        .fetch_all(self.db.pool())
        .await?;
        self.with_attempts(rows).await
    }

    /// The earliest transaction that is done.
    pub(super) async fn earliest(&self) -> Result<Option<Inclusion>, Error> {
        let row = sqlx::query(
            "SELECT * FROM sender_requests WHERE chain_id = $1 AND sender = $2 \
             AND state = 'confirmed' ORDER BY block_number, position LIMIT 1",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .fetch_optional(self.db.pool())
        .await?;
        Ok(match row.map(|row| status_of(&row)).transpose()? {
            Some(Status::Confirmed(inclusion)) => Some(inclusion),
            _ => None,
        })
    }

    async fn with_attempts(&self, rows: Vec<AnyRow>) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let mut entry = entry_of(&row)?;
            entry.attempts = self.attempts(&entry.request.key).await?;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// One more than the highest nonce ever signed, and the next position.
    pub(super) async fn next(&self) -> Result<(u64, u64), Error> {
        let row = sqlx::query(
            "SELECT COALESCE(MAX(nonce) + 1, 0) AS nonce, COALESCE(MAX(position) + 1, 0) AS position \
             FROM sender_requests WHERE chain_id = $1 AND sender = $2",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .fetch_one(self.db.pool())
        .await?;
        Ok((row.u64("nonce")?, row.u64("position")?))
    }

    /// The request under this idempotency key.
    pub(super) async fn find(&self, key: &str) -> Result<Option<Entry>, Error> {
        let row = sqlx::query(
            "SELECT * FROM sender_requests WHERE chain_id = $1 AND sender = $2 AND idempotency = $3",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .fetch_optional(self.db.pool())
        .await?;
        row.map(|row| entry_of(&row)).transpose()
    }

    /// Writes a new request. It survives a power cut only after a flush.
    pub(super) async fn insert(&self, request: &Request, position: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO sender_requests (chain_id, sender, idempotency, position, recipient, value, \
             data, gas_limit, deadline, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued')",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(&request.key)
        .bind(int(position))
        .bind(request.to.map(|to| to.to_vec()))
        .bind(word(request.value))
        .bind(request.data.to_vec())
        .bind(request.gas_limit.map(int))
        .bind(request.deadline.map(int))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Completes when everything written so far is on the disk.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        Ok(self.db.flush().await?)
    }

    /// Writes a signed transaction, which may be sent after a flush.
    pub(super) async fn sign(
        &self,
        key: &str,
        nonce: u64,
        gas: u64,
        attempt: &Attempt,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "UPDATE sender_requests SET state = 'pending', nonce = $4, gas = $5, hash = $6 \
             WHERE chain_id = $1 AND sender = $2 AND idempotency = $3",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .bind(int(nonce))
        .bind(int(gas))
        .bind(attempt.hash.to_vec())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO sender_attempts (chain_id, sender, idempotency, hash, nonce, position, raw, \
             max_fee, priority_fee, cancels) SELECT $1, $2, $3, $4, $5, \
             (SELECT COUNT(*) FROM sender_attempts WHERE chain_id = $1 AND sender = $2 \
              AND idempotency = $3), $6, $7, $8, $9 \
             WHERE true ON CONFLICT (chain_id, sender, hash) DO NOTHING",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .bind(attempt.hash.to_vec())
        .bind(int(nonce))
        .bind(attempt.raw.to_vec())
        .bind(word(U256::from(attempt.offer.max_fee)))
        .bind(word(U256::from(attempt.offer.priority)))
        .bind(i64::from(attempt.cancels))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Writes why no node takes what was signed for a request.
    pub(super) async fn refuse(&self, key: &str, refusal: &Revert) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "UPDATE sender_requests SET reason = $4, reason_data = $5 \
             WHERE chain_id = $1 AND sender = $2 AND idempotency = $3",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .bind(refusal.message.clone())
        .bind(refusal.data.to_vec())
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Writes how far requests are. `Pending` and `Queued` forget the inclusion, `Queued` the nonce too. What a power
    /// cut takes back is found on the chain again.
    pub(super) async fn note(&self, noted: &[(&str, &Status)]) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        for (key, status) in noted {
            self.note_in(&mut tx, key, status).await?;
        }
        Ok(tx.commit_relaxed().await?)
    }

    async fn note_in(&self, tx: &mut Tx, key: &str, status: &Status) -> Result<(), Error> {
        let inclusion = match status {
            Status::Included(inclusion) | Status::Confirmed(inclusion) => Some(inclusion),
            Status::Canceled(inclusion) => inclusion.as_ref(),
            Status::Queued | Status::Pending { .. } | Status::Refused(_) => None,
        };
        let hash = match status {
            Status::Pending { hash } => Some(hash.to_vec()),
            _ => inclusion.map(|inclusion| inclusion.hash.to_vec()),
        };
        let revert = match status {
            Status::Refused(revert) => Some(revert),
            _ => None,
        };
        sqlx::query(
            "UPDATE sender_requests SET state = $4, hash = $5, block_number = $6, block_hash = $7, \
             gas_used = $8, gas_price = $9, success = $10, \
             reason = CASE WHEN $4 IN ('queued', 'confirmed') THEN NULL ELSE COALESCE($11, reason) END, \
             reason_data = \
               CASE WHEN $4 IN ('queued', 'confirmed') THEN NULL ELSE COALESCE($12, reason_data) END, \
             nonce = CASE WHEN $4 = 'queued' THEN NULL ELSE nonce END \
             WHERE chain_id = $1 AND sender = $2 AND idempotency = $3",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .bind(state_of(status))
        .bind(hash)
        .bind(inclusion.map(|inclusion| int(inclusion.block_number)))
        .bind(inclusion.map(|inclusion| inclusion.block_hash.to_vec()))
        .bind(inclusion.map(|inclusion| int(inclusion.gas_used)))
        .bind(inclusion.map(|inclusion| word(U256::from(inclusion.gas_price))))
        .bind(inclusion.map(|inclusion| i64::from(inclusion.success)))
        .bind(revert.map(|revert| revert.message.clone()))
        .bind(revert.map(|revert| revert.data.to_vec()))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn attempts(&self, key: &str) -> Result<Vec<Attempt>, Error> {
        let rows = sqlx::query(
            "SELECT a.* FROM sender_attempts a JOIN sender_requests r ON a.chain_id = r.chain_id \
             AND a.sender = r.sender AND a.idempotency = r.idempotency AND a.nonce = r.nonce \
             WHERE a.chain_id = $1 AND a.sender = $2 AND a.idempotency = $3 ORDER BY a.position",
        )
        .bind(self.chain_id)
        .bind(&self.sender)
        .bind(key)
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Attempt {
                    hash: row.b256("hash")?,
                    raw: row.bytes("raw")?.into(),
                    offer: Offer {
                        max_fee: row.u256("max_fee")?.saturating_to(),
                        priority: row.u256("priority_fee")?.saturating_to(),
                    },
                    cancels: row.u64("cancels")? != 0,
                })
            })
            .collect()
    }
}

const fn state_of(status: &Status) -> &'static str {
    match status {
        Status::Queued => "queued",
        Status::Pending { .. } => "pending",
        Status::Included(_) => "included",
        Status::Confirmed(_) => "confirmed",
        Status::Refused(_) => "refused",
        Status::Canceled(_) => "canceled",
    }
}

fn entry_of(row: &AnyRow) -> Result<Entry, Error> {
    let recipient = row.opt_bytes("recipient")?;
    let to = recipient
        .map(|bytes| Address::try_from(bytes.as_slice()))
        .transpose()
        .map_err(|_| db::Error::Column { column: "recipient".to_owned(), expected: "address" })?;
    let request = Request {
        key: row.text("idempotency")?,
        to,
        value: row.u256("value")?,
        data: row.bytes("data")?.into(),
        gas_limit: row.opt_u64("gas_limit")?,
        deadline: row.opt_u64("deadline")?,
    };
    Ok(Entry {
        request,
        position: row.u64("position")?,
        status: status_of(row)?,
        nonce: row.opt_u64("nonce")?,
        gas: row.opt_u64("gas")?,
        attempts: Vec::new(),
        refusal: refusal_of(row)?,
    })
}

fn refusal_of(row: &AnyRow) -> Result<Option<Revert>, Error> {
    let Some(message) = row.opt_text("reason")? else { return Ok(None) };
    let data = row.opt_bytes("reason_data")?.unwrap_or_default().into();
    Ok(Some(Revert { data, message }))
}

fn status_of(row: &AnyRow) -> Result<Status, Error> {
    let inclusion = || {
        Ok::<_, Error>(Inclusion {
            hash: row.b256("hash")?,
            block_number: row.u64("block_number")?,
            block_hash: row.b256("block_hash")?,
            gas_used: row.u64("gas_used")?,
            gas_price: row.u256("gas_price")?.saturating_to(),
            success: row.u64("success")? != 0,
        })
    };
    Ok(match row.text("state")?.as_str() {
        "queued" => Status::Queued,
        "pending" => Status::Pending { hash: row.b256("hash")? },
        "included" => Status::Included(inclusion()?),
        "confirmed" => Status::Confirmed(inclusion()?),
        "canceled" => match row.opt_u64("block_number")? {
            Some(_) => Status::Canceled(Some(inclusion()?)),
            None => Status::Canceled(None),
        },
        "refused" => Status::Refused(refusal_of(row)?.unwrap_or_default()),
        _ => return Err(db::Error::Column { column: "state".to_owned(), expected: "state" }.into()),
    })
}
