//! Intents that pay are filled, proven and claimed, whatever they are made of.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use api::{
    Amount,
    aggregator::AmountRequest,
    solver::{IntentStatus, Quote, QuoteRequest, QuoteResponse, SignedQuote},
};
use protocol::{
    abi::erc20,
    ids::IntentHash,
    intent::{Call, Intent},
};
use solver::{Handle, order::State};

use crate::{
    door, invariants,
    world::{FIRST, RECIPIENT, SECOND, Settle, TT, USER, World, eventually},
};

const ETHER: u128 = 1_000_000_000_000_000_000;

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_intent_is_filled_proven_and_claimed() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let native = Address::ZERO;
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let plain = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let in_ether = world.intent(
        SECOND,
        FIRST,
        Settle::Finalized,
        (native, U256::from(ETHER / 10)),
        (native, U256::from(ETHER / 20)),
    );
    let back = world.intent(FIRST, SECOND, Settle::Instant, (b, tokens(110)), (a, tokens(100)));
    let local = world.intent(FIRST, FIRST, Settle::Local, (a, tokens(110)), (a, tokens(100)));
    let mut several =
        world.intent(SECOND, FIRST, Settle::Finalized, (a, tokens(200)), (b, tokens(100)));
    several.route.nativeAmount = U256::from(7);
    several.route.calls[0].data =
        erc20::transferCall { to: RECIPIENT, value: tokens(60) }.abi_encode().into();
    several.route.calls.push(Call {
        target: b,
        data: erc20::transferCall { to: USER, value: tokens(40) }.abi_encode().into(),
        value: U256::ZERO,
    });
    several.route.calls.push(Call { target: RECIPIENT, data: Bytes::new(), value: U256::from(7) });
    let signed = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(120)), (b, tokens(100)));
    let hashes = [
        world.publish(FIRST, &plain),
        world.publish(FIRST, &in_ether),
        world.publish(SECOND, &back),
        world.publish(FIRST, &local),
        world.publish(FIRST, &several),
        gasless(&world, &solver, 1, signed).await,
        quoted(&world, &solver).await,
        quoted_gasless(&world, &solver).await,
    ];
    world.settle(&solver, &hashes, &[State::Claimed]).await;
    assert!(world.balance(SECOND, b, RECIPIENT) >= tokens(160));
    assert_eq!(world.balance(SECOND, native, RECIPIENT), U256::from(ETHER / 20 + 7));
    invariants::hold(&world, &solver, 8, &before).await;
    operating(&solver, hashes[0].0).await;
    solver.stop().await.unwrap();
}

/// A gasless order handed to the solver, which opens it at its own expense.
async fn gasless(world: &World, solver: &Handle, nonce: u64, intent: Intent) -> IntentHash {
    let (status, text) = door::submit(solver, &door::signed(world, nonce, &intent)).await;
    assert_eq!(status, 202, "{text}");
    let taken: IntentStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(taken.intent_hash, intent.hash().0);
    intent.hash()
}

pub(crate) fn quote_request(world: &World, gasless: bool) -> QuoteRequest {
    QuoteRequest {
        origin_chain_id: FIRST,
        origin_token: world.token(FIRST),
        destination_chain_id: SECOND,
        destination_token: world.token(SECOND),
        amount: AmountRequest::ExactInput(Amount(tokens(100))),
        recipient: Some(RECIPIENT),
        calls: Vec::new(),
        gasless,
        security: None,
        caller: None,
    }
}

pub(crate) async fn quotes(solver: &Handle, request: &QuoteRequest) -> QuoteResponse {
    let url = format!("http://{}/v1/quotes", solver.api_addr());
    let answer = reqwest::Client::new().post(&url).json(request).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let answer: QuoteResponse = serde_json::from_str(&text).unwrap();
    assert_eq!(answer.quotes.len() + answer.unavailable.len(), 2, "{text}");
    answer
}

/// The intent that takes a quote.
pub(crate) fn taking(world: &World, quote: &Quote) -> Intent {
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let mut intent = world.intent(
        SECOND,
        FIRST,
        Settle::Instant,
        (a, quote.amount_in.0),
        (b, quote.amount_out.0),
    );
    intent.route.salt = quote.id;
    intent.route.deadline = quote.route_deadline;
    intent.reward.deadline = quote.reward_deadline;
    intent
}

/// A quote for a signed order pays for the opening, which another quote would not.
async fn quoted_gasless(world: &World, solver: &Handle) -> IntentHash {
    let plain = quotes(solver, &quote_request(world, false)).await.quotes.remove(0);
    let signed = quotes(solver, &quote_request(world, true)).await.quotes.remove(0);
    signed.verify().unwrap();
    assert!(signed.quote.gasless && !plain.quote.gasless);
    assert!(signed.quote.amount_out.0 < plain.quote.amount_out.0, "the opening has a price");
    let opening = |quote: &SignedQuote| quote.costs.unwrap().opening_gas;
    assert!(opening(&signed) > 0 && opening(&plain) == 0);
    gasless(world, solver, 2, taking(world, &signed.quote)).await
}

/// A quote is given, holds its inventory, and is honoured.
async fn quoted(world: &World, solver: &Handle) -> IntentHash {
    let request = quote_request(world, false);
    let answer = quotes(solver, &request).await;
    let signed = &answer.quotes[0];
    signed.verify().unwrap();
    let mut forged = signed.clone();
    forged.quote.amount_out = Amount(tokens(1_000));
    assert!(forged.verify().is_err());
    let quote = &signed.quote;
    assert!(quote.amount_out.0 < tokens(100) && quote.amount_out.0 > tokens(90), "{quote:?}");
    let costs = signed.costs.unwrap();
    assert!(costs.fill_gas > 0 && costs.withdraw_gas > 0, "{costs:?}");
    let held = solver.store().reserved_for(quote.id).await.unwrap();
    assert!(held.iter().any(|r| r.amount == quote.amount_out.0), "{held:?}");

    let too_small = QuoteRequest { amount: AmountRequest::ExactInput(1.into()), ..request };
    let answer = quotes(solver, &too_small).await;
    assert!(answer.quotes.is_empty() && answer.unavailable[0].minimum.is_some());
    world.publish(FIRST, &taking(world, quote))
}

/// The operator's API tells what happened, to who has the token.
async fn operating(solver: &Handle, hash: alloy::primitives::B256) {
    let client = reqwest::Client::new();
    let get = async |path: &str, token: &str| {
        let url = format!("http://{}{path}", solver.admin_addr());
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/v1/status", "guess").await.0, 401);
    let (_, explained) = get(&format!("/v1/intents/{hash}"), "token").await;
    assert!(explained.contains("\"claimed\"") && explained.contains("proof_fee"), "{explained}");
    let (_, csv) = get("/v1/report.csv", "token").await;
    assert!(csv.lines().count() > 20, "{csv}");
    assert!(get("/v1/report.svg", "token").await.1.starts_with("<svg"));
    assert!(get("/metrics", "").await.1.contains("solver_fills_total"));
    let url = format!("http://{}/v1/pause", solver.admin_addr());
    client.post(url).bearer_auth("token").send().await.unwrap().error_for_status().unwrap();
    assert!(get("/v1/status", "token").await.1.contains("paused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_solvers_compete_and_each_intent_is_filled_once() {
    let world = World::new().await;
    let before = [8, 9].map(|index| invariants::balances(&world, index));
    let solvers = [world.solver(8).await, world.solver(9).await];
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let hashes: Vec<_> = (0..6)
        .map(|_| {
            let intent =
                world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
            world.publish(FIRST, &intent)
        })
        .collect();
    let ends = [State::Claimed, State::Lost];
    for solver in &solvers {
        world.settle(solver, &hashes, &ends).await;
    }
    let mut claimed = 0;
    for solver in &solvers {
        claimed += solver.store().in_state(State::Claimed, 100).await.unwrap().len();
    }
    assert_eq!(claimed, hashes.len());
    assert_eq!(world.balance(SECOND, b, RECIPIENT), tokens(600));
    for (index, (solver, before)) in solvers.iter().zip(&before).enumerate() {
        invariants::hold(&world, solver, 8 + index, before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_sends_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let wet = world.solver(8).await;
    wet.stop().await.unwrap();
    let mut dry = world.config(8, |text| format!("dry_run = true\n{text}"));
    let file = world.folder.path().join("reloaded.toml");
    dry.file = Some(file.clone());
    let solver = solver::spawn(dry).await.unwrap();
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let good = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let poor = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(100)), (b, tokens(100)));
    let (good, poor) = (world.publish(FIRST, &good), world.publish(FIRST, &poor));
    let reason = async |hash| {
        let order = solver.store().order(hash).await.unwrap();
        order.map(|order| order.reason).unwrap_or_default()
    };
    eventually("a good intent would be filled", async || {
        reason(good).await.contains("dry run: would fill")
    })
    .await;
    eventually("a poor one would not", async || reason(poor).await.contains("short of the margin"))
        .await;
    reload(&world, &solver, &file).await;
    invariants::hold(&world, &solver, 8, &before).await;
}

/// Limits are read from the file again, all or nothing.
async fn reload(world: &World, solver: &Handle, file: &std::path::Path) {
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{}{path}", solver.admin_addr());
    let reload = async |text: String| {
        std::fs::write(file, text).unwrap();
        let answer = client.post(url("/v1/reload")).bearer_auth("token").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let limits = async || {
        let answer = client.get(url("/v1/limits")).bearer_auth("token").send().await.unwrap();
        answer.text().await.unwrap()
    };
    let text =
        world.config_text(8).replace("exposure = \"1000000\"", "exposure = \"777\"\ncalls = 3");
    assert_eq!(reload(text.clone()).await, (204, String::new()));
    let set = limits().await;
    assert!(set.contains("777") && set.contains("\"calls\":3"), "{set}");
    let (status, faults) = reload(text.replace("calls = 3", "calls = \"few\"")).await;
    assert_eq!(status, 422);
    assert!(faults.contains("limits.calls"), "{faults}");
    assert_eq!(limits().await, set);
}
