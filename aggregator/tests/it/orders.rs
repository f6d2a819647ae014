//! `GET /v1/orders`: what is kept of orders, and in which order they are listed.

use alloy::primitives::{Address, B256, U256};
use api::aggregator::{OrderState, OrdersResponse, RewardToken};
use protocol::abi::intent::TokenAmount;

use crate::{
    databases,
    providers::CHAIN_A,
    system::{SOURCE, Stage, USER, client, published, reaches, unix},
};

/// Every order of the user, so many on a page.
async fn listed(base: &str, limit: usize) -> Vec<B256> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{base}/v1/orders?address={USER}&limit={limit}{cursor}");
        let answer = reqwest::get(url).await.unwrap();
        let page: OrdersResponse = answer.json().await.unwrap();
        assert!(page.orders.len() <= limit);
        ids.extend(page.orders.iter().map(|order| order.id));
        let Some(next) = page.next_cursor else { return ids };
        assert_eq!(page.orders.len(), limit, "a page before another one is full");
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn orders_of_one_second_are_listed_newest_first_on_pages_of_any_size() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        // Before anybody reads: most are of one second, and read at once.
        let ids = [4, 1, 5, 2, 3].map(B256::repeat_byte);
        for id in ids {
            stage.publish(id, unix() + 600);
        }
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        for id in ids {
            reaches(&api, id, OrderState::Published).await;
        }
        let mut newest_first = ids;
        newest_first.reverse();
        let base = format!("http://{}", aggregator.address());
        for limit in [1, 2, 5, 9] {
            assert_eq!(listed(&base, limit).await, newest_first, "{limit} on a page");
        }
        aggregator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_order_shows_the_tokens_of_its_reward() {
    for database in databases::all().await {
        let stage = Stage::set().await;
        let aggregator = stage.aggregator(&database.url, "main", "").await;
        let api = client(&aggregator);
        let (plain, in_tokens) = (B256::repeat_byte(1), B256::repeat_byte(2));
        stage.publish(plain, unix() + 600);
        let tokens = [(1, U256::from(7)), (2, U256::MAX)];
        let tokens = tokens.map(|(byte, amount)| (Address::repeat_byte(byte), amount));
        let mut event = published(in_tokens, unix() + 600);
        event.rewardTokens = tokens.map(|(token, amount)| TokenAmount { token, amount }).to_vec();
        stage.says(CHAIN_A, SOURCE, &event);

        let order = reaches(&api, in_tokens, OrderState::Published).await;
        let expected = tokens.map(|(token, amount)| RewardToken { token, amount: amount.into() });
        assert_eq!(order.reward_tokens, expected);
        let order = reaches(&api, plain, OrderState::Published).await;
        assert_eq!((order.reward_tokens, order.reward_native), (Vec::new(), Some(100.into())));
        aggregator.stop().await.unwrap();
    }
}
