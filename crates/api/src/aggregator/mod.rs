//! The aggregator's API, version 1.

mod catalog;
mod error;
mod order;
mod quote;
mod webhook;

pub use catalog::{
    Chain, ChainsResponse, Provider, ProviderLimits, ProvidersResponse, Reputation, RouteLimit,
    Token, TokensResponse,
};
pub use error::{ErrorBody, ErrorCode, ErrorDetail};
pub use order::{
    Order, OrderEvent, OrderState, OrdersResponse, RewardToken, SubmitOrder, SubmitOrderResponse,
};
pub use quote::{
    AmountRequest, Cached, CachedPart, Call, Check, Fee, FeeKind, Leg, Liquidity, Preference,
    Quote, QuoteRequest, QuoteResponse, Score, Security, SecurityDescription, SignatureStep,
    Simulation, Step, TimeBasis, TimeEstimate, TransactionStep, Unavailable, UnavailableReason,
};
pub use webhook::{
    DeliveriesResponse, Delivery, DeliveryState, RegisterWebhook, RegisteredWebhook, Webhook,
    WebhookEvent, WebhooksResponse,
};
