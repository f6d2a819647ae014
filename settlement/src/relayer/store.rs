//! The relayer's memory: messages, leaves, payments and how far each origin was read. Everything is
//! written before it is acted upon, so a restart goes on where the last run stopped.

mod indexed;
mod outcomes;
mod trees;

use alloy::primitives::{B256, U256};
use chain::{
    Db,
    db::{self, AnyRow, RowExt as _, Tx, int},
};
use protocol::ids::{Domain, MailboxMessageId, MessageId};

pub(super) use self::{
    indexed::{add_leaf, add_message, add_payment, is_leaf, remove_block},
    outcomes::add_process,
};
use super::delivery::{Key, Process, State, Stored, Submission};
use crate::{history::Place, trunk::Trunk};

/// How often a transaction is run again that the database gave up for another one.
const CONFLICTS: usize = 5;

/// A query that is being filled in.
type AnyQuery<'a> = sqlx::query::Query<'a, sqlx::Any, sqlx::any::AnyArguments>;

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
    PRIMARY KEY (origin, validator, leaf_index, root))",
// What is listed and what is confirmed must not cost more the longer the history is.
"
CREATE INDEX relayer_messages_seen ON relayer_messages (state, seen_at);
CREATE INDEX relayer_messages_processed ON relayer_messages (destination, state, process_number, process_hash);
CREATE INDEX relayer_messages_unconfirmed ON relayer_messages (destination, state, confirmed, delivered_at)",
// The same of counting them: without their rows.
"
DROP INDEX relayer_messages_state;
CREATE INDEX relayer_messages_counted ON relayer_messages (destination, state, origin)",
// Where mailboxes processed messages, who sends each, and what failed transactions cost. Messages were
// parked for reverts that said nothing of them: they are judged anew.
"
CREATE TABLE relayer_processed (
    destination BIGINT NOT NULL, mailbox_id BLOB NOT NULL, block_hash BLOB NOT NULL,
    number BIGINT NOT NULL, tx_hash BLOB NOT NULL,
    PRIMARY KEY (destination, mailbox_id, block_hash));
CREATE INDEX relayer_processed_block ON relayer_processed (destination, block_hash);
CREATE TABLE relayer_submissions (
    mailbox_id BLOB NOT NULL, block_hash BLOB NOT NULL, signer BLOB NOT NULL, request TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, block_hash));
CREATE TABLE relayer_failures (
    mailbox_id BLOB NOT NULL, tx_hash BLOB NOT NULL, wei BLOB NOT NULL,
    PRIMARY KEY (mailbox_id, tx_hash));
DROP INDEX relayer_messages_unconfirmed;
CREATE INDEX relayer_messages_unconfirmed
    ON relayer_messages (destination, state, confirmed, origin, delivered_at);
UPDATE relayer_messages SET state = 'pending', next_at = 0 WHERE state = 'parked'"];

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
pub(crate) struct Store {
    db: Db,
}

impl Store {
    pub(super) async fn open(db: Db) -> Result<Self, db::Error> {
        db.migrate("relayer", MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// The trunk of an origin's tree; makes the tables.
    pub(crate) async fn trunk_of(db: Db, origin: Domain) -> Result<Trunk, db::Error> {
        Self::open(db).await?.trunk(origin).await
    }

    /// A row of `relayer_messages`, as it is when a message of a final block was delivered for good.
    pub(crate) fn bind_delivered(
        row: AnyQuery<'_>,
        place: Place,
        destination: Place,
        (index, id): (u64, B256),
    ) -> AnyQuery<'_> {
        row.bind(id.to_vec())
            .bind(place.hash.to_vec())
            .bind(int(place.number))
            .bind(id.to_vec())
            .bind(i64::from(place.domain.0))
            .bind(i64::from(destination.domain.0))
            .bind(int(index))
            .bind(None::<Vec<u8>>)
            .bind(vec![3_u8; 300])
            .bind(0_i64)
            .bind(State::Done.name())
            .bind(0_i64)
            .bind(0_i64)
            .bind("delivered in a final block")
            .bind(0_i64)
            .bind(id.to_vec())
            .bind(int(destination.number))
            .bind(destination.hash.to_vec())
            .bind(0_i64)
            .bind(1_i64)
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
             GROUP BY destination, state, origin ORDER BY origin, destination, state",
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

    /// Writes how far messages are.
    pub(super) async fn update(&self, messages: &[&Stored]) -> Result<(), db::Error> {
        self.write(messages, None).await
    }

    /// Writes how far messages are that are about to be handed to a sender.
    pub(super) async fn submit(
        &self,
        messages: &[&Stored],
        submission: &Submission,
    ) -> Result<(), db::Error> {
        self.write(messages, Some(submission)).await
    }

    /// In the order of their keys, so that writers who meet at a row wait for one another and not for ever.
    async fn write(
        &self,
        messages: &[&Stored],
        submission: Option<&Submission>,
    ) -> Result<(), db::Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut messages = messages.to_vec();
        messages.sort_unstable_by_key(|message| message.key);
        again_after_conflicts(|| self.write_once(&messages, submission)).await
    }

    async fn write_once(
        &self,
        messages: &[&Stored],
        submission: Option<&Submission>,
    ) -> Result<(), db::Error> {
        let mut tx = self.db.begin().await?;
        for message in messages {
            update(&mut tx, message).await?;
            if let Some(submission) = submission {
                outcomes::set_submission(&mut tx, message.key, submission).await?;
            }
        }
        tx.commit().await
    }

    /// Origins of final deliveries to `destination` that were not confirmed.
    pub(super) async fn unconfirmed_origins(
        &self,
        destination: Domain,
    ) -> Result<Vec<Domain>, db::Error> {
        let rows = sqlx::query(
            "SELECT DISTINCT origin FROM relayer_messages WHERE destination = $1 \
             AND state = 'done' AND confirmed = 0 ORDER BY origin",
        )
        .bind(i64::from(destination.0))
        .fetch_all(self.db.pool())
        .await?;
        let origin =
            |row: &AnyRow| Ok(Domain(u32::try_from(row.u64("origin")?).unwrap_or(u32::MAX)));
        rows.iter().map(origin).collect()
    }

    /// Final deliveries from `origin` to `destination` that were not confirmed, oldest first.
    pub(super) async fn unconfirmed(
        &self,
        (origin, destination): (Domain, Domain),
        limit: usize,
    ) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE destination = $1 AND state = 'done' \
             AND confirmed = 0 AND origin = $2 ORDER BY delivered_at LIMIT $3",
        )
        .bind(i64::from(destination.0))
        .bind(i64::from(origin.0))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Notes that nothing remains to be confirmed of these messages.
    pub(super) async fn set_confirmed(&self, messages: &[Stored]) -> Result<(), db::Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut keys: Vec<Key> = messages.iter().map(|message| message.key).collect();
        keys.sort_unstable();
        again_after_conflicts(|| self.set_confirmed_once(&keys)).await
    }

    async fn set_confirmed_once(&self, keys: &[Key]) -> Result<(), db::Error> {
        let mut tx = self.db.begin().await?;
        for key in keys {
            sqlx::query(
                "UPDATE relayer_messages SET confirmed = 1 \
                 WHERE mailbox_id = $1 AND block_hash = $2",
            )
            .bind(key.id.to_vec())
            .bind(key.block.to_vec())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await
    }

    /// Blocks below `below` in which messages to `destination` were delivered for good, newest first.
    pub(super) async fn blocks_of_done(
        &self,
        destination: Domain,
        below: u64,
        limit: usize,
    ) -> Result<Vec<(u64, B256)>, db::Error> {
        let rows = sqlx::query(
            "SELECT DISTINCT process_number, process_hash FROM relayer_messages \
             WHERE destination = $1 AND state = 'done' AND process_number < $2 \
             ORDER BY process_number DESC LIMIT $3",
        )
        .bind(i64::from(destination.0))
        .bind(int(below))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(|row| Ok((row.u64("process_number")?, row.b256("process_hash")?))).collect()
    }

    /// Messages to `destination` that were delivered for good in that block or a later one.
    pub(super) async fn done_since(
        &self,
        destination: Domain,
        block: u64,
    ) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE destination = $1 AND state = 'done' \
             AND process_number >= $2",
        )
        .bind(i64::from(destination.0))
        .bind(int(block))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Messages to `destination` first seen since then whose origin blocks are gone, newest first: what was
    /// submitted for them may still be delivered.
    pub(super) async fn orphans(
        &self,
        destination: Domain,
        since: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, db::Error> {
        let rows = sqlx::query(
            "SELECT * FROM relayer_messages WHERE state = 'orphaned' AND destination = $1 \
             AND seen_at >= $2 ORDER BY seen_at DESC LIMIT $3",
        )
        .bind(i64::from(destination.0))
        .bind(int(since))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter().map(stored_of).collect()
    }

    /// Notes that a message was delivered after its origin block had gone, unless the message is on the
    /// origin's present branch in another block. Gives its origin when that is news.
    pub(super) async fn delivered_orphan(
        &self,
        key: Key,
        process: Process,
    ) -> Result<Option<Domain>, db::Error> {
        let row = sqlx::query(
            "UPDATE relayer_messages SET state = 'delivered_orphan', process_tx = $3, \
             process_number = $4, process_hash = $5 \
             WHERE mailbox_id = $1 AND block_hash = $2 AND state = 'orphaned' \
             AND NOT EXISTS (SELECT 1 FROM relayer_messages AS other WHERE other.mailbox_id = $1 \
             AND other.state NOT IN ('orphaned', 'delivered_orphan')) RETURNING origin",
        )
        .bind(key.id.to_vec())
        .bind(key.block.to_vec())
        .bind(process.tx.to_vec())
        .bind(int(process.number))
        .bind(process.hash.to_vec())
        .fetch_optional(self.db.pool())
        .await?;
        row.map(|row| Ok(Domain(u32::try_from(row.u64("origin")?).unwrap_or(u32::MAX)))).transpose()
    }
}

/// Runs a transaction, again when the database gave it up for another one.
async fn again_after_conflicts<F>(transaction: impl Fn() -> F) -> Result<(), db::Error>
where
    F: Future<Output = Result<(), db::Error>>,
{
    let mut conflicts = 0;
    loop {
        match transaction().await {
            Err(error) if error.is_conflict() && conflicts < CONFLICTS => conflicts += 1,
            done => return done,
        }
    }
}

async fn update(tx: &mut Tx, message: &Stored) -> Result<(), db::Error> {
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
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn stored_of(row: &AnyRow) -> Result<Stored, db::Error> {
    let small = |column| row.u64(column).map(|value| u32::try_from(value).unwrap_or(u32::MAX));
    let process = match (row.opt_b256("process_tx")?, row.opt_u64("process_number")?) {
        (Some(tx), Some(number)) => Some(Process { tx, number, hash: row.b256("process_hash")? }),
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
