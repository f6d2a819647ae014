//! The solver dies at every named point of an order's life, and the next start goes on.
//!
//! The solver that dies is this test binary, started again as a child that runs only
//! [`a_solver_until_it_is_told_to_die`].

use std::{
    process::{Child, Command, Stdio},
    time::Instant,
};

use alloy::primitives::U256;
use chain::Db;
use protocol::ids::IntentHash;
use solver::{order::State, store::Store};

use crate::{
    invariants,
    world::{FIRST, PATIENCE, SECOND, Settle, TT, World},
};

/// Names the configuration file of the child.
const CHILD: &str = "SOLVER_CHILD_CONFIG";

/// Orders whose proof goes with the fill.
const WITH_FILL: [&str; 17] = [
    "solver.intake.written",
    "solver.seen.reserved.before",
    "solver.seen.reserved.after",
    "solver.reserved.filling.before",
    "solver.reserved.filling.after",
    "solver.fill.send",
    "solver.fill.sent",
    "solver.filling.attesting.before",
    "solver.filling.attesting.after",
    "solver.attesting.proven.before",
    "solver.attesting.proven.after",
    "solver.proven.claiming.before",
    "solver.proven.claiming.after",
    "solver.withdrawal.send",
    "solver.withdrawal.sent",
    "solver.claiming.claimed.before",
    "solver.claiming.claimed.after",
];

/// The child: does nothing unless it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_solver_until_it_is_told_to_die() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let config = service::config::load(path.as_ref()).unwrap();
    let solver = solver::spawn(config).await.unwrap();
    solver.ended().await;
}

/// A child that is killed when it is dropped.
struct Mortal(Child);

impl Mortal {
    fn start(world: &World, point: Option<&str>) -> Self {
        let path = world.folder.path().join("solver.toml");
        std::fs::write(&path, world.config_text(8)).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crashes::a_solver_until_it_is_told_to_die"])
            .env(CHILD, path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(point) = point {
            command.env(service::crash::CRASH_VARIABLE, point);
        }
        Self(command.spawn().unwrap())
    }

    fn is_dead(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // It may be dead already, which is what the test is about.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn publish(world: &World) -> IntentHash {
    let tokens = |amount: u64| U256::from(amount * TT);
    let (a, b) = (world.token(FIRST), world.token(SECOND));
    let intent = world.intent(SECOND, FIRST, Settle::Instant, (a, tokens(110)), (b, tokens(100)));
    world.publish(FIRST, &intent)
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_every_named_point_neither_loses_nor_repeats_a_fill() {
    let world = World::new().await;
    let before = invariants::balances(&world, 8);
    let mut hashes = Vec::new();
    for point in WITH_FILL {
        let mut solver = Mortal::start(&world, Some(point));
        hashes.push(publish(&world));
        let deadline = Instant::now() + PATIENCE;
        while !solver.is_dead() {
            assert!(Instant::now() < deadline, "{point} was never reached");
            world.deliver_proofs();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    let child = Mortal::start(&world, None);
    let url = format!("sqlite:{}", world.folder.path().join("solver-8.db").display());
    let store = Store::open(Db::open(&url).await.unwrap()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while store.in_state(State::Claimed, 100).await.unwrap().len() < hashes.len() {
        assert!(Instant::now() < deadline, "{:?}", store.census().await.unwrap());
        world.deliver_proofs();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    drop(child);
    let solver = world.solver(8).await;
    invariants::hold(&world, &solver, 8, &before).await;
}
