//! An order: an intent as this solver tracks it.

mod state;

pub use state::{STATES, State, TRANSITIONS, Transition, UnknownState, diagram};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolValue,
};
use protocol::{
    ids::{ChainId, IntentHash, RouteHash},
    intent::{Intent, Reward, Route},
};

use crate::money::Asset;

/// An intent with everything this solver has written down about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Identity, recomputed from `intent`; never taken from anybody.
    pub hash: IntentHash,
    /// Where the reward lies.
    pub origin: ChainId,
    /// What is to be done, and for how much.
    pub intent: Intent,
    /// Where it stands.
    pub state: State,
    /// Why it stands there.
    pub reason: String,
    /// When it was recorded (unix milliseconds).
    pub created_at: u64,
    /// When it is looked at again (unix milliseconds).
    pub retry_at: u64,
    /// Fills started so far. Part of the fill's idempotency key.
    pub attempt: u64,
    /// The wallet that holds the reservation and sends the fill.
    pub wallet: Option<Address>,
    /// The proof or withdrawal batch it belongs to.
    pub batch: Option<B256>,
    /// Since when its proof is waited for (destination time, unix seconds): when it was filled, or when a proof
    /// message of a batch was sent for it last.
    pub filled_at: Option<u64>,
}

/// An amount of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The asset.
    pub asset: Asset,
    /// How much, in its smallest unit.
    pub amount: U256,
}

impl Order {
    /// A fresh order for an intent published on `origin`.
    pub fn new(origin: ChainId, intent: Intent, now: u64) -> Self {
        Self {
            hash: intent.hash(),
            origin,
            intent,
            state: State::Seen,
            reason: "seen".into(),
            created_at: now,
            retry_at: now,
            attempt: 0,
            wallet: None,
            batch: None,
            filled_at: None,
        }
    }

    /// Where the route runs.
    pub const fn destination(&self) -> ChainId {
        ChainId(self.intent.destination)
    }

    /// The route.
    pub const fn route(&self) -> &Route {
        &self.intent.route
    }

    /// The reward.
    pub const fn reward(&self) -> &Reward {
        &self.intent.reward
    }

    /// The hash of the route.
    pub fn route_hash(&self) -> RouteHash {
        self.intent.route.hash()
    }

    /// What the route takes, one entry for each asset, in the order of first mention.
    pub fn spends(&self) -> Vec<Amount> {
        let route = self.route();
        legs(
            self.destination(),
            route.nativeAmount,
            route.tokens.iter().map(|t| (t.token, t.amount)),
        )
    }

    /// What the reward pays at most, one entry for each asset.
    ///
    /// Legs of one token are paid one after the other from one balance, so they add up.
    pub fn earns(&self) -> Vec<Amount> {
        let reward = self.reward();
        legs(self.origin, reward.nativeAmount, reward.tokens.iter().map(|t| (t.token, t.amount)))
    }

    /// The idempotency key of the fill of this attempt.
    pub fn fill_key(&self) -> String {
        self.fill_key_of(self.attempt)
    }

    /// The idempotency key of the fill of an earlier attempt.
    pub fn fill_key_of(&self, attempt: u64) -> String {
        format!("fill:{}:{attempt}", self.hash)
    }

    /// The canonical encoding that is stored.
    pub fn encoded_intent(&self) -> Vec<u8> {
        self.intent.abi_encode()
    }
}

fn legs(
    chain: ChainId,
    native: U256,
    tokens: impl Iterator<Item = (Address, U256)>,
) -> Vec<Amount> {
    let mut sums: Vec<Amount> = Vec::new();
    let native = std::iter::once((Address::ZERO, native)).filter(|(_, amount)| !amount.is_zero());
    for (token, amount) in native.chain(tokens) {
        let asset = Asset { chain, token };
        match sums.iter_mut().find(|sum| sum.asset == asset) {
            Some(sum) => sum.amount = sum.amount.saturating_add(amount),
            None => sums.push(Amount { asset, amount }),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Bytes;
    use protocol::intent::{Call, TokenAmount};

    use super::*;

    #[test]
    fn repeated_tokens_add_up() {
        let token = Address::repeat_byte(7);
        let leg = |amount| TokenAmount { token, amount: U256::from(amount) };
        let intent = Intent {
            destination: 2,
            route: Route {
                salt: B256::ZERO,
                deadline: 0,
                portal: Address::ZERO,
                nativeAmount: U256::from(5),
                tokens: vec![leg(10), leg(25)],
                calls: vec![Call { target: token, data: Bytes::new(), value: U256::ZERO }],
            },
            reward: Reward {
                deadline: 0,
                creator: Address::ZERO,
                prover: Address::ZERO,
                nativeAmount: U256::ZERO,
                tokens: vec![leg(1)],
            },
        };
        let order = Order::new(ChainId(1), intent, 0);
        let spends: Vec<_> = order.spends().iter().map(|a| (a.asset.token, a.amount)).collect();
        assert_eq!(spends, [(Address::ZERO, U256::from(5)), (token, U256::from(35))]);
        assert_eq!(order.earns().len(), 1);
    }
}
