//! `POST /v1/intents`: what is turned away before it costs anything, and what is taken.

use alloy::primitives::{Address, Bytes, U256};
use api::{
    Amount,
    aggregator::Call as CallDto,
    solver::{
        GaslessOrder, Intent as IntentDto, Problem, Reward as RewardDto, Route as RouteDto,
        SubmitIntent, TokenAmount as TokenAmountDto,
    },
};
use protocol::{
    abi::erc20,
    intent::{Intent, TokenAmount},
};
use solver::{Handle, order::State};

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, USER, World, eventually, until},
};

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

/// An intent that pays so many tokens for 100.
fn intent(world: &World, reward: u64) -> Intent {
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(reward)), (b, tokens(100)))
}

/// Hands an intent to a solver: the status and the words of its answer.
pub(crate) async fn submit(solver: &Handle, body: &SubmitIntent) -> (u16, String) {
    let url = format!("http://{}/v1/intents", solver.api_addr());
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// An intent of the first chain as a signed order.
pub(crate) fn signed(world: &World, nonce: u64, intent: &Intent) -> SubmitIntent {
    let (order, signature) = world.sign(nonce, intent);
    let order = GaslessOrder {
        origin_settler: order.originSettler,
        user: order.user,
        nonce: Amount(order.nonce),
        origin_chain_id: FIRST,
        open_deadline: order.openDeadline,
        fill_deadline: order.fillDeadline,
        order_data_type: order.orderDataType,
        order_data: order.orderData,
    };
    SubmitIntent::Gasless { order, signature }
}

/// An intent of the first chain that no event tells of.
fn direct(intent: &Intent) -> SubmitIntent {
    let Intent { destination, route, reward } = intent.clone();
    let dto = |leg: &TokenAmount| TokenAmountDto { token: leg.token, amount: Amount(leg.amount) };
    let calls = route.calls.into_iter().map(|call| CallDto {
        target: call.target,
        data: call.data,
        value: Amount(call.value),
    });
    let intent = IntentDto {
        destination_chain_id: destination,
        route: RouteDto {
            salt: route.salt,
            deadline: route.deadline,
            portal: route.portal,
            native_amount: Amount(route.nativeAmount),
            tokens: route.tokens.iter().map(dto).collect(),
            calls: calls.collect(),
        },
        reward: RewardDto {
            deadline: reward.deadline,
            creator: reward.creator,
            prover: reward.prover,
            native_amount: Amount(reward.nativeAmount),
            tokens: reward.tokens.iter().map(dto).collect(),
        },
    };
    SubmitIntent::Direct { origin_chain_id: FIRST, intent }
}

/// Asserts that an intent is turned away with this status and code.
async fn turned_away(solver: &Handle, body: &SubmitIntent, status: u16, code: &str) {
    let (given, text) = submit(solver, body).await;
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!((given, problem.code.as_str()), (status, code), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_nobody_has_funded_is_turned_away_or_asks_for_no_estimate() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let good = intent(&world, 110);
    turned_away(&solver, &direct(&good), 422, "vault").await;
    let mut late = good.clone();
    late.reward.deadline = world.chain(FIRST).timestamp() + 20;
    turned_away(&solver, &direct(&late), 422, "deadlines").await;
    let mut foreign = good.clone();
    foreign.reward.prover = Address::repeat_byte(9);
    turned_away(&solver, &direct(&foreign), 422, "prover").await;
    assert!(solver.store().census().await.unwrap().is_empty(), "nothing of it is written down");

    // Paid in by a transfer, of which no event of ours tells.
    let vault = world.vault(FIRST, good.hash());
    let mint = erc20::mintCall { to: vault, value: tokens(110) };
    world.send(FIRST, USER, world.token(FIRST), &mint, U256::ZERO);
    let (status, text) = submit(&solver, &direct(&good)).await;
    assert_eq!(status, 202, "{text}");
    world.settle(&solver, &[good.hash()], &[State::Claimed]).await;

    // Published for nothing: after the first look the fill is not tried any more.
    let poor = world.publish_unfunded(FIRST, &intent(&world, 110));
    until(&solver, poor, State::Waiting, "vault").await;
    eventually("its fill is not tried", async || {
        let url = format!("http://{}/v1/intents/{poor}", solver.admin_addr());
        let answer = reqwest::Client::new().get(url).bearer_auth("token").send().await.unwrap();
        answer.text().await.unwrap().contains("not tried before the reward is in the vault")
    })
    .await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_orders_that_wait_to_be_opened_are_limited_together_and_by_user() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let config = world.config(8, |text| format!("signed_open = 2\n{text}"));
    let solver = solver::spawn(config).await.unwrap();
    // None of them pays: they wait.
    let intents: Vec<_> = (0..3).map(|_| intent(&world, 100)).collect();
    let orders: Vec<_> = (1..).zip(&intents).map(|(nonce, it)| signed(&world, nonce, it)).collect();
    for (order, intent) in orders.iter().zip(&intents).take(2) {
        assert_eq!(submit(&solver, order).await.0, 202);
        until(&solver, intent.hash(), State::Waiting, "").await;
    }
    let waiting = async || {
        let mut waiting = Vec::new();
        for intent in &intents {
            let key = format!("open:{}", intent.hash());
            waiting.push(solver.store().outgoing(&key).await.unwrap().is_some());
        }
        waiting
    };
    assert_eq!(waiting().await, [true, true, false]);
    // A look at the oldest may be under way, and nothing displaces what is looked at.
    eventually("the third is taken", async || submit(&solver, &orders[2]).await.0 == 202).await;
    let mut there = waiting().await;
    assert!(there.pop().unwrap());
    assert_eq!(there.iter().filter(|it| **it).count(), 1, "one has given way: {there:?}");
    let known = usize::from(there[1]);
    assert_eq!(submit(&solver, &orders[known]).await.0, 202, "what is known is no new order");
    assert_eq!(waiting().await[..2], there);
    assert!(waiting().await[2], "so it displaces nothing");

    let limits = r#"{ "exposure": "1000000", "in_flight_per_creator": 2, "calls": 16,
        "calldata": 16384, "fill_gas": 10000000, "attempts": 3 }"#;
    let put = reqwest::Client::new()
        .put(format!("http://{}/v1/limits", solver.admin_addr()))
        .bearer_auth("token")
        .header("content-type", "application/json")
        .body(limits);
    assert_eq!(put.send().await.unwrap().status().as_u16(), 204);
    turned_away(&solver, &orders[1 - known], 429, "too_many").await;

    let SubmitIntent::Gasless { order, signature } = &orders[2] else { unreachable!() };
    let stranger = GaslessOrder { user: Address::repeat_byte(7), ..order.clone() };
    let stranger = SubmitIntent::Gasless { order: stranger, signature: signature.clone() };
    turned_away(&solver, &stranger, 422, "order").await;
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_the_signature_of_another_is_turned_away() {
    let world = World::new().await;
    let solver = world.solver(8).await;
    let SubmitIntent::Gasless { order, .. } = signed(&world, 1, &intent(&world, 120)) else {
        unreachable!()
    };
    let SubmitIntent::Gasless { signature, .. } = signed(&world, 2, &intent(&world, 120)) else {
        unreachable!()
    };
    let forged = SubmitIntent::Gasless { order: order.clone(), signature };
    turned_away(&solver, &forged, 422, "order").await;
    let unsigned = SubmitIntent::Gasless { order, signature: Bytes::new() };
    turned_away(&solver, &unsigned, 422, "order").await;
    assert!(solver.store().census().await.unwrap().is_empty());
}
