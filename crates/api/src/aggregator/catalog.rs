use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Amount, text::AddressText};

/// `GET /v1/chains`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChainsResponse {
    /// The chains of the deployment.
    pub chains: Vec<Chain>,
    /// What may be moved between them, where that is bounded. All limits that fit a route hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<RouteLimit>,
}

/// The least and the most that one order may move on some routes. A part that is absent fits all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteLimit {
    /// EIP-155 id of the chain that the money leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_chain_id: Option<u64>,
    /// EIP-155 id of the chain where it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_chain_id: Option<u64>,
    /// Token that leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub origin_token: Option<Address>,
    /// Token that arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub destination_token: Option<Address>,
    /// The least, in the smallest unit of the token that leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<Amount>,
    /// The most, in the smallest unit of the token that leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Amount>,
    /// The least in US dollars, where the price of the token that leaves is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_usd: Option<f64>,
    /// The most in US dollars, where the price of the token that leaves is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<f64>,
}

/// A chain of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chain {
    /// EIP-155 id.
    pub chain_id: u64,
    /// Messaging domain.
    pub domain: u32,
    /// Name in the deployment's manifest.
    pub name: String,
    /// Where intents are published and escrowed.
    #[schema(value_type = AddressText)]
    pub intent_source: Address,
    /// Where intents are fulfilled.
    #[schema(value_type = AddressText)]
    pub inbox: Address,
}

/// `GET /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokensResponse {
    /// The tokens of all chains.
    pub tokens: Vec<Token>,
}

/// A token that can be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address; zero for the native currency.
    #[schema(value_type = AddressText)]
    pub address: Address,
    /// Its symbol.
    pub symbol: String,
    /// How many decimals its amounts have.
    pub decimals: u8,
}

/// `GET /v1/providers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProvidersResponse {
    /// Every provider, asked or not.
    pub providers: Vec<Provider>,
}

/// How a provider does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Whether it is asked now: its circuit is closed.
    pub healthy: bool,
    /// Why it is not asked, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy_reason: Option<String>,
    /// What its outcomes so far are worth.
    pub reputation: Reputation,
    /// What is asked of it at most.
    pub limits: ProviderLimits,
}

/// What is asked of a provider at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderLimits {
    /// Milliseconds that it is waited for.
    pub deadline_ms: u64,
    /// Largest order, in US dollars, where prices are known; absent for no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_order_usd: Option<f64>,
}

/// Measured outcomes of a provider, older ones counting less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reputation {
    /// Between 0 and 1; 1 when nothing bad is known.
    pub score: f64,
    /// Filled orders, decayed.
    pub fills: f64,
    /// Failed orders, decayed.
    pub failures: f64,
    /// Mean of measured fill time over estimated, decayed; absent before the first fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ratio: Option<f64>,
}
