//! Metadata of the two multisig modules.

use alloc::vec::Vec;

use alloy_primitives::B256;

use super::{Refused, Signature};
use crate::{checkpoint::Checkpoint, merkle, message::Envelope};

/// Metadata of a MESSAGE_ID_MULTISIG module (type 5).
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 32 | the origin's MerkleTreeHook |
/// | 32 | 32 | root |
/// | 64 | 4 | leaf index |
/// | 68 | 65 each | signatures |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageIdMetadata {
    /// The origin's MerkleTreeHook.
    pub merkle_tree_hook: B256,
    /// The signed root.
    pub root: B256,
    /// The message's leaf index.
    pub index: u32,
    /// In the order of the set.
    pub signatures: Vec<Signature>,
}

/// Metadata of a MERKLE_ROOT_MULTISIG module (type 4).
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 32 | the origin's MerkleTreeHook |
/// | 32 | 4 | the message's leaf index |
/// | 36 | 32 | the signed checkpoint's message id |
/// | 68 | 1024 | proof of the leaf, bottom up |
/// | 1092 | 4 | the signed checkpoint's index |
/// | 1096 | 65 each | signatures |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MerkleRootMetadata {
    /// The origin's MerkleTreeHook.
    pub merkle_tree_hook: B256,
    /// The message's leaf index.
    pub leaf_index: u32,
    /// The message id in the signed checkpoint: that of its own newest leaf.
    pub signed_message_id: B256,
    /// The proof of the message's leaf in the signed tree.
    pub proof: merkle::Proof,
    /// The signed checkpoint's index.
    pub signed_index: u32,
    /// In the order of the set.
    pub signatures: Vec<Signature>,
}

impl MessageIdMetadata {
    /// Bytes in front of the signatures.
    pub const HEADER_LEN: usize = 68;

    /// The bytes a module reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER_LEN + 65 * self.signatures.len());
        bytes.extend_from_slice(self.merkle_tree_hook.as_slice());
        bytes.extend_from_slice(self.root.as_slice());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(self.signatures.as_flattened());
        bytes
    }

    /// The checkpoint that metadata claims was signed for the envelope, and the bytes of the signatures.
    ///
    /// # Errors
    /// [`Refused::Truncated`].
    pub fn checkpoint<'a>(
        metadata: &'a [u8],
        envelope: &Envelope<'_>,
    ) -> Result<(Checkpoint, &'a [u8]), Refused> {
        let mut rest = Cursor::new(metadata, Self::HEADER_LEN)?;
        let checkpoint = Checkpoint {
            origin: envelope.origin,
            merkle_tree_hook: rest.word(),
            root: rest.word(),
            index: rest.number(),
            message_id: envelope.id(),
        };
        Ok((checkpoint, rest.0))
    }
}

impl MerkleRootMetadata {
    /// Bytes in front of the signatures.
    pub const HEADER_LEN: usize = 1096;

    /// The bytes a module reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER_LEN + 65 * self.signatures.len());
        bytes.extend_from_slice(self.merkle_tree_hook.as_slice());
        bytes.extend_from_slice(&self.leaf_index.to_be_bytes());
        bytes.extend_from_slice(self.signed_message_id.as_slice());
        for sibling in &self.proof {
            bytes.extend_from_slice(sibling.as_slice());
        }
        bytes.extend_from_slice(&self.signed_index.to_be_bytes());
        bytes.extend_from_slice(self.signatures.as_flattened());
        bytes
    }

    /// The checkpoint that must have been signed if the proof holds, and the bytes of the signatures.
    ///
    /// # Errors
    /// [`Refused::Truncated`], [`Refused::LeafAfterCheckpoint`].
    pub fn checkpoint<'a>(
        metadata: &'a [u8],
        envelope: &Envelope<'_>,
    ) -> Result<(Checkpoint, &'a [u8]), Refused> {
        let mut rest = Cursor::new(metadata, Self::HEADER_LEN)?;
        let merkle_tree_hook = rest.word();
        let leaf_index = rest.number();
        let signed_message_id = rest.word();
        let proof: merkle::Proof = core::array::from_fn(|_| rest.word());
        let index = rest.number();
        if leaf_index > index {
            return Err(Refused::LeafAfterCheckpoint);
        }
        let root = merkle::branch_root(envelope.id().0, &proof, leaf_index);
        let checkpoint = Checkpoint {
            origin: envelope.origin,
            merkle_tree_hook,
            root,
            index,
            message_id: signed_message_id.into(),
        };
        Ok((checkpoint, rest.0))
    }
}

/// Reads a header whose length was checked first: a read beyond it would answer zeros.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8], header_len: usize) -> Result<Self, Refused> {
        if bytes.len() < header_len {
            return Err(Refused::Truncated { expected: header_len, given: bytes.len() });
        }
        Ok(Self(bytes))
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((taken, rest)) => {
                self.0 = rest;
                *taken
            }
            None => [0; N],
        }
    }

    fn word(&mut self) -> B256 {
        B256::new(self.take())
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }
}
