use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use api::{
    Amount,
    aggregator::{AmountRequest, SecurityDescription, UnavailableReason},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Decline, Offer, Plan, Provider, RemoteError, answer, remote::Remote};
use crate::quoting::Route;

/// A provider that answers over HTTP in the plainest form there is: one request, one list of
/// offers, each with the one transaction that takes it. It shows what a provider must say, and the
/// tests let it say everything that it must not.
///
/// `POST <url>` with an [`Ask`], answered by an [`Offers`].
#[derive(Debug)]
pub struct HttpQuotes {
    name: String,
    trust: String,
    remote: Remote,
}

/// What the provider is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// EIP-155 id of the chain that the money leaves.
    pub origin_chain_id: u64,
    /// Token that leaves; zero for native.
    pub origin_token: Address,
    /// EIP-155 id of the chain where it arrives.
    pub destination_chain_id: u64,
    /// Token that arrives; zero for native.
    pub destination_token: Address,
    /// How much, and which side is exact.
    pub amount: AmountRequest,
    /// Who receives.
    pub recipient: Address,
    /// Slippage allowed, in hundredths of a percent.
    pub slippage_bps: u16,
}

/// What the provider answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Its offers; none when it does not serve the route.
    pub offers: Vec<HttpOffer>,
    /// The least it moves, when the amount was too low.
    #[serde(default)]
    pub minimum: Option<Amount>,
}

/// One offer and the transaction that takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpOffer {
    /// What the sender spends.
    pub amount_in: Amount,
    /// What the recipient gets.
    pub amount_out: Amount,
    /// The least the recipient gets.
    pub min_amount_out: Amount,
    /// Seconds until it has arrived.
    pub seconds: u64,
    /// What the provider can still move.
    #[serde(default)]
    pub liquidity: Option<Amount>,
    /// Unix seconds after which the offer is gone.
    pub expires_at: u64,
    /// Who takes the token from the sender.
    pub spender: Address,
    /// Chain of the transaction.
    pub chain_id: u64,
    /// Contract that the transaction calls.
    pub to: Address,
    /// Calldata.
    pub data: Bytes,
    /// Native value.
    pub value: Amount,
}

impl HttpQuotes {
    /// A provider of this name at this URL.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn new(name: impl Into<String>, url: &Url) -> Result<Self, RemoteError> {
        let name = name.into();
        let trust = format!("The provider {name} and its contracts.");
        Ok(Self { name, trust, remote: Remote::new(url)? })
    }

    fn offer(&self, offer: HttpOffer) -> Offer {
        Offer {
            amount_in: offer.amount_in.0,
            amount_out: offer.amount_out.0,
            min_amount_out: offer.min_amount_out.0,
            seconds: offer.seconds,
            tier: None,
            security: SecurityDescription {
                tier: None,
                validators: None,
                threshold: None,
                trust: self.trust.clone(),
            },
            liquidity: offer.liquidity.map(|amount| amount.0),
            expires_at: offer.expires_at,
            plan: Plan::Transaction {
                spender: offer.spender,
                to: offer.to,
                chain_id: offer.chain_id,
                data: offer.data,
                value: offer.value.0,
            },
            solver: None,
            cached: None,
        }
    }
}

#[async_trait]
impl Provider for HttpQuotes {
    fn name(&self) -> &str {
        &self.name
    }

    fn serves(&self, route: &Route) -> bool {
        // It has one transaction to give: nothing of ours would run the user's calls.
        route.calls.is_empty() && route.security.is_none() && !route.gasless
    }

    async fn offers(&self, route: &Route, _: Duration) -> Result<Vec<Offer>, Decline> {
        let ask = Ask {
            origin_chain_id: route.origin.0,
            origin_token: route.token_in.address,
            destination_chain_id: route.destination.0,
            destination_token: route.token_out.address,
            amount: route.amount,
            recipient: route.recipient,
            slippage_bps: route.slippage_bps,
        };
        let answer: Offers = answer::post(&self.remote, &ask).await?;
        if answer.offers.is_empty() {
            let minimum = answer.minimum.map(|minimum| minimum.0);
            return Err(match minimum {
                Some(minimum) => Decline {
                    reason: UnavailableReason::AmountTooLow,
                    message: format!("it moves no less than {minimum}"),
                    minimum: Some(minimum),
                    maximum: None,
                    by_request: false,
                },
                None => Decline::new(UnavailableReason::NoRoute, "it has no offer"),
            });
        }
        Ok(answer.offers.into_iter().map(|offer| self.offer(offer)).collect())
    }
}
