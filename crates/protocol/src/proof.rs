//! The proof that intents were fulfilled, as it travels from Inbox to prover.
//!
//! Eight bytes of the chain id where they were fulfilled, then 64 bytes for each intent: its hash and its
//! claimant. No ABI wrapping. No pairs at all is a valid payload.

use alloc::vec::Vec;

use alloy_primitives::B256;
use alloy_sol_types::sol;

use crate::ids::{ChainId, Claimant, IntentHash};

sol! {
    #![sol(all_derives = true)]

    /// The `data` that a solver hands to MetaProver.prove: which prover receives the proof, and the gas it needs
    /// there. Encoded as two static words.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ProverData {
        bytes32 sourceChainProver;
        uint256 gasLimit;
    }
}

/// One fulfilled intent and who may claim its reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The intent.
    pub intent: IntentHash,
    /// Who fulfilled it, or whom that solver named.
    pub claimant: Claimant,
}

/// Why bytes are not a proof payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedProof {
    /// Fewer than eight bytes: no chain id.
    NoChainId {
        /// Bytes given.
        given: usize,
    },
    /// What follows the chain id is no multiple of 64 bytes.
    Uneven {
        /// Bytes after the chain id.
        given: usize,
    },
}

impl core::fmt::Display for MalformedProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoChainId { given } => write!(f, "8 bytes of chain id expected, {given} given"),
            Self::Uneven { given } => {
                write!(f, "pairs of 64 bytes expected, {given} bytes given")
            }
        }
    }
}

impl core::error::Error for MalformedProof {}

/// The bytes of a payload.
pub fn encode(fulfilled_on: ChainId, proofs: impl IntoIterator<Item = Proof>) -> Vec<u8> {
    let mut payload = fulfilled_on.0.to_be_bytes().to_vec();
    for proof in proofs {
        payload.extend_from_slice(proof.intent.as_slice());
        payload.extend_from_slice(proof.claimant.0.as_slice());
    }
    payload
}

/// The chain id of a payload and the bytes of its pairs, not yet looked at.
///
/// # Errors
/// [`MalformedProof::NoChainId`].
pub fn split_chain_id(payload: &[u8]) -> Result<(ChainId, &[u8]), MalformedProof> {
    let (chain_id, pairs) =
        payload.split_first_chunk().ok_or(MalformedProof::NoChainId { given: payload.len() })?;
    Ok((ChainId(u64::from_be_bytes(*chain_id)), pairs))
}

/// The pairs behind the chain id.
///
/// # Errors
/// [`MalformedProof::Uneven`].
pub fn pairs(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = Proof> + '_, MalformedProof> {
    let (pairs, rest) = bytes.as_chunks::<64>();
    if !rest.is_empty() {
        return Err(MalformedProof::Uneven { given: bytes.len() });
    }
    Ok(pairs.iter().map(|pair| Proof {
        intent: IntentHash(B256::from_slice(&pair[..32])),
        claimant: Claimant(B256::from_slice(&pair[32..])),
    }))
}

/// A whole payload.
///
/// # Errors
/// See [`MalformedProof`].
pub fn decode(payload: &[u8]) -> Result<(ChainId, Vec<Proof>), MalformedProof> {
    let (chain_id, rest) = split_chain_id(payload)?;
    Ok((chain_id, pairs(rest)?.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_exact() {
        assert_eq!(decode(&[0; 7]), Err(MalformedProof::NoChainId { given: 7 }));
        assert_eq!(decode(&[0; 8]), Ok((ChainId(0), Vec::new())));
        assert_eq!(decode(&[0; 71]), Err(MalformedProof::Uneven { given: 63 }));
    }

    proptest! {
        #[test]
        fn payloads_survive_a_round_trip(chain: u64, words: Vec<([u8; 32], [u8; 32])>) {
            let proofs: Vec<_> = words
                .into_iter()
                .map(|(intent, claimant)| Proof {
                    intent: IntentHash(intent.into()),
                    claimant: Claimant(claimant.into()),
                })
                .collect();
            let payload = encode(ChainId(chain), proofs.clone());
            prop_assert_eq!(decode(&payload), Ok((ChainId(chain), proofs)));
        }
    }
}
