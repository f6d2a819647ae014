use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::{Address, Bytes};
use api::{
    Amount,
    aggregator::{AmountRequest, SecurityDescription, UnavailableReason},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Decline, MAX_OFFERS, Offer, Plan, Provider, RemoteError, answer, remote::Remote};
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
    recipients: Recipients,
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
    /// Who sends the transaction, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Address>,
    /// Who receives.
    pub recipient: Address,
    /// Who gets the money back when it does not arrive.
    pub refund_address: Address,
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
    /// How much of the value is a fee on top of what the sender spends; nothing when absent.
    #[serde(default)]
    pub native_fee: Amount,
    /// Who gets the money back when it does not arrive; the sender when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_address: Option<Address>,
}

/// Whom a provider may be asked to pay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// When not empty, nobody else.
    pub allow: BTreeSet<Address>,
    /// Never these.
    pub deny: BTreeSet<Address>,
}

impl Recipients {
    /// Whether this one may be paid.
    pub fn admit(&self, recipient: Address) -> bool {
        !self.deny.contains(&recipient)
            && (self.allow.is_empty() || self.allow.contains(&recipient))
    }
}

impl HttpQuotes {
    /// A provider of this name at this URL.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn new(name: impl Into<String>, url: &Url) -> Result<Self, RemoteError> {
        let name = name.into();
        let trust = format!("The provider {name} and its contracts.");
        let recipients = Recipients::default();
        Ok(Self { name, trust, remote: Remote::new(url)?, recipients })
    }

    /// The same, asked for these recipients only.
    #[must_use]
    pub fn paying(self, recipients: Recipients) -> Self {
        Self { recipients, ..self }
    }

    /// What is offered, unless the money would go back to somebody else than the request says.
    fn offer(&self, route: &Route, offer: HttpOffer) -> Result<Offer, Decline> {
        if offer.refund_address.or(route.sender) != Some(route.refund_address) {
            let message = "it gives the money back to the sender only, the request names another";
            return Err(Decline::new(UnavailableReason::NoRoute, message));
        }
        Ok(Offer {
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
                native_fee: offer.native_fee.0,
            },
            costs: None,
            solver: None,
            cached: None,
        })
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
        if !self.recipients.admit(route.recipient) {
            let message = "it is not asked to pay this recipient";
            return Err(Decline::of_request(message));
        }
        let ask = Ask {
            origin_chain_id: route.origin.0,
            origin_token: route.token_in.address,
            destination_chain_id: route.destination.0,
            destination_token: route.token_out.address,
            amount: route.amount,
            sender: route.sender,
            recipient: route.recipient,
            refund_address: route.refund_address,
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
        let (mut offers, mut declined) = (Vec::with_capacity(MAX_OFFERS), None);
        for offer in answer.offers.into_iter().take(MAX_OFFERS) {
            match self.offer(route, offer) {
                Ok(offer) => offers.push(offer),
                Err(decline) => declined = Some(decline),
            }
        }
        declined.filter(|_| offers.is_empty()).map_or(Ok(offers), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_those_allowed_and_none_denied() {
        let [alice, mallory] = [1, 2].map(Address::repeat_byte);
        let admits = |allow: &[Address], deny: &[Address], recipient| {
            let set = |list: &[Address]| list.iter().copied().collect();
            Recipients { allow: set(allow), deny: set(deny) }.admit(recipient)
        };
        assert!(admits(&[], &[], alice));
        assert!(admits(&[], &[mallory], alice) && !admits(&[], &[mallory], mallory));
        assert!(admits(&[alice], &[], alice) && !admits(&[alice], &[], mallory));
        assert!(!admits(&[mallory], &[mallory], mallory), "who is denied is not allowed");
    }
}
