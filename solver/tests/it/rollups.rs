//! Chains that charge for data beside the gas, and prices that come from a chain.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy::{
    primitives::{Address, Bytes, U256, address, hex},
    sol_types::SolValue,
};
use axum::{Json, Router, extract::State as Shared, routing::post};
use serde_json::{Value, json};
use solver::{Handle, order::State, store::EntryKind};

use crate::{
    fills,
    world::{FIRST, SECOND, Settle, TT, World, eventually, until},
};

/// `GasPriceOracle` of the OP stack.
const ORACLE: Address = address!("0x420000000000000000000000000000000000000F");

/// `NodeInterface` of Arbitrum.
const NODE_INTERFACE: Address = address!("0x00000000000000000000000000000000000000C8");

/// A price feed.
const FEED: Address = Address::repeat_byte(0xfe);

/// A hundredth of an ether, 30 dollars in these tests.
const FEE: u64 = 10_000_000_000_000_000;

/// Instructions that give the time of the block, and 0.
const TIMESTAMP: u8 = 0x42;
const ZERO: u8 = 0x5f;

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

/// Code that answers every call with a number.
fn constant(number: u64) -> Vec<u8> {
    let mut code = vec![0x7f]; // PUSH32
    code.extend(U256::from(number).to_be_bytes::<32>());
    code.extend(hex!("5f5260205ff3")); // PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    code
}

/// Code of a price feed with eight decimals; `time` gives when its answer was true.
fn feed(dollars: u64, time: u8) -> Vec<u8> {
    let mut code = hex!("5f3560e01c63313ce56714604757").to_vec(); // decimals(): JUMPI 71
    code.extend(hex!("60015f52")); // roundId
    code.push(0x7f); // PUSH32
    code.extend(U256::from(dollars * 100_000_000).to_be_bytes::<32>());
    code.extend(hex!("602052")); // answer
    code.extend([time, 0x60, 0x40, 0x52]); // startedAt
    code.extend([time, 0x60, 0x60, 0x52]); // updatedAt
    code.extend(hex!("6001608052")); // answeredInRound
    code.extend(hex!("60a05ff3")); // RETURN five words
    code.extend(hex!("5b60085f5260205ff3")); // 71: JUMPDEST, RETURN 8
    code
}

/// What stands before the node of a chain and says what that of a rollup would.
#[derive(Debug)]
struct Gateway {
    node: String,
    http: reqwest::Client,
    /// Wei that `NodeInterface` wants for any data.
    for_data: AtomicU64,
    /// Wei that receipts say was paid for data.
    paid: u64,
}

impl Gateway {
    /// Serves on a port of its own; returns where.
    async fn before(world: &World, chain: u64, paid: u64) -> (Arc<Self>, String) {
        let gateway = Arc::new(Self {
            node: world.network.chain(chain).unwrap().http_url(),
            http: reqwest::Client::new(),
            for_data: AtomicU64::new(0),
            paid,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&gateway));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (gateway, url)
    }

    fn ask_for(&self, wei: u64) {
        self.for_data.store(wei, Ordering::SeqCst);
    }
}

async fn answer(Shared(gateway): Shared<Arc<Gateway>>, Json(request): Json<Value>) -> Json<Value> {
    let called = serde_json::from_value::<Address>(request["params"][0]["to"].clone());
    if request["method"] == "eth_call" && called.is_ok_and(|called| called == NODE_INTERFACE) {
        // So much gas at one wei each.
        let gas = gateway.for_data.load(Ordering::SeqCst);
        let answer = Bytes::from((gas, U256::ONE, U256::ZERO).abi_encode());
        return Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": answer }));
    }
    let sent = gateway.http.post(&gateway.node).json(&request).send().await.unwrap();
    let mut answer: Value = sent.json().await.unwrap();
    if request["method"] == "eth_getTransactionReceipt" && answer["result"].is_object() {
        answer["result"]["l1Fee"] = json!(U256::from(gateway.paid));
    }
    Json(answer)
}

/// The configuration of a solver that reaches a chain at `url` and knows how it charges.
fn config(world: &World, chain: u64, url: &str, l1_fee: &str) -> solver::Config {
    world.config(8, |text| {
        let table = format!("[chains.{chain}]\n");
        text.replace(&table, &format!("{table}rpc = [\"{url}\"]\nl1_fee = \"{l1_fee}\"\n"))
    })
}

/// What a hundred tokens bring on the other chain.
async fn quoted(world: &World, solver: &Handle) -> U256 {
    let answer = fills::quotes(solver, &fills::quote_request(world, false)).await;
    answer.quotes.first().unwrap().quote.amount_out.0
}

/// Waits until a quote is better than another by the fee's 30 dollars, give or take the gas.
async fn until_better(world: &World, solver: &Handle, worse: U256) {
    eventually("the fee is in the quote", async || {
        let gained = quoted(world, solver).await.saturating_sub(worse);
        gained > tokens(29) && gained < tokens(31)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fee_of_an_op_stack_chain_is_priced_and_booked() {
    let world = World::new().await;
    world.chain(SECOND).set_code(ORACLE, constant(FEE)).unwrap();
    let (_, url) = Gateway::before(&world, SECOND, 777).await;
    let solver = solver::spawn(config(&world, SECOND, &url, "op_stack")).await.unwrap();
    let dear = quoted(&world, &solver).await;
    // Ten dollars do not pay for thirty.
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let intent = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let hash = world.publish(FIRST, &intent);
    until(&solver, hash, State::Waiting, "short of the margin").await;
    world.chain(SECOND).set_code(ORACLE, constant(0)).unwrap();
    until_better(&world, &solver, dear).await;
    world.settle(&solver, &[hash], &[State::Claimed]).await;

    let entries = solver.store().entries(0).await.unwrap();
    for kind in [EntryKind::ApprovalGas, EntryKind::FillGas] {
        let here = |asset: solver::money::Asset| asset.chain.0 == SECOND;
        let entry = entries.iter().find(|e| e.kind == kind && here(e.asset)).unwrap();
        let receipt = world.chain(SECOND).receipt(entry.tx).unwrap();
        let gas = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
        assert_eq!(entry.amount, gas + U256::from(777), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fee_of_an_arbitrum_chain_for_a_withdrawal_is_priced() {
    let world = World::new().await;
    let (gateway, url) = Gateway::before(&world, FIRST, 0).await;
    gateway.ask_for(FEE);
    let solver = solver::spawn(config(&world, FIRST, &url, "arbitrum")).await.unwrap();
    let dear = quoted(&world, &solver).await;
    gateway.ask_for(0);
    until_better(&world, &solver, dear).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_on_a_chain_decides_what_an_intent_pays() {
    let world = World::new().await;
    world.chain(FIRST).set_code(FEED, feed(1_000, TIMESTAMP)).unwrap();
    let config = world.config(8, |text| {
        text.replace(
            "prices = { ETH = \"3000\", TT = \"1\" }\n",
            &format!(
                "prices = {{ TT = \"1\" }}\n[[prices.sources]]\nname = \"feeds\"\n\
                 kind = \"chainlink\"\nchain = {FIRST}\nfeeds = {{ ETH = \"{FEED}\" }}\n"
            ),
        )
        .replace("[prices]\n", "[prices]\nrefresh = \"100ms\"\nmax_jump_bps = 100000\n")
    });
    let solver = solver::spawn(config).await.unwrap();
    // A twentieth of an ether for a hundred dollars.
    let reward = (Address::ZERO, U256::from(5 * FEE));
    let pay = (world.token(SECOND), tokens(100));
    let publish = || {
        let intent = world.intent(SECOND, FIRST, Settle::Instant, reward, pay);
        world.publish(FIRST, &intent)
    };
    let hash = publish();
    until(&solver, hash, State::Waiting, "short of the margin").await;
    world.chain(FIRST).set_code(FEED, feed(3_000, TIMESTAMP)).unwrap();
    world.settle(&solver, &[hash], &[State::Claimed]).await;
    // An answer of long ago says nothing of now.
    world.chain(FIRST).set_code(FEED, feed(3_000, ZERO)).unwrap();
    eventually("no price is believed", async || {
        let answer = fills::quotes(&solver, &fills::quote_request(&world, false)).await;
        answer.quotes.is_empty()
    })
    .await;
    until(&solver, publish(), State::Waiting, "fresh sources").await;
}
