//! What is known of origins' trees: leaves, payments for them, and what contradicts them.

use alloy::primitives::{Address, B256, U256};
use chain::db::{self, AnyRow, RowExt as _, int};
use protocol::ids::{Domain, MailboxMessageId};
use sqlx::Row as _;

use super::{Leaf, Store};
use crate::trunk::{Prover, Trunk};

/// A validator's file that contradicts its origin's tree.
#[derive(Debug, Clone)]
pub(in super::super) struct Evidence {
    pub(in super::super) origin: Domain,
    pub(in super::super) validator: Address,
    pub(in super::super) index: u32,
    pub(in super::super) class: String,
    pub(in super::super) file: String,
    pub(in super::super) seen_at: u64,
}

/// The sum keeps SQLite from reading all leaves of the origin in the order of the primary key.
const LEAVES_OF: &str = "SELECT * FROM relayer_leaves WHERE origin = $1 AND mailbox_id = $2 \
     ORDER BY leaf_index + 0";

impl Store {
    /// The newest files that contradict trees.
    pub(in super::super) async fn evidence(&self, limit: u32) -> Result<Vec<Evidence>, db::Error> {
        let rows = sqlx::query("SELECT * FROM relayer_evidence ORDER BY seen_at DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.db.pool())
            .await?;
        let small = |row: &AnyRow, column: &str| {
            row.u64(column).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
        };
        rows.iter()
            .map(|row| {
                Ok(Evidence {
                    origin: Domain(small(row, "origin")?),
                    validator: row.address("validator")?,
                    index: small(row, "leaf_index")?,
                    class: row.text("class")?,
                    file: row.text("file")?,
                    seen_at: row.u64("seen_at")?,
                })
            })
            .collect()
    }

    /// The leaves of a message on the origin's present branch.
    pub(in super::super) async fn leaves_of(
        &self,
        origin: Domain,
        id: MailboxMessageId,
    ) -> Result<Vec<Leaf>, db::Error> {
        let rows = sqlx::query(LEAVES_OF)
            .bind(i64::from(origin.0))
            .bind(id.to_vec())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(leaf_of).collect()
    }

    /// The leaf at `index`, if the origin's present branch has it.
    pub(in super::super) async fn leaf(
        &self,
        origin: Domain,
        index: u32,
    ) -> Result<Option<Leaf>, db::Error> {
        let row = sqlx::query("SELECT * FROM relayer_leaves WHERE origin = $1 AND leaf_index = $2")
            .bind(i64::from(origin.0))
            .bind(i64::from(index))
            .fetch_optional(self.db.pool())
            .await?;
        row.as_ref().map(leaf_of).transpose()
    }

    /// Hash of the block with the last leaf of the origin's present branch.
    pub(in super::super) async fn last_leaf_block(
        &self,
        origin: Domain,
    ) -> Result<Option<B256>, db::Error> {
        let row = sqlx::query(
            "SELECT block_hash FROM relayer_leaves WHERE origin = $1 \
             ORDER BY leaf_index DESC LIMIT 1",
        )
        .bind(i64::from(origin.0))
        .fetch_optional(self.db.pool())
        .await?;
        row.map(|row| row.b256("block_hash")).transpose()
    }

    /// The trunk of an origin's tree.
    pub(in super::super) async fn trunk(&self, origin: Domain) -> Result<Trunk, db::Error> {
        const LEAVES: &str = "SELECT mailbox_id AS leaf FROM relayer_leaves \
             WHERE leaf_index >= $1 AND leaf_index < $2 AND origin = $3 ORDER BY leaf_index";
        Trunk::open(&self.db, format!("relayer:{origin}"), LEAVES, vec![i64::from(origin.0)]).await
    }

    /// Proves leaves of an origin's tree.
    pub(in super::super) async fn prover(&self, origin: Domain) -> Result<Prover, db::Error> {
        Ok(Prover::new(self.db.clone(), self.trunk(origin).await?))
    }

    /// Whether `root` at `index` belonged to a branch that was seen orphaned.
    pub(in super::super) async fn was_orphaned(
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
    pub(in super::super) async fn paid(
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
    pub(in super::super) async fn keep_evidence(
        &self,
        origin: Domain,
        validator: Address,
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

fn leaf_of(row: &AnyRow) -> Result<Leaf, db::Error> {
    let index: i64 = row.try_get("leaf_index")?;
    Ok(Leaf {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        id: MailboxMessageId(row.b256("mailbox_id")?),
        root: row.b256("root")?,
    })
}
