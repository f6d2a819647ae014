//! The solver starts without its database and finds what is its own.

use alloy::primitives::U256;
use solver::order::State;

use crate::world::{FIRST, SECOND, Settle, TT, World};

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
