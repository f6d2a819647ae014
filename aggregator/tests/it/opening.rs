//! `POST /v1/orders`: only the transaction of a quote that stands, or its signature, opens its order.

use aggregator::quoting::SignedOrder;
use alloy::{
    primitives::{Address, B256, Bytes, U256, hex},
    signers::{SignerSync, local::PrivateKeySigner},
};
use api::{
    Amount, Client, ClientError,
    aggregator::{ErrorCode, ErrorDetail, OrderState, Quote, SignatureStep, Step},
    solver::GaslessOrder,
};
use devnet::{Transact, genesis::DEV_ADDRESSES};

use crate::{
    databases,
    providers::CHAIN_A,
    system::{SOURCE, Stage, bound, client, published, quote, reaches, unix},
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
    for database in databases::all().await {
        let stage = Stage::set().await;
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
}

#[tokio::test]
async fn a_chain_that_runs_ahead_of_our_clock_expires_no_quote_early() {
    for database in databases::all().await {
        let stage = Stage::set().await;
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
}

#[tokio::test]
async fn a_contract_wallet_may_send_it_in_its_own_way() {
    for database in databases::all().await {
        let stage = Stage::set().await;
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

/// A quote of ours that asks this account to sign its order, and what is signed.
fn to_be_signed(id: B256, user: Address) -> (Quote, B256) {
    let order = GaslessOrder {
        origin_settler: SOURCE,
        user,
        nonce: 1.into(),
        origin_chain_id: CHAIN_A,
        open_deadline: u32::MAX,
        fill_deadline: u32::MAX,
        order_data_type: B256::ZERO,
        order_data: Bytes::new(),
    };
    let step = SignatureStep {
        id: "sign_order".into(),
        description: "Sign".into(),
        typed_data: serde_json::json!({}),
        context: serde_json::to_value(order).unwrap(),
        post: "/v1/orders".into(),
        check: None,
    };
    let digest = SignedOrder::new(&step, Bytes::new()).unwrap().digest();
    let steps = vec![Step::Signature(step)];
    (bound(Quote { steps, ..quote(id, unix() + 600) }), digest)
}

async fn refused_signature(client: &Client, quote: &Quote, signature: Bytes) -> ErrorDetail {
    match client.submit_signed(quote.clone(), signature).await.unwrap_err() {
        ClientError::Refused { detail, .. } => detail,
        other => panic!("{other}"),
    }
}

/// The signature is not the user's, and nothing was written.
async fn is_garbage(client: &Client, quote: &Quote, signature: Bytes) {
    let detail = refused_signature(client, quote, signature).await;
    assert_eq!(detail.code, ErrorCode::InvalidRequest, "{detail:?}");
    assert_eq!(detail.field.as_deref(), Some("signature"), "{detail:?}");
    let order = client.order(quote.order_id.unwrap()).await.unwrap();
    assert!(order.is_none(), "{order:?}");
}

/// The signature is the user's: the order is followed, and fails because there is no solver.
async fn is_followed(client: &Client, quote: &Quote, signature: Bytes) {
    let detail = refused_signature(client, quote, signature).await;
    assert_eq!(detail.code, ErrorCode::OrderRefused, "{detail:?}");
    reaches(client, quote.order_id.unwrap(), OrderState::Failed).await;
}

#[tokio::test]
async fn only_an_order_that_its_user_signed_is_followed() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let client = client(&aggregator);
        let (user, stranger) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let (quote, digest) = to_be_signed(B256::repeat_byte(7), user.address());
        let by = |signer: &PrivateKeySigner, digest: B256| {
            Bytes::from(signer.sign_hash_sync(&digest).unwrap().as_bytes())
        };
        for garbage in [Bytes::new(), Bytes::from([1; 65]), by(&stranger, digest)] {
            is_garbage(&client, &quote, garbage).await;
        }
        is_garbage(&client, &quote, by(&user, B256::ZERO)).await;
        is_followed(&client, &quote, by(&user, digest)).await;
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_contract_wallet_says_itself_what_it_signed() {
    // Answers `isValidSignature` with its selector; reverts.
    let accepts = hex!("631626ba7e60e01b60005260206000f3");
    let reverts = hex!("60006000fd");
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    let client = client(&aggregator);
    let (open, closed) = (Address::repeat_byte(0x88), Address::repeat_byte(0x89));
    stage.chain(CHAIN_A).set_code(open, accepts.to_vec()).unwrap();
    stage.chain(CHAIN_A).set_code(closed, reverts.to_vec()).unwrap();
    let word = Bytes::from_static(b"its own form");
    let (quote, _) = to_be_signed(B256::repeat_byte(8), closed);
    is_garbage(&client, &quote, word.clone()).await;
    let (quote, _) = to_be_signed(B256::repeat_byte(9), open);
    is_followed(&client, &quote, word).await;
    aggregator.stop().await.unwrap();
}
