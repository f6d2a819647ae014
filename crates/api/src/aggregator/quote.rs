use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Amount,
    text::{AddressText, BytesText, HashText},
};

/// `POST /v1/quotes`: what the user wants to move, and how.
///
/// The native currency of a chain is the zero address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// EIP-155 id of the chain that the money leaves.
    pub origin_chain_id: u64,
    /// Token on the origin chain.
    #[schema(value_type = AddressText, example = "0x0000000000000000000000000000000000000000")]
    pub origin_token: Address,
    /// EIP-155 id of the chain where the money, or the action, arrives.
    pub destination_chain_id: u64,
    /// Token on the destination chain.
    #[schema(value_type = AddressText, example = "0x0000000000000000000000000000000000000000")]
    pub destination_token: Address,
    /// How much, and which side is exact.
    pub amount: AmountRequest,
    /// Who signs and pays on the origin chain. Without it steps are not simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub sender: Option<Address>,
    /// Who receives on the destination chain; the sender when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub recipient: Option<Address>,
    /// Who gets the money back when nobody fills; the sender when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressText>)]
    pub refund_address: Option<Address>,
    /// What the ranking favours.
    #[serde(default)]
    pub preference: Preference,
    /// The security tier of the settlement; every tier when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// How much less than quoted may arrive, in hundredths of a percent (0 to 5,000).
    #[serde(default = "default_slippage_bps")]
    #[schema(maximum = 5000)]
    pub slippage_bps: u16,
    /// Sign an order instead of sending a transaction: a solver opens it and pays the origin's gas.
    /// For token inputs, with a `sender`.
    #[serde(default)]
    pub gasless: bool,
    /// Calls run on the destination after the payment, all or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub calls: Vec<Call>,
    /// Ask only these providers; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub providers: Vec<String>,
}

/// Half a percent: what the field's interfaces use when the user says nothing.
const fn default_slippage_bps() -> u16 {
    50
}

/// Which side of the trade is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountRequest {
    /// The sender spends exactly this much; the quote says what arrives.
    ExactInput(Amount),
    /// The recipient gets exactly this much; the quote says what it costs.
    ExactOutput(Amount),
}

/// What the ranking favours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// A balance of output, time, security and liquidity.
    #[default]
    Recommended,
    /// The largest net output.
    Cheapest,
    /// The shortest time until the money has arrived.
    Fastest,
    /// The strongest security.
    Safest,
}

/// How final the destination's block must be before the solver's proof is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// The sequencer's word.
    Instant,
    /// Final on the parent chain.
    Finalized,
}

/// One call on the destination chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The contract that is called.
    #[schema(value_type = AddressText)]
    pub target: Address,
    /// Its calldata.
    #[schema(value_type = BytesText)]
    pub data: Bytes,
    /// Native value sent along, taken from the output when the output is native.
    #[serde(default)]
    pub value: Amount,
}

/// Ranked quotes, best first, and why the other providers gave none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuoteResponse {
    /// Ready-to-sign routes, best first.
    pub quotes: Vec<Quote>,
    /// One entry for each provider that gave no usable quote.
    pub unavailable: Vec<Unavailable>,
    /// Milliseconds from the request to the answer.
    pub elapsed_ms: u64,
}

/// One route from one provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// Token that binds the exact payload of the steps and the expiry. Give it back with the order.
    pub id: String,
    /// Who quotes.
    pub provider: String,
    /// Which of the provider's solvers made the offer, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<String>,
    /// The parts of the way, in order.
    pub legs: Vec<Leg>,
    /// What the sender spends of the origin token.
    pub amount_in: Amount,
    /// What the recipient gets of the destination token when all goes as quoted.
    pub amount_out: Amount,
    /// The least that the recipient gets: with an `order_id` by the contracts, else by the provider's word.
    pub min_amount_out: Amount,
    /// Every fee that makes up the difference.
    pub fees: Vec<Fee>,
    /// How long until the money has arrived.
    pub time: TimeEstimate,
    /// Whom one trusts on this way.
    pub security: SecurityDescription,
    /// What the provider can still move on this route.
    pub liquidity: Liquidity,
    /// Unix seconds; the steps must not be signed after it.
    pub expires_at: u64,
    /// The id of the order on chain (the intent hash), when it is known before the steps run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashText>)]
    pub order_id: Option<B256>,
    /// What a wallet does, in this order.
    pub steps: Vec<Step>,
    /// Why the quote stands where it does.
    pub score: Score,
    /// What of it comes from a cache, and how old that is; empty when all of it is fresh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cached: Vec<Cached>,
}

/// Something that was not asked anew for this quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cached {
    /// What.
    pub part: CachedPart,
    /// Milliseconds since it was asked.
    pub age_ms: u64,
    /// Milliseconds after which it is asked anew.
    pub lifetime_ms: u64,
}

/// A part of a quote that may come from a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CachedPart {
    /// The provider's offer.
    Offer,
    /// The origin's gas price.
    GasPrice,
    /// The sender's balance and allowance.
    Account,
}

/// One part of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leg {
    /// EIP-155 id of the chain where the leg begins.
    pub origin_chain_id: u64,
    /// EIP-155 id of the chain where the leg ends.
    pub destination_chain_id: u64,
    /// Token that goes in.
    #[schema(value_type = AddressText)]
    pub token_in: Address,
    /// Token that comes out.
    #[schema(value_type = AddressText)]
    pub token_out: Address,
    /// Amount that goes in.
    pub amount_in: Amount,
    /// Amount that comes out.
    pub amount_out: Amount,
}

/// One fee.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fee {
    /// What it is paid for.
    pub kind: FeeKind,
    /// EIP-155 id of the chain where it is paid.
    pub chain_id: u64,
    /// The token it is paid in.
    #[schema(value_type = AddressText)]
    pub token: Address,
    /// How much.
    pub amount: Amount,
    /// Its value in US dollars, when both prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Whether `amount_out` already has it taken off; otherwise it comes on top.
    pub included: bool,
}

/// What a fee is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeeKind {
    /// What the solver keeps. Its gas and messaging are in here too when it does not name them.
    Solver,
    /// Gas of the fill on the destination, which the solver pays.
    DestinationGas,
    /// The message that proves the fill to the origin, which the solver pays.
    ProofMessage,
    /// Gas of taking the payment on the origin, which the solver pays.
    SettlementGas,
    /// Gas of opening a signed order, which the solver pays.
    OpeningGas,
    /// What the solver's money costs until it is paid back.
    Capital,
    /// Gas of the transactions that the sender signs, at the origin's price of the moment.
    OriginGas,
    /// The provider's own fee.
    Provider,
}

impl FeeKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Solver => "solver",
            Self::DestinationGas => "destination_gas",
            Self::ProofMessage => "proof_message",
            Self::SettlementGas => "settlement_gas",
            Self::OpeningGas => "opening_gas",
            Self::Capital => "capital",
            Self::OriginGas => "origin_gas",
            Self::Provider => "provider",
        }
    }
}

/// How long until the money has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeEstimate {
    /// Seconds from the origin transaction to the arrival.
    pub seconds: u64,
    /// Where the figure comes from.
    pub basis: TimeBasis,
    /// What the provider itself says, in seconds.
    pub stated: u64,
}

/// Where a time estimate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeBasis {
    /// The provider's own word.
    Provider,
    /// The provider's word, corrected by how long its finished orders took.
    Measured,
}

/// Whom one trusts on this way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecurityDescription {
    /// The tier of the settlement, for routes of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Security>,
    /// Validators in the set that attests the fill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<u32>,
    /// How many of them must sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
    /// What is trusted, in one sentence.
    pub trust: String,
}

/// What the provider can still move on this route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Liquidity {
    /// Amount of the destination token available, when the provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Amount>,
}

/// What a wallet does next. A client that knows these kinds can execute every provider's quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// Sign and send a transaction.
    Transaction(TransactionStep),
    /// Sign EIP-712 typed data and post the signature.
    Signature(SignatureStep),
}

/// A transaction to sign and send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionStep {
    /// `approve_reset`, `approve` or `publish`.
    pub id: String,
    /// What it does, in one sentence.
    pub description: String,
    /// EIP-155 id of the chain it is sent on.
    pub chain_id: u64,
    /// The contract that is called.
    #[schema(value_type = AddressText)]
    pub to: Address,
    /// Its calldata.
    #[schema(value_type = BytesText)]
    pub data: Bytes,
    /// Native value sent along.
    pub value: Amount,
    /// Gas limit from the simulation, with a margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_limit: Option<u64>,
    /// What the simulation showed.
    pub simulation: Simulation,
    /// Where to see that it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// Typed data to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignatureStep {
    /// `sign_order`.
    pub id: String,
    /// What it allows, in one sentence.
    pub description: String,
    /// EIP-712 typed data as wallets take it (`eth_signTypedData_v4`).
    #[schema(value_type = Object)]
    pub typed_data: serde_json::Value,
    /// What belongs to the typed data and goes back with the quote, as it is.
    #[schema(value_type = Object)]
    pub context: serde_json::Value,
    /// Path of this API to `POST` the whole quote and the signature to, as `{"quote", "signature"}`.
    pub post: String,
    /// Where to see that it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// A path of this API that tells how the step went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Path to `GET`.
    pub path: String,
}

/// What the simulation of a step showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Simulation {
    /// It ran on the latest block.
    Succeeded,
    /// It would revert, and why.
    Failed {
        /// What the node said.
        reason: String,
    },
    /// It was not simulated, and why.
    Skipped {
        /// Why not.
        reason: String,
    },
}

/// Why a quote stands where it does. Each part lies between 0 and 1; the total is their weighted
/// sum times the provider's reputation (the formula is in `docs/aggregator.md`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Score {
    /// The sum by which quotes are ordered.
    pub total: f64,
    /// Net output against the best quote's.
    pub output: f64,
    /// The fastest quote's time against this one's.
    pub time: f64,
    /// Strength of the security.
    pub security: f64,
    /// How far the liquidity covers the amount.
    pub liquidity: f64,
    /// What the provider's outcomes so far are worth.
    pub reputation: f64,
}

/// A provider that gave no usable quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unavailable {
    /// Who.
    pub provider: String,
    /// Why, for programs.
    pub reason: UnavailableReason,
    /// Why, for people.
    pub message: String,
    /// The least that can be moved, when the amount was too low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
    /// The most that can be moved, when the amount was above a limit of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Amount>,
}

/// Why a provider gave no usable quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnavailableReason {
    /// It does not serve this pair of chains and tokens.
    NoRoute,
    /// The amount does not cover its costs.
    AmountTooLow,
    /// It cannot move that much now.
    AmountTooHigh,
    /// No answer before the deadline.
    Timeout,
    /// It failed.
    Error,
    /// It failed too often lately and is not asked for a while.
    CircuitOpen,
    /// It has too much to do just now, or all places for questions to it were taken until the
    /// deadline: ask again in a moment.
    Busy,
    /// Its answer failed a check and was thrown away.
    Rejected,
    /// The request excludes it.
    Filtered,
}
