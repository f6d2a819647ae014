use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Amount,
    aggregator::{AmountRequest, Call, Security},
};

/// `POST /v1/quotes` of a solver.
///
/// The native currency of a chain is the zero address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// EIP-155 id of the chain that pays the reward.
    pub origin_chain_id: u64,
    /// Token of the reward.
    #[schema(value_type = String)]
    pub origin_token: Address,
    /// EIP-155 id of the chain where the route runs.
    pub destination_chain_id: u64,
    /// Token that the route pays out.
    #[schema(value_type = String)]
    pub destination_token: Address,
    /// How much, and which side is exact.
    pub amount: AmountRequest,
    /// Who receives on the destination; used to simulate the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub recipient: Option<Address>,
    /// Calls that run after the payment; simulated with it. What they send is taken out of a native
    /// output, of which the recipient gets the rest: the route takes `amount_out` in all. With a
    /// token output they carry no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub calls: Vec<Call>,
    /// Whether the intent will be an ERC-7683 order that its user signs and the solver opens
    /// (`POST /v1/intents`): the price then covers the opening's gas.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gasless: bool,
    /// Only this security tier; one quote for each tier when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// For whom an aggregator asks: anything that is the same for two requests of one caller and tells nothing else of
    /// it. What quotes hold is shared out among callers; all requests of an aggregator without it are of one caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub caller: Option<B256>,
}

/// One signed quote for each security tier that the solver serves, and why others have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteResponse {
    /// The offers, each holding its own inventory until it expires, unless it gives way to another one before an order
    /// has come for it: one of the same caller for the same route, or of a caller whose quotes hold less. The price of
    /// one that has given way stands for what is free then.
    pub quotes: Vec<SignedQuote>,
    /// Tiers without an offer.
    pub unavailable: Vec<NoQuote>,
}

/// A quote with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedQuote {
    /// What is offered.
    #[serde(flatten)]
    pub quote: Quote,
    /// EIP-712 signature of `quote` by `quote.solver`: 65 bytes r, s, v.
    #[schema(value_type = String)]
    pub signature: Bytes,
    /// What the price is made of, when the solver says so. For show: it is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

/// What lies between the reward and the route, each part in millionths of a US dollar at the
/// solver's prices, rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Costs {
    /// Gas of the fill on the destination.
    pub fill_gas: u64,
    /// Fee of the message that proves the fill.
    pub proof_fee: u64,
    /// Gas of the withdrawal on the origin.
    pub withdraw_gas: u64,
    /// Gas of opening the user's signed order; zero for orders that the user sends.
    #[serde(default)]
    pub opening_gas: u64,
    /// Cost of capital from the fill until the reward is home.
    pub capital: u64,
    /// What is left for the solver.
    pub margin: u64,
}

/// An offer to fill an intent of exactly these terms.
///
/// To take it, publish and fund before `expires_at` an intent whose route has `salt = id`,
/// `deadline = route_deadline` and `portal = inbox` and pays out at most `amount_out`, and whose
/// reward has `deadline = reward_deadline`, `prover = prover` and pays at least `amount_in`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// Identity of the quote, and the salt of the route that takes it.
    #[schema(value_type = String)]
    pub id: B256,
    /// Who offers and signs.
    #[schema(value_type = String)]
    pub solver: Address,
    /// EIP-155 id of the chain that pays the reward.
    pub origin_chain_id: u64,
    /// Token of the reward.
    #[schema(value_type = String)]
    pub origin_token: Address,
    /// The reward.
    pub amount_in: Amount,
    /// EIP-155 id of the chain where the route runs.
    pub destination_chain_id: u64,
    /// Token that the route pays out.
    #[schema(value_type = String)]
    pub destination_token: Address,
    /// What the route pays out, the value of the calls included.
    pub amount_out: Amount,
    /// The security tier of the settlement.
    pub security: Security,
    /// The IntentSource on the origin.
    #[schema(value_type = String)]
    pub intent_source: Address,
    /// The prover on the origin: `reward.prover`.
    #[schema(value_type = String)]
    pub prover: Address,
    /// The Inbox on the destination: `route.portal`.
    #[schema(value_type = String)]
    pub inbox: Address,
    /// `route.deadline`: unix seconds.
    pub route_deadline: u64,
    /// `reward.deadline`: unix seconds.
    pub reward_deadline: u64,
    /// Seconds from funding to arrival at the recipient, as measured lately.
    pub fill_seconds: u64,
    /// Most of the destination token that a quote may promise now.
    pub available: Amount,
    /// Unix seconds after which the offer and its reservation are gone.
    pub expires_at: u64,
    /// Whether the price covers opening the user's signed order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gasless: bool,
}

/// Why there is no offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoQuote {
    /// The tier; absent when it concerns every tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// Stable word for programs.
    pub reason: NoQuoteReason,
    /// One sentence for people.
    pub message: String,
    /// The least that is moved, when the amount was too low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
}

/// Why there is no offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoQuoteReason {
    /// The solver does not serve these chains, tokens or this tier.
    NoRoute,
    /// The amount does not cover the costs.
    AmountTooLow,
    /// The amount is above the solver's limit or what it holds free.
    AmountTooHigh,
    /// The solver has no price it believes, or is paused.
    Unavailable,
    /// The calls fail in simulation.
    CallsFail,
}

sol! {
    /// What is signed.
    struct SolverQuote {
        bytes32 id;
        address solver;
        uint64 originChainId;
        address originToken;
        uint256 amountIn;
        uint64 destinationChainId;
        address destinationToken;
        uint256 amountOut;
        uint8 security;
        address intentSource;
        address prover;
        address inbox;
        uint64 routeDeadline;
        uint64 rewardDeadline;
        uint64 expiresAt;
        bool gasless;
    }
}

/// A signature that is not the quote's solver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// Not 65 bytes, or not a signature at all.
    #[error("the quote's signature is malformed")]
    Malformed,
    /// Somebody else signed, or something else was signed.
    #[error("the quote is signed by {given}, expected {expected}")]
    Signer {
        /// Who signed.
        given: Address,
        /// Who the quote says offers.
        expected: Address,
    },
}

impl Quote {
    /// The EIP-712 digest: domain `MetalayerSolver` version `1` on the origin chain.
    pub fn digest(&self) -> B256 {
        let domain = Eip712Domain {
            name: Some("MetalayerSolver".into()),
            version: Some("1".into()),
            chain_id: Some(U256::from(self.origin_chain_id)),
            ..Eip712Domain::default()
        };
        let security = match self.security {
            Security::Instant => 0,
            Security::Finalized => 1,
        };
        SolverQuote {
            id: self.id,
            solver: self.solver,
            originChainId: self.origin_chain_id,
            originToken: self.origin_token,
            amountIn: self.amount_in.0,
            destinationChainId: self.destination_chain_id,
            destinationToken: self.destination_token,
            amountOut: self.amount_out.0,
            security,
            intentSource: self.intent_source,
            prover: self.prover,
            inbox: self.inbox,
            routeDeadline: self.route_deadline,
            rewardDeadline: self.reward_deadline,
            expiresAt: self.expires_at,
            gasless: self.gasless,
        }
        .eip712_signing_hash(&domain)
    }
}

impl SignedQuote {
    /// Checks that the quote's solver signed exactly this quote.
    ///
    /// # Errors
    /// [`InvalidSignature`].
    pub fn verify(&self) -> Result<(), InvalidSignature> {
        let signature =
            Signature::from_raw(&self.signature).map_err(|_| InvalidSignature::Malformed)?;
        let given = signature
            .recover_address_from_prehash(&self.quote.digest())
            .map_err(|_| InvalidSignature::Malformed)?;
        let expected = self.quote.solver;
        if given == expected { Ok(()) } else { Err(InvalidSignature::Signer { given, expected }) }
    }
}
