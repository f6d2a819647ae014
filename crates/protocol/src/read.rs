//! Attested reads: what validators sign, and the metadata that carries their signatures to ReadIsm.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::{SolValue, sol};

use crate::{
    abi::messaging::{ReadAnchor, ReadResult},
    ids::{Domain, MessageId},
    signable::{self, Signable},
    words::Writer,
};

/// The longest answer of a read, in bytes; a longer one counts as failed.
pub const MAX_RESULT_LEN: usize = 4096;

/// The gas with which every read is executed.
pub const READ_GAS: u64 = 10_000_000;

/// The most reads a message may be dispatched with.
pub const MAX_READS: usize = 16;

/// The longest call data of a read that may be dispatched, in bytes.
pub const MAX_CALL_DATA_LEN: usize = 4096;

sol! {
    #![sol(all_derives = true)]

    /// What ReadIsm verifies, encoded as parameters (no leading offset).
    struct ReadMetadata {
        uint64 timestamp;
        (uint32, uint64, bytes32)[] anchors;
        bytes[] wrapped;
        bytes signatures;
    }
}

/// "At the blocks named by these anchors, the reads of this message answered so."
#[derive(Clone, Copy, Debug)]
pub struct ReadDigest<'a, W> {
    /// Where the message is delivered and ReadIsm stands.
    pub local_domain: Domain,
    /// The contract that will check the signatures.
    pub read_ism: Address,
    /// The message that asked.
    pub message: MessageId,
    /// The timestamp of the block that dispatched the message: the instant of every read.
    pub timestamp: u64,
    /// One for each distinct domain, ascending.
    pub anchors: &'a [ReadAnchor],
    /// One for each read, in order, as [`wrap`] makes them.
    pub wrapped: &'a [W],
}

impl<W: AsRef<[u8]>> ReadDigest<'_, W> {
    /// keccak256(uint32 local domain ‖ ReadIsm as 32 bytes ‖ "METALAYER_READ").
    pub fn domain_hash(&self) -> B256 {
        signable::domain_hash(self.local_domain.0, self.read_ism.into_word(), b"METALAYER_READ")
    }

    /// keccak256 of timestamp, anchors and results: equal exactly when two answers are the same.
    pub fn results_hash(&self) -> B256 {
        keccak256(self.statement())
    }

    /// uint64 timestamp ‖ keccak256(abi.encode(anchors)) ‖ keccak256(abi.encode(wrapped)).
    fn statement(&self) -> [u8; 72] {
        let anchors = self.anchors.iter().fold(
            Writer::new(2 + 3 * self.anchors.len()).size(0x20).size(self.anchors.len()),
            |writer, anchor| {
                writer.uint64(anchor.domain.into()).uint64(anchor.number).word(anchor.blockHash)
            },
        );
        let wrapped = Writer::new(2 + 8 * self.wrapped.len()).size(0x20).bytes_array(self.wrapped);
        let mut statement = [0_u8; 72];
        statement[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        statement[8..40].copy_from_slice(keccak256(anchors.as_slice()).as_slice());
        statement[40..].copy_from_slice(keccak256(wrapped.as_slice()).as_slice());
        statement
    }
}

impl<W: AsRef<[u8]>> Signable for ReadDigest<'_, W> {
    /// keccak256(domain hash ‖ message id ‖ uint64 timestamp ‖ hash of the anchors ‖ hash of the results).
    fn signing_hash(&self) -> B256 {
        let mut preimage = [0_u8; 136];
        preimage[..32].copy_from_slice(self.domain_hash().as_slice());
        preimage[32..64].copy_from_slice(self.message.as_slice());
        preimage[64..].copy_from_slice(&self.statement());
        keccak256(preimage)
    }
}

/// `abi.encode(bool ok, bytes data)`: one result as validators sign it.
pub fn wrap(result: &ReadResult) -> Bytes {
    result.abi_encode_params().into()
}

/// The result of a read whose data is known, or a failure when the data is too long.
pub fn answered(data: Bytes) -> ReadResult {
    if data.len() > MAX_RESULT_LEN { failed() } else { ReadResult { ok: true, data } }
}

/// The result of a read that reverted, ran out of gas, met no code or answered too much.
pub fn failed() -> ReadResult {
    ReadResult { ok: false, data: Bytes::new() }
}

/// What ReadIsm is given: the statement and, in the order of the set, its signatures.
pub fn encode_metadata(digest: &ReadDigest<'_, Bytes>, signatures: &[[u8; 65]]) -> Vec<u8> {
    ReadMetadata {
        timestamp: digest.timestamp,
        anchors: digest.anchors.iter().map(|a| (a.domain, a.number, a.blockHash)).collect(),
        wrapped: digest.wrapped.to_vec(),
        signatures: signatures.concat().into(),
    }
    .abi_encode_params()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::b256;

    use super::*;

    #[test]
    fn every_part_of_the_statement_is_signed() {
        let anchors = [ReadAnchor { domain: 7, number: 8, blockHash: B256::repeat_byte(9) }];
        let wrapped = [wrap(&answered(Bytes::from_static(b"hi"))), wrap(&failed())];
        let digest = ReadDigest {
            local_domain: Domain(1),
            read_ism: Address::repeat_byte(2),
            message: MessageId(B256::repeat_byte(3)),
            timestamp: 4,
            anchors: &anchors,
            wrapped: &wrapped,
        };
        let moved = [ReadAnchor { number: 9, ..anchors[0].clone() }];
        let others = [
            ReadDigest { local_domain: Domain(2), ..digest },
            ReadDigest { read_ism: Address::repeat_byte(3), ..digest },
            ReadDigest { message: MessageId(B256::repeat_byte(4)), ..digest },
            ReadDigest { timestamp: 5, ..digest },
            ReadDigest { anchors: &moved, ..digest },
            ReadDigest { wrapped: &wrapped[..1], ..digest },
        ];
        assert!(others.iter().all(|other| other.digest() != digest.digest()));
    }

    #[test]
    fn anchors_and_results_are_hashed_as_solidity_encodes_them() {
        let anchors = [ReadAnchor { domain: 7, number: 8, blockHash: B256::repeat_byte(9) }];
        let wrapped = [wrap(&answered(Bytes::from_static(b"hi"))), wrap(&failed())];
        let digest = ReadDigest {
            local_domain: Domain(1),
            read_ism: Address::repeat_byte(2),
            message: MessageId(B256::repeat_byte(3)),
            timestamp: 4,
            anchors: &anchors,
            wrapped: &wrapped,
        };
        let expected = [
            &4_u64.to_be_bytes()[..],
            keccak256(anchors.to_vec().abi_encode()).as_slice(),
            keccak256(wrapped.to_vec().abi_encode()).as_slice(),
        ]
        .concat();
        assert_eq!(digest.statement()[..], expected[..]);
    }

    #[test]
    fn a_wrapped_result_is_two_parameters() {
        let wrapped = wrap(&answered(Bytes::from_static(b"hi")));
        assert_eq!(wrapped.len(), 128);
        assert_eq!(
            B256::from_slice(&wrapped[32..64]),
            b256!("0x0000000000000000000000000000000000000000000000000000000000000040")
        );
        assert!(!answered(Bytes::from(alloc::vec![0; MAX_RESULT_LEN + 1])).ok);
    }
}
