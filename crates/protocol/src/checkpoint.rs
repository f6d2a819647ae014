//! The statement of a validator about its chain's message tree.

use alloy_primitives::{B256, keccak256};

use crate::{
    ids::{Domain, MailboxMessageId},
    signable::{self, Signable},
};

/// "After leaf `index`, which is `message_id`, the tree of this hook has this root."
///
/// Nothing in it names finality: that is why tiers never share keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The chain of the tree.
    pub origin: Domain,
    /// The MerkleTreeHook that keeps it, as 32 bytes.
    pub merkle_tree_hook: B256,
    /// The root.
    pub root: B256,
    /// The leaf index.
    pub index: u32,
    /// The leaf.
    pub message_id: MailboxMessageId,
}

impl Checkpoint {
    /// keccak256(uint32 origin ‖ hook ‖ "HYPERLANE").
    pub fn domain_hash(&self) -> B256 {
        signable::domain_hash(self.origin.0, self.merkle_tree_hook, b"HYPERLANE")
    }
}

impl Signable for Checkpoint {
    /// keccak256(domain hash ‖ root ‖ uint32 index ‖ message id).
    fn signing_hash(&self) -> B256 {
        let mut preimage = [0_u8; 100];
        preimage[..32].copy_from_slice(self.domain_hash().as_slice());
        preimage[32..64].copy_from_slice(self.root.as_slice());
        preimage[64..68].copy_from_slice(&self.index.to_be_bytes());
        preimage[68..].copy_from_slice(self.message_id.as_slice());
        keccak256(preimage)
    }
}
