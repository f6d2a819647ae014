//! Clients of other makers: viem from Node, and cast.

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, U256, hex},
    providers::Provider,
    rpc::types::{
        TransactionRequest,
        state::{AccountOverride, StateOverride},
    },
    sol,
    sol_types::SolCall,
};
use devnet::{ChainConfig, arbos::ARB_WASM, genesis};
use serde_json::Value;

use crate::{network::Network, tools};

/// A program that counts: any call adds one to slot 0 and returns the sum.
const COUNTER: &str = r#"(module
    (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
    (import "vm_hooks" "storage_cache_bytes32" (func $cache (param i32 i32)))
    (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
    (import "vm_hooks" "write_result" (func $write (param i32 i32)))
    (import "vm_hooks" "pay_for_memory_grow" (func (param i32)))
    (memory (export "memory") 1 1)
    (func (export "user_entrypoint") (param i32) (result i32)
        (call $load (i32.const 0) (i32.const 32))
        (i32.store8 (i32.const 63) (i32.add (i32.load8_u (i32.const 63)) (i32.const 1)))
        (call $cache (i32.const 0) (i32.const 32))
        (call $flush (i32.const 0))
        (call $write (i32.const 32) (i32.const 32))
        (i32.const 0)))"#;

fn code() -> Vec<u8> {
    stylus_program::compress(&wat::parse_str(COUNTER).unwrap()).unwrap()
}

fn init_code() -> String {
    hex::encode_prefixed(devnet::init_code(&code()))
}

/// Runs `cast` on a thread of its own and returns what it printed.
async fn cast(arguments: Vec<String>) -> String {
    let run = tokio::task::spawn_blocking(move || {
        let output = tools::foundry("cast").unwrap().args(&arguments).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "cast {arguments:?}: {printed}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    run.await.unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn cast_deploys_activates_sends_and_calls_a_program() {
    let network = Network::start(ChainConfig::new(700_001)).await;
    let url = network.chain().http_url();
    let key = hex::encode_prefixed(genesis::dev_signers().unwrap()[0].to_bytes());
    let sender = format!("--json --rpc-url {url} --private-key {key}");
    let created = cast(words(&format!("send {sender} --create {}", init_code()))).await;
    let receipt: Value = serde_json::from_str(&created).unwrap();
    assert_eq!(receipt["status"], "0x1");
    let program = receipt["contractAddress"].as_str().unwrap().to_owned();
    let arb_wasm = "0x0000000000000000000000000000000000000071";
    let activate =
        format!("send {sender} --value 1ether {arb_wasm} activateProgram(address) {program}");
    let activated: Value = serde_json::from_str(&cast(words(&activate)).await).unwrap();
    assert_eq!(activated["status"], "0x1");
    let sent: Value =
        serde_json::from_str(&cast(words(&format!("send {sender} {program}"))).await).unwrap();
    assert_eq!(sent["status"], "0x1");
    let called = cast(words(&format!("call --rpc-url {url} {program} f()(uint256)"))).await;
    assert_eq!(called, "2");
    let estimated = cast(words(&format!("estimate --rpc-url {url} {program}"))).await;
    assert!(estimated.parse::<u64>().unwrap() > 21_000);
    assert_eq!(cast(words(&format!("chain-id --rpc-url {url}"))).await, "700001");
    let block = cast(words(&format!("block latest --json --rpc-url {url}"))).await;
    assert_eq!(serde_json::from_str::<Value>(&block).unwrap()["number"], "0x3");
}

/// Runs a script of `tests/tools` against a network and returns the JSON that it printed.
async fn script(name: &'static str, network: &Network) -> Value {
    let (http, ws) = (network.chain().http_url(), network.chain().ws_url());
    let run = tokio::task::spawn_blocking(move || {
        let mut command = tools::node(tools::folder().join(name)).unwrap();
        let output = command.args([http, ws, init_code()]).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {printed}");
        serde_json::from_slice(&output.stdout).unwrap()
    });
    run.await.unwrap()
}

async fn deploys_and_counts(name: &'static str) {
    let network = Network::start(ChainConfig::new(700_001)).await;
    let seen = script(name, &network).await;
    assert_eq!(seen["statuses"], serde_json::json!(["success", "success", "success"]));
    assert_eq!((&seen["called"], &seen["logsWatched"]), (&"2".into(), &true.into()));
    let program: Address = serde_json::from_value(seen["program"].clone()).unwrap();
    assert_eq!(network.chain().chain().storage(program, U256::ZERO), U256::from(1));
}

#[tokio::test]
async fn viem_deploys_activates_sends_and_calls_a_program() {
    deploys_and_counts("viem.mjs").await;
}

#[tokio::test]
async fn ethers_deploys_activates_sends_and_calls_a_program() {
    deploys_and_counts("ethers.mjs").await;
}

sol! {
    interface ArbWasm {
        function activateProgram(address program) external payable returns (uint16 version, uint256 dataFee);
        function programVersion(address program) external view returns (uint16 version);
    }
}

/// What `cargo stylus check`, `deploy` and `activate` ask of a node, in their order.
#[tokio::test]
async fn the_requests_of_cargo_stylus_are_answered() {
    let network = Network::start(ChainConfig::new(700_001)).await;
    let provider = network.http();
    let from = genesis::DEV_ADDRESSES[0];
    let code = code();
    let ether = U256::from(10).pow(U256::from(18));
    let request = |sender: Address, data: Vec<u8>, value: U256| {
        TransactionRequest::default().from(sender).to(ARB_WASM).value(value).with_input(data)
    };
    // check: activation of code that is only pretended to be there, by a sender pretended rich.
    let (sender, place) = (Address::repeat_byte(0x51), Address::repeat_byte(0x52));
    let mut overrides = StateOverride::default();
    overrides.insert(sender, AccountOverride::default().with_balance(U256::MAX));
    overrides.insert(place, AccountOverride::default().with_code(code.clone()));
    let check = request(sender, activate(place), ether);
    let checked = provider.call(check).overrides(overrides).await.unwrap();
    let data_fee = ArbWasm::activateProgramCall::abi_decode_returns(&checked).unwrap().dataFee;
    assert!(data_fee > U256::ZERO && data_fee < ether);
    // deploy: at the price that the node names, without a tip.
    let deploy = TransactionRequest::default()
        .from(from)
        .with_deploy_code(devnet::init_code(&code))
        .with_max_fee_per_gas(provider.get_gas_price().await.unwrap())
        .with_max_priority_fee_per_gas(0);
    let gas = provider.estimate_gas(deploy.clone()).await.unwrap();
    let sent = provider.send_transaction(deploy.with_gas_limit(gas)).await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(receipt.status());
    let program = receipt.contract_address.unwrap();
    assert_eq!(provider.get_code_at(program).await.unwrap().as_ref(), code);
    // activate: with a fifth more than the fee.
    let fee = data_fee * U256::from(6) / U256::from(5);
    let activation = request(from, activate(program), fee);
    let receipt = provider.send_transaction(activation).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    let version = ArbWasm::programVersionCall { program }.abi_encode();
    let version = provider.call(request(from, version, U256::ZERO)).await.unwrap();
    assert!(ArbWasm::programVersionCall::abi_decode_returns(&version).unwrap() > 0);
}

fn activate(program: Address) -> Vec<u8> {
    ArbWasm::activateProgramCall { program }.abi_encode()
}
