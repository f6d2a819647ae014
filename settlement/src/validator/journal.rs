//! What a validator has signed, or is about to sign: written and synced before any signature exists.

use alloy::primitives::B256;
use chain::{
    Db,
    db::{self, RowExt as _, Tx, int},
};
use protocol::{
    finality::Tier,
    ids::{Domain, MailboxMessageId},
    merkle::IncrementalTree,
};
use sqlx::Row as _;

use crate::trunk::{Trunk, TrunkError};

const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE validator_streams (
    domain BIGINT NOT NULL, tier BIGINT NOT NULL, hook BLOB NOT NULL, validator BLOB NOT NULL,
    scanned_number BIGINT NOT NULL, scanned_hash BLOB NOT NULL,
    PRIMARY KEY (domain, tier));
CREATE TABLE validator_journal (
    domain BIGINT NOT NULL, tier BIGINT NOT NULL, leaf_index BIGINT NOT NULL, root BLOB NOT NULL,
    mailbox_id BLOB NOT NULL, block_number BIGINT NOT NULL, block_hash BLOB NOT NULL,
    PRIMARY KEY (domain, tier, leaf_index));
CREATE INDEX validator_journal_message ON validator_journal (mailbox_id);
CREATE TABLE validator_orphans (
    domain BIGINT NOT NULL, tier BIGINT NOT NULL, leaf_index BIGINT NOT NULL, root BLOB NOT NULL,
    mailbox_id BLOB NOT NULL, block_number BIGINT NOT NULL, block_hash BLOB NOT NULL,
    PRIMARY KEY (domain, tier, leaf_index, block_hash))",
    // With all the columns that are asked by: SQLite would rather read the whole stream by its primary key.
    "
DROP INDEX validator_journal_message;
CREATE INDEX validator_journal_messages ON validator_journal (domain, tier, mailbox_id)",
];

// The plus keeps SQLite from reading the whole stream in the order of its primary key.
const BLOCK_OF: &str = "SELECT block_number, block_hash FROM validator_journal \
     WHERE domain = $1 AND tier = $2 AND mailbox_id = $3 ORDER BY +leaf_index LIMIT 1";
const RECORDED: &str = "SELECT 1 AS found FROM validator_journal \
     WHERE domain = $1 AND tier = $2 AND mailbox_id = $3 AND block_hash = $4";

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The journal belongs to another key or deployment.
    #[error(
        "the journal of domain {domain} at tier {tier} belongs to hook {hook} and key {validator}: \
         a key serves one deployment and one tier"
    )]
    OtherIdentity {
        /// Origin domain.
        domain: Domain,
        /// Tier.
        tier: Tier,
        /// Merkle tree hook in the journal, 32 bytes.
        hook: B256,
        /// Validator in the journal, 32 bytes.
        validator: B256,
    },
    /// The tree is full.
    #[error("the tree of domain {0} holds 2^32 - 1 leaves")]
    TreeFull(Domain),
    /// Another tuple was recorded for an index: signing it too would be a second root for one index.
    #[error("index {index} is recorded with root {recorded}, refused root {given}")]
    Conflict {
        /// The leaf index.
        index: u32,
        /// Root in the journal.
        recorded: B256,
        /// Root that was to be signed.
        given: B256,
    },
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// One leaf as it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: u32,
    /// Root of the tree up to and with this leaf.
    pub(super) root: B256,
    pub(super) message_id: MailboxMessageId,
    pub(super) block: Block,
}

/// A block by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) hash: B256,
}

/// The leaves of a stream, for [`Trunk`].
const LEAVES: &str = "SELECT mailbox_id AS leaf FROM validator_journal \
     WHERE leaf_index >= $1 AND leaf_index < $2 AND domain = $3 AND tier = $4 ORDER BY leaf_index";

/// The record of one chain at one tier.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    db: Db,
    domain: Domain,
    tier: Tier,
    trunk: Trunk,
}

impl Journal {
    /// Opens the record of `domain` at `tier`, which belongs to one hook and one key for ever.
    pub(super) async fn open(
        db: Db,
        (domain, tier): (Domain, Tier),
        hook: B256,
        validator: B256,
    ) -> Result<Self, JournalError> {
        let trunk = Self::trunk_of(db.clone(), (domain, tier)).await?;
        let journal = Self { db, domain, tier, trunk };
        let row = sqlx::query(
            "SELECT hook, validator FROM validator_streams WHERE domain = $1 AND tier = $2",
        )
        .bind(i64::from(domain.0))
        .bind(i64::from(tier.byte()))
        .fetch_optional(journal.db.pool())
        .await?;
        let Some(row) = row else {
            sqlx::query("INSERT INTO validator_streams VALUES ($1, $2, $3, $4, 0, $5)")
                .bind(i64::from(domain.0))
                .bind(i64::from(tier.byte()))
                .bind(hook.to_vec())
                .bind(validator.to_vec())
                .bind(B256::ZERO.to_vec())
                .execute(journal.db.pool())
                .await?;
            return Ok(journal);
        };
        let (known_hook, known_validator) = (row.b256("hook")?, row.b256("validator")?);
        if (known_hook, known_validator) != (hook, validator) {
            return Err(JournalError::OtherIdentity {
                domain,
                tier,
                hook: known_hook,
                validator: known_validator,
            });
        }
        Ok(journal)
    }

    /// The trunk of a stream's tree; makes the tables.
    pub(crate) async fn trunk_of(
        db: Db,
        (domain, tier): (Domain, Tier),
    ) -> Result<Trunk, db::Error> {
        db.migrate("validator", MIGRATIONS).await?;
        let of = vec![i64::from(domain.0), i64::from(tier.byte())];
        Trunk::open(&db, format!("validator:{domain}:{tier}"), LEAVES, of).await
    }

    /// The last block whose leaves are recorded; `None` before the first.
    pub(super) async fn scanned(&self) -> Result<Option<Block>, JournalError> {
        let row = sqlx::query(
            "SELECT scanned_number, scanned_hash FROM validator_streams \
             WHERE domain = $1 AND tier = $2",
        )
        .bind(i64::from(self.domain.0))
        .bind(i64::from(self.tier.byte()))
        .fetch_one(self.db.pool())
        .await?;
        let block = Block { number: row.u64("scanned_number")?, hash: row.b256("scanned_hash")? };
        Ok((block.hash != B256::ZERO).then_some(block))
    }

    /// The tree over all entries.
    pub(super) async fn tree(&self) -> Result<IncrementalTree, JournalError> {
        let mut tx = self.db.begin().await?;
        let tree = self.trunk.restore(&mut tx).await.map_err(|error| self.broken(error))?;
        tx.commit().await?;
        Ok(tree)
    }

    fn broken(&self, error: TrunkError) -> JournalError {
        match error {
            TrunkError::Db(error) => error.into(),
            TrunkError::Full(_) => JournalError::TreeFull(self.domain),
        }
    }

    /// The entries `first..=last` that exist, in order.
    pub(super) async fn entries(&self, first: u32, last: u32) -> Result<Vec<Entry>, JournalError> {
        let rows = sqlx::query(
            "SELECT * FROM validator_journal WHERE domain = $1 AND tier = $2 \
             AND leaf_index >= $3 AND leaf_index <= $4 ORDER BY leaf_index",
        )
        .bind(i64::from(self.domain.0))
        .bind(i64::from(self.tier.byte()))
        .bind(i64::from(first))
        .bind(i64::from(last))
        .fetch_all(self.db.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Entry {
                    index: row.try_get::<i64, _>("leaf_index")?.try_into().unwrap_or(u32::MAX),
                    root: row.b256("root")?,
                    message_id: MailboxMessageId(row.b256("mailbox_id")?),
                    block: Block {
                        number: row.u64("block_number")?,
                        hash: row.b256("block_hash")?,
                    },
                })
            })
            .collect()
    }

    /// The entry at `index`.
    pub(super) async fn entry(&self, index: u32) -> Result<Option<Entry>, JournalError> {
        Ok(self.entries(index, index).await?.pop())
    }

    /// The block in which the message's first leaf was recorded: that of its dispatch.
    pub(super) async fn block_of(
        &self,
        id: MailboxMessageId,
    ) -> Result<Option<Block>, JournalError> {
        let row = sqlx::query(BLOCK_OF)
            .bind(i64::from(self.domain.0))
            .bind(i64::from(self.tier.byte()))
            .bind(id.to_vec())
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Block { number: row.u64("block_number")?, hash: row.b256("block_hash")? }))
    }

    /// Whether a leaf of the message was recorded in the block with this hash.
    pub(super) async fn is_recorded(
        &self,
        id: MailboxMessageId,
        block: B256,
    ) -> Result<bool, JournalError> {
        let row = sqlx::query(RECORDED)
            .bind(i64::from(self.domain.0))
            .bind(i64::from(self.tier.byte()))
            .bind(id.to_vec())
            .bind(block.to_vec())
            .fetch_optional(self.db.pool())
            .await?;
        Ok(row.is_some())
    }

    /// Records what is about to be signed and, when given, how far the chain was read, durably. Gives the
    /// tree with the new leaves.
    pub(super) async fn append(
        &self,
        tree: &IncrementalTree,
        entries: &[Entry],
        scanned: Option<Block>,
    ) -> Result<IncrementalTree, JournalError> {
        let mut tree = tree.clone();
        let mut tx = self.db.begin().await?;
        for entry in entries {
            self.insert(&mut tx, "validator_journal", entry).await?;
            self.refuse_conflict(&mut tx, entry).await?;
            let grown = self.trunk.grow(&mut tx, &mut tree, entry.message_id.0).await;
            grown.map_err(|error| self.broken(error))?;
        }
        if let Some(scanned) = scanned {
            self.set_scanned(&mut tx, scanned).await?;
        }
        tx.commit().await?;
        Ok(tree)
    }

    /// Moves the entries from `first` on among the orphans and gives the tree without them. The cursor
    /// stays on the branch that is gone, so that a start after a crash looks for the fork again.
    pub(super) async fn orphan(&self, first: u32) -> Result<IncrementalTree, JournalError> {
        let orphans = self.entries(first, u32::MAX).await?;
        let mut tx = self.db.begin().await?;
        for entry in &orphans {
            self.insert(&mut tx, "validator_orphans", entry).await?;
        }
        sqlx::query(
            "DELETE FROM validator_journal WHERE domain = $1 AND tier = $2 AND leaf_index >= $3",
        )
        .bind(i64::from(self.domain.0))
        .bind(i64::from(self.tier.byte()))
        .bind(i64::from(first))
        .execute(&mut *tx)
        .await?;
        let cut = self.trunk.cut(&mut tx, u64::from(first)).await;
        let tree = cut.map_err(|error| self.broken(error))?;
        tx.commit().await?;
        Ok(tree)
    }

    async fn insert(
        &self,
        tx: &mut Tx,
        table: &'static str,
        entry: &Entry,
    ) -> Result<(), JournalError> {
        let statement = format!(
            "INSERT INTO {table} VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"
        );
        // The table's name is one of two constants.
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(i64::from(self.domain.0))
            .bind(i64::from(self.tier.byte()))
            .bind(i64::from(entry.index))
            .bind(entry.root.to_vec())
            .bind(entry.message_id.0.to_vec())
            .bind(int(entry.block.number))
            .bind(entry.block.hash.to_vec())
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// The last line against two roots for one index, whatever led here.
    async fn refuse_conflict(&self, tx: &mut Tx, entry: &Entry) -> Result<(), JournalError> {
        let row = sqlx::query(
            "SELECT root, mailbox_id FROM validator_journal \
             WHERE domain = $1 AND tier = $2 AND leaf_index = $3",
        )
        .bind(i64::from(self.domain.0))
        .bind(i64::from(self.tier.byte()))
        .bind(i64::from(entry.index))
        .fetch_one(&mut **tx)
        .await?;
        let recorded = row.b256("root")?;
        if recorded != entry.root || row.b256("mailbox_id")? != entry.message_id.0 {
            return Err(JournalError::Conflict { index: entry.index, recorded, given: entry.root });
        }
        Ok(())
    }

    async fn set_scanned(&self, tx: &mut Tx, scanned: Block) -> Result<(), JournalError> {
        sqlx::query(
            "UPDATE validator_streams SET scanned_number = $3, scanned_hash = $4 \
             WHERE domain = $1 AND tier = $2",
        )
        .bind(i64::from(self.domain.0))
        .bind(i64::from(self.tier.byte()))
        .bind(int(scanned.number))
        .bind(scanned.hash.to_vec())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}
