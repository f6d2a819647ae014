//! JSON-RPC as alloy speaks it, over HTTP and WebSocket.

use alloy::{
    eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718},
    network::{EthereumWallet, NetworkWallet, TransactionBuilder},
    primitives::{Address, B256, U256, address, bytes},
    providers::{DynProvider, Provider, ext::DebugApi},
    rpc::types::{
        Filter, TransactionRequest,
        state::{AccountOverride, StateOverride},
        trace::geth::{GethDebugTracingOptions, GethTrace},
    },
};
use devnet::{
    ChainConfig, Config, Fault, FaultRule, ForgedLog, ReorgMode,
    genesis::{self, DEV_ADDRESSES, DEV_BALANCE},
    init_code,
};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::{
    in_process::COUNTER,
    network::{Network, eventually},
};

const GWEI: u128 = 1_000_000_000;

async fn network() -> Network {
    Network::start(ChainConfig::new(700_001)).await
}

fn pay(from: usize, to: Address, wei: u64) -> TransactionRequest {
    TransactionRequest::default().from(DEV_ADDRESSES[from]).to(to).value(U256::from(wei))
}

async fn deploy_counter(provider: &DynProvider) -> Address {
    let deploy =
        TransactionRequest::default().from(DEV_ADDRESSES[0]).with_deploy_code(init_code(&COUNTER));
    let receipt = provider.send_transaction(deploy).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    receipt.contract_address.unwrap()
}

fn bump(counter: Address) -> TransactionRequest {
    TransactionRequest::default().from(DEV_ADDRESSES[1]).to(counter)
}

/// Signs without asking the node, with everything given.
async fn signed(tx: TransactionRequest) -> Vec<u8> {
    let from = tx.from.unwrap();
    let signers = genesis::dev_signers().unwrap();
    let signer = signers.into_iter().find(|signer| signer.address() == from).unwrap();
    let wallet = EthereumWallet::from(signer);
    let tx = tx.with_chain_id(700_001).with_gas_limit(100_000);
    let envelope =
        <EthereumWallet as NetworkWallet<alloy::network::Ethereum>>::sign_request(&wallet, tx);
    envelope.await.unwrap().encoded_2718()
}

async fn ask(provider: &DynProvider, method: &'static str, params: Value) -> Value {
    provider.raw_request(method.into(), params).await.unwrap()
}

async fn refusal(provider: &DynProvider, method: &'static str, params: Value) -> (i64, String) {
    let result: Result<Value, _> = provider.raw_request(method.into(), params).await;
    let error = result.unwrap_err();
    let payload = error.as_error_resp().unwrap_or_else(|| panic!("{error}"));
    (payload.code, payload.message.to_string())
}

#[tokio::test]
async fn alloy_deploys_calls_and_reads_over_http_and_websocket() {
    let network = network().await;
    for provider in [network.http(), network.ws().await] {
        assert_eq!(provider.get_chain_id().await.unwrap(), 700_001);
        let counter = deploy_counter(&provider).await;
        let sent = provider.send_transaction(bump(counter)).await.unwrap();
        let receipt = sent.get_receipt().await.unwrap();
        assert!(receipt.status());
        assert_eq!(receipt.inner.logs().len(), 1);
        assert_eq!(receipt.effective_gas_price, 100_000_000);
        let block = provider.get_block(receipt.block_number.unwrap().into()).full().await.unwrap();
        let block = block.unwrap();
        assert_eq!(Some(block.header.hash), receipt.block_hash);
        assert_eq!(block.header.hash_slow(), block.header.hash, "the hash is the header's");
        assert_eq!(block.transactions.hashes().next(), Some(receipt.transaction_hash));
        let found = provider.get_transaction_by_hash(receipt.transaction_hash).await.unwrap();
        assert_eq!(found.unwrap().inner.signer(), DEV_ADDRESSES[1]);
        let called = provider.call(bump(counter)).await.unwrap();
        assert_eq!(U256::from_be_slice(&called), U256::from(2));
        assert_eq!(provider.get_storage_at(counter, U256::ZERO).await.unwrap(), U256::from(1));
        assert_eq!(provider.get_code_at(counter).await.unwrap().as_ref(), COUNTER);
    }
}

#[tokio::test]
async fn past_blocks_and_tags_read_past_state() {
    let network = Network::start(ChainConfig::new(700_001).lags(2, 4)).await;
    let provider = network.http();
    let receiver = Address::repeat_byte(0x11);
    for _ in 0..6 {
        provider.send_transaction(pay(0, receiver, 10)).await.unwrap().get_receipt().await.unwrap();
    }
    let at = |block: BlockId| {
        let provider = provider.clone();
        async move { provider.get_balance(receiver).block_id(block).await.unwrap().to::<u64>() }
    };
    assert_eq!(at(BlockId::latest()).await, 60);
    assert_eq!(at(BlockId::safe()).await, 40);
    assert_eq!(at(BlockId::finalized()).await, 20);
    assert_eq!(at(BlockId::earliest()).await, 0);
    assert_eq!(at(BlockId::number(3)).await, 30);
    let third = provider.get_block_by_number(3.into()).await.unwrap().unwrap();
    assert_eq!(at(BlockId::hash(third.header.hash)).await, 30);
    let nonce = provider.get_transaction_count(DEV_ADDRESSES[0]).number(2).await.unwrap();
    assert_eq!(nonce, 2);
    let finalized = provider.get_block(BlockId::finalized()).await.unwrap().unwrap();
    assert_eq!(finalized.header.number, 2);
    let ahead = refusal(&provider, "eth_getBalance", json!([receiver, "0x63"])).await;
    assert_eq!(ahead, (-32_000, "header not found".into()));
    let absent = ask(&provider, "eth_getBlockByNumber", json!(["0x63", false])).await;
    assert_eq!(absent, Value::Null);
}

#[tokio::test]
async fn pruned_state_is_refused_by_name() {
    let network = Network::start(ChainConfig::new(700_001).history(5)).await;
    network.chain().chain().mine(20).unwrap();
    let provider = network.http();
    let (code, message) = refusal(&provider, "eth_getBalance", json!([Address::ZERO, "0x3"])).await;
    assert_eq!(code, -32_000);
    assert!(message.starts_with("missing trie node"), "{message}");
}

#[tokio::test]
async fn calls_take_state_and_block_overrides() {
    let network = network().await;
    let provider = network.http();
    let nowhere = address!("00000000000000000000000000000000000c0de0");
    // Returns NUMBER + SLOAD(0).
    let code = bytes!("600054430160005260206000f3");
    let mut overrides = StateOverride::default();
    let account = AccountOverride {
        code: Some(code),
        state_diff: Some([(B256::ZERO, B256::with_last_byte(5))].into_iter().collect()),
        ..AccountOverride::default()
    };
    overrides.insert(nowhere, account);
    let call = json!({ "to": nowhere });
    let answer =
        ask(&provider, "eth_call", json!([call, "latest", overrides, { "number": "0x64" }])).await;
    assert_eq!(answer, json!(B256::with_last_byte(105)));
    let gas = ask(&provider, "eth_estimateGas", json!([call, "latest", overrides])).await;
    let gas = U256::from_str_radix(gas.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert!(gas > U256::from(23_000) && gas < U256::from(24_000), "{gas}");
}

#[tokio::test]
async fn estimates_are_enough_and_not_far_above() {
    let network = network().await;
    let provider = network.http();
    assert_eq!(provider.estimate_gas(pay(0, Address::repeat_byte(1), 5)).await.unwrap(), 21_000);
    let counter = deploy_counter(&provider).await;
    let estimate = provider.estimate_gas(bump(counter)).await.unwrap();
    let tx = bump(counter).with_gas_limit(estimate);
    let receipt = provider.send_transaction(tx).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert!(estimate < receipt.gas_used * 12 / 10, "{estimate} for {}", receipt.gas_used);
}

#[tokio::test]
async fn reverts_come_with_reason_and_data() {
    let network = network().await;
    let chain = network.chain().chain();
    let revert = Address::repeat_byte(0xee);
    // Reverts with Error("no"): the data is copied from behind the code.
    let data = alloy::sol_types::Revert::from("no");
    let data = alloy::sol_types::SolError::abi_encode(&data);
    let length = u8::try_from(data.len()).unwrap();
    let mut code = vec![0x60, length, 0x60, 0x0c, 0x60, 0, 0x39, 0x60, length, 0x60, 0, 0xfd];
    code.extend(&data);
    chain.set_code(revert, code).unwrap();
    let provider = network.http();
    for method in ["eth_call", "eth_estimateGas"] {
        let result: Result<Value, _> =
            provider.raw_request(method.into(), json!([{ "to": revert }])).await;
        let error = result.unwrap_err();
        let payload = error.as_error_resp().unwrap();
        assert_eq!((payload.code, payload.message.as_ref()), (3, "execution reverted: no"));
        assert_eq!(payload.as_revert_data().unwrap().as_ref(), data);
    }
    let sent = provider.send_transaction(bump(revert).with_gas_limit(50_000)).await.unwrap();
    assert!(!sent.get_receipt().await.unwrap().status());
}

#[tokio::test]
async fn transactions_are_refused_in_the_words_of_geth() {
    let network = network().await;
    let provider = network.http();
    let fee = |tx: TransactionRequest, cap: u128, tip: u128| {
        tx.with_max_fee_per_gas(cap).with_max_priority_fee_per_gas(tip)
    };
    let first = fee(pay(0, Address::ZERO, 1).with_nonce(0), GWEI, 0);
    let raw = signed(first.clone()).await;
    let _ = provider.send_raw_transaction(&raw).await.unwrap();
    let cases = [
        (first.clone().with_value(U256::from(2)), "nonce too low: next nonce 1, tx nonce 0"),
        (
            fee(pay(0, Address::ZERO, 1).with_nonce(1), 10, 0),
            "max fee per gas less than block base fee",
        ),
        (
            fee(pay(0, Address::ZERO, 1).with_nonce(1), GWEI, 2 * GWEI),
            "max priority fee per gas higher",
        ),
        (
            fee(pay(0, Address::ZERO, 1).with_nonce(1).value(DEV_BALANCE), GWEI, 0),
            "insufficient funds for gas * price + value",
        ),
    ];
    for (tx, expected) in cases {
        let raw = signed(tx).await;
        let (code, message) =
            refusal(&provider, "eth_sendRawTransaction", json!([alloy::hex::encode_prefixed(raw)]))
                .await;
        assert_eq!(code, -32_000);
        assert!(message.starts_with(expected), "{message}");
    }
    let again =
        refusal(&provider, "eth_sendRawTransaction", json!([alloy::hex::encode_prefixed(&raw)]));
    assert_eq!(again.await.1, "already known");
    let unknown = json!([{ "from": Address::repeat_byte(5), "to": Address::ZERO }]);
    assert_eq!(refusal(&provider, "eth_sendTransaction", unknown).await.1, "unknown account");
}

#[tokio::test]
async fn the_pool_replaces_queues_and_orders() {
    let network = network().await;
    let provider = network.http();
    ask(&provider, "evm_setAutomine", json!([false])).await;
    let send = |nonce, wei, cap| {
        let provider = provider.clone();
        async move {
            let tx = pay(0, Address::repeat_byte(1), wei).with_nonce(nonce);
            let tx = tx.with_max_fee_per_gas(cap).with_max_priority_fee_per_gas(0);
            let raw = signed(tx).await;
            let sent = provider.send_raw_transaction(&raw).await;
            sent.map(|pending| *pending.tx_hash()).map_err(|error| error.to_string())
        }
    };
    let first = send(0, 1, GWEI).await.unwrap();
    assert!(
        send(0, 2, GWEI + GWEI / 20)
            .await
            .unwrap_err()
            .contains("replacement transaction underpriced")
    );
    let replacement = send(0, 2, GWEI + GWEI / 10).await.unwrap();
    let gap = send(2, 4, GWEI).await.unwrap();
    assert_eq!(provider.get_transaction_count(DEV_ADDRESSES[0]).pending().await.unwrap(), 1);
    assert_eq!(
        ask(&provider, "txpool_status", json!([])).await,
        json!({ "pending": "0x1", "queued": "0x1" })
    );
    ask(&provider, "evm_mine", json!([])).await;
    assert!(provider.get_transaction_receipt(first).await.unwrap().is_none());
    assert!(provider.get_transaction_receipt(replacement).await.unwrap().is_some());
    assert!(provider.get_transaction_receipt(gap).await.unwrap().is_none());
    let filler = send(1, 3, GWEI).await.unwrap();
    ask(&provider, "anvil_mine", json!(["0x1"])).await;
    let filled = provider.get_transaction_receipt(filler).await.unwrap().unwrap();
    let queued = provider.get_transaction_receipt(gap).await.unwrap().unwrap();
    assert_eq!(filled.block_number, queued.block_number);
    assert_eq!(provider.get_balance(Address::repeat_byte(1)).await.unwrap(), U256::from(9));
}

#[tokio::test]
async fn subscriptions_follow_heads_logs_and_reorganizations() {
    let network = network().await;
    let provider = network.ws().await;
    let counter = deploy_counter(&provider).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let filter = Filter::new().address(counter);
    let mut logs = provider.subscribe_logs(&filter).await.unwrap().into_stream();
    let mut pending = provider.subscribe_pending_transactions().await.unwrap().into_stream();
    let receipt =
        provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    assert_eq!(heads.next().await.unwrap().hash, receipt.block_hash.unwrap());
    assert_eq!(pending.next().await.unwrap(), receipt.transaction_hash);
    let log = logs.next().await.unwrap();
    assert_eq!((log.transaction_hash, log.removed), (Some(receipt.transaction_hash), false));
    network.chain().chain().reorg(1, ReorgMode::Keep).unwrap();
    let gone = logs.next().await.unwrap();
    assert_eq!((gone.block_hash, gone.removed), (receipt.block_hash, true));
    let back = logs.next().await.unwrap();
    assert!(!back.removed && back.block_hash != receipt.block_hash);
    assert_eq!(back.transaction_hash, Some(receipt.transaction_hash));
    let new_head = heads.next().await.unwrap();
    assert_eq!(Some(new_head.hash), back.block_hash);
}

#[tokio::test]
async fn filters_report_changes_once() {
    let network = network().await;
    let provider = network.http();
    let counter = deploy_counter(&provider).await;
    let logs = ask(&provider, "eth_newFilter", json!([{ "address": counter }])).await;
    let blocks = ask(&provider, "eth_newBlockFilter", json!([])).await;
    provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    let changes = ask(&provider, "eth_getFilterChanges", json!([logs])).await;
    assert_eq!(changes.as_array().unwrap().len(), 1);
    assert_eq!(ask(&provider, "eth_getFilterChanges", json!([logs])).await, json!([]));
    assert_eq!(
        ask(&provider, "eth_getFilterChanges", json!([blocks])).await,
        json!([network.chain().chain().head().hash])
    );
    assert_eq!(ask(&provider, "eth_uninstallFilter", json!([logs])).await, json!(true));
    assert_eq!(
        refusal(&provider, "eth_getFilterChanges", json!([logs])).await.1,
        "filter not found"
    );
}

#[tokio::test]
async fn blocks_come_at_an_interval_and_stop_while_paused() {
    let interval = std::time::Duration::from_millis(20);
    let network = Network::start(ChainConfig::new(700_001).block_time(interval)).await;
    let provider = network.http();
    let height = || {
        let provider = provider.clone();
        async move { provider.get_block_number().await.unwrap() }
    };
    eventually("ten blocks", || async { height().await >= 10 }).await;
    ask(&provider, "devnet_pause", json!([])).await;
    let stopped = height().await;
    let raw = signed(pay(0, Address::repeat_byte(1), 1).with_nonce(0).with_gas_price(GWEI)).await;
    let hash = *provider.send_raw_transaction(&raw).await.unwrap().tx_hash();
    assert_eq!(height().await, stopped);
    assert!(provider.get_transaction_receipt(hash).await.unwrap().is_none());
    ask(&provider, "devnet_resume", json!([])).await;
    eventually("the transaction is mined", || async {
        provider.get_transaction_receipt(hash).await.unwrap().is_some()
    })
    .await;
}

#[tokio::test]
async fn faults_disturb_the_methods_they_name() {
    let network = network().await;
    let provider = network.http();
    let chain = network.chain();
    let counter = deploy_counter(&provider).await;
    for _ in 0..4 {
        provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    }
    let all = Filter::new().from_block(0);
    let count = || {
        let (provider, all) = (provider.clone(), all.clone());
        async move { provider.get_logs(&all).await.unwrap().len() }
    };
    let head = provider.get_block_number().await.unwrap();

    chain
        .set_fault(FaultRule::new(&["eth_blockNumber", "eth_getLogs"], Fault::Stale { blocks: 2 }));
    assert_eq!(provider.get_block_number().await.unwrap(), head - 2);
    assert_eq!(count().await, 2);
    chain.clear_faults();
    chain.set_fault(FaultRule::new(&["eth_getLogs"], Fault::OmitLogs { every: 2 }));
    assert_eq!(count().await, 2);
    chain.clear_faults();
    let forged = ForgedLog { address: Address::repeat_byte(9), topics: vec![], data: bytes!("01") };
    chain.set_fault(FaultRule::new(&["eth_getLogs"], Fault::ForgeLogs { logs: vec![forged] }));
    assert_eq!(count().await, 5);
    ask(&provider, "devnet_clearFaults", json!([])).await;

    let rule = json!([{ "methods": ["eth_chainId"], "fault": { "kind": "error", "code": -32_603, "message": "no" } }]);
    ask(&provider, "devnet_setFault", rule).await;
    assert_eq!(refusal(&provider, "eth_chainId", json!([])).await, (-32_603, "no".into()));
    chain.clear_faults();
    chain.set_fault(FaultRule::new(&["eth_chainId"], Fault::RateLimit).times(1));
    let limited: Result<Value, _> = provider.raw_request("eth_chainId".into(), json!([])).await;
    assert!(limited.unwrap_err().to_string().contains("429"));
    chain.set_fault(FaultRule::new(&["eth_chainId"], Fault::Drop).times(1));
    let dropped: Result<Value, _> = provider.raw_request("eth_chainId".into(), json!([])).await;
    assert!(dropped.is_err());
    chain.set_fault(FaultRule::new(&["eth_chainId"], Fault::Latency { millis: 150 }).times(1));
    let start = std::time::Instant::now();
    assert_eq!(ask(&provider, "eth_chainId", json!([])).await, json!("0xaae61"));
    assert!(start.elapsed().as_millis() >= 150);
}

#[tokio::test]
async fn tests_arrange_accounts_time_and_snapshots() {
    let network = network().await;
    let provider = network.http();
    let somebody = Address::repeat_byte(0x42);
    ask(&provider, "anvil_setBalance", json!([somebody, "0xde0b6b3a7640000"])).await;
    ask(&provider, "hardhat_setNonce", json!([somebody, "0x7"])).await;
    ask(&provider, "anvil_setStorageAt", json!([somebody, "0x1", B256::with_last_byte(3)])).await;
    assert_eq!(provider.get_storage_at(somebody, U256::from(1)).await.unwrap(), U256::from(3));
    let snapshot = ask(&provider, "evm_snapshot", json!([])).await;
    ask(&provider, "anvil_impersonateAccount", json!([somebody])).await;
    let send = json!([{ "from": somebody, "to": Address::ZERO, "value": "0x5" }]);
    let hash: B256 =
        serde_json::from_value(ask(&provider, "eth_sendTransaction", send.clone()).await).unwrap();
    let receipt = provider.get_transaction_receipt(hash).await.unwrap().unwrap();
    assert_eq!((receipt.from, receipt.status()), (somebody, true));
    ask(&provider, "anvil_stopImpersonatingAccount", json!([somebody])).await;
    assert_eq!(refusal(&provider, "eth_sendTransaction", send).await.1, "unknown account");
    let time = provider.get_block(BlockId::latest()).await.unwrap().unwrap().header.timestamp;
    ask(&provider, "evm_increaseTime", json!([3_600])).await;
    ask(&provider, "evm_mine", json!([])).await;
    let later = provider.get_block(BlockId::latest()).await.unwrap().unwrap().header.timestamp;
    assert_eq!(later, time + 3_601);
    ask(&provider, "evm_setNextBlockTimestamp", json!([later + 1_000])).await;
    ask(&provider, "anvil_mine", json!([])).await;
    let exact = provider.get_block(BlockId::latest()).await.unwrap().unwrap().header.timestamp;
    assert_eq!(exact, later + 1_000);
    assert_eq!(ask(&provider, "evm_revert", json!([snapshot])).await, json!(true));
    assert_eq!(provider.get_block_number().await.unwrap(), 0);
    assert_eq!(provider.get_transaction_count(somebody).await.unwrap(), 7);
    assert_eq!(ask(&provider, "evm_revert", json!([snapshot])).await, json!(false));
}

#[tokio::test]
async fn unlocked_accounts_send_and_sign() {
    let network = network().await;
    let provider = network.http();
    let send = json!([{ "from": DEV_ADDRESSES[4], "to": Address::ZERO, "value": "0x5" }]);
    let hash: B256 =
        serde_json::from_value(ask(&provider, "eth_sendTransaction", send).await).unwrap();
    let tx = provider.get_transaction_by_hash(hash).await.unwrap().unwrap();
    let recovered = alloy::consensus::transaction::SignerRecoverable::recover_signer(&*tx.inner);
    assert_eq!(recovered.unwrap(), DEV_ADDRESSES[4]);
    let signature = ask(&provider, "personal_sign", json!(["0x6869", DEV_ADDRESSES[2]])).await;
    let signature: alloy::primitives::Bytes = serde_json::from_value(signature).unwrap();
    let signature = alloy::primitives::Signature::from_raw(&signature).unwrap();
    assert_eq!(signature.recover_address_from_msg("hi").unwrap(), DEV_ADDRESSES[2]);
}

#[tokio::test]
async fn fee_history_covers_blocks_and_the_next() {
    let network = network().await;
    let provider = network.http();
    network.chain().chain().mine(5).unwrap();
    let history =
        provider.get_fee_history(3, BlockNumberOrTag::Latest, &[25.0, 75.0]).await.unwrap();
    assert_eq!(history.oldest_block, 3);
    assert_eq!(history.base_fee_per_gas, [100_000_000; 4]);
    assert_eq!(history.gas_used_ratio.len(), 3);
    assert_eq!(history.reward.unwrap()[0].len(), 2);
    network.chain().chain().set_base_fee(7);
    assert_eq!(provider.get_gas_price().await.unwrap(), 7);
}

#[tokio::test]
async fn batches_are_answered_in_order_and_errors_are_told_apart() {
    let network = network().await;
    let client = reqwest::Client::new();
    let post = |body: String| {
        let (client, url) = (client.clone(), network.chain().http_url());
        async move {
            let text = client.post(url).body(body).send().await.unwrap().text().await.unwrap();
            serde_json::from_str::<Value>(&text).unwrap()
        }
    };
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "eth_chainId" },
        { "jsonrpc": "2.0", "id": "two", "method": "eth_nothing", "params": [] },
        { "jsonrpc": "2.0", "method": "eth_chainId" },
        { "jsonrpc": "2.0", "id": 3, "method": "eth_getBalance", "params": ["0x12"] },
        7,
    ]);
    let answers = post(batch.to_string()).await;
    assert_eq!(answers[0], json!({ "jsonrpc": "2.0", "id": 1, "result": "0xaae61" }));
    assert_eq!((&answers[1]["id"], &answers[1]["error"]["code"]), (&json!("two"), &json!(-32_601)));
    assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&json!(3), &json!(-32_602)));
    assert_eq!(answers[3]["error"]["code"], json!(-32_600));
    assert_eq!(answers.as_array().unwrap().len(), 4);
    assert_eq!(post("{nonsense".into()).await["error"]["code"], json!(-32_700));
    assert_eq!(post("[]".into()).await["error"]["code"], json!(-32_600));
}

#[tokio::test]
async fn traces_show_the_calls() {
    let network = network().await;
    let provider = network.http();
    let counter = deploy_counter(&provider).await;
    let sent = provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    let options = GethDebugTracingOptions::call_tracer(Default::default());
    let trace = provider.debug_trace_transaction(sent.transaction_hash, options).await.unwrap();
    let GethTrace::CallTracer(frame) = trace else { panic!("{trace:?}") };
    assert_eq!((frame.from, frame.to), (DEV_ADDRESSES[1], Some(counter)));
    assert_eq!(frame.output.unwrap().as_ref(), U256::from(1).to_be_bytes::<32>());
    assert_eq!(frame.gas_used, U256::from(sent.gas_used));
}

#[tokio::test]
async fn proofs_verify_against_the_state_root() {
    use alloy::{
        primitives::keccak256,
        rlp,
        trie::{Nibbles, TrieAccount, proof::verify_proof},
    };
    let network = network().await;
    let provider = network.http();
    let counter = deploy_counter(&provider).await;
    provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    let root: B256 =
        serde_json::from_value(ask(&provider, "devnet_stateRoot", json!([])).await).unwrap();
    let proof = provider.get_proof(counter, vec![B256::ZERO]).await.unwrap();
    let account = TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    let key = Nibbles::unpack(keccak256(counter));
    verify_proof(root, key, Some(rlp::encode(account)), &proof.account_proof).unwrap();
    let slot = &proof.storage_proof[0];
    assert_eq!(slot.value, U256::from(1));
    let key = Nibbles::unpack(keccak256(B256::ZERO));
    verify_proof(proof.storage_hash, key, Some(rlp::encode(slot.value)), &slot.proof).unwrap();
}

#[tokio::test]
async fn a_dumped_state_loads_into_another_chain() {
    let (first, second) = (network().await, network().await);
    let counter = deploy_counter(&first.http()).await;
    first.http().send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
    let dump = ask(&first.http(), "anvil_dumpState", json!([])).await;
    assert_eq!(ask(&second.http(), "anvil_loadState", json!([dump])).await, json!(true));
    let counted = second.http().call(bump(counter)).await.unwrap();
    assert_eq!(U256::from_be_slice(&counted), U256::from(2));
}

#[tokio::test]
async fn the_same_requests_over_rpc_give_the_same_hashes() {
    let mut hashes = Vec::new();
    for seed in [5, 5, 6] {
        let config = Config { seed, ..Config::with_chains(1) };
        let network = Network { handle: devnet::spawn(config).await.unwrap() };
        let provider = network.http();
        let counter = deploy_counter(&provider).await;
        provider.send_transaction(bump(counter)).await.unwrap().get_receipt().await.unwrap();
        ask(&provider, "devnet_reorg", json!([{ "depth": 1, "mode": "drop" }])).await;
        hashes.push(network.chain().chain().head().hash);
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[tokio::test]
async fn dropping_the_handle_frees_the_ports() {
    let handle = devnet::spawn(Config::with_chains(3)).await.unwrap();
    let addresses: Vec<_> = handle.chains().iter().map(|chain| chain.address()).collect();
    let taken = ChainConfig::new(9).port(addresses[0].port());
    let refused = devnet::spawn(Config { chains: vec![taken], ..Config::default() }).await;
    assert!(refused.unwrap_err().to_string().contains("cannot listen on"));
    drop(handle);
    for address in addresses {
        eventually("the port is free", || async {
            tokio::net::TcpListener::bind(address).await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_network_goes_on_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config { data_dir: Some(folder.path().into()), ..Config::with_chains(2) };
    let handle = devnet::spawn(config()).await.unwrap();
    handle.chains()[1].chain().mine(7).unwrap();
    let head = handle.chains()[1].chain().head();
    handle.stop().await;
    let handle = devnet::spawn(config()).await.unwrap();
    assert_eq!(handle.chain(700_002).unwrap().chain().head(), head);
}
