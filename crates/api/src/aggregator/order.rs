use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Amount,
    text::{AddressText, BytesText, HashText},
};

/// Where an order stands. Derived from the events of both chains, never from a provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Announced to this API; no event seen yet.
    Pending,
    /// `IntentPublished` on the origin.
    Published,
    /// `IntentFunded` on the origin: the reward lies in the vault.
    Funded,
    /// `IntentFulfilled` on the destination: the recipient has the money.
    Filled,
    /// The proof is on its way back.
    Proving,
    /// `IntentProven` on the origin.
    Proven,
    /// `IntentWithdrawn` on the origin: the solver is paid.
    Settled,
    /// The deadline passed without a fill; anybody may refund.
    Refundable,
    /// `IntentRefunded` on the origin.
    Refunded,
    /// It cannot succeed any more.
    Failed,
}

impl OrderState {
    /// Every state, in the order of an order's life.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Published,
        Self::Funded,
        Self::Filled,
        Self::Proving,
        Self::Proven,
        Self::Settled,
        Self::Refundable,
        Self::Refunded,
        Self::Failed,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Funded => "funded",
            Self::Filled => "filled",
            Self::Proving => "proving",
            Self::Proven => "proven",
            Self::Settled => "settled",
            Self::Refundable => "refundable",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An order with its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The intent hash.
    #[schema(value_type = HashText)]
    pub id: B256,
    /// Where it stands.
    pub state: OrderState,
    /// Why it failed, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The provider that quoted it, when it came through this API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Who published it and gets refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub creator: Option<Address>,
    /// EIP-155 id of the chain of the escrow.
    pub origin_chain_id: u64,
    /// EIP-155 id of the chain of the fill.
    pub destination_chain_id: u64,
    /// Unix seconds after which it can be refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// The escrowed native amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_native: Option<Amount>,
    /// The escrowed tokens.
    #[serde(default)]
    pub reward_tokens: Vec<RewardToken>,
    /// Unix seconds of the first sight.
    pub created_at: u64,
    /// Unix seconds of the last change.
    pub updated_at: u64,
    /// Everything that happened, oldest first. An event that a reorg removed is marked.
    pub events: Vec<OrderEvent>,
}

/// A token in the escrow of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewardToken {
    /// The token, on the origin.
    #[schema(value_type = AddressText)]
    pub token: Address,
    /// How much of it.
    pub amount: Amount,
}

/// One thing that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderEvent {
    /// The state it led to.
    pub state: OrderState,
    /// EIP-155 id of the chain it happened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<u64>,
    /// The block it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_number: Option<u64>,
    /// The transaction that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashText>)]
    pub transaction: Option<B256>,
    /// Unix seconds of the block, or of the observation when there is none.
    pub at: u64,
    /// A reorg took the block out of the chain.
    pub removed: bool,
}

/// `GET /v1/orders`: a page of orders, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrdersResponse {
    /// The orders.
    pub orders: Vec<Order>,
    /// Give it as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /v1/orders`: says that a quote is being executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitOrder {
    /// The quote as it was received.
    pub quote: super::Quote,
    /// The origin transaction, when it was sent already. It must be the quote's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashText>)]
    pub transaction: Option<B256>,
    /// What the quote's signature step asked for: the order goes to the solver that quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BytesText>)]
    pub signature: Option<Bytes>,
}

/// The order that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmitOrderResponse {
    /// The intent hash.
    #[schema(value_type = HashText)]
    pub id: B256,
    /// Where it stands.
    pub state: OrderState,
}
