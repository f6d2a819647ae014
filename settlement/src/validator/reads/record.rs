//! What was attested: one set of results for one message in one dispatch block, for ever.

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
        let row = sqlx::query(
            "SELECT anchors, wrapped FROM validator_reads \
             WHERE mailbox_id = $1 AND block_hash = $2",
        )
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

    /// Writes results before they are signed. Of two that come at the same time the first stays, and both
    /// are given it.
    pub(super) async fn keep(
        &self,
        id: MailboxMessageId,
        block: B256,
        results: &Results,
    ) -> Result<Results, db::Error> {
        sqlx::query("INSERT INTO validator_reads VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(id.to_vec())
            .bind(block.to_vec())
            .bind(results.anchors.abi_encode())
            .bind(results.wrapped.abi_encode())
            .execute(self.db.pool())
            .await?;
        Ok(self.find(id, block).await?.unwrap_or_else(|| results.clone()))
    }
}
