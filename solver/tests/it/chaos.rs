//! Nodes that fail, blocks that are taken back, gas that jumps, proofs that never come.

use std::time::Duration;

use alloy::{
    primitives::{B256, U256},
    rpc::types::Filter,
    sol_types::SolEvent,
};
use devnet::{Fault, FaultRule, Mining, ReorgMode};
use protocol::{
    abi::{inbox, intent_source},
    intent::Intent,
};
use solver::{Handle, order::State};

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, USER, World, eventually, until},
};

/// Far above what any wallet pays.
const SPIKE: u64 = 5_000_000_000_000;

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

/// An intent that pays 110 for 100.
fn intent(world: &World) -> Intent {
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)))
}

/// Status and report of the solver's health.
async fn health(solver: &Handle) -> (u16, serde_json::Value) {
    let answer = reqwest::get(format!("http://{}/health", solver.admin_addr())).await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

/// Waits until the solver has heard that gas of a chain costs this much, in wei.
async fn until_gas_costs(solver: &Handle, chain: u64, least: u64) {
    let url = format!("http://{}/metrics", solver.admin_addr());
    let gauge = format!("solver_gas_price_wei{{chain=\"{chain}\"}} ");
    eventually("the price of gas is known", async || {
        let metrics = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let price = metrics.lines().find_map(|line| line.strip_prefix(gauge.as_str()));
        price.is_some_and(|price| price.parse::<f64>().unwrap() >= least as f64)
    })
    .await;
}

/// Takes the block with the first event of this kind back, and all its transactions.
async fn strike(world: &World, chain: u64, event: B256) {
    let filter = Filter::new().event_signature(event).from_block(0);
    let block = || world.chain(chain).logs(&filter).unwrap().first().and_then(|l| l.block_number);
    eventually("the event to strike", async || block().is_some()).await;
    let depth = world.chain(chain).head().number() + 1 - block().unwrap();
    world.chain(chain).reorg(depth, ReorgMode::Drop).unwrap();
    assert!(world.chain(chain).logs(&filter).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_nodes_delay_orders_and_cost_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let faults = [
        Fault::Drop,
        Fault::DropAnswer,
        Fault::RateLimit,
        Fault::Latency { millis: 300 },
        Fault::Error { code: -32_000, message: "injected".to_owned() },
    ];
    for chain in world.network.chains() {
        for fault in &faults {
            let rule = FaultRule::new(&[], fault.clone());
            chain.set_fault(FaultRule { probability: Some(0.03), ..rule });
        }
    }
    let hashes: Vec<_> = (0..6).map(|_| world.publish(FIRST, &intent(&world))).collect();
    world.settle(&solver, &hashes, &[State::Claimed]).await;
    for chain in world.network.chains() {
        chain.clear_faults();
    }
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_a_chain_that_does_not_answer_until_it_does() {
    let world = World::new().await;
    let solver = world.solver(8).await;
    let (status, report) = health(&solver).await;
    assert_eq!(status, 200, "{report}");
    let node = world.network.chain(SECOND).unwrap();
    node.set_fault(FaultRule::new(&[], Fault::Drop));
    eventually("the chain is missed", async || health(&solver).await.0 == 503).await;
    let (_, report) = health(&solver).await;
    let parts = &report["components"];
    let reason = parts[format!("chain {SECOND}")]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&SECOND.to_string()) && reason.contains("since"), "{report}");
    assert_eq!(parts[format!("chain {FIRST}")]["state"], "ok", "{report}");
    node.clear_faults();
    eventually("the chain is back", async || health(&solver).await.0 == 200).await;
    // The rest has only waited.
    let hash = world.publish(FIRST, &intent(&world));
    world.settle(&solver, &[hash], &[State::Claimed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reorganisations_on_both_sides_of_a_fill_lose_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let config = world.config(8, |text| {
        let deep = "confirm = \"blocks(20)\"\nconfirmations = [{ above = \"0\", blocks = 20 }]\n";
        text.replace("confirm = \"blocks(1)\"\n", deep)
    });
    let solver = solver::spawn(config).await.unwrap();
    // The reward goes before it is deep enough: nothing is filled for it.
    let gone = intent(&world);
    let hash = world.publish(FIRST, &gone);
    until(&solver, hash, State::Waiting, "confirmations").await;
    strike(&world, FIRST, intent_source::IntentPublished::SIGNATURE_HASH).await;
    until(&solver, hash, State::Waiting, "vault").await;
    assert!(world.proven_at(SECOND).is_empty());
    // It comes again; its fill goes and is sent again, and so does its withdrawal.
    world.publish(FIRST, &gone);
    strike(&world, SECOND, inbox::IntentFulfilled::SIGNATURE_HASH).await;
    until(&solver, hash, State::Attesting, "").await;
    world.deliver_proofs();
    strike(&world, FIRST, intent_source::IntentWithdrawn::SIGNATURE_HASH).await;
    world.settle(&solver, &[hash], &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_of_gas_is_waited_out() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let calm = world.chain(SECOND).head().header.base_fee_per_gas.unwrap();
    // Before the fill: it does not pay.
    world.chain(SECOND).set_base_fee(SPIKE);
    world.chain(SECOND).mine(1).unwrap();
    until_gas_costs(&solver, SECOND, SPIKE / 10).await;
    let hash = world.publish(FIRST, &intent(&world));
    until(&solver, hash, State::Waiting, "short of the margin").await;
    world.chain(SECOND).set_base_fee(calm);
    until(&solver, hash, State::Attesting, "").await;
    // Before the withdrawal: no more is offered for gas than is allowed.
    world.chain(FIRST).set_base_fee(SPIKE);
    world.deliver_proofs();
    until(&solver, hash, State::Claiming, "").await;
    let head = world.chain(FIRST).head().number();
    eventually("ten blocks pass it by", async || world.chain(FIRST).head().number() > head + 10)
        .await;
    until(&solver, hash, State::Claiming, "").await;
    world.chain(FIRST).set_base_fee(calm);
    world.settle(&solver, &[hash], &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_never_comes_costs_one_route_and_is_told() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let config = world.config(8, |text| {
        let text = text.replace("instant = \"60s\"", "instant = \"1s\"");
        format!("{text}reprove_after = 2\n")
    });
    let solver = solver::spawn(config).await.unwrap();
    let lost = intent(&world);
    let hash = world.publish(FIRST, &lost);
    eventually("it is proven again", async || {
        let history = solver.store().history(hash).await.unwrap();
        history.iter().any(|entry| entry.reason.contains("proving again"))
    })
    .await;
    world.chain(FIRST).increase_time(7_200);
    world.chain(FIRST).mine(1).unwrap();
    let refund = intent_source::refundCall {
        destination: lost.destination,
        routeHash: lost.route.hash().0,
        reward: lost.reward.clone(),
    };
    world.send(FIRST, USER, world.contracts(FIRST).intent_source, &refund, U256::ZERO);
    until(&solver, hash, State::Forfeited, "refunded").await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_expires_in_flight_costs_its_gas_at_most() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let second = world.chain(SECOND);
    second.set_mining(Mining::Manual).unwrap();
    let hash = world.publish(FIRST, &intent(&world));
    until(&solver, hash, State::Filling, "").await;
    second.increase_time(7_200);
    second.set_mining(Mining::Interval(Duration::from_millis(100))).unwrap();
    eventually("it is over", async || {
        let order = solver.store().order(hash).await.unwrap();
        order.is_some_and(|order| matches!(order.state, State::Refused | State::Lost))
    })
    .await;
    assert_eq!(world.balance(SECOND, world.token(SECOND), crate::world::RECIPIENT), U256::ZERO);
    invariants::hold(&world, &solver, 8, &before).await;
}
