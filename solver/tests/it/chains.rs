//! Three chains, every pair of them, and proofs fifty at a time.

use std::collections::BTreeMap;

use alloy::{primitives::U256, sol_types::SolEvent};
use protocol::abi::inbox;
use solver::order::State;

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, THIRD, TT, World},
};

/// As many as one proof takes in the configuration.
const BATCH: usize = 50;

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_chains_pay_one_another_and_fifty_fills_share_one_proof() {
    let world = World::of(&[FIRST, SECOND, THIRD]).await;
    let before = invariants::balances(&world, 8);
    // Capital costs nothing: fills wait until a batch is full, once a lane has seen a fill.
    let config = world.config(8, |text| {
        text.replace("longest_wait = \"2s\"", "longest_wait = \"600s\"\ncapital_bps = 0")
    });
    let solver = solver::spawn(config).await.unwrap();
    let publish = |origin, destination, settle| {
        let (given, taken) = (world.token(origin), world.token(destination));
        let intent =
            world.intent(destination, origin, settle, (given, tokens(11)), (taken, tokens(10)));
        world.publish(origin, &intent)
    };
    let pairs = [
        (FIRST, SECOND),
        (SECOND, FIRST),
        (FIRST, THIRD),
        (THIRD, FIRST),
        (SECOND, THIRD),
        (THIRD, SECOND),
    ];
    let mut hashes: Vec<_> =
        pairs.map(|(origin, destination)| publish(origin, destination, Settle::Instant)).into();
    world.settle(&solver, &hashes, &[State::Claimed]).await;
    let batch: Vec<_> = (0..BATCH).map(|_| publish(FIRST, SECOND, Settle::Instant)).collect();
    world.settle(&solver, &batch, &[State::Claimed]).await;
    hashes.extend(&batch);

    let filter = alloy::rpc::types::Filter::new()
        .address(world.contracts(SECOND).inbox)
        .event_signature(inbox::IntentProven::SIGNATURE_HASH)
        .from_block(0);
    let mut proofs: BTreeMap<_, usize> = BTreeMap::new();
    for log in world.chain(SECOND).logs(&filter).unwrap() {
        *proofs.entry(log.transaction_hash).or_default() += 1;
    }
    assert_eq!(proofs.values().max(), Some(&BATCH), "{proofs:?}");
    invariants::hold(&world, &solver, 8, &before).await;
    solver.stop().await.unwrap();
}
