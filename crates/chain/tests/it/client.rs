//! Reads through several endpoints, some of which misbehave.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256, bytes},
    sol,
    sol_types::{Revert, SolError},
};
use chain::{
    ChainClient, FinalityRule,
    client::{ClientOptions, Error},
};
use devnet::{ChainConfig, Config, Fault, FaultRule, Handle, genesis::DEV_ADDRESSES};
use protocol::ids::ChainId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

const CHAIN: u64 = 700_001;
const RICH: Address = DEV_ADDRESSES[1];

sol! {
    function number() external view returns (uint256);
}

/// Nodes with the same chain: the same seed and the same requests give the same blocks.
async fn twins(count: usize) -> Vec<Handle> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        let config = Config { chains: vec![ChainConfig::new(CHAIN)], ..Config::default() };
        let node = devnet::spawn(config).await.unwrap();
        node.chain(CHAIN).unwrap().chain().mine(5).unwrap();
        nodes.push(node);
    }
    nodes
}

fn url(node: &Handle) -> Url {
    node.chain(CHAIN).unwrap().http_url().parse().unwrap()
}

fn client(nodes: &[Handle]) -> ChainClient {
    let urls: Vec<Url> = nodes.iter().map(url).collect();
    let options = ClientOptions { hedge_after: Duration::from_millis(50), ..Default::default() };
    ChainClient::new(ChainId(CHAIN), &urls, options).unwrap()
}

/// A server that answers every request with this body and status 200, as a proxy in front of a node does.
async fn proxy(body: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            // Requests are JSON objects.
            while !request.ends_with(b"}") && socket.read_buf(&mut request).await.unwrap_or(0) > 0 {
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // A client that has gone misses nothing.
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}").parse().unwrap()
}

fn lie(node: &Handle) {
    node.chain(CHAIN).unwrap().chain().set_balance(RICH, U256::from(1)).unwrap();
}

fn fault(node: &Handle, rule: FaultRule) {
    node.chain(CHAIN).unwrap().set_fault(rule);
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over() {
    let mut nodes = twins(2).await;
    let client = client(&nodes);
    nodes.remove(0).stop().await;
    assert_eq!(client.latest().await.unwrap().number, 5);
    client.check_chain_id().await.unwrap();
}

#[tokio::test]
async fn a_slow_endpoint_is_overtaken() {
    let nodes = twins(2).await;
    fault(&nodes[0], FaultRule::new(&[], Fault::Latency { millis: 15_000 }));
    let started = std::time::Instant::now();
    assert_eq!(client(&nodes).latest().await.unwrap().number, 5);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let nodes = twins(1).await;
    fault(&nodes[0], FaultRule::new(&[], Fault::RateLimit).times(2));
    assert_eq!(client(&nodes).latest().await.unwrap().number, 5);
}

#[tokio::test]
async fn a_single_liar_is_outvoted() {
    let nodes = twins(3).await;
    lie(&nodes[0]);
    let client = client(&nodes);
    let latest = BlockNumberOrTag::Latest;
    assert_eq!(client.balance(RICH, latest).await.unwrap(), U256::from(1), "the first is believed");
    let careful = client.with_quorum(2);
    assert!(careful.balance(RICH, latest).await.unwrap() > U256::from(1));
    lie(&nodes[1]);
    nodes[1].chain(CHAIN).unwrap().chain().set_balance(RICH, U256::from(2)).unwrap();
    let split = careful.balance(RICH, latest).await;
    assert!(matches!(split, Err(Error::NoQuorum { agreeing: 1, required: 2, .. })), "{split:?}");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_refused() {
    let nodes = twins(1).await;
    let wrong = ChainClient::new(ChainId(1), &[url(&nodes[0])], ClientOptions::default()).unwrap();
    let refused = wrong.check_chain_id().await;
    assert!(
        matches!(refused, Err(Error::WrongChain { expected: 1, given: CHAIN, .. })),
        "{refused:?}"
    );
    let connected =
        ChainClient::connect(&[url(&nodes[0])], ClientOptions::default()).await.unwrap();
    assert_eq!(connected.chain_id(), ChainId(CHAIN));
    let none = ChainClient::new(ChainId(1), &[], ClientOptions::default());
    assert!(matches!(none, Err(Error::NoEndpoint { .. })));
}

#[tokio::test]
async fn typed_calls_answer_revert_and_miss() {
    let nodes = twins(1).await;
    let client = client(&nodes);
    let chain = nodes[0].chain(CHAIN).unwrap().chain();
    let (answers, reverts, nothing) =
        (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
    // PUSH1 42, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
    chain.set_code(answers, bytes!("602a5f5260205ff3")).unwrap();
    // CODECOPY of what follows, REVERT
    let reason = Revert::from("no").abi_encode();
    let code = [
        &[0x60, u8::try_from(reason.len()).unwrap(), 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xfd][..],
        &reason,
    ]
    .concat();
    chain.set_code(reverts, code).unwrap();
    let call = numberCall {};
    let latest = BlockNumberOrTag::Latest;
    assert_eq!(client.call(answers, &call, latest).await.unwrap(), U256::from(42));
    let error = client.call(reverts, &call, latest).await.unwrap_err();
    assert_eq!(error.revert().unwrap().reason().as_deref(), Some("no"));
    assert!(!error.is_retryable());
    let missing = client.call(nothing, &call, latest).await;
    assert!(matches!(missing, Err(Error::Decode { .. })), "{missing:?}");
}

#[tokio::test]
async fn the_safe_head_follows_the_rule() {
    let mut config = ChainConfig::new(CHAIN);
    config.finalized_lag = 8;
    config.safe_lag = 3;
    let node = devnet::spawn(Config { chains: vec![config], ..Config::default() }).await.unwrap();
    node.chain(CHAIN).unwrap().chain().mine(20).unwrap();
    let client = client(std::slice::from_ref(&node));
    for (rule, expected) in
        [("finalized", 12), ("safe", 17), ("latest", 20), ("instant", 20), ("blocks(5)", 15)]
    {
        let rule: FinalityRule = rule.parse().unwrap();
        assert_eq!(client.safe_head(rule).await.unwrap().unwrap().number, expected, "{rule}");
    }
    assert_eq!(client.safe_head(FinalityRule::Blocks(21)).await.unwrap(), None);
}

#[tokio::test]
async fn a_nodes_bad_moment_is_waited_out_and_a_refusal_is_not() {
    let nodes = twins(1).await;
    let client = client(&nodes);
    let error = |code, message: &str| Fault::Error { code, message: message.to_owned() };
    fault(&nodes[0], FaultRule::new(&[], error(-32_603, "internal error")).times(2));
    assert_eq!(client.latest().await.unwrap().number, 5);

    for (code, words) in [(-32_601, "no such method"), (-32_602, "bad block"), (-32_000, "no")] {
        fault(&nodes[0], FaultRule::new(&[], error(code, words)).times(1));
        let refused = client.latest().await.unwrap_err();
        assert!(matches!(refused, Error::Node { .. }) && !refused.is_retryable(), "{refused:?}");
    }
    // The code of a rate limit, but no pause helps.
    let more = error(-32_005, "query returned more than 10000 results");
    fault(&nodes[0], FaultRule::new(&[], more).times(1));
    let refused = client.latest().await.unwrap_err();
    assert!(matches!(refused, Error::Node { .. }), "{refused:?}");
    assert_eq!(client.latest().await.unwrap().number, 5);
}

#[tokio::test]
async fn another_endpoint_answers_for_one_with_an_internal_error() {
    let nodes = twins(2).await;
    let message = "internal error".to_owned();
    fault(&nodes[0], FaultRule::new(&[], Fault::Error { code: -32_603, message }));
    assert_eq!(client(&nodes).latest().await.unwrap().number, 5);
}

#[tokio::test]
async fn what_is_no_answer_is_the_endpoints_fault_and_another_one_is_asked() {
    let nodes = twins(1).await;
    for body in [
        "<html><body>Bad gateway</body></html>",
        r#"{"jsonrpc":"2.0","id":0,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":0,"result":{"number":"0x1"}}"#,
        "",
    ] {
        let bad = proxy(body).await;
        let urls = [bad.clone(), url(&nodes[0])];
        let both = ChainClient::new(ChainId(CHAIN), &urls, ClientOptions::default()).unwrap();
        assert_eq!(both.latest().await.unwrap().number, 5, "{body}");

        let once = ClientOptions { retries: 0, ..ClientOptions::default() };
        let alone = ChainClient::new(ChainId(CHAIN), &[bad], once).unwrap();
        let fault = alone.latest().await.unwrap_err();
        assert!(matches!(fault, Error::Transport { .. }) && fault.is_retryable(), "{fault:?}");
    }
}

#[tokio::test]
async fn the_same_halt_in_the_words_of_two_clients_is_one_answer() {
    let nodes = twins(3).await;
    for (node, words) in nodes.iter().zip(["out of gas", "EVM error: OutOfGas", "who knows"]) {
        let message = words.to_owned();
        fault(node, FaultRule::new(&["eth_call"], Fault::Error { code: -32_000, message }));
    }
    let careful = client(&nodes).with_quorum(2);
    let call = careful.call(RICH, &numberCall {}, BlockNumberOrTag::Latest).await.unwrap_err();
    assert!(call.revert().is_some_and(|revert| revert.data.is_empty()), "{call:?}");
}

#[tokio::test]
async fn a_quorum_waits_for_a_short_rest_and_leaves_a_long_one_alone_unless_it_is_needed() {
    let nodes = twins(3).await;
    let urls: Vec<Url> = nodes.iter().map(url).collect();
    let patient = ChainClient::new(ChainId(CHAIN), &urls, ClientOptions::default()).unwrap();
    fault(&nodes[0], FaultRule::new(&[], Fault::RateLimit).times(1));
    let all = patient.with_quorum(3);
    assert!(matches!(all.latest().await, Err(Error::NoQuorum { .. })));
    // Half a second of rest is over before the second that a client waits for an endpoint.
    assert_eq!(all.latest().await.unwrap().number, 5);

    let impatient = client(&nodes);
    fault(&nodes[0], FaultRule::new(&[], Fault::RateLimit).times(1));
    let all = impatient.with_quorum(3);
    assert!(matches!(all.latest().await, Err(Error::NoQuorum { .. })));
    // The fault is spent. Two agree without the one that rests; three do not.
    fault(&nodes[0], FaultRule::new(&[], Fault::RateLimit).times(1));
    assert_eq!(impatient.with_quorum(2).latest().await.unwrap().number, 5);
    nodes[0].chain(CHAIN).unwrap().clear_faults();
    assert_eq!(all.latest().await.unwrap().number, 5);
}
