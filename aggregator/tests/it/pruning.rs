//! What is forgotten after a while, and what is not.

use std::time::Duration;

use aggregator::{
    orders::{Announced, Fact, Orders, Sighting},
    webhooks::{Failed, Hooks, NewHook},
};
use alloy::primitives::B256;
use api::aggregator::{DeliveryState, OrderState};
use chain::Db;
use protocol::ids::ChainId;

use crate::{
    databases::{self, Database},
    providers::{CHAIN_A, CHAIN_B},
};

const BEGUN: Duration = Duration::from_secs(1_000_000);

/// So many days later.
const fn after(days: u64) -> Duration {
    Duration::from_secs(BEGUN.as_secs() + days * 86_400)
}

/// An order that nobody has sent.
fn announced(byte: u8) -> Announced {
    Announced {
        id: B256::repeat_byte(byte).into(),
        origin: ChainId(CHAIN_A),
        destination: ChainId(CHAIN_B),
        provider: "metalayer".into(),
        estimated: 30,
        transaction: None,
        mined: None,
        expires: BEGUN.as_secs() + 60,
    }
}

async fn open(database: &Database) -> (Orders, Hooks) {
    let db = Db::open(&database.url).await.unwrap();
    (Orders::open(db.clone()).await.unwrap(), Hooks::new(db))
}

#[tokio::test]
async fn orders_that_no_chain_has_seen_are_forgotten_a_month_after_they_failed() {
    for database in databases::all().await {
        let (orders, _) = open(&database).await;
        let (unseen, seen, pending) = (announced(1), announced(2), announced(3));
        for order in [&unseen, &seen, &pending] {
            orders.announce(order, BEGUN).await.unwrap();
        }
        // A block that was taken back: it may come again.
        let (block, chain) = (B256::repeat_byte(9), ChainId(CHAIN_A));
        let sighting = Sighting {
            id: seen.id,
            fact: Fact::Published,
            chain,
            block_number: 1,
            block_hash: block,
            log_index: 0,
            transaction: B256::repeat_byte(8),
            at: BEGUN.as_secs(),
        };
        let mut tx = orders.db().begin().await.unwrap();
        orders.see(&mut tx, &sighting).await.unwrap();
        orders.unsee(&mut tx, chain, block).await.unwrap();
        tx.commit().await.unwrap();
        for order in [&unseen, &seen] {
            orders.fail(order.id, "refused", BEGUN).await.unwrap();
        }

        let is_kept = async |order: &Announced, days: u64| {
            orders.prune(after(days)).await.unwrap();
            orders.get(order.id, BEGUN.as_secs()).await.unwrap().is_some()
        };
        assert!(is_kept(&unseen, 29).await);
        assert!(!is_kept(&unseen, 31).await);
        assert!(is_kept(&seen, 400).await);
        assert!(is_kept(&pending, 400).await);
        let kept = orders.get(seen.id, BEGUN.as_secs()).await.unwrap().unwrap();
        assert_eq!(kept.state, OrderState::Failed);
    }
}

#[tokio::test]
async fn deliveries_that_were_given_up_are_forgotten_after_a_month() {
    for database in databases::all().await {
        let (orders, hooks) = open(&database).await;
        let hook = NewHook { owner: "wallet".into(), url: "https://a.b".into(), creator: None };
        let hook = hooks.add(&hook, 1, BEGUN.as_secs()).await.unwrap().unwrap().id;
        orders.announce(&announced(1), BEGUN).await.unwrap();
        let due = hooks.claim(&hook, 1, BEGUN, BEGUN).await.unwrap().pop().unwrap();
        let given_up = Failed { error: "gone".into(), next: None };
        hooks.tried(&due, Err(given_up)).await.unwrap();

        hooks.prune(after(29)).await.unwrap();
        let dead = hooks.deliveries(&hook, Some(DeliveryState::Dead)).await.unwrap();
        assert_eq!(dead.len(), 1);
        hooks.prune(after(31)).await.unwrap();
        assert!(hooks.deliveries(&hook, None).await.unwrap().is_empty());
    }
}
