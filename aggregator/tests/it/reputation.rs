//! What becomes of orders is remembered for and against who quoted them.

use alloy::primitives::B256;
use api::{
    Client,
    aggregator::{OrderState, Provider},
};

use crate::{
    databases,
    providers::CHAIN_A,
    system::{Stage, client, quote, reaches, unix, until},
};

async fn metalayer(client: &Client) -> Provider {
    let providers = client.providers().await.unwrap().providers;
    providers.into_iter().find(|provider| provider.name == "metalayer").unwrap()
}

/// An order that was announced and published, with this deadline.
async fn order(stage: &Stage, client: &Client, byte: u8, deadline: u64) -> B256 {
    let id = B256::repeat_byte(byte);
    let sent = stage.publish(id, deadline);
    client.submit(quote(id, unix() + 600), Some(sent)).await.unwrap();
    stage.fund(id);
    id
}

#[tokio::test]
async fn fills_count_for_and_expired_orders_against_a_provider_for_good() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let fresh = metalayer(&api).await.reputation;
        assert_eq!((fresh.fills, fresh.failures, fresh.score), (0.0, 0.0, 1.0));

        let filled = order(&stage, &api, 1, unix() + 600).await;
        stage.fill(filled);
        stage.prove_and_pay(filled);
        reaches(&api, filled, OrderState::Settled).await;
        let lost = order(&stage, &api, 2, unix() + 1).await;
        until("the deadline to pass on the origin", async || {
            stage.chain(CHAIN_A).mine(1).unwrap();
            let order = api.order(lost).await.unwrap()?;
            (order.state == OrderState::Refundable).then_some(())
        })
        .await;
        let counted = until("both to be counted", async || {
            let reputation = metalayer(&api).await.reputation;
            (reputation.fills > 0.9 && reputation.failures > 0.9).then_some(reputation)
        })
        .await;
        assert!(counted.fills <= 1.0 && counted.failures <= 1.0, "each once: {counted:?}");
        assert!(counted.score < 1.0);
        assert!(counted.time_ratio.is_some());
        aggregator.stop().await.unwrap();

        let again = stage.aggregator(&database.url, "main", "").await;
        let kept = metalayer(&client(&again)).await.reputation;
        assert!(kept.fills > 0.9 && kept.failures > 0.9, "a restart forgets nothing: {kept:?}");
        again.stop().await.unwrap();
    }
}
