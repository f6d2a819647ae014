//! Quotes, and for whom they are.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use alloy::primitives::{B256, keccak256};
use api::solver::QuoteRequest;
use axum::{
    Json,
    extract::{ConnectInfo, State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use service::caller::network;

use super::{Door, Refusal};

/// `POST /v1/quotes`.
pub(super) async fn quote(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Result<Json<QuoteRequest>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(request) = request?;
    let started = std::time::Instant::now();
    let caller = caller(peer.ip(), request.caller, &door.aggregators);
    let answer = door.quoter.quote(&request, caller).await?;
    metrics::histogram!("solver_quote_milliseconds").record(started.elapsed().as_millis() as f64);
    Ok(Json(answer).into_response())
}

/// Whom a quote is for. Aggregators say it, each for itself; anybody else is known by its network, whatever it says.
/// Without a list of aggregators everybody's word counts.
fn caller(peer: IpAddr, named: Option<B256>, aggregators: &BTreeSet<IpAddr>) -> B256 {
    let peer = peer.to_canonical();
    let is_believed = aggregators.is_empty() || aggregators.contains(&peer);
    let named = named.filter(|_| is_believed).unwrap_or_default();
    keccak256([network(peer).to_string().as_bytes(), named.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Option<B256> = Some(B256::repeat_byte(1));
    const BOB: Option<B256> = Some(B256::repeat_byte(2));

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_caller_is_whom_an_aggregator_names() {
        let aggregators = BTreeSet::from([ip("10.0.0.1"), ip("10.0.0.2")]);
        let of = |peer, named| caller(ip(peer), named, &aggregators);
        assert_eq!(of("10.0.0.1", ALICE), of("::ffff:10.0.0.1", ALICE));
        assert_ne!(of("10.0.0.1", ALICE), of("10.0.0.1", BOB));
        assert_ne!(of("10.0.0.1", ALICE), of("10.0.0.1", None));
        // Nobody asks in the name of another's caller.
        assert_ne!(of("10.0.0.1", ALICE), of("10.0.0.2", ALICE));
    }

    #[test]
    fn a_stranger_is_one_caller_whatever_it_says() {
        let aggregators = BTreeSet::from([ip("10.0.0.1")]);
        let of = |peer, named| caller(ip(peer), named, &aggregators);
        assert_eq!(of("192.0.2.7", ALICE), of("192.0.2.7", BOB));
        assert_ne!(of("192.0.2.7", ALICE), of("192.0.2.8", ALICE));
        assert_eq!(of("2001:db8:1:2::9", None), of("2001:db8:1:2:ffff::1", ALICE));
        assert_ne!(of("2001:db8:1:2::9", None), of("2001:db8:1:3::9", None));
    }

    #[test]
    fn without_a_list_everybody_names_callers() {
        let nobody = BTreeSet::new();
        let of = |named| caller(ip("192.0.2.7"), named, &nobody);
        assert_ne!(of(ALICE), of(BOB));
        assert_ne!(of(ALICE), caller(ip("192.0.2.8"), ALICE, &nobody));
    }
}
