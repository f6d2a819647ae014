//! What was attested: one set of results for one message in one dispatch block, for ever. And drafts: what
//! was executed and may be attested once its anchors are final.

use alloy::{
    primitives::{B256, Bytes},
    sol_types::SolValue as _,
};
use chain::{
    Db,
    db::{self, RowExt as _},
};
use protocol::{abi::messaging::ReadAnchor, ids::MailboxMessageId};

use super::Results;

const MIGRATIONS: &[&str] = &["
CREATE TABLE validator_reads (
    mailbox_id BLOB NOT NULL, block_hash BLOB NOT NULL, anchors BLOB NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (mailbox_id, block_hash))",
// Executed while the nodes still had the state, not attested.
"
CREATE TABLE validator_read_drafts (
    mailbox_id BLOB NOT NULL, block_hash BLOB NOT NULL, anchors BLOB NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (mailbox_id, block_hash))"];

/// The table of attested reads.
#[derive(Debug, Clone)]
pub(in super::super) struct Record {
    db: Db,
}

impl Record {
    pub(in super::super) async fn open(db: Db) -> Result<Self, db::Error> {
        db.migrate("validator-reads", MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// What was attested for a message, if anything.
    pub(super) async fn find(
        &self,
        id: MailboxMessageId,
        block: B256,
    ) -> Result<Option<Results>, db::Error> {
        self.read("SELECT anchors, wrapped FROM validator_reads", id, block).await
    }

    /// What was executed for a message at the latest, if anything.
    pub(super) async fn draft(
        &self,
        id: MailboxMessageId,
        block: B256,
    ) -> Result<Option<Results>, db::Error> {
        self.read("SELECT anchors, wrapped FROM validator_read_drafts", id, block).await
    }

    /// Writes a draft in the place of an older one.
    pub(super) async fn keep_draft(
        &self,
        id: MailboxMessageId,
        block: B256,
        results: &Results,
    ) -> Result<(), db::Error> {
        let statement = "INSERT INTO validator_read_drafts VALUES ($1, $2, $3, $4) \
             ON CONFLICT (mailbox_id, block_hash) DO UPDATE \
             SET anchors = excluded.anchors, wrapped = excluded.wrapped";
        self.write(statement, id, block, results).await
    }

    /// Writes results before they are signed. Of two that come at the same time the first stays, and both
    /// are given it.
    pub(super) async fn keep(
        &self,
        id: MailboxMessageId,
        block: B256,
        results: &Results,
    ) -> Result<Results, db::Error> {
        let statement =
            "INSERT INTO validator_reads VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        self.write(statement, id, block, results).await?;
        Ok(self.find(id, block).await?.unwrap_or_else(|| results.clone()))
    }

    async fn read(
        &self,
        select: &'static str,
        id: MailboxMessageId,
        block: B256,
    ) -> Result<Option<Results>, db::Error> {
        let statement = format!("{select} WHERE mailbox_id = $1 AND block_hash = $2");
        // The statement is made of constants.
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id.to_vec())
            .bind(block.to_vec())
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let damaged = |column: &str| db::Error::Column {
            column: column.to_owned(),
            expected: "ABI-encoded list",
        };
        let anchors = Vec::<ReadAnchor>::abi_decode(&row.bytes("anchors")?)
            .map_err(|_| damaged("anchors"))?;
        let wrapped =
            Vec::<Bytes>::abi_decode(&row.bytes("wrapped")?).map_err(|_| damaged("wrapped"))?;
        Ok(Some(Results { anchors, wrapped }))
    }

    async fn write(
        &self,
        statement: &'static str,
        id: MailboxMessageId,
        block: B256,
        results: &Results,
    ) -> Result<(), db::Error> {
        sqlx::query(statement)
            .bind(id.to_vec())
            .bind(block.to_vec())
            .bind(results.anchors.abi_encode())
            .bind(results.wrapped.abi_encode())
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}
