//! Builders of intents, and readings of them.

use alloy::primitives::{Address, B256, Bytes, U256};
use protocol::intent::{Call, Intent, Reward, Route, TokenAmount};

use crate::World;

/// A leg of a reward or route.
pub fn leg(token: Address, amount: u64) -> TokenAmount {
    TokenAmount { token, amount: U256::from(amount) }
}

/// A call of a route.
pub fn call(target: Address, value: u64, data: impl Into<Bytes>) -> Call {
    Call { target, data: data.into(), value: U256::from(value) }
}

/// An intent with nothing in it, from and to the world's chain, proven by the mock prover, both deadlines 100,000 seconds
/// ahead. `salt` makes it another one.
pub fn empty(world: &World, salt: u64) -> Intent {
    let deadline = world.chain.timestamp() + 100_000;
    Intent {
        destination: world.chain.chain_id(),
        route: Route {
            salt: B256::from(U256::from(salt)),
            deadline,
            portal: world.inbox,
            nativeAmount: U256::ZERO,
            tokens: vec![],
            calls: vec![],
        },
        reward: Reward {
            deadline,
            creator: world.creator,
            prover: world.prover,
            nativeAmount: U256::ZERO,
            tokens: vec![],
        },
    }
}

/// Changes that read as a sentence.
pub trait IntentExt: Sized {
    fn rewarding(self, native: u64, legs: &[TokenAmount]) -> Self;
    fn asking(self, native: u64, legs: &[TokenAmount], calls: &[Call]) -> Self;
    fn proven_by(self, prover: Address) -> Self;
    fn of(self, creator: Address) -> Self;
    fn to(self, destination: u64) -> Self;
    fn id(&self) -> B256;
    fn route_hash(&self) -> B256;
    fn reward_hash(&self) -> B256;
}

impl IntentExt for Intent {
    fn rewarding(mut self, native: u64, legs: &[TokenAmount]) -> Self {
        self.reward.nativeAmount = U256::from(native);
        self.reward.tokens = legs.to_vec();
        self
    }

    fn asking(mut self, native: u64, legs: &[TokenAmount], calls: &[Call]) -> Self {
        self.route.nativeAmount = U256::from(native);
        self.route.tokens = legs.to_vec();
        self.route.calls = calls.to_vec();
        self
    }

    fn proven_by(mut self, prover: Address) -> Self {
        self.reward.prover = prover;
        self
    }

    fn of(mut self, creator: Address) -> Self {
        self.reward.creator = creator;
        self
    }

    fn to(mut self, destination: u64) -> Self {
        self.destination = destination;
        self
    }

    fn id(&self) -> B256 {
        self.hash().0
    }

    fn route_hash(&self) -> B256 {
        self.route.hash().0
    }

    fn reward_hash(&self) -> B256 {
        self.reward.hash().0
    }
}
