//! The trunk of a message tree: the roots of its complete subtrees of 256 leaves, kept in SQL beside the
//! leaves. With it a tree of a million leaves is taken up, cut back or asked for a proof by reading a few
//! thousand short rows, not the million.

use alloy::primitives::B256;
use chain::{
    Db,
    db::{self, RowExt as _, Tx, int},
};
use parking_lot::Mutex;
use protocol::merkle::{
    self, DEPTH, IncrementalTree, MAX_LEAVES, Proof, TreeFull, branch_root, zero_hashes,
};
use sqlx::AnyConnection;

/// Height of the subtrees whose roots are kept.
const HEIGHT: usize = 8;
/// Leaves of such a subtree.
const SPAN: u64 = 1 << HEIGHT;
/// Leaves read at once when a tree has lost its trunk.
const PAGE: u64 = 16 * SPAN;

const MIGRATIONS: &[&str] = &["
CREATE TABLE tree_trunks (
    tree TEXT NOT NULL, position BIGINT NOT NULL, node BLOB NOT NULL,
    PRIMARY KEY (tree, position))"];

/// Why a tree cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrunkError {
    #[error(transparent)]
    Db(#[from] db::Error),
    #[error(transparent)]
    Full(#[from] TreeFull),
}

impl From<sqlx::Error> for TrunkError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// The trunk of one tree.
#[derive(Debug, Clone)]
pub(crate) struct Trunk {
    tree: String,
    /// Gives the column `leaf` of the leaves from `$1` up to but without `$2`, in order; further
    /// parameters are `of`.
    leaves: &'static str,
    of: Vec<i64>,
}

impl Trunk {
    /// The trunk of `tree`, whose leaves the statement `leaves` reads.
    pub(crate) async fn open(
        db: &Db,
        tree: String,
        leaves: &'static str,
        of: Vec<i64>,
    ) -> Result<Self, db::Error> {
        db.migrate("tree-trunks", MIGRATIONS).await?;
        Ok(Self { tree, leaves, of })
    }

    /// Inserts a leaf, which the caller writes in the same transaction.
    pub(crate) async fn grow(
        &self,
        tx: &mut Tx,
        tree: &mut IncrementalTree,
        leaf: B256,
    ) -> Result<(), TrunkError> {
        let completed = completed(tree, leaf);
        tree.insert(leaf)?;
        if let Some((position, node)) = completed {
            self.keep(tx, position, node).await?;
        }
        Ok(())
    }

    /// Writes the root of a complete subtree.
    pub(crate) async fn keep(
        &self,
        tx: &mut Tx,
        position: u64,
        node: B256,
    ) -> Result<(), db::Error> {
        sqlx::query(
            "INSERT INTO tree_trunks VALUES ($1, $2, $3) \
             ON CONFLICT (tree, position) DO UPDATE SET node = excluded.node",
        )
        .bind(&self.tree)
        .bind(int(position))
        .bind(node.to_vec())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The tree after the caller has deleted its leaves from `first` on.
    pub(crate) async fn cut(&self, tx: &mut Tx, first: u64) -> Result<IncrementalTree, TrunkError> {
        sqlx::query("DELETE FROM tree_trunks WHERE tree = $1 AND position >= $2")
            .bind(&self.tree)
            .bind(int(first / SPAN))
            .execute(&mut **tx)
            .await?;
        self.restore(tx).await
    }

    /// The tree over all leaves. Where the trunk is missing it is made.
    pub(crate) async fn restore(&self, tx: &mut Tx) -> Result<IncrementalTree, TrunkError> {
        let mut tree = standing_on(&self.nodes(tx, 0).await?)?;
        loop {
            let from = tree.count();
            let leaves = self.leaves(tx, from, from + PAGE).await?;
            for leaf in &leaves {
                self.grow(tx, &mut tree, *leaf).await?;
            }
            if (leaves.len() as u64) < PAGE {
                return Ok(tree);
            }
        }
    }

    /// The roots of complete subtrees from `first` on, up to the first that is missing.
    async fn nodes(
        &self,
        connection: &mut AnyConnection,
        first: u64,
    ) -> Result<Vec<B256>, db::Error> {
        let rows = sqlx::query(
            "SELECT position, node FROM tree_trunks WHERE tree = $1 AND position >= $2 \
             ORDER BY position",
        )
        .bind(&self.tree)
        .bind(int(first))
        .fetch_all(connection)
        .await?;
        let mut nodes = Vec::with_capacity(rows.len());
        for (row, expected) in rows.iter().zip(first..) {
            if row.u64("position")? != expected {
                break;
            }
            nodes.push(row.b256("node")?);
        }
        Ok(nodes)
    }

    async fn leaves(
        &self,
        connection: &mut AnyConnection,
        from: u64,
        below: u64,
    ) -> Result<Vec<B256>, db::Error> {
        let query = sqlx::query(self.leaves).bind(int(from)).bind(int(below));
        let query = self.of.iter().fold(query, |query, key| query.bind(*key));
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| row.b256("leaf")).collect()
    }
}

/// Proves leaves of one tree. Keeps the trunk in memory: 32 bytes for 256 leaves.
#[derive(Debug)]
pub(crate) struct Prover {
    db: Db,
    trunk: Trunk,
    nodes: Mutex<Vec<B256>>,
}

/// What is proved: that the tree of `size` leaves with this root has `leaf` at `index`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) leaf: B256,
    pub(crate) index: u32,
    pub(crate) size: u64,
    pub(crate) root: B256,
}

impl Prover {
    pub(crate) fn new(db: Db, trunk: Trunk) -> Self {
        Self { db, trunk, nodes: Mutex::default() }
    }

    /// The proof of a claim; `None` while the database holds another tree than that of the claim.
    pub(crate) async fn prove(&self, claim: Claim) -> Result<Option<Proof>, db::Error> {
        // What is remembered may be of a branch that is gone.
        let known = self.nodes.lock().clone();
        for known in [known, Vec::new()] {
            let nodes = self.complete(known, claim.size / SPAN).await?;
            if let Some(proof) = self.try_prove(claim, &nodes).await? {
                *self.nodes.lock() = nodes;
                return Ok(Some(proof));
            }
        }
        Ok(None)
    }

    /// Reads what is missing of the first `count` nodes.
    async fn complete(&self, mut known: Vec<B256>, count: u64) -> Result<Vec<B256>, db::Error> {
        let have = known.len() as u64;
        if have < count {
            let mut connection = self.db.pool().acquire().await?;
            known.extend(self.trunk.nodes(&mut connection, have).await?);
        }
        Ok(known)
    }

    async fn try_prove(&self, claim: Claim, nodes: &[B256]) -> Result<Option<Proof>, db::Error> {
        let complete = usize::try_from(claim.size / SPAN).unwrap_or(usize::MAX);
        let Some(nodes) = nodes.get(..complete) else { return Ok(None) };
        let mut connection = self.db.pool().acquire().await?;
        let mut nodes = nodes.to_vec();
        let edge = claim.size / SPAN * SPAN;
        let after = self.trunk.leaves(&mut connection, edge, claim.size).await?;
        let index = u64::from(claim.index);
        let around = if index >= edge {
            after.clone()
        } else {
            let first = index / SPAN * SPAN;
            self.trunk.leaves(&mut connection, first, first + SPAN).await?
        };
        if !after.is_empty() {
            nodes.push(climb(after, 0, 0..HEIGHT, &mut Vec::new()));
        }
        let mut siblings = Vec::with_capacity(DEPTH);
        climb(around, index % SPAN, 0..HEIGHT, &mut siblings);
        climb(nodes, index / SPAN, HEIGHT..DEPTH, &mut siblings);
        let proof = Proof::try_from(siblings).ok();
        Ok(proof.filter(|proof| branch_root(claim.leaf, proof, claim.index) == claim.root))
    }
}

/// The root of the subtree that `leaf` completes when it is inserted next, with its position.
pub(crate) fn completed(tree: &IncrementalTree, leaf: B256) -> Option<(u64, B256)> {
    let index = tree.count();
    (index % SPAN == SPAN - 1).then(|| {
        let below = tree.branch().iter().take(HEIGHT);
        (index / SPAN, below.fold(leaf, |node, left| merkle::parent(*left, node)))
    })
}

/// The tree of complete subtrees with these roots, and nothing after them.
fn standing_on(nodes: &[B256]) -> Result<IncrementalTree, TreeFull> {
    let mut above = IncrementalTree::default();
    for node in nodes {
        above.insert(*node)?;
    }
    let mut branch = [B256::ZERO; DEPTH];
    for (slot, node) in branch.iter_mut().skip(HEIGHT).zip(above.branch()) {
        *slot = *node;
    }
    let count = above.count().checked_mul(SPAN).filter(|count| *count <= MAX_LEAVES);
    Ok(IncrementalTree::from_parts(branch, count.ok_or(TreeFull)?))
}

/// Joins neighbours level by level, from nodes of the first level to the root of the last one, and notes
/// the siblings on the way up from `position`.
fn climb(
    mut nodes: Vec<B256>,
    mut position: u64,
    levels: std::ops::Range<usize>,
    siblings: &mut Vec<B256>,
) -> B256 {
    let zeros = zero_hashes();
    let end = levels.end;
    for level in levels {
        let zero = zeros[level];
        let at = |index: u64| usize::try_from(index).ok().and_then(|index| nodes.get(index));
        siblings.push(at(position ^ 1).copied().unwrap_or(zero));
        nodes = nodes
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => merkle::parent(*left, *right),
                single => merkle::parent(single.first().copied().unwrap_or(zero), zero),
            })
            .collect();
        position /= 2;
    }
    nodes.first().copied().unwrap_or(zeros[end])
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;
    use protocol::merkle::FullTree;

    use super::*;

    const LEAVES: &str = "SELECT leaf FROM leaves WHERE position >= $1 AND position < $2 \
                          AND owner = $3 ORDER BY position";

    fn leaf(number: u64) -> B256 {
        keccak256(number.to_be_bytes())
    }

    struct Grown {
        db: Db,
        trunk: Trunk,
        full: FullTree,
    }

    async fn grown(count: u64) -> Grown {
        let db = Db::open("sqlite::memory:").await.unwrap();
        let table = "CREATE TABLE leaves (owner BIGINT NOT NULL, position BIGINT NOT NULL, \
                     leaf BLOB NOT NULL)";
        db.migrate("test", &[table]).await.unwrap();
        let trunk = Trunk::open(&db, "tree".into(), LEAVES, vec![7]).await.unwrap();
        let mut grown = Grown { db, trunk, full: FullTree::default() };
        grown.append(&mut IncrementalTree::default(), 0..count).await;
        grown
    }

    impl Grown {
        async fn append(&mut self, tree: &mut IncrementalTree, numbers: std::ops::Range<u64>) {
            let mut tx = self.db.begin().await.unwrap();
            for number in numbers {
                let leaf = leaf(number);
                sqlx::query("INSERT INTO leaves VALUES (7, $1, $2)")
                    .bind(int(tree.count()))
                    .bind(leaf.to_vec())
                    .execute(&mut *tx)
                    .await
                    .unwrap();
                self.trunk.grow(&mut tx, tree, leaf).await.unwrap();
                self.full.insert(leaf).unwrap();
            }
            tx.commit().await.unwrap();
        }

        async fn restored(&self) -> IncrementalTree {
            let mut tx = self.db.begin().await.unwrap();
            let tree = self.trunk.restore(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            tree
        }
    }

    #[tokio::test]
    async fn a_tree_is_taken_up_from_its_trunk() {
        for count in [0, 1, 255, 256, 257, 1_000, 3 * SPAN] {
            let grown = grown(count).await;
            let tree = grown.restored().await;
            assert_eq!(tree.count(), count);
            assert_eq!(Some(tree.root()), grown.full.root_at(count as usize), "{count} leaves");
        }
    }

    #[tokio::test]
    async fn a_trunk_that_is_missing_is_made_again() {
        let grown = grown(5_000).await;
        sqlx::query("DELETE FROM tree_trunks WHERE position <> 3")
            .execute(grown.db.pool())
            .await
            .unwrap();
        assert_eq!(Some(grown.restored().await.root()), grown.full.root_at(5_000));
        let mut connection = grown.db.pool().acquire().await.unwrap();
        assert_eq!(grown.trunk.nodes(&mut connection, 0).await.unwrap().len(), 19);
    }

    #[tokio::test]
    async fn a_tree_that_is_cut_grows_another_way() {
        for kept in [0_u64, 1, 255, 256, 300, 512, 699] {
            let mut grown = grown(700).await;
            let mut tx = grown.db.begin().await.unwrap();
            sqlx::query("DELETE FROM leaves WHERE position >= $1")
                .bind(int(kept))
                .execute(&mut *tx)
                .await
                .unwrap();
            let mut tree = grown.trunk.cut(&mut tx, kept).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(Some(tree.root()), grown.full.root_at(kept as usize));

            let mut full = FullTree::default();
            (0..kept).for_each(|number| full.insert(leaf(number)).unwrap());
            grown.full = full;
            grown.append(&mut tree, 10_000..10_600).await;
            let restored = grown.restored().await;
            assert_eq!(Some(restored.root()), grown.full.root_at(restored.count() as usize));
        }
    }

    #[tokio::test]
    async fn proofs_are_those_of_the_whole_tree() {
        let grown = grown(1_100).await;
        let prover = Prover::new(grown.db.clone(), grown.trunk.clone());
        for size in [1, 2, 255, 256, 257, 512, 513, 1_024, 1_099, 1_100_usize] {
            for index in [0, 1, 254, 255, 256, 511, 512, 1_023, 1_024, 1_099] {
                let root = grown.full.root_at(size).unwrap();
                let claim = Claim {
                    leaf: leaf(index as u64),
                    index: index as u32,
                    size: size as u64,
                    root,
                };
                let expected = grown.full.proof(index, size);
                assert_eq!(prover.prove(claim).await.unwrap(), expected, "{index} of {size}");
            }
        }
        let other = Claim { leaf: leaf(0), index: 0, size: 300, root: B256::repeat_byte(1) };
        assert_eq!(prover.prove(other).await.unwrap(), None);
    }
}
