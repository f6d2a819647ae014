//! What an origin's indexer writes, always in the transaction that moves its cursor.

use chain::{
    db::{self, RowExt as _, Tx, int, word},
    follower::BlockRef,
};
use protocol::ids::{Domain, MailboxMessageId};

use super::{Leaf, Payment, stored_of};
use crate::relayer::delivery::{Key, State, Stored};

/// Adds a dispatched message. One that was orphaned comes back when its block does. Gives whether it is
/// still to be delivered: a block may be read again.
pub(in super::super) async fn add_message(
    tx: &mut Tx,
    message: &Stored,
) -> Result<bool, db::Error> {
    let row = sqlx::query(
        "INSERT INTO relayer_messages VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, \
         $12, 0, NULL, NULL, NULL, NULL, 0) \
         ON CONFLICT (mailbox_id, block_hash) DO UPDATE SET state = CASE \
         WHEN relayer_messages.state IN ('orphaned', 'delivered_orphan') THEN 'pending' \
         ELSE relayer_messages.state END RETURNING state",
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
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.text("state")? == State::Pending.name())
}

/// Whether the leaf at `index` is known to be the message `id`.
pub(in super::super) async fn is_leaf(
    tx: &mut Tx,
    origin: Domain,
    (index, id): (u32, MailboxMessageId),
) -> Result<bool, db::Error> {
    let row =
        sqlx::query("SELECT mailbox_id FROM relayer_leaves WHERE origin = $1 AND leaf_index = $2")
            .bind(i64::from(origin.0))
            .bind(i64::from(index))
            .fetch_optional(&mut **tx)
            .await?;
    Ok(match row {
        Some(row) => row.b256("mailbox_id")? == id.0,
        None => false,
    })
}

/// Adds a leaf.
pub(in super::super) async fn add_leaf(
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
pub(in super::super) async fn add_payment(
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

/// What a block that is gone had held.
#[derive(Debug)]
pub(in super::super) struct Removed {
    /// Its messages, as they were.
    pub(in super::super) messages: Vec<Stored>,
    /// The first of its leaves.
    pub(in super::super) first_leaf: Option<u64>,
}

/// Takes back a block of `origin`: its leaves move among the orphans, its payments are subtracted, what its
/// mailbox processed is forgotten, its messages are orphaned, in the order of their ids.
pub(in super::super) async fn remove_block(
    tx: &mut Tx,
    origin: Domain,
    block: BlockRef,
) -> Result<Removed, db::Error> {
    let (origin, hash) = (i64::from(origin.0), block.hash.to_vec());
    let rows = sqlx::query(
        "SELECT * FROM relayer_messages WHERE origin = $1 AND block_hash = $2 \
         AND state <> 'orphaned' AND state <> 'delivered_orphan' ORDER BY mailbox_id",
    )
    .bind(origin)
    .bind(hash.clone())
    .fetch_all(&mut **tx)
    .await?;
    let first_leaf = sqlx::query(
        "SELECT MIN(leaf_index) AS first FROM relayer_leaves WHERE origin = $1 AND block_hash = $2",
    )
    .bind(origin)
    .bind(hash.clone())
    .fetch_one(&mut **tx)
    .await?
    .opt_u64("first")?;
    for statement in [
        "INSERT INTO relayer_orphan_leaves SELECT origin, leaf_index, mailbox_id, root \
         FROM relayer_leaves WHERE origin = $1 AND block_hash = $2 ON CONFLICT DO NOTHING",
        "DELETE FROM relayer_leaves WHERE origin = $1 AND block_hash = $2",
        "DELETE FROM relayer_payments WHERE origin = $1 AND block_hash = $2",
        "DELETE FROM relayer_processed WHERE destination = $1 AND block_hash = $2",
    ] {
        sqlx::query(statement).bind(origin).bind(hash.clone()).execute(&mut **tx).await?;
    }
    let messages = rows.iter().map(stored_of).collect::<Result<Vec<_>, _>>()?;
    for message in &messages {
        orphan(tx, message.key).await?;
    }
    Ok(Removed { messages, first_leaf })
}

async fn orphan(tx: &mut Tx, key: Key) -> Result<(), db::Error> {
    sqlx::query(
        "UPDATE relayer_messages SET state = CASE WHEN state IN ('delivered', 'done') \
         THEN 'delivered_orphan' ELSE 'orphaned' END WHERE mailbox_id = $1 AND block_hash = $2",
    )
    .bind(key.id.to_vec())
    .bind(key.block.to_vec())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
