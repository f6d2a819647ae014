//! `POST /v1/orders`: only the transaction of a quote that stands opens its order.

use alloy::primitives::{B256, Bytes, U256};
use api::{
    Amount, Client, ClientError,
    aggregator::{ErrorCode, OrderState, Quote, Step},
};
use devnet::{Transact, genesis::DEV_ADDRESSES};

use crate::{
    databases,
    providers::CHAIN_A,
    system::{SOURCE, Stage, client, published, quote, reaches, unix},
};

async fn refused(client: &Client, quote: &Quote, transaction: Option<B256>) -> ErrorCode {
    match client.submit(quote.clone(), transaction).await.unwrap_err() {
        ClientError::Refused { detail, .. } => detail.code,
        other => panic!("{other}"),
    }
}

/// Sends what the quote's step asks for.
fn send(stage: &Stage, quote: &Quote) -> B256 {
    let Some(Step::Transaction(step)) = quote.steps.last() else { panic!("no transaction") };
    let id = quote.order_id.unwrap();
    let event = published(id, unix() + 600);
    stage.says_to(step.chain_id, step.to, &event, step.data.clone(), step.value.0)
}

#[tokio::test]
async fn the_transaction_must_be_the_quotes_and_in_time() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    let client = client(&aggregator);
    let (id, later) = (B256::repeat_byte(1), unix() + 600);
    let standing = quote(id, later);

    assert_eq!(refused(&client, &standing, None).await, ErrorCode::InvalidRequest);
    let unknown = Some(B256::repeat_byte(9));
    assert_eq!(refused(&client, &standing, unknown).await, ErrorCode::TransactionUnknown);
    let foreign = Transact::call(DEV_ADDRESSES[0], SOURCE, vec![1]).value(U256::from(100));
    let foreign = stage.chain(CHAIN_A).transact(foreign).unwrap().transaction_hash;
    let mismatch = ErrorCode::TransactionMismatch;
    assert_eq!(refused(&client, &standing, Some(foreign)).await, mismatch);

    let sent = send(&stage, &standing);
    let changed = Quote { amount_out: Amount::from(98), ..standing.clone() };
    assert_eq!(refused(&client, &changed, Some(sent)).await, ErrorCode::QuoteChanged);
    let expired = quote(B256::repeat_byte(2), unix() - 10);
    let too_late = send(&stage, &expired);
    assert_eq!(refused(&client, &expired, Some(too_late)).await, ErrorCode::QuoteExpired);

    client.submit(standing, Some(sent)).await.unwrap();
    let order = reaches(&client, id, OrderState::Published).await;
    assert_eq!(order.provider.as_deref(), Some("metalayer"));
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_chain_that_runs_ahead_of_our_clock_expires_no_quote_early() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    let client = client(&aggregator);
    // An hour ahead: many times the life of a quote.
    stage.chain(CHAIN_A).increase_time(3_600);
    let standing = quote(B256::repeat_byte(5), unix() + 300);
    let sent = send(&stage, &standing);
    client.submit(standing, Some(sent)).await.unwrap();
    let expired = quote(B256::repeat_byte(6), unix() - 10);
    let too_late = send(&stage, &expired);
    assert_eq!(refused(&client, &expired, Some(too_late)).await, ErrorCode::QuoteExpired);
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_contract_wallet_may_send_it_in_its_own_way() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    let client = client(&aggregator);
    let id = B256::repeat_byte(3);
    let event = published(id, unix() + 600);
    let wrapped = Bytes::from_static(b"another calldata");
    let sent = stage.says_to(CHAIN_A, SOURCE, &event, wrapped, U256::ZERO);
    client.submit(quote(id, unix() + 600), Some(sent)).await.unwrap();
    reaches(&client, id, OrderState::Published).await;
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn a_signature_is_for_quotes_that_ask_for_one() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    let quote = quote(B256::repeat_byte(4), unix() + 600);
    let error = client(&aggregator).submit_signed(quote, vec![1; 65].into()).await.unwrap_err();
    let ClientError::Refused { detail, .. } = error else { panic!("{error}") };
    assert_eq!(detail.field.as_deref(), Some("signature"));
    aggregator.stop().await.unwrap();
}
