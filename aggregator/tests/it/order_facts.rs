//! What counts for an order, and when nothing of it is expected any more.

use std::time::Duration;

use aggregator::orders::{Announced, Orders};
use alloy::primitives::{Address, B256};
use api::{
    Client,
    aggregator::{Order, OrderState},
};
use chain::Db;
use protocol::{
    abi::{inbox, intent_source, prover},
    ids::{ChainId, IntentHash},
};

use crate::{
    databases,
    providers::{CHAIN_A, CHAIN_B},
    system::{INBOX, PROVER, SOURCE, Stage, USER, client, published, quote, reaches, unix},
};

/// Publishes a hash on a chain that is not the origin of its order.
fn publish_elsewhere(stage: &Stage, id: B256) {
    stage.says(CHAIN_B, SOURCE, &published(id, unix() + 600));
}

/// The order, once everything was read that both chains have said so far.
async fn settled_down(stage: &Stage, api: &Client, id: B256) -> Order {
    let [on_a, on_b] = [0xfa, 0xfb].map(B256::repeat_byte);
    stage.publish(on_a, unix() + 600);
    publish_elsewhere(stage, on_b);
    for later in [on_a, on_b] {
        reaches(api, later, OrderState::Published).await;
    }
    api.order(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_another_chain_says_of_the_hash_moves_no_order() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let (id, claimant) = (B256::repeat_byte(1), Address::ZERO);
        stage.publish(id, unix() + 600);
        stage.fund(id);
        reaches(&api, id, OrderState::Funded).await;

        publish_elsewhere(&stage, id);
        let refunded = intent_source::IntentRefunded { intentHash: id, refundee: USER };
        stage.says(CHAIN_B, SOURCE, &refunded);
        let withdrawn = intent_source::IntentWithdrawn { intentHash: id, claimant };
        stage.says(CHAIN_B, SOURCE, &withdrawn);
        let proven = prover::IntentProven { intentHash: id, claimant, destination: CHAIN_B };
        stage.says(CHAIN_B, PROVER, &proven);
        let filled = inbox::IntentFulfilled { intentHash: id, claimant: B256::ZERO };
        stage.says(CHAIN_A, INBOX, &filled);
        let sent = inbox::IntentProven { intentHash: id, claimant: B256::ZERO };
        stage.says(CHAIN_A, INBOX, &sent);

        let order = settled_down(&stage, &api, id).await;
        assert_eq!((order.state, order.origin_chain_id), (OrderState::Funded, CHAIN_A));
        assert_eq!(order.events.len(), 2, "{:?}", order.events);
        stage.fill(id);
        reaches(&api, id, OrderState::Filled).await;
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn who_publishes_the_hash_elsewhere_first_does_not_say_where_its_escrow_is() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let [announced, funded] = [1, 2].map(B256::repeat_byte);
        for id in [announced, funded] {
            publish_elsewhere(&stage, id);
            reaches(&api, id, OrderState::Published).await;
        }

        let sent = stage.publish(announced, unix() + 600);
        api.submit(quote(announced, unix() + 600), Some(sent)).await.unwrap();
        stage.publish(funded, unix() + 600);
        stage.fund(funded);
        reaches(&api, funded, OrderState::Funded).await;
        for (id, state) in [(announced, OrderState::Published), (funded, OrderState::Funded)] {
            let order = settled_down(&stage, &api, id).await;
            assert_eq!((order.state, order.origin_chain_id), (state, CHAIN_A));
            assert!(order.events.iter().all(|event| event.chain_id == Some(CHAIN_A)));
        }
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_answers_slowly_is_read_all_the_same() {
    let (stage, database) = (Stage::set().await, databases::sqlite());
    let aggregator = stage.aggregator(&database.url, "main", "").await;
    // One look is several questions: longer than the pause between two renewals of the lease.
    stage.slow_down(CHAIN_A, Duration::from_millis(1_500));
    let id = B256::repeat_byte(1);
    stage.publish(id, unix() + 600);
    reaches(&client(&aggregator), id, OrderState::Published).await;
    aggregator.stop().await.unwrap();
}

#[tokio::test]
async fn an_order_fails_once_its_chain_was_read_past_its_transaction_or_its_quote() {
    const EXPIRES: u64 = 1_030;
    for database in databases::all().await {
        let orders = Orders::open(Db::open(&database.url).await.unwrap()).await.unwrap();
        let origin = ChainId(CHAIN_A);
        let [mined, unmined] = [1, 2].map(B256::repeat_byte);
        for (id, mined) in [(mined, Some(1_040)), (unmined, None)] {
            let order = Announced {
                id: id.into(),
                origin,
                destination: ChainId(CHAIN_B),
                provider: "metalayer".into(),
                estimated: 1,
                transaction: None,
                mined,
                expires: EXPIRES,
            };
            orders.announce(&order, Duration::from_secs(1_000)).await.unwrap();
        }
        let states = async |now| {
            let state = async |id: B256| orders.get(id.into(), now).await.unwrap().unwrap().state;
            (state(mined).await, state(unmined).await)
        };
        let is_read_to = async |at| {
            let mut tx = orders.db().begin().await.unwrap();
            orders.tick(&mut tx, origin, at).await.unwrap();
            tx.commit().await.unwrap();
        };
        use OrderState::{Failed, Pending};

        assert_eq!(states(5_000).await, (Pending, Pending), "nothing was read yet");
        is_read_to(EXPIRES).await;
        assert_eq!(states(5_000).await, (Pending, Pending));
        assert!(orders.overdue(5_000).await.unwrap().is_empty());
        is_read_to(1_040).await;
        assert_eq!(states(5_000).await, (Pending, Failed));
        assert_eq!(orders.overdue(5_000).await.unwrap(), [IntentHash::from(unmined)]);
        is_read_to(1_041).await;
        assert_eq!(states(5_000).await, (Failed, Failed));
        assert_eq!(states(EXPIRES - 1).await, (Pending, Pending), "the chain's clock runs ahead");
    }
}
