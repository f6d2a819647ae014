//! The relayer's memory: messages, leaves, payments and how far each origin was read. Everything is
//! written before it is acted upon, so a restart goes on where the last run stopped.

use alloy::primitives::{B256, U256};
use chain::{
    Db,
    db::{self, AnyRow, RowExt as _, Tx, int, word},
    follower::BlockRef,
};
use protocol::ids::{Domain, MailboxMessageId, MessageId};
use sqlx::Row as _;

use super::delivery::{Key, State, Stored};

const MIGRATIONS: &[&str] = &["
CREATE TABLE relayer_messages (
    mailbox_id BLOB NOT NULL, block_hash BLOB NOT NULL, block_number BIGINT NOT NULL,
    tx_hash BLOB NOT NULL, origin BIGINT NOT NULL, destination BIGINT NOT NULL, nonce BIGINT NOT NULL,
    message_id BLOB, envelope BLOB NOT NULL, seen_at BIGINT NOT NULL,
    state TEXT NOT NULL, attempts BIGINT NOT NULL, next_at BIGINT NOT NULL, reason TEXT NOT NULL,
    alone BIGINT NOT NULL, process_tx BLOB, process_number BIGINT, process_hash BLOB,
    delivered_at BIGINT, confirmed BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, block_hash));
CREATE INDEX relayer_messages_state ON relayer_messages (destination, state);
CREATE INDEX relayer_messages_block ON relayer_messages (origin, block_hash);
CREATE INDEX relayer_messages_message ON relayer_messages (message_id);
CREATE TABLE relayer_leaves (
    origin BIGINT NOT NULL, leaf_index BIGINT NOT NULL, mailbox_id BLOB NOT NULL, root BLOB NOT NULL,
    block_number BIGINT NOT NULL, block_hash BLOB NOT NULL,
    PRIMARY KEY (origin, leaf_index));
CREATE INDEX relayer_leaves_block ON relayer_leaves (origin, block_hash);
CREATE INDEX relayer_leaves_message ON relayer_leaves (origin, mailbox_id);
CREATE TABLE relayer_orphan_leaves (
    origin BIGINT NOT NULL, leaf_index BIGINT NOT NULL, mailbox_id BLOB NOT NULL, root BLOB NOT NULL,
    PRIMARY KEY (origin, leaf_index, root));
CREATE TABLE relayer_payments (
    origin BIGINT NOT NULL, block_hash BLOB NOT NULL, log_index BIGINT NOT NULL,
    block_number BIGINT NOT NULL, mailbox_id BLOB NOT NULL, destination BIGINT NOT NULL,
    payment BLOB NOT NULL,
    PRIMARY KEY (origin, block_hash, log_index));
CREATE INDEX relayer_payments_message ON relayer_payments (mailbox_id);
CREATE TABLE relayer_evidence (
    origin BIGINT NOT NULL, validator BLOB NOT NULL, leaf_index BIGINT NOT NULL, root BLOB NOT NULL,
    class TEXT NOT NULL, file TEXT NOT NULL, seen_at BIGINT NOT NULL,
    PRIMARY KEY (origin, validator, leaf_index, root))"];

/// A leaf of an origin's tree on its present branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) index: u32,
    pub(super) id: MailboxMessageId,
    /// Root of the tree up to and with this leaf.
    pub(super) root: B256,
}

/// A payment for the delivery of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payment {
    pub(super) id: MailboxMessageId,
    pub(super) destination: Domain,
    /// Wei of the origin's token.
    pub(super) payment: U256,
    pub(super) log_index: u64,
}

/// The relayer's tables.
#[derive(Debug, Clone)]
pub(super) struct Store {
    db: Db,
}

impl Store {
    pub(super) async fn open(db: Db) -> Result<Self, db::Error> {
        db.migrate("relayer", MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// Begins a transaction, which the cursor of a follower joins.
    pub(super) async fn begin(&self) -> Result<Tx, db::Error> {
        self.db.begin().await
    }

    /// Messages to `destination` that are not finished.
    pub(super) async fn unfinished(&self, destination: Domain) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE destination = $1 \
             AND state IN ('pending', 'submitted', 'delivered')",
        )
        .bind(i64::from(destination.0))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Every row of a message, by its mailbox id or its message id.
    pub(super) async fn find(&self, id: B256) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE mailbox_id = $1 OR message_id = $1 \
             ORDER BY block_number",
        )
        .bind(id.to_vec())
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Messages in `state`, newest first.
    pub(super) async fn in_state(
        &self,
        state: State,
        limit: u32,
    ) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE state = $1 ORDER BY seen_at DESC LIMIT $2",
        )
        .bind(state.name())
        .bind(i64::from(limit))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// How many messages are in each state, by origin and destination.
    pub(super) async fn counts(&self) -> Result<Vec<(u32, u32, String, u64)>, db::Error> {
        let rows = sqlx::query(
            "SELECT origin, destination, state, COUNT(*) AS n FROM relayer_messages \
             GROUP BY origin, destination, state ORDER BY origin, destination, state",
        )
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| {
                let domain = |column| {
                    row.u64(column).map(|domain| u32::try_from(domain).unwrap_or(u32::MAX))
                };
                Ok((domain("origin")?, domain("destination")?, row.text("state")?, row.u64("n")?))
            })
            .collect()
    }

    /// Writes how far a message is.
    pub(super) async fn update(&self, message: &Stored) -> Result<(), db::Error> {
        sqlx::query(
            "UPDATE relayer_messages SET state = $3, attempts = $4, next_at = $5, reason = $6, \
             alone = $7, process_tx = $8, process_number = $9, process_hash = $10, \
             delivered_at = $11, confirmed = $12 \
             WHERE mailbox_id = $1 AND block_hash = $2 \
             AND state <> 'orphaned' AND state <> 'delivered_orphan'",
        )
        .bind(message.key.id.to_vec())
        .bind(message.key.block.to_vec())
        .bind(message.state.name())
        .bind(i64::from(message.attempts))
        .bind(int(message.next_at))
        .bind(&message.reason)
        .bind(i64::from(message.alone))
        .bind(message.process.map(|process| process.tx.to_vec()))
        .bind(message.process.map(|process| int(process.number)))
        .bind(message.process.map(|process| process.hash.to_vec()))
        .bind(message.delivered_at.map(int))
        .bind(i64::from(message.confirmed))
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Final deliveries to `destination` that were not confirmed, oldest first.
    pub(super) async fn unconfirmed(
        &self,
        destination: Domain,
        limit: usize,
    ) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE destination = $1 AND state = 'done' \
             AND confirmed = 0 ORDER BY delivered_at LIMIT $2",
        )
        .bind(i64::from(destination.0))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Notes that nothing remains to be confirmed of these messages.
    pub(super) async fn set_confirmed(&self, messages: &[Stored]) -> Result<(), db::Error> {
        let mut tx = self.db.begin().await?;
        for message in messages {
            sqlx::query(
                "UPDATE relayer_messages SET confirmed = 1 \
                 WHERE mailbox_id = $1 AND block_hash = $2",
            )
            .bind(message.key.id.to_vec())
            .bind(message.key.block.to_vec())
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Notes that a message was delivered after its origin block had gone.
    pub(super) async fn delivered_orphan(
        &self,
        key: Key,
        process: super::delivery::Process,
    ) -> Result<(), db::Error> {
        sqlx::query(
            "UPDATE relayer_messages SET state = 'delivered_orphan', process_tx = $3, \
             process_number = $4, process_hash = $5 \
             WHERE mailbox_id = $1 AND block_hash = $2 AND state = 'orphaned'",
        )
        .bind(key.id.to_vec())
        .bind(key.block.to_vec())
        .bind(process.tx.to_vec())
        .bind(int(process.number))
        .bind(process.hash.to_vec())
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// The leaves of a message on the origin's present branch.
    pub(super) async fn leaves_of(
        &self,
        origin: Domain,
        id: MailboxMessageId,
    ) -> Result<Vec<Leaf>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_leaves WHERE origin = $1 AND mailbox_id = $2 \
             ORDER BY leaf_index",
        )
        .bind(i64::from(origin.0))
        .bind(id.to_vec())
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(leaf_of).collect()
    }

    /// The leaf at `index`, if the origin's present branch has it.
    pub(super) async fn leaf(&self, origin: Domain, index: u32) -> Result<Option<Leaf>, db::Error> {
        let row = sqlx::query("SELECT * FROM relayer_leaves WHERE origin = $1 AND leaf_index = $2")
            .bind(i64::from(origin.0))
            .bind(i64::from(index))
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(leaf_of).transpose()
    }

    /// Mailbox ids of all leaves, in order.
    pub(super) async fn all_leaves(&self, origin: Domain) -> Result<Vec<B256>, db::Error> {
        let rows = sqlx::query(
            "SELECT mailbox_id FROM relayer_leaves WHERE origin = $1 ORDER BY leaf_index",
        )
        .bind(i64::from(origin.0))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(|row| row.b256("mailbox_id")).collect()
    }

    /// Whether `root` at `index` belonged to a branch that was seen orphaned.
    pub(super) async fn was_orphaned(
        &self,
        origin: Domain,
        index: u32,
        root: B256,
    ) -> Result<bool, db::Error> {
        let row = sqlx::query(
            "SELECT 1 AS found FROM relayer_orphan_leaves \
             WHERE origin = $1 AND leaf_index = $2 AND root = $3",
        )
        .bind(i64::from(origin.0))
        .bind(i64::from(index))
        .bind(root.to_vec())
        .fetch_optional(self.db.pool())
        .await?;
        Ok(row.is_some())
    }

    /// Everything paid for a message on the origin's present branch, in wei.
    pub(super) async fn paid(
        &self,
        id: MailboxMessageId,
        destination: Domain,
    ) -> Result<U256, db::Error> {
        let rows = sqlx::query(
            "SELECT payment FROM relayer_payments WHERE mailbox_id = $1 AND destination = $2",
        )
        .bind(id.to_vec())
        .bind(i64::from(destination.0))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().try_fold(U256::ZERO, |sum, row| Ok(sum.saturating_add(row.u256("payment")?)))
    }

    /// Keeps a validator's file that contradicts the origin's tree. `true` when it is new.
    pub(super) async fn keep_evidence(
        &self,
        origin: Domain,
        validator: alloy::primitives::Address,
        (index, root): (u32, B256),
        (class, file): (&str, &str),
        now: u64,
    ) -> Result<bool, db::Error> {
        let done = sqlx::query(
            "INSERT INTO relayer_evidence VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT DO NOTHING",
        )
        .bind(i64::from(origin.0))
        .bind(validator.to_vec())
        .bind(i64::from(index))
        .bind(root.to_vec())
        .bind(class)
        .bind(file)
        .bind(int(now))
        .execute(self.db.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }
}

/// Adds a dispatched message. One that was orphaned comes back when its block does.
pub(super) async fn add_message(tx: &mut Tx, message: &Stored) -> Result<(), db::Error> {
    sqlx::query(
        "INSERT INTO relayer_messages VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, \
         $12, 0, NULL, NULL, NULL, NULL, 0) \
         ON CONFLICT (mailbox_id, block_hash) DO UPDATE SET state = CASE \
         WHEN relayer_messages.state IN ('orphaned', 'delivered_orphan') THEN 'pending' \
         ELSE relayer_messages.state END",
    )
    .bind(message.key.id.to_vec())
    .bind(message.key.block.to_vec())
    .bind(int(message.block_number))
    .bind(message.tx.to_vec())
    .bind(i64::from(message.origin.0))
    .bind(i64::from(message.destination.0))
    .bind(i64::from(message.nonce))
    .bind(message.message_id.map(|id| id.to_vec()))
    .bind(message.envelope.to_vec())
    .bind(int(message.seen_at))
    .bind(message.state.name())
    .bind(&message.reason)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a leaf.
pub(super) async fn add_leaf(
    tx: &mut Tx,
    origin: Domain,
    block: BlockRef,
    leaf: Leaf,
) -> Result<(), db::Error> {
    sqlx::query(
        "INSERT INTO relayer_leaves VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(i64::from(origin.0))
    .bind(i64::from(leaf.index))
    .bind(leaf.id.to_vec())
    .bind(leaf.root.to_vec())
    .bind(int(block.number))
    .bind(block.hash.to_vec())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds a payment.
pub(super) async fn add_payment(
    tx: &mut Tx,
    origin: Domain,
    block: BlockRef,
    payment: Payment,
) -> Result<(), db::Error> {
    sqlx::query(
        "INSERT INTO relayer_payments VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(i64::from(origin.0))
    .bind(block.hash.to_vec())
    .bind(int(payment.log_index))
    .bind(int(block.number))
    .bind(payment.id.to_vec())
    .bind(i64::from(payment.destination.0))
    .bind(word(payment.payment))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes back a block of `origin`: its leaves move among the orphans, its payments are subtracted, its
/// messages are orphaned. Gives the messages as they were.
pub(super) async fn remove_block(
    tx: &mut Tx,
    origin: Domain,
    block: BlockRef,
) -> Result<Vec<Stored>, db::Error> {
    let (origin, hash) = (i64::from(origin.0), block.hash.to_vec());
    let rows = sqlx::query(
        "SELECT * FROM relayer_messages WHERE origin = $1 AND block_hash = $2 \
         AND state <> 'orphaned' AND state <> 'delivered_orphan'",
    )
    .bind(origin)
    .bind(hash.clone())
    .fetch_all(&mut **tx)
    .await?;
    for statement in [
        "INSERT INTO relayer_orphan_leaves SELECT origin, leaf_index, mailbox_id, root \
         FROM relayer_leaves WHERE origin = $1 AND block_hash = $2 ON CONFLICT DO NOTHING",
        "DELETE FROM relayer_leaves WHERE origin = $1 AND block_hash = $2",
        "DELETE FROM relayer_payments WHERE origin = $1 AND block_hash = $2",
        "UPDATE relayer_messages SET state = CASE WHEN state IN ('delivered', 'done') \
         THEN 'delivered_orphan' ELSE 'orphaned' END WHERE origin = $1 AND block_hash = $2",
    ] {
        sqlx::query(statement).bind(origin).bind(hash.clone()).execute(&mut **tx).await?;
    }
    rows.iter().map(stored_of).collect()
}

/// Mailbox ids of all leaves of `origin`, in order, as the transaction sees them.
pub(super) async fn leaves_in(tx: &mut Tx, origin: Domain) -> Result<Vec<B256>, db::Error> {
    let rows =
        sqlx::query("SELECT mailbox_id FROM relayer_leaves WHERE origin = $1 ORDER BY leaf_index")
            .bind(i64::from(origin.0))
            .fetch_all(&mut **tx)
            .await?;
    rows.iter().map(|row| row.b256("mailbox_id")).collect()
}

fn leaf_of(row: &AnyRow) -> Result<Leaf, db::Error> {
    let index: i64 = row.try_get("leaf_index")?;
    Ok(Leaf {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        id: MailboxMessageId(row.b256("mailbox_id")?),
        root: row.b256("root")?,
    })
}

fn stored_of(row: &AnyRow) -> Result<Stored, db::Error> {
    let small = |column| row.u64(column).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    let process = match (row.opt_b256("process_tx")?, row.opt_u64("process_number")?) {
        (Some(tx), Some(number)) => {
            Some(super::delivery::Process { tx, number, hash: row.b256("process_hash")? })
        }
        _ => None,
    };
    let name = row.text("state")?;
    let state = State::ALL.into_iter().find(|state| state.name() == name);
    Ok(Stored {
        key: Key { id: MailboxMessageId(row.b256("mailbox_id")?), block: row.b256("block_hash")? },
        block_number: row.u64("block_number")?,
        tx: row.b256("tx_hash")?,
        origin: Domain(small("origin")?),
        destination: Domain(small("destination")?),
        nonce: small("nonce")?,
        message_id: row.opt_b256("message_id")?.map(MessageId),
        envelope: row.bytes("envelope")?.into(),
        seen_at: row.u64("seen_at")?,
        state: state.ok_or_else(|| db::Error::Column {
            column: "state".to_owned(),
            expected: "state of a message",
        })?,
        attempts: small("attempts")?,
        next_at: row.u64("next_at")?,
        reason: row.text("reason")?,
        alone: row.u64("alone")? != 0,
        process,
        delivered_at: row.opt_u64("delivered_at")?,
        confirmed: row.u64("confirmed")? != 0,
    })
}
