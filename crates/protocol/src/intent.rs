//! Intents and their hashes (`spec/intents.md` section 3 of the intent protocol).
//!
//! Hashes are always taken of the canonical encoding of decoded structs, never of raw calldata.

use alloc::vec::Vec;

use alloy_primitives::{B256, keccak256};

pub use crate::abi::intent::{Call, Intent, ProofData, Reward, Route, Status, TokenAmount};
use crate::{
    ids::{ChainId, IntentHash, RewardHash, RouteHash},
    words::{Frame, Malformed, Writer, padded},
};

/// The three hashes of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntentHashes {
    /// The identity of the intent.
    pub intent: IntentHash,
    /// keccak256 of the encoded route.
    pub route: RouteHash,
    /// keccak256 of the encoded reward.
    pub reward: RewardHash,
}

impl From<IntentHashes> for (B256, B256, B256) {
    /// Intent, route, reward: what `getIntentHash` returns.
    fn from(hashes: IntentHashes) -> Self {
        (hashes.intent.0, hashes.route.0, hashes.reward.0)
    }
}

impl Route {
    /// `abi.encode(route)`: the bytes that are hashed and published.
    pub fn encode(&self) -> Vec<u8> {
        let tokens_size = 32 + 64 * self.tokens.len();
        let calls: usize = self.calls.iter().map(|call| 160 + padded(call.data.len())).sum();
        let mut writer = Writer::new(8 + (tokens_size + calls) / 32)
            .size(0x20)
            .word(self.salt)
            .uint64(self.deadline)
            .address(self.portal)
            .uint(self.nativeAmount)
            .size(0xc0)
            .size(0xc0 + tokens_size);
        writer = write_legs(writer, &self.tokens).size(self.calls.len());
        let mut offset = 32 * self.calls.len();
        for call in &self.calls {
            writer = writer.size(offset);
            offset += 128 + padded(call.data.len());
        }
        for call in &self.calls {
            writer = writer.address(call.target).size(0x60).uint(call.value).bytes(&call.data);
        }
        writer.finish()
    }

    /// Reads a route from its frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is not one.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        let read_call = |calls: Frame<'_>, index| {
            let call = calls.tuple(index)?;
            Ok(Call {
                target: call.address(0)?,
                data: call.bytes(1)?.to_vec().into(),
                value: call.uint(2)?,
            })
        };
        Ok(Self {
            salt: frame.word(0)?,
            deadline: frame.uint64(1)?,
            portal: frame.address(2)?,
            nativeAmount: frame.uint(3)?,
            tokens: read_legs(frame, 4)?,
            calls: frame.collect(5, 1, read_call)?,
        })
    }

    /// keccak256 of [`Self::encode`].
    pub fn hash(&self) -> RouteHash {
        hash_route_bytes(&self.encode())
    }
}

impl Reward {
    /// `abi.encode(reward)`.
    pub fn encode(&self) -> Vec<u8> {
        let writer = Writer::new(7 + 2 * self.tokens.len())
            .size(0x20)
            .uint64(self.deadline)
            .address(self.creator)
            .address(self.prover)
            .uint(self.nativeAmount)
            .size(0xa0);
        write_legs(writer, &self.tokens).finish()
    }

    /// keccak256 of [`Self::encode`].
    pub fn hash(&self) -> RewardHash {
        RewardHash(keccak256(self.encode()))
    }

    /// Reads a reward from its frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is not one.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            deadline: frame.uint64(0)?,
            creator: frame.address(1)?,
            prover: frame.address(2)?,
            nativeAmount: frame.uint(3)?,
            tokens: read_legs(frame, 4)?,
        })
    }
}

/// Appends an array of token amounts.
pub fn write_legs(mut writer: Writer, legs: &[TokenAmount]) -> Writer {
    writer = writer.size(legs.len());
    for leg in legs {
        writer = writer.address(leg.token).uint(leg.amount);
    }
    writer
}

fn read_legs(frame: Frame<'_>, index: usize) -> Result<Vec<TokenAmount>, Malformed> {
    frame.collect(index, 2, |legs, leg| {
        Ok(TokenAmount { token: legs.address(2 * leg)?, amount: legs.uint(2 * leg + 1)? })
    })
}

impl Intent {
    /// Reads an intent from its frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is not one.
    pub fn read(frame: Frame<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            destination: frame.uint64(0)?,
            route: Route::read(frame.tuple(1)?)?,
            reward: Reward::read(frame.tuple(2)?)?,
        })
    }

    /// All three hashes.
    pub fn hashes(&self) -> IntentHashes {
        let (route, reward) = (self.route.hash(), self.reward.hash());
        IntentHashes {
            intent: intent_hash(ChainId(self.destination), route, reward),
            route,
            reward,
        }
    }

    /// The identity of the intent.
    pub fn hash(&self) -> IntentHash {
        self.hashes().intent
    }
}

/// The hash of a route that is known as bytes; they need not be an EVM route.
pub fn hash_route_bytes(route: &[u8]) -> RouteHash {
    RouteHash(keccak256(route))
}

/// keccak256(uint64 big-endian destination ‖ route hash ‖ reward hash), 72 bytes.
pub fn intent_hash(destination: ChainId, route: RouteHash, reward: RewardHash) -> IntentHash {
    let mut preimage = [0_u8; 72];
    preimage[..8].copy_from_slice(&destination.0.to_be_bytes());
    preimage[8..40].copy_from_slice(route.as_slice());
    preimage[40..].copy_from_slice(reward.as_slice());
    IntentHash(keccak256(preimage))
}
