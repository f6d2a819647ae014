//! Several instances on one database, behind a load balancer that sends anybody anywhere.

use alloy::primitives::B256;
use api::aggregator::{Order, OrderState};
use chain::{Db, db::RowExt};
use futures::StreamExt;

use crate::{
    databases,
    providers::CHAIN_A,
    system::{Stage, client, quote, reaches, unix, until},
    webhooks::{Receiver, register},
};

/// The states that a stream of server-sent events tells of, until one of them is last.
async fn streamed(base: String, id: B256, last: OrderState) -> Vec<OrderState> {
    let answer = reqwest::get(format!("{base}/v1/orders/{id}/stream")).await.unwrap();
    assert!(answer.status().is_success());
    let (mut text, mut parts) = (String::new(), answer.bytes_stream());
    let mut states = Vec::new();
    while let Some(part) = parts.next().await {
        text += std::str::from_utf8(&part.unwrap()).unwrap();
        while let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            if let Some(order) = data.and_then(|data| serde_json::from_str::<Order>(data).ok()) {
                states.push(order.state);
            }
            text = rest.to_owned();
        }
        if states.last() == Some(&last) {
            break;
        }
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_one_is_seen_streamed_and_told_once_by_the_other() {
    let Some(database) = databases::postgres().await else { return };
    let stage = Stage::set().await;
    let a = stage.aggregator(&database.url, "a", "").await;
    let b = stage.aggregator(&database.url, "b", "").await;
    let (on_a, on_b) = (client(&a), client(&b));
    let (receiver, url) = Receiver::start([]).await;
    register(&on_b, &url, None).await;

    let id = B256::repeat_byte(1);
    let sent = stage.publish(id, unix() + 600);
    on_a.submit(quote(id, unix() + 600), Some(sent)).await.unwrap();
    let base = format!("http://{}", b.address());
    let listening = tokio::spawn(streamed(base, id, OrderState::Settled));
    reaches(&on_b, id, OrderState::Published).await;
    stage.fund(id);
    reaches(&on_b, id, OrderState::Funded).await;
    stage.fill(id);
    reaches(&on_a, id, OrderState::Filled).await;
    stage.prove_and_pay(id);
    let events = until("every event of both chains", async || {
        let order = on_a.order(id).await.unwrap()?;
        (order.events.len() >= 6).then_some(order.events)
    })
    .await;
    assert_eq!(events.len(), 6, "each event once: {events:?}");
    assert_eq!(listening.await.unwrap().last(), Some(&OrderState::Settled));
    // What the proof and the payment changed may be seen at once, and is told once then.
    until("the webhook for the last state", async || {
        receiver.told().contains(&OrderState::Settled).then_some(())
    })
    .await;
    let told = receiver.told();
    assert_eq!(told.len(), receiver.got().len(), "no event twice: {told:?}");

    // Whichever instance indexed a chain: when it goes, the other takes over.
    let db = Db::open(&database.url).await.unwrap();
    let name = format!("index {CHAIN_A}");
    let row = sqlx::query("SELECT holder FROM leases WHERE name = $1").bind(name);
    let holder = row.fetch_one(db.pool()).await.unwrap().text("holder").unwrap();
    let (gone, left, left_api) = if holder == "a" { (a, b, on_b) } else { (b, a, on_a) };
    gone.stop().await.unwrap();
    let next = B256::repeat_byte(2);
    stage.publish(next, unix() + 600);
    reaches(&left_api, next, OrderState::Published).await;
    left.stop().await.unwrap();
}

#[tokio::test]
async fn a_reorganization_moves_the_order_back_and_stays_visible() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let id = B256::repeat_byte(1);
        stage.publish(id, unix() + 600);
        stage.fund(id);
        reaches(&api, id, OrderState::Funded).await;
        stage.chain(CHAIN_A).reorg(1, devnet::ReorgMode::Drop).unwrap();
        let order = reaches(&api, id, OrderState::Published).await;
        let removed: Vec<_> = order.events.iter().filter(|event| event.removed).collect();
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].state, OrderState::Funded);
        aggregator.stop().await.unwrap();
    }
}
