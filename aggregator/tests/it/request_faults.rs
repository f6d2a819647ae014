//! What one caller asks in vain closes nobody's way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use alloy::primitives::{Address, Bytes};
use api::{
    Client,
    aggregator::{AmountRequest, Call, Preference, QuoteRequest, UnavailableReason},
    solver::{self, NoQuote, NoQuoteReason},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use tokio::net::TcpListener;

use crate::{
    databases,
    providers::{CHAIN_A, CHAIN_B},
    system::{Stage, client},
};

/// Finds fault with every request: calls without calldata do not even read, others revert.
async fn find_fault(
    State(asked): State<Arc<AtomicUsize>>,
    Json(request): Json<solver::QuoteRequest>,
) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    if request.calls[0].data.is_empty() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let none = NoQuote {
        security: None,
        reason: NoQuoteReason::CallsFail,
        message: "execution reverted".into(),
        minimum: None,
    };
    let answer = solver::QuoteResponse { quotes: Vec::new(), unavailable: vec![none] };
    Json(answer).into_response()
}

/// Why nobody quotes for an output of 1,000 wei with one call of this.
async fn declined(client: &Client, data: &'static [u8], value: u64) -> UnavailableReason {
    let call = Call {
        target: Address::repeat_byte(9),
        data: Bytes::from_static(data),
        value: value.into(),
    };
    let request = QuoteRequest {
        origin_chain_id: CHAIN_A,
        origin_token: Address::ZERO,
        destination_chain_id: CHAIN_B,
        destination_token: Address::ZERO,
        amount: AmountRequest::ExactOutput(1_000.into()),
        sender: Some(devnet::genesis::DEV_ADDRESSES[1]),
        recipient: None,
        refund_address: None,
        preference: Preference::Recommended,
        security: None,
        slippage_bps: 50,
        gasless: false,
        calls: vec![call],
        providers: Vec::new(),
    };
    client.quote(&request).await.unwrap().unavailable[0].reason
}

#[tokio::test]
async fn a_request_that_cannot_be_served_opens_no_breaker() {
    let asked = Arc::new(AtomicUsize::new(0));
    let router = Router::new().route("/v1/quotes", post(find_fault)).with_state(Arc::clone(&asked));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let more = format!(
        "[patience]\ndeadline = \"60s\"\n[breaker]\nfailures = 1\nopen_for = \"600s\"\n\
         [[solvers]]\nname = \"solver-1\"\nurl = \"http://{}\"\n",
        listener.local_addr().unwrap()
    );
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", &more).await;
    let client = client(&aggregator);

    for _ in 0..2 {
        assert_eq!(declined(&client, &[1], 0).await, UnavailableReason::Rejected);
        assert_eq!(declined(&client, &[], 0).await, UnavailableReason::Error);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4, "each was asked");
    // Calls that spend more than the output are refused without asking.
    assert_eq!(declined(&client, &[1], 1_001).await, UnavailableReason::Rejected);
    assert_eq!(asked.load(Ordering::Relaxed), 4);

    aggregator.stop().await.unwrap();
    server.abort();
}
