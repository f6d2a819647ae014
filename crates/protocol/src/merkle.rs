//! Hyperlane's incremental merkle tree: depth 32, keccak256, leaves are message ids as they are.

use alloc::vec::Vec;

use alloy_primitives::{B256, keccak256};

/// Levels of the tree; a proof has as many siblings.
pub const DEPTH: usize = 32;

/// The most leaves a tree can hold.
pub const MAX_LEAVES: u64 = (1 << DEPTH) - 1;

/// Siblings of a leaf, bottom up.
pub type Proof = [B256; DEPTH];

/// The tree holds [`MAX_LEAVES`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeFull;

impl core::fmt::Display for TreeFull {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the tree holds {MAX_LEAVES} leaves already")
    }
}

impl core::error::Error for TreeFull {}

/// A tree that keeps only what the next insertion needs: 32 branch nodes and a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementalTree {
    branch: Proof,
    count: u64,
}

/// A tree that keeps every leaf, so that it can prove any of them at any past size.
#[derive(Clone, Debug, Default)]
pub struct FullTree {
    leaves: Vec<B256>,
    /// `levels[h][i]`: the node over the leaves `i << h` to `(i + 1) << h`, kept only when all of them exist.
    levels: Vec<Vec<B256>>,
}

/// keccak256(left ‖ right).
pub fn parent(left: B256, right: B256) -> B256 {
    keccak256([left.0, right.0].concat())
}

/// The roots of empty trees of height 0 to 32.
pub fn zero_hashes() -> [B256; DEPTH + 1] {
    let mut hashes = [B256::ZERO; DEPTH + 1];
    for level in 0..DEPTH {
        hashes[level + 1] = parent(hashes[level], hashes[level]);
    }
    hashes
}

/// The root of the tree in which `leaf` stands at `index` with these siblings.
pub fn branch_root(leaf: B256, proof: &Proof, index: u32) -> B256 {
    proof.iter().enumerate().fold(leaf, |node, (level, sibling)| {
        if index >> level & 1 == 1 { parent(*sibling, node) } else { parent(node, *sibling) }
    })
}

impl Default for IncrementalTree {
    fn default() -> Self {
        Self { branch: [B256::ZERO; DEPTH], count: 0 }
    }
}

impl IncrementalTree {
    /// The tree with these branch nodes and count, as `MerkleTreeHook.tree()` returns them.
    pub const fn from_parts(branch: Proof, count: u64) -> Self {
        Self { branch, count }
    }

    /// Appends a leaf.
    ///
    /// # Errors
    /// The tree is full.
    pub fn insert(&mut self, leaf: B256) -> Result<(), TreeFull> {
        if self.count >= MAX_LEAVES {
            return Err(TreeFull);
        }
        self.count += 1;
        let mut size = self.count;
        let mut node = leaf;
        for slot in &mut self.branch {
            if size & 1 == 1 {
                *slot = node;
                break;
            }
            node = parent(*slot, node);
            size >>= 1;
        }
        Ok(())
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> B256 {
        let zeros = zero_hashes();
        (0..DEPTH).fold(B256::ZERO, |node, level| {
            if self.count >> level & 1 == 1 {
                parent(self.branch[level], node)
            } else {
                parent(node, zeros[level])
            }
        })
    }

    /// How many leaves it holds.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The index of the newest leaf.
    pub fn latest_index(&self) -> Option<u32> {
        self.count.checked_sub(1).and_then(|index| u32::try_from(index).ok())
    }

    /// The branch nodes.
    pub const fn branch(&self) -> &Proof {
        &self.branch
    }
}

impl FullTree {
    /// Appends a leaf.
    ///
    /// # Errors
    /// The tree is full.
    pub fn insert(&mut self, leaf: B256) -> Result<(), TreeFull> {
        if self.leaves.len() as u64 >= MAX_LEAVES {
            return Err(TreeFull);
        }
        self.leaves.push(leaf);
        let mut node = leaf;
        let mut position = self.leaves.len() - 1;
        for level in 0..DEPTH {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(node);
            if position & 1 == 0 {
                break;
            }
            node = parent(self.levels[level][position - 1], node);
            position >>= 1;
        }
        Ok(())
    }

    /// The leaves, in order.
    pub fn leaves(&self) -> &[B256] {
        &self.leaves
    }

    /// The root when the tree held `size` leaves; nothing when it never did.
    pub fn root_at(&self, size: usize) -> Option<B256> {
        (size <= self.leaves.len()).then(|| self.node(DEPTH, 0, size, &zero_hashes()))
    }

    /// The proof of a leaf in the tree cut to `size` leaves; nothing when the leaf is not in it.
    pub fn proof(&self, index: usize, size: usize) -> Option<Proof> {
        if index >= size || size > self.leaves.len() {
            return None;
        }
        let zeros = zero_hashes();
        Some(core::array::from_fn(|level| self.node(level, (index >> level) ^ 1, size, &zeros)))
    }

    /// The node of `level` at `position` in the tree cut to `size` leaves.
    fn node(&self, level: usize, position: usize, size: usize, zeros: &[B256; DEPTH + 1]) -> B256 {
        let first = position << level;
        if first >= size {
            return zeros[level];
        }
        if first + (1 << level) <= size {
            return self.levels[level][position];
        }
        let left = self.node(level - 1, position << 1, size, zeros);
        let right = self.node(level - 1, (position << 1) | 1, size, zeros);
        parent(left, right)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_trees_agree_and_every_proof_holds_at_every_size(
            leaves in prop::collection::vec(any::<[u8; 32]>(), 1..24),
        ) {
            let mut incremental = IncrementalTree::default();
            let mut full = FullTree::default();
            prop_assert_eq!(full.root_at(0), Some(zero_hashes()[DEPTH]));
            for (count, leaf) in leaves.iter().enumerate() {
                incremental.insert(B256::from(*leaf)).unwrap();
                full.insert(B256::from(*leaf)).unwrap();
                let size = count + 1;
                prop_assert_eq!(full.root_at(size), Some(incremental.root()));
                for (index, leaf) in leaves.iter().enumerate().take(size) {
                    let proof = full.proof(index, size).unwrap();
                    let root = branch_root((*leaf).into(), &proof, index as u32);
                    prop_assert_eq!(Some(root), full.root_at(size));
                }
                prop_assert_eq!(full.proof(size, size), None);
            }
            for size in 1..leaves.len() {
                let proof = full.proof(0, size).unwrap();
                let root = branch_root(leaves[0].into(), &proof, 0);
                prop_assert_eq!(Some(root), full.root_at(size));
            }
        }
    }
}
