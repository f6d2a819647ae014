use alloy::primitives::U256;
use api::aggregator::{Fee, FeeKind};

use super::Route;
use crate::{
    book::Token,
    provider::{Offer, Plan},
};

/// The difference between what goes in and what comes out, in the token that goes in. Only between
/// tokens of known price or of one symbol and scale is there such a number.
pub(super) fn included(route: &Route, offer: &Offer) -> Vec<Fee> {
    let (token_in, token_out) = (&route.token_in, &route.token_out);
    let same = token_in.symbol == token_out.symbol && token_in.decimals == token_out.decimals;
    let kind = match offer.plan {
        Plan::Intent(_) => FeeKind::Solver,
        Plan::Transaction { .. } => FeeKind::Provider,
    };
    let fee = |amount: U256, usd| Fee {
        kind,
        chain_id: token_in.chain_id,
        token: token_in.address,
        amount: amount.into(),
        usd,
        included: true,
    };
    if same {
        let amount = offer.amount_in.saturating_sub(offer.amount_out);
        return vec![fee(amount, token_in.usd(amount))];
    }
    match (token_in.usd(offer.amount_in), token_out.usd(offer.amount_out), token_in.micro_usd) {
        (Some(paid), Some(got), Some(price)) if price > 0 => {
            let usd = (paid - got).max(0.0);
            let amount = usd * 1e6 / price as f64 * 10_f64.powi(i32::from(token_in.decimals));
            vec![fee(U256::from(amount), Some(usd))]
        }
        _ => Vec::new(),
    }
}

/// What the sender pays for gas on top, in the origin's native currency.
pub(super) fn origin_gas(chain_id: u64, native: Option<&Token>, gas: u64, price: u128) -> Fee {
    let amount = U256::from(gas).saturating_mul(U256::from(price));
    Fee {
        kind: FeeKind::OriginGas,
        chain_id,
        token: native.map(|token| token.address).unwrap_or_default(),
        amount: amount.into(),
        usd: native.and_then(|token| token.usd(amount)),
        included: false,
    }
}
