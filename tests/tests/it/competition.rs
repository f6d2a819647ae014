use alloy::primitives::{U256, utils::parse_ether};
use e2e::{World, invariants};
use eyre::OptionExt;

/// Intents that both solvers see at the same time.
const INTENTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_solvers_each_intent_pays_one_and_costs_the_other_gas_at_most() -> eyre::Result<()> {
    let world = World::start().await?;
    let alice = world.user(0)?;
    let (reward, amount) = (parse_ether("0.05")?, parse_ether("0.045")?);
    let before = [world.solver_worth(0).await?, world.solver_worth(1).await?];

    let mut intents = Vec::new();
    for _ in 0..INTENTS {
        intents.push(alice.publishes(reward, amount, 3_600).await?);
    }
    let mut won = [0_u64; 2];
    for intent in &intents {
        let winner = intent.is_paid().await?;
        let is_winner = |index: &u16| world.solver_address(*index).ok() == Some(winner);
        let solver = [0, 1].into_iter().find(is_winner).ok_or_eyre("one of our solvers is paid")?;
        won[usize::from(solver)] += 1;
    }

    assert_eq!(won[0] + won[1], INTENTS as u64);
    // What a solver spends on gas and messages for all of them together stays far below one margin.
    let gas = parse_ether("0.01")?;
    for (index, won) in [0, 1].into_iter().zip(won) {
        let gained = (reward - amount) * U256::from(won);
        let after = world.solver_worth(index).await?;
        let least = before[usize::from(index)] + gained - gas;
        assert!(after >= least, "solver {index} won {won}: {after} of {least}");
    }
    invariants::hold(&world).await
}
