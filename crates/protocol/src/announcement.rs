//! The statement of a validator about where it publishes its signatures.

use alloc::{string::String, vec::Vec};

use alloy_primitives::{B256, keccak256};

use crate::{
    ids::Domain,
    signable::{self, Signable},
};

/// "My signatures for this mailbox are found here."
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Announcement {
    /// The chain of the mailbox.
    pub origin: Domain,
    /// The mailbox, as 32 bytes.
    pub mailbox: B256,
    /// For example `file:///var/lib/validator` or `http://validator.example/`.
    pub storage_location: String,
}

impl Announcement {
    /// keccak256(uint32 origin ‖ mailbox ‖ "HYPERLANE_ANNOUNCEMENT").
    pub fn domain_hash(&self) -> B256 {
        signable::domain_hash(self.origin.0, self.mailbox, b"HYPERLANE_ANNOUNCEMENT")
    }
}

impl Signable for Announcement {
    /// keccak256(domain hash ‖ UTF-8 storage location).
    fn signing_hash(&self) -> B256 {
        let mut preimage = Vec::with_capacity(32 + self.storage_location.len());
        preimage.extend_from_slice(self.domain_hash().as_slice());
        preimage.extend_from_slice(self.storage_location.as_bytes());
        keccak256(preimage)
    }
}
