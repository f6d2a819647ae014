//! Price sources that jump, stall and lie: nothing is filled until they are believed again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::primitives::U256;
use axum::{Json, Router, routing::get};
use serde_json::json;
use solver::order::State;

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, World, eventually},
};

/// Two sources of one symbol.
#[derive(Debug)]
struct Exchange {
    dollars: [AtomicU64; 2],
    stalled: AtomicBool,
    /// How often each was asked.
    asked: [AtomicU64; 2],
}

impl Exchange {
    fn say(&self, first: u64, second: u64) {
        self.dollars[0].store(first, Ordering::SeqCst);
        self.dollars[1].store(second, Ordering::SeqCst);
    }

    fn asked(&self) -> [u64; 2] {
        [0, 1].map(|index| self.asked[index].load(Ordering::SeqCst))
    }

    fn document(&self, index: usize) -> serde_json::Value {
        self.asked[index].fetch_add(1, Ordering::SeqCst);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let time = if self.stalled.load(Ordering::SeqCst) { now - 1_000 } else { now };
        json!({ "price": self.dollars[index].load(Ordering::SeqCst).to_string(), "time": time })
    }
}

/// Waits until the board has heard what the sources say now: all are asked at once, so whoever is asked for the second
/// time has been heard the first time.
async fn until_heard(exchange: &Exchange) {
    let before = exchange.asked();
    eventually("the sources are asked again", async || {
        exchange.asked().iter().zip(before).all(|(now, before)| *now >= before + 2)
    })
    .await;
}

/// What a source does, and the words of the reason that nothing is filled.
type Case = (&'static str, fn(&Exchange));

async fn serve(exchange: &Arc<Exchange>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut router = Router::new();
    for index in 0..2 {
        let exchange = Arc::clone(exchange);
        let answer = get(async move || Json(exchange.document(index)));
        router = router.route(&format!("/{index}"), answer);
    }
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_that_lie_stall_or_jump_stop_filling_until_they_are_believed() {
    let exchange = Arc::new(Exchange {
        dollars: [AtomicU64::new(3_000), AtomicU64::new(3_000)],
        stalled: AtomicBool::new(false),
        asked: [AtomicU64::new(0), AtomicU64::new(0)],
    });
    let url = serve(&exchange).await;
    let source = |index: usize| {
        format!(
            "[[prices.sources]]\nname = \"http-{index}\"\nkind = \"http\"\n\
             urls = {{ ETH = \"{url}/{index}\" }}\nprice_pointer = \"/price\"\n\
             time_pointer = \"/time\"\n\
             [[prices.sources]]\nname = \"table-{index}\"\nkind = \"fixed\"\n\
             prices = {{ TT = \"1\" }}\n"
        )
    };
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let config = world.config(8, |text| {
        let (head, rest) = text.split_once("[prices]\n").unwrap();
        let (_, tail) = rest.split_once("[[routes]]").unwrap();
        let (first, second) = (source(0), source(1));
        format!(
            "{head}[prices]\nrefresh = \"100ms\"\nmax_age = \"30s\"\njump_hold = \"1h\"\n\
             {first}{second}[[routes]]{tail}"
        )
    });
    let solver = solver::spawn(config).await.unwrap();
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let publish = || {
        let intent = world.intent(
            SECOND,
            FIRST,
            Settle::Instant,
            (a, U256::from(110 * TT)),
            (b, U256::from(100 * TT)),
        );
        world.publish(FIRST, &intent)
    };
    let hash = publish();
    world.settle(&solver, &[hash], &[State::Claimed]).await;
    let cases: [Case; 3] = [
        ("sources differ", |exchange| exchange.say(3_000, 30_000)),
        ("fresh sources", |exchange| exchange.stalled.store(true, Ordering::SeqCst)),
        ("moved by", |exchange| exchange.say(9_000, 9_000)),
    ];
    for (words, go_wrong) in cases {
        go_wrong(&exchange);
        // Until the board has heard of it, a fill is rightly priced at what was true.
        until_heard(&exchange).await;
        let hash = publish();
        eventually(words, async || {
            let order = solver.store().order(hash).await.unwrap();
            order.is_some_and(|o| o.state == State::Waiting && o.reason.contains(words))
        })
        .await;
        exchange.stalled.store(false, Ordering::SeqCst);
        exchange.say(3_000, 3_000);
        world.settle(&solver, &[hash], &[State::Claimed]).await;
    }
    invariants::hold(&world, &solver, 8, &before).await;
}
