//! What does not pay, or cannot be trusted, is refused with the reason.

use alloy::primitives::{Address, B256, U256};
use protocol::{abi::prover, intent::Intent};
use solver::order::State;

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, USER, World, eventually},
};

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_intents_are_refused_and_cost_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let base = || world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let with = |change: fn(&mut Intent)| {
        let mut intent = base();
        change(&mut intent);
        world.publish(FIRST, &intent)
    };
    let soon = world.chain(FIRST).timestamp() + 20;
    let mut expiring = base();
    expiring.reward.deadline = soon;
    let expiring = world.publish(FIRST, &expiring);
    let refused = [
        (with(|i| i.route.portal = Address::repeat_byte(9)), "inbox"),
        (with(|i| i.destination = 5), "inbox"),
        (with(|i| i.reward.prover = Address::repeat_byte(9)), "prover"),
        (with(|i| i.route.tokens[0].token = Address::repeat_byte(9)), "tokens"),
        (with(|i| i.route.calls[0].value = U256::from(1)), "shape"),
        (expiring, "deadlines"),
    ];
    for (hash, rule) in refused {
        eventually(rule, async || {
            let order = solver.store().order(hash).await.unwrap();
            order.is_some_and(|o| o.state == State::Refused && o.reason.starts_with(rule))
        })
        .await;
    }
    let waiting = [
        (world.publish_unfunded(FIRST, &base()), "vault"),
        (with(|i| i.route.calls[0].data = vec![1, 2, 3, 4].into()), "simulation"),
        (with(|i| i.route.tokens[0].amount = tokens(200)), "profit"),
    ];
    for (hash, rule) in waiting {
        eventually(rule, async || {
            let order = solver.store().order(hash).await.unwrap();
            order.is_some_and(|o| o.state == State::Waiting && o.reason.starts_with(rule))
        })
        .await;
    }
    invariants::hold(&world, &solver, 8, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_the_wrong_chain_is_challenged_and_the_reward_comes_home() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let solver = world.solver(8).await;
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let intent = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let hash = world.publish(FIRST, &intent);
    eventually("it is filled", async || {
        let order = solver.store().order(hash).await.unwrap();
        order.is_some_and(|o| o.state == State::Attesting)
    })
    .await;
    // A whitelisted sender on the first chain itself vouches for a fill there.
    let claimant: B256 = USER.into_word();
    world.deliver(FIRST, FIRST, FIRST, &[(hash, claimant)]);
    eventually("the wrong proof is gone", async || {
        let call = prover::provenIntentsCall { intentHash: hash.0 };
        let proof = world.view(FIRST, intent.reward.prover, &call);
        proof.claimant.is_zero()
    })
    .await;
    world.settle(&solver, &[hash], &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}
