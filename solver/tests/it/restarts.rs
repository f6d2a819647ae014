//! The solver stops and starts: in the middle of its work, and without its database.

use std::time::Duration;

use alloy::primitives::U256;
use devnet::Mining;
use protocol::ids::IntentHash;
use solver::order::State;

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, World, all_in},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_costs_no_reward() {
    let world = World::new().await;
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let tokens = |amount: u64| U256::from(amount * TT);
    let solver = world.solver(8).await;
    let intent = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    let hash = world.publish(FIRST, &intent);
    crate::world::eventually("it is filled", async || {
        let order = solver.store().order(hash).await.unwrap();
        order.is_some_and(|o| o.state == State::Attesting)
    })
    .await;
    solver.stop().await.unwrap();
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("solver-8.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let solver = world.solver(8).await;
    world.settle(&solver, &[hash], &[State::Claimed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_solvers_do_not_share_their_books() {
    let world = World::new().await;
    let first = world.solver(8).await;
    let second = solver::spawn(world.config(8, |text| text)).await;
    let refusal = second.unwrap_err().to_string();
    assert!(refusal.contains("`solver` is in use by another process"), "{refusal}");
    first.stop().await.unwrap();
    world.solver(8).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_in_the_middle_loses_nothing() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let blocks = Mining::Interval(Duration::from_millis(100));
    let start = async || {
        // Half of it is spent on what no block takes.
        let config = world.config(8, |text| format!("stop_bound = \"8s\"\n{text}"));
        solver::spawn(config).await.unwrap()
    };
    let solver = start().await;
    // No block takes the fills.
    world.chain(SECOND).set_mining(Mining::Manual).unwrap();
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let tokens = |amount: u64| U256::from(amount * TT);
    let publish = |_| {
        let (given, taken) = ((a, tokens(110)), (b, tokens(100)));
        world.publish(FIRST, &world.intent(SECOND, FIRST, Settle::Instant, given, taken))
    };
    let hashes: Vec<IntentHash> = (0..3).map(publish).collect();
    all_in(&solver, &hashes, State::Filling).await;
    solver.stop().await.unwrap();
    world.chain(SECOND).set_mining(blocks).unwrap();
    // Nobody brings the proofs.
    let solver = start().await;
    all_in(&solver, &hashes, State::Attesting).await;
    solver.stop().await.unwrap();
    // No block takes the withdrawals.
    world.chain(FIRST).set_mining(Mining::Manual).unwrap();
    let solver = start().await;
    world.deliver_proofs();
    all_in(&solver, &hashes, State::Claiming).await;
    solver.stop().await.unwrap();
    world.chain(FIRST).set_mining(blocks).unwrap();
    let solver = start().await;
    world.settle(&solver, &hashes, &[State::Claimed]).await;
    invariants::hold(&world, &solver, 8, &before).await;
}
