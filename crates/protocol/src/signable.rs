//! What a validator signs, and the one rule that turns a hash into a digest.

use alloy_primitives::{B256, keccak256};

/// A statement that validators sign.
pub trait Signable {
    /// The hash of the statement, before EIP-191.
    fn signing_hash(&self) -> B256;

    /// The 32 bytes that go into the signature: keccak256("\x19Ethereum Signed Message:\n32" ‖ signing hash).
    fn digest(&self) -> B256 {
        eip191(self.signing_hash())
    }
}

/// EIP-191's digest of a 32-byte hash.
pub fn eip191(hash: B256) -> B256 {
    let mut preimage = *b"\x19Ethereum Signed Message:\n32________________________________";
    preimage[28..].copy_from_slice(hash.as_slice());
    keccak256(preimage)
}

/// keccak256(uint32 domain ‖ 32 bytes of a contract ‖ label): what ties a statement to one deployment.
pub(crate) fn domain_hash(domain: u32, contract: B256, label: &[u8]) -> B256 {
    let mut preimage = alloc::vec::Vec::with_capacity(36 + label.len());
    preimage.extend_from_slice(&domain.to_be_bytes());
    preimage.extend_from_slice(contract.as_slice());
    preimage.extend_from_slice(label);
    keccak256(preimage)
}
