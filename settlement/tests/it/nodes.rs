//! Nodes that are silent, refuse, or say what cannot be, and what a validator makes of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use axum::{Router, body::Bytes, routing::post};
use chain::{FinalityRule, finality::Tag};
use devnet::{Fault, FaultRule};
use protocol::ids::ChainId;
use service::health::State;
use settlement::validator::{self, ChainOptions, ValidatorConfig, reads::ReadRequest};

use crate::world::{PATIENCE, World, eventually, metric};

/// A node between an agent and a chain: it passes on what it hears, until it is told to be silent.
struct Passing {
    url: url::Url,
    is_silent: Arc<AtomicBool>,
    _server: tokio::task::JoinSet<std::io::Result<()>>,
}

impl Passing {
    async fn start(node: String) -> Self {
        let is_silent = Arc::<AtomicBool>::default();
        let (silent, http) = (Arc::clone(&is_silent), reqwest::Client::new());
        let answer = post(move |body: Bytes| {
            let (silent, http, node) = (Arc::clone(&silent), http.clone(), node.clone());
            async move {
                if silent.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let request = http.post(node).header("content-type", "application/json");
                request.body(body).send().await.unwrap().bytes().await.unwrap()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let mut server = tokio::task::JoinSet::new();
        let routes = Router::new().route("/", answer);
        server.spawn(async move { axum::serve(listener, routes).await });
        Self { url, is_silent, _server: server }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_falls_silent_does_not_hold_up_the_others() {
    let world = World::new().await;
    let node = world.devnet.chain(700_001).unwrap().http_url();
    let passing = Passing::start(node.clone()).await;
    let node: url::Url = node.parse().unwrap();
    let rpc = vec![passing.url.clone(), node.clone(), node];
    let chains = [(ChainId(700_001), ChainOptions { rpc, instant: None })].into();
    let config = ValidatorConfig { chains, ..world.validator_config(1) };
    let _validator = validator::spawn(config).await.unwrap();
    let folder = world.folder(1, "instant");
    let signed = async |index: u32| {
        world.origin().dispatch(world.destination(), &index.to_be_bytes());
        let file = folder.join(format!("{index}_with_id.json"));
        eventually("a signature", async || file.exists()).await;
    };
    signed(0).await;
    passing.is_silent.store(true, Ordering::Relaxed);
    let since = Instant::now();
    for index in 1..6 {
        signed(index).await;
    }
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_made_between_two_questions_makes_no_chain_final() {
    let world = World::new().await;
    let slow = FaultRule::new(&["eth_getBlockByNumber"], Fault::Latency { millis: 300 });
    world.devnet.chains().iter().for_each(|node| node.set_fault(slow.clone()));
    let mut config = world.validator_config(1);
    for chain in config.manifest.chains.values_mut() {
        chain.finality = FinalityRule::Tag(Tag::Latest);
    }
    let refused = validator::spawn(config).await.unwrap_err();
    assert!(refused.to_string().contains("declare `instant`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_a_node_refuses_are_made_smaller_and_counted() {
    let world = World::new().await;
    let message = "query returned more than 10000 results".to_owned();
    let refusal = Fault::Error { code: -32_005, message };
    let node = world.devnet.chain(700_001).unwrap();
    node.set_fault(FaultRule::new(&["eth_getLogs"], refusal));
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let config = ValidatorConfig { admin, ..world.validator_config(1) };
    let validator = validator::spawn(config).await.unwrap();
    world.origin().dispatch(world.destination(), b"among many");
    let labels = r#"{chain="chain700001",tier="instant",reason="logs"}"#;
    let counted = format!("metalayer_validator_setbacks_total{labels}");
    eventually("three refusals", async || {
        metric(validator.admin().unwrap(), &counted).await >= 3.0
    })
    .await;
    let file = world.folder(1, "instant").join("0_with_id.json");
    assert!(!file.exists());
    node.clear_faults();
    eventually("a signature", async || file.exists()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_that_was_refused_once_is_made_when_it_can_be() {
    let world = World::new().await;
    let message = "execution reverted".to_owned();
    let refusal = FaultRule::new(&["eth_estimateGas"], Fault::Error { code: 3, message });
    let node = world.devnet.chain(700_001).unwrap();
    node.set_fault(refusal);
    let validator = world.validator(1).await;
    eventually("the refusal in health", async || {
        match validator.health().components().remove("announce chain700001 instant") {
            Some(State::Failing { reason }) => reason.contains("refused"),
            Some(State::Ok | State::Degraded { .. }) | None => false,
        }
    })
    .await;
    // Also by the next process, which finds the refusal in its journal.
    validator.stop().await.unwrap();
    node.clear_faults();
    let _again = world.validator(1).await;
    eventually("the announcement", async || world.origin().is_announced(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_about_an_unknown_message_asks_no_chain_and_questions_are_bounded() {
    let world = World::new().await;
    let validator = world.validator(1).await;
    for node in world.devnet.chains() {
        node.set_fault(FaultRule::new(&[], Fault::Drop));
    }
    let (url, http) = (format!("http://{}/read", validator.address()), reqwest::Client::new());
    let unknown = ReadRequest { mailbox_id: B256::repeat_byte(7) };
    let ask = async |heard: Option<&str>| {
        let mut request = http.post(&url).json(&unknown);
        if let Some(heard) = heard {
            request = request.header("x-forwarded-for", heard);
        }
        request.send().await.unwrap()
    };
    assert_eq!(ask(None).await.status(), 404);

    let refused = async {
        loop {
            let answer = ask(Some("8.8.8.8")).await;
            if answer.status() == 429 {
                break answer;
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(ask(Some("9.9.9.9")).await.status(), 404);
}
