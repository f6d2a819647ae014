//! The solver's API, version 1: what an aggregator asks, and what a user hands over directly.

mod intent;
mod quote;

pub use intent::{
    GaslessOrder, Intent, IntentStatus, Reward, Route, StateChange, SubmitIntent, TokenAmount,
};
pub use quote::{
    Costs, InvalidSignature, NoQuote, NoQuoteReason, Quote, QuoteRequest, QuoteResponse,
    SignedQuote,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable word for programs.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}
