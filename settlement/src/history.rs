//! Histories that no chain made: for measuring how agents start and work behind a long tree.
//!
//! What is written is what the agents would have written themselves, leaf by leaf; only the messages are
//! invented.

use alloy::primitives::{B256, keccak256};
use chain::{
    Db,
    db::{self, Kind, Tx, int},
};
use protocol::{
    finality::Tier,
    ids::Domain,
    merkle::{DEPTH, IncrementalTree, MAX_LEAVES, parent, zero_hashes},
};

use crate::{
    checkpoints::{Folder, FolderError},
    relayer::Memory,
    trunk::{self, Trunk},
    validator::Record,
};

/// Rows of one statement: SQLite looks up the name of every parameter among all of them, so that large statements take
/// longer than many small ones.
const ROWS: usize = 16;

/// Why a history was not written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No tree holds as many leaves.
    #[error("a tree holds at most {MAX_LEAVES} leaves, {0} are too many")]
    TooLong(u32),
}

impl From<sqlx::Error> for HistoryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A tree of invented messages.
#[derive(Debug)]
pub struct History {
    leaves: Vec<B256>,
    roots: Vec<B256>,
    trunk: Vec<B256>,
    tree: IncrementalTree,
}

/// A block that all of it is said to be from, or to have arrived in.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Of which chain.
    pub domain: Domain,
    /// Number of a block there.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl History {
    /// Invents `count` messages.
    ///
    /// # Errors
    /// [`HistoryError::TooLong`].
    pub fn new(count: u32) -> Result<Self, HistoryError> {
        let (mut tree, zeros) = (IncrementalTree::default(), zero_hashes());
        let mut history =
            Self { leaves: Vec::new(), roots: Vec::new(), trunk: Vec::new(), tree: tree.clone() };
        for number in 0..count {
            let leaf = keccak256([b"history".as_slice(), &number.to_be_bytes()].concat());
            history.trunk.extend(trunk::completed(&tree, leaf).map(|(_, node)| node));
            tree.insert(leaf).map_err(|_| HistoryError::TooLong(count))?;
            history.leaves.push(leaf);
            history.roots.push(root(&tree, &zeros));
        }
        history.tree = tree;
        Ok(history)
    }

    /// The tree, as a hook would hold it.
    pub const fn tree(&self) -> &IncrementalTree {
        &self.tree
    }

    /// Writes it into a new database of a relayer: messages that were delivered in one block
    /// of a destination.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn write_relayer(
        &self,
        database: &str,
        place: Place,
        destination: Place,
    ) -> Result<(), HistoryError> {
        let db = Db::open(database).await?;
        let trunk = Memory::trunk_of(db.clone(), place.domain).await?;
        let mut tx = begin(&db).await?;
        self.write_trunk(&mut tx, &trunk).await?;
        for (first, leaves, roots) in self.portions() {
            let text = statement("relayer_leaves", 6, leaves.len());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
            for ((leaf, root), index) in leaves.iter().zip(roots).zip(first..) {
                query = query
                    .bind(i64::from(place.domain.0))
                    .bind(int(index))
                    .bind(leaf.to_vec())
                    .bind(root.to_vec())
                    .bind(int(place.number))
                    .bind(place.hash.to_vec());
            }
            query.execute(&mut *tx).await?;
            let text = statement("relayer_messages", 20, leaves.len());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
            for (leaf, index) in leaves.iter().zip(first..) {
                query = Memory::bind_delivered(query, place, destination, (index, *leaf));
            }
            query.execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Writes it into a new database of a validator, as signed at `tier` and published in `folder`, without
    /// the files that only readers of old messages would ask for.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn write_validator(
        &self,
        database: &str,
        place: Place,
        (tier, folder): (Tier, &std::path::Path),
    ) -> Result<(), HistoryError> {
        let db = Db::open(database).await?;
        let trunk = Record::trunk_of(db.clone(), (place.domain, tier)).await?;
        let mut tx = begin(&db).await?;
        self.write_trunk(&mut tx, &trunk).await?;
        for (first, leaves, roots) in self.portions() {
            let text = statement("validator_journal", 7, leaves.len());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
            for ((leaf, root), index) in leaves.iter().zip(roots).zip(first..) {
                query = query
                    .bind(i64::from(place.domain.0))
                    .bind(i64::from(tier.byte()))
                    .bind(int(index))
                    .bind(root.to_vec())
                    .bind(leaf.to_vec())
                    .bind(int(place.number))
                    .bind(place.hash.to_vec());
            }
            query.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        if let Some(latest) = self.tree.latest_index() {
            Folder::open(folder)?.claim_published(latest)?;
        }
        Ok(())
    }

    async fn write_trunk(&self, tx: &mut Tx, trunk: &Trunk) -> Result<(), HistoryError> {
        for (node, position) in self.trunk.iter().zip(0..) {
            trunk.keep(tx, position, *node).await?;
        }
        Ok(())
    }

    fn portions(&self) -> impl Iterator<Item = (u64, &[B256], &[B256])> {
        let portions = self.leaves.chunks(ROWS).zip(self.roots.chunks(ROWS));
        portions.zip((0..).step_by(ROWS)).map(|((leaves, roots), first)| (first, leaves, roots))
    }
}

/// Begins a transaction with room in memory for indexes whose keys come in no order.
async fn begin(db: &Db) -> Result<Tx, HistoryError> {
    let mut tx = db.begin().await?;
    if db.kind() == Kind::Sqlite {
        sqlx::query("PRAGMA cache_size = -524288").execute(&mut *tx).await?;
    }
    Ok(tx)
}

/// `INSERT INTO table VALUES ($1, …), …`.
fn statement(table: &str, columns: usize, rows: usize) -> String {
    let mut text = format!("INSERT INTO {table} VALUES ");
    for row in 0..rows {
        let numbers = (1..=columns).map(|column| format!("${}", row * columns + column));
        let comma = if row == 0 { "" } else { ", " };
        text += &format!("{comma}({})", numbers.collect::<Vec<_>>().join(", "));
    }
    text
}

/// The root, with the hashes of empty trees at hand.
fn root(tree: &IncrementalTree, zeros: &[B256; DEPTH + 1]) -> B256 {
    tree.branch().iter().zip(zeros).enumerate().fold(B256::ZERO, |node, (level, (left, zero))| {
        if tree.count() >> level & 1 == 1 { parent(*left, node) } else { parent(node, *zero) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Domain = Domain(700_001);

    #[tokio::test]
    async fn agents_take_a_history_for_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(1_500).unwrap();
        assert_eq!(history.roots.last(), Some(&history.tree().root()));
        let place = Place { domain: ORIGIN, number: 7, hash: B256::repeat_byte(7) };
        let arrived = Place { domain: Domain(700_002), ..place };
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());

        history.write_relayer(&url("relayer"), place, arrived).await.unwrap();
        let db = Db::open(&url("relayer")).await.unwrap();
        let trunk = Memory::trunk_of(db.clone(), ORIGIN).await.unwrap();
        let restored = trunk.restore(&mut db.begin().await.unwrap()).await.unwrap();
        assert_eq!(restored.root(), history.tree().root());

        let published = folder.path().join("instant");
        let stream = (Tier::Instant, published.as_path());
        history.write_validator(&url("validator"), place, stream).await.unwrap();
        let db = Db::open(&url("validator")).await.unwrap();
        let trunk = Record::trunk_of(db.clone(), (ORIGIN, Tier::Instant)).await.unwrap();
        let restored = trunk.restore(&mut db.begin().await.unwrap()).await.unwrap();
        assert_eq!(restored.root(), history.tree().root());
        assert_eq!(Folder::open(published).unwrap().latest_index().unwrap(), Some(1_499));
    }
}
