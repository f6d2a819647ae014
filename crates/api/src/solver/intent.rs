use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Amount;

/// `POST /v1/intents` of a solver: something to fill that it has not seen on a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SubmitIntent {
    /// An ERC-7683 order that its user has signed; the solver opens it on the origin at its own
    /// expense when filling it pays for that too.
    Gasless {
        /// The order.
        order: GaslessOrder,
        /// The user's EIP-712 signature, or what its wallet takes by ERC-1271.
        #[schema(value_type = String)]
        signature: Bytes,
    },
    /// An intent whose vault is funded although no event says so (for example by a transfer).
    Direct {
        /// EIP-155 id of the chain that holds the vault.
        origin_chain_id: u64,
        /// The intent.
        intent: Intent,
    },
}

/// ERC-7683's `GaslessCrossChainOrder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GaslessOrder {
    /// The IntentSource.
    #[schema(value_type = String)]
    pub origin_settler: Address,
    /// Who signs and pays the reward.
    #[schema(value_type = String)]
    pub user: Address,
    /// Signed, never stored.
    pub nonce: Amount,
    /// EIP-155 id of the chain that pays the reward.
    pub origin_chain_id: u64,
    /// Unix seconds until which it may be opened.
    pub open_deadline: u32,
    /// Unix seconds; informative.
    pub fill_deadline: u32,
    /// Type hash of `order_data`.
    #[schema(value_type = String)]
    pub order_data_type: B256,
    /// ABI-encoded `OrderData`.
    #[schema(value_type = String)]
    pub order_data: Bytes,
}

/// An intent: what must happen where, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// EIP-155 id of the chain where the route runs.
    pub destination_chain_id: u64,
    /// What must happen there.
    pub route: Route,
    /// What it is worth.
    pub reward: Reward,
}

/// What must happen on the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Distinguishes intents of the same content.
    #[schema(value_type = String)]
    pub salt: B256,
    /// Unix seconds until which it may be filled.
    pub deadline: u64,
    /// The Inbox.
    #[schema(value_type = String)]
    pub portal: Address,
    /// Wei for the calls.
    pub native_amount: Amount,
    /// Tokens for the calls.
    pub tokens: Vec<TokenAmount>,
    /// The calls.
    pub calls: Vec<crate::aggregator::Call>,
}

/// What the solver gets on the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// Unix seconds after which it may be refunded.
    pub deadline: u64,
    /// Who is refunded.
    #[schema(value_type = String)]
    pub creator: Address,
    /// The prover on the origin.
    #[schema(value_type = String)]
    pub prover: Address,
    /// Wei.
    pub native_amount: Amount,
    /// Tokens.
    pub tokens: Vec<TokenAmount>,
}

/// An amount of an ERC-20 token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAmount {
    /// The token.
    #[schema(value_type = String)]
    pub token: Address,
    /// The amount.
    pub amount: Amount,
}

/// Where an intent stands with this solver, and how it came there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntentStatus {
    /// The intent's hash, recomputed by the solver.
    #[schema(value_type = String)]
    pub intent_hash: B256,
    /// Name of the state; see the solver's lifecycle page.
    pub state: String,
    /// Why it stands there.
    pub reason: String,
    /// Every step, oldest first.
    pub history: Vec<StateChange>,
}

/// One step of an intent's life with this solver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateChange {
    /// The state it took.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Unix milliseconds.
    pub at: u64,
}
