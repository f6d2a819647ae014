//! Intents that are made to cost the solver money: it refuses, or the loss has a bound and a reason.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use protocol::{
    abi::erc20,
    intent::{Call, Intent},
};
use solver::{Handle, order::State};

use crate::{
    invariants,
    mocks::{self, Target, mode},
    world::{FIRST, SECOND, Settle, TT, USER, World, until},
};

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

/// A world with a mock token that a solver takes as reward.
struct Trap {
    world: World,
    bad: Address,
    before: invariants::Balances,
    solver: Handle,
}

impl Trap {
    async fn new() -> Self {
        let world = World::new().await;
        let bad = mocks::create(&world, FIRST, "Token");
        let mint = erc20::mintCall { to: USER, value: tokens(10_000) };
        world.send(FIRST, USER, bad, &mint, U256::ZERO);
        let before = invariants::balances(&world, 8);
        let config = world.config(8, |text| {
            format!(
                "{text}withdrawal_retry = \"1s\"\n[chains.{FIRST}.tokens.BAD]\naddress = \"{bad}\"\n\
                 decimals = 6\nprice = \"TT\"\n"
            )
        });
        let solver = solver::spawn(config).await.unwrap();
        Self { world, bad, before, solver }
    }

    /// An intent that pays 110 for 100.
    fn intent(&self, reward: Address) -> Intent {
        let (given, taken) = ((reward, tokens(110)), (self.world.token(SECOND), tokens(100)));
        self.world.intent(SECOND, FIRST, Settle::Instant, given, taken)
    }

    async fn hold(&self) {
        invariants::hold(&self.world, &self.solver, 8, &self.before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_contracts_are_refused_or_waited_out() {
    let trap = Trap::new().await;
    let Trap { world, bad, solver, .. } = &trap;
    let plain = world.token(FIRST);

    // A vault that is said to be full: the token kept a tenth.
    mocks::set_mode(world, FIRST, *bad, mode::TAKES_FEE);
    let short = world.publish(FIRST, &trap.intent(*bad));
    until(solver, short, State::Waiting, "vault").await;

    // A route that answers more than any block can carry.
    mocks::set_mode(world, FIRST, *bad, mode::HONEST);
    let mut bomb = trap.intent(plain);
    let data = Target::bombCall { size: U256::from(10_000_000) }.abi_encode().into();
    let target = mocks::create(world, SECOND, "Target");
    bomb.route.calls.push(Call { target, data, value: U256::ZERO });
    let bomb = world.publish(FIRST, &bomb);
    until(solver, bomb, State::Waiting, "simulation").await;

    // A token that stops moving after the fill: the reward waits, and comes once it moves again.
    let held = world.publish(FIRST, &trap.intent(*bad));
    until(solver, held, State::Attesting, "").await;
    mocks::set_mode(world, FIRST, *bad, mode::REVERTS);
    world.deliver_proofs();
    until(solver, held, State::Proven, "withdrawal fails").await;
    // And one that does not move is known before another fill.
    let stuck = world.publish_unfunded(FIRST, &trap.intent(*bad));
    let mint = erc20::mintCall { to: world.vault(FIRST, stuck), value: tokens(110) };
    world.send(FIRST, USER, *bad, &mint, U256::ZERO);
    until(solver, stuck, State::Refused, "payout").await;
    mocks::set_mode(world, FIRST, *bad, mode::HONEST);
    world.settle(solver, &[held], &[State::Claimed]).await;
    trap.hold().await;
}
