//! The same contracts and calls give what anvil gives: random sequences against the npm package.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol,
    sol_types::SolCall,
};
use devnet::{ChainConfig, GENESIS_TIMESTAMP, genesis::DEV_ADDRESSES};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    network::{DEADLINE, Network},
    tools,
};

/// Calls in one sequence.
const CALLS: u64 = 16;
/// Sequences, and with `METALAYER_LONG=1`.
const SEQUENCES: (u64, u64) = (50, 300);

sol! {
    function set(uint256 key, uint256 value);
    function push(uint256 value);
    function pop();
    function divide(uint256 a, uint256 b);
    function store(bytes data);
    function spawn(bytes32 salt);
    function poke(uint256 index, uint256 value);
    function tryPoke(uint256 index, uint256 value);
    function delegatePoke(uint256 index, uint256 value);
    function staticPoke(uint256 index, uint256 value);
    function destroyChild(uint256 index, address heir);
    function pay(address to, uint256 value);
    function hashes(uint256 rounds, bytes32 seed);
    function recurse(uint256 depth);
    function spin(uint256 rounds);
    function swap(uint256 key, uint256 value);
    function world();
}

/// A node that is asked by plain JSON-RPC, so that both get the very same requests.
struct Node {
    name: &'static str,
    url: String,
    client: reqwest::Client,
}

impl Node {
    fn new(name: &'static str, url: String) -> Self {
        Self { name, url, client: reqwest::Client::new() }
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params).await;
        assert!(answer.get("error").is_none(), "{} {method}: {answer}", self.name);
        answer["result"].clone()
    }

    async fn answer(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.client.post(&self.url).json(&body).send().await.unwrap();
        sent.json().await.unwrap()
    }

    /// Runs one call and tells everything about it that should not depend on the node.
    async fn observe(&self, request: &Value, timestamp: u64, zoo: Option<Address>) -> Value {
        let call = self.answer("eth_call", json!([request, "latest"])).await;
        self.ask("evm_setNextBlockTimestamp", json!([timestamp])).await;
        let hash = self.ask("eth_sendTransaction", json!([request])).await;
        let receipt = self.receipt(&hash).await;
        let logs: Vec<Value> = receipt["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|log| json!([log["address"], log["topics"], log["data"], log["logIndex"]]))
            .collect();
        json!({
            "returned": call["result"],
            // Out of gas is worded differently everywhere; revert data is not.
            "reverted": call["error"]["data"],
            "status": receipt["status"],
            "created": receipt["contractAddress"],
            "block": receipt["blockNumber"],
            "logs": logs,
            "storage": self.storage(zoo).await,
        })
    }

    /// anvil answers before it has mined.
    async fn receipt(&self, hash: &Value) -> Value {
        let start = Instant::now();
        loop {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            assert!(start.elapsed() < DEADLINE, "{}: {hash} is not mined", self.name);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Fixed slots, and those of the mapping and the arrays that the calls write.
    async fn storage(&self, zoo: Option<Address>) -> Vec<Value> {
        let Some(zoo) = zoo else { return Vec::new() };
        let word = |value: u64| U256::from(value).to_be_bytes::<32>();
        let mapped = (0..6).map(|key| keccak256([word(key), word(1)].concat()));
        let elements = (2..5).map(|slot| keccak256(word(slot)));
        let slots: Vec<B256> =
            (0..5).map(|slot| B256::from(word(slot))).chain(mapped).chain(elements).collect();
        let calls: Vec<Value> = slots
            .iter()
            .map(|slot| {
                let params = json!([zoo, slot, "latest"]);
                json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_getStorageAt", "params": params })
            })
            .collect();
        let sent = self.client.post(&self.url).json(&calls).send().await.unwrap();
        let answers: Vec<Value> = sent.json().await.unwrap();
        answers.iter().map(|answer| answer["result"].clone()).collect()
    }
}

/// The npm package's anvil; ends with this value.
struct Anvil {
    process: Child,
    url: String,
}

impl Anvil {
    fn start() -> Self {
        let mut process = tools::foundry("anvil")
            .unwrap()
            .args(["--port", "0", "--chain-id", "700001", "--hardfork", "prague", "--timestamp"])
            .arg(GENESIS_TIMESTAMP.to_string())
            .args(["--accounts", "10", "--balance", "10000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines
            .map(Result::unwrap)
            .find_map(|line| Some(format!("http://{}", line.strip_prefix("Listening on ")?)))
            .unwrap();
        Self { process, url }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn random_call(random: &mut StdRng) -> (Vec<u8>, U256) {
    let small = |random: &mut StdRng| U256::from(random.random_range(0..6_u64));
    let value = match random.random_range(0..4) {
        0 => U256::from_be_bytes(random.random::<[u8; 32]>()),
        _ => U256::from(random.random_range(0..1_000_u64)),
    };
    let index = U256::from(random.random_range(0..3_u64));
    let wei = U256::from(random.random_range(0..3_u64) * 1_000);
    let account = DEV_ADDRESSES[random.random_range(0..5)];
    let none = U256::ZERO;
    match random.random_range(0..19) {
        0 | 1 => (setCall { key: small(random), value }.abi_encode(), none),
        2 => (pushCall { value }.abi_encode(), none),
        3 => (popCall {}.abi_encode(), none),
        4 => (divideCall { a: value, b: small(random) }.abi_encode(), none),
        5 => {
            let data: Vec<u8> = (0..random.random_range(0..80)).map(|_| random.random()).collect();
            (storeCall { data: Bytes::from(data) }.abi_encode(), none)
        }
        6 | 7 => (spawnCall { salt: B256::from(small(random)) }.abi_encode(), wei),
        8 => (pokeCall { index, value }.abi_encode(), wei),
        9 => (tryPokeCall { index, value }.abi_encode(), none),
        10 => (delegatePokeCall { index, value }.abi_encode(), none),
        11 => (staticPokeCall { index, value }.abi_encode(), none),
        12 => (destroyChildCall { index, heir: account }.abi_encode(), none),
        13 => (payCall { to: account, value: wei }.abi_encode(), wei),
        14 => {
            let rounds = U256::from(random.random_range(0..30_u64));
            (hashesCall { rounds, seed: B256::from(value) }.abi_encode(), none)
        }
        15 => (recurseCall { depth: small(random) }.abi_encode(), none),
        // Every other one runs out of gas.
        16 => {
            (spinCall { rounds: U256::from(random.random_range(0..20_000_u64)) }.abi_encode(), none)
        }
        17 => (swapCall { key: small(random), value }.abi_encode(), none),
        _ => (worldCall {}.abi_encode(), none),
    }
}

#[tokio::test]
async fn random_sequences_give_what_anvil_gives() {
    let zoo = tools::compile("Zoo.sol")["Zoo"]["bytecode"].clone();
    let network = Network::start(ChainConfig::new(700_001)).await;
    let anvil = Anvil::start();
    let nodes =
        [Node::new("devnet", network.chain().http_url()), Node::new("anvil", anvil.url.clone())];
    let long = std::env::var_os("METALAYER_LONG").is_some_and(|value| value == "1");
    let mut timestamp = GENESIS_TIMESTAMP;
    for sequence in 0..if long { SEQUENCES.1 } else { SEQUENCES.0 } {
        let mut random = StdRng::seed_from_u64(sequence);
        let mut contract = None;
        let mut calls = vec![json!({ "data": zoo })];
        for _ in 0..CALLS {
            let (data, wei) = random_call(&mut random);
            calls.push(json!({ "data": Bytes::from(data), "value": wei }));
        }
        for mut request in calls {
            timestamp += random.random_range(1..100);
            request["from"] = json!(DEV_ADDRESSES[random.random_range(0..3)]);
            request["gas"] = json!("0x2dc6c0");
            request["gasPrice"] = json!("0x77359400");
            if let Some(contract) = contract {
                request["to"] = json!(contract);
            }
            let ours = nodes[0].observe(&request, timestamp, contract).await;
            let theirs = nodes[1].observe(&request, timestamp, contract).await;
            assert_eq!(ours, theirs, "sequence {sequence}, {request}");
            if contract.is_none() {
                contract = Some(serde_json::from_value(ours["created"].clone()).unwrap());
            }
        }
    }
}
