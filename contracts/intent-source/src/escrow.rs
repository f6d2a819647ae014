//! An intent as IntentSource sees it.

use alloc::vec::Vec;

use parts::{Frame, Revert};
use protocol::{
    ids::{ChainId, IntentHash, RewardHash, RouteHash},
    intent::{Intent, IntentHashes, Reward, hash_route_bytes, intent_hash},
};
use stylus_sdk::host::VM;
use vault::Vault;

/// Destination, hashes, reward and vault of one intent. Hashes are of the canonical encoding of what was decoded.
#[derive(Debug)]
pub(crate) struct Escrow {
    pub(crate) destination: u64,
    pub(crate) hash: IntentHash,
    pub(crate) route_hash: RouteHash,
    pub(crate) reward_hash: RewardHash,
    pub(crate) reward: Reward,
    pub(crate) vault: Vault,
}

impl Escrow {
    /// Of an intent whose route is known by its hash.
    pub(crate) fn new(vm: &VM, destination: u64, route_hash: RouteHash, reward: Reward) -> Self {
        let reward_hash = reward.hash();
        let hash = intent_hash(ChainId(destination), route_hash, reward_hash);
        let vault = Vault::of(vm, hash);
        Self { destination, hash, route_hash, reward_hash, reward, vault }
    }

    /// Of the arguments `(Intent, ..)`, and the encoded route.
    pub(crate) fn read_intent(vm: &VM, a: Frame<'_>) -> Result<(Self, Vec<u8>), Revert> {
        let intent = Intent::read(a.tuple(0)?)?;
        let route = intent.route.encode();
        let route_hash = hash_route_bytes(&route);
        Ok((Self::new(vm, intent.destination, route_hash, intent.reward), route))
    }

    /// Of the arguments `(uint64 destination, bytes route, Reward, ..)`, and the route, which need not be an EVM route.
    pub(crate) fn read_bytes<'a>(vm: &VM, a: Frame<'a>) -> Result<(Self, &'a [u8]), Revert> {
        let route = a.bytes(1)?;
        let reward = Reward::read(a.tuple(2)?)?;
        Ok((Self::new(vm, a.uint64(0)?, hash_route_bytes(route), reward), route))
    }

    /// Of the arguments `(uint64 destination, bytes32 routeHash, Reward, ..)`.
    pub(crate) fn read_hash(vm: &VM, a: Frame<'_>) -> Result<Self, Revert> {
        let reward = Reward::read(a.tuple(2)?)?;
        Ok(Self::new(vm, a.uint64(0)?, a.word(1)?.into(), reward))
    }

    /// Its three hashes.
    pub(crate) const fn hashes(&self) -> IntentHashes {
        IntentHashes { intent: self.hash, route: self.route_hash, reward: self.reward_hash }
    }
}
