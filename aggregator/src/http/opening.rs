//! What `POST /v1/orders` checks before an order row appears.

use alloy::primitives::{B256, Bytes};
use api::aggregator::{ErrorCode, Leg, Quote, Step, SubmitOrder};
use protocol::ids::{ChainId, IntentHash};

use super::{ApiError, App};
use crate::{
    orders::{Announced, TransactionFault, check_signature, mined_at},
    provider::Decline,
    quoting::{RefusedQuote, SignedOrder},
};

/// Opens the order of a quote of ours, and says which it is.
pub(super) async fn open(app: &App, submitted: &SubmitOrder) -> Result<IntentHash, ApiError> {
    let quote = &submitted.quote;
    // Whether it is ours comes first: nothing else in a changed quote means anything.
    app.engine.ids().verify(quote, 0)?;
    let (Some(id), Some(leg)) = (quote.order_id, quote.legs.first()) else {
        return Err(ApiError::field("quote.order_id", "orders of this provider are not followed"));
    };
    let mut order = Announced {
        id: id.into(),
        origin: ChainId(leg.origin_chain_id),
        destination: ChainId(leg.destination_chain_id),
        provider: quote.provider.clone(),
        estimated: quote.time.stated,
        transaction: submitted.transaction,
        mined: None,
        expires: quote.expires_at,
    };
    match (submitted.transaction, &submitted.signature) {
        (Some(hash), None) => {
            order.mined = check_transaction(app, quote, leg, id, hash).await?;
            app.orders.announce(&order, app.clock.since_epoch()).await?;
        }
        (None, Some(signature)) => hand_over(app, quote, &order, signature.clone()).await?,
        _ => {
            let message = "give exactly one of `transaction` and `signature`";
            return Err(ApiError::field("transaction", message));
        }
    }
    Ok(order.id)
}

/// A transaction counts when it is the quote's and was mined before the quote expired, or can be. When
/// it was mined, by the origin's clock.
async fn check_transaction(
    app: &App,
    quote: &Quote,
    leg: &Leg,
    id: B256,
    hash: B256,
) -> Result<Option<u64>, ApiError> {
    let origin = ChainId(leg.origin_chain_id);
    let chain = app.manifest.by_chain_id(origin).map(|(_, chain)| chain);
    let (Some(chain), Some(client)) = (chain, app.engine.client(origin)) else {
        return Err(not_followed());
    };
    let mined = mined_at(client, chain.contracts.intent_source, quote, id, hash).await?;
    let now = app.clock.unix();
    match mined {
        None => not_expired(quote, now)?,
        Some(mined) if mined < quote.expires_at => {}
        // The expiry is by our clock, the block's time by the chain's, which may run ahead.
        Some(mined) => {
            let latest = client.latest().await.map_err(TransactionFault::from)?;
            not_expired(quote, by_our_clock(mined, latest.timestamp, now))?;
        }
    }
    Ok(mined)
}

/// When a block of the chain's time `mined` came, by our clock: the latest block has come by `now`,
/// so what lies between both is how far the chain runs ahead. A chain that lags lags for a reason,
/// such as a quiet hour, and its blocks stay as old as they say.
const fn by_our_clock(mined: u64, latest: u64, now: u64) -> u64 {
    mined.saturating_sub(latest.saturating_sub(now))
}

/// Gives a signed order to the solver that quoted it. Only who signed it has it followed. The row is
/// written before it is given: whatever becomes of the answer, the order is followed.
async fn hand_over(
    app: &App,
    quote: &Quote,
    order: &Announced,
    signature: Bytes,
) -> Result<(), ApiError> {
    not_expired(quote, app.clock.unix())?;
    let step = quote.steps.iter().find_map(|step| match step {
        Step::Signature(step) => Some(step),
        Step::Transaction(_) => None,
    });
    let message = "the quote asks for no signature";
    let step = step.ok_or_else(|| ApiError::field("signature", message))?;
    let signed = SignedOrder::new(step, signature)
        .map_err(|fault| ApiError::field("quote.steps", fault.to_string()))?;
    let mut providers = app.engine.providers().iter();
    let entry = providers.find(|entry| entry.provider.name() == quote.provider);
    let provider = &entry.ok_or_else(gone)?.provider;
    let client = app.engine.client(order.origin).ok_or_else(not_followed)?;
    check_signature(client, signed.user(), signed.digest(), signed.signature()).await?;
    app.orders.announce(order, app.clock.since_epoch()).await?;
    let Err(decline) = provider.submit(quote.solver.as_deref(), &signed).await else {
        return Ok(());
    };
    if decline.is_failure() && !is_refusal(&decline) {
        // It may have arrived: the order stays pending, and may be handed over again.
        return Err(ApiError::new(ErrorCode::Unavailable, decline.message).retry_after(1));
    }
    app.orders.fail(order.id, &decline.message, app.clock.since_epoch()).await?;
    Err(ApiError::new(ErrorCode::OrderRefused, decline.message))
}

const fn is_refusal(decline: &Decline) -> bool {
    matches!(decline.reason, api::aggregator::UnavailableReason::Rejected)
}

fn not_expired(quote: &Quote, at: u64) -> Result<(), ApiError> {
    if at < quote.expires_at {
        return Ok(());
    }
    Err(RefusedQuote::Expired { expires_at: quote.expires_at, now: at }.into())
}

fn not_followed() -> ApiError {
    ApiError::field("quote.legs", "the origin is not followed")
}

fn gone() -> ApiError {
    ApiError::new(ErrorCode::Unavailable, "the provider of this quote is not asked any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_runs_ahead_is_set_back_and_one_that_lags_is_not() {
        assert_eq!(by_our_clock(1_000, 1_010, 900), 890);
        assert_eq!(by_our_clock(1_000, 1_000, 1_000), 1_000);
        assert_eq!(by_our_clock(1_000, 1_200, 5_000), 1_000);
    }
}
