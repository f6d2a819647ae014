//! A shortage is made good by an intent of our own, which another solver fills.

use alloy::primitives::U256;
use devnet::genesis::DEV_ADDRESSES;
use protocol::abi::erc20;
use solver::{order::State, store::EntryKind};

use crate::{
    invariants,
    world::{RECIPIENT, SECOND, TT, World, eventually},
};

fn tokens(amount: u64) -> U256 {
    U256::from(amount * TT)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortage_is_made_good_by_an_intent_that_another_solver_fills() {
    let world = World::new().await;
    let (wallet, b) = (DEV_ADDRESSES[8], world.token(SECOND));
    // All but 100 of the million are gone on the second chain; 1,000 are wanted there.
    let away = erc20::transferCall { to: RECIPIENT, value: tokens(1_000_000 - 100) };
    world.send(SECOND, wallet, b, &away, U256::ZERO);
    let before = [8, 9].map(|index| invariants::balances(&world, index));
    let config = world.config(8, |text| {
        let key = format!("[chains.{SECOND}.tokens.TT]\n");
        let text = text.replace(&key, &format!("{key}low = \"1000\"\n"));
        format!("{text}[rebalancing]\nlargest = \"1000\"\nfee_bps = 100\n")
    });
    let short = solver::spawn(config).await.unwrap();
    let rich = world.solver(9).await;
    eventually("it is short no longer", async || {
        world.deliver_proofs();
        world.balance(SECOND, b, wallet) >= tokens(1_000)
    })
    .await;
    eventually("all transfers are booked and paid for", async || {
        world.deliver_proofs();
        let open = short.store().open_transfers().await.unwrap();
        let claimed = rich.store().in_state(State::Claimed, 100).await.unwrap();
        let refused = short.store().in_state(State::Refused, 100).await.unwrap();
        open.is_empty() && !claimed.is_empty() && claimed.len() == refused.len()
    })
    .await;
    // No transfer moves more than is allowed.
    let entries = short.store().entries(0).await.unwrap();
    let brought: Vec<_> = entries.iter().filter(|e| e.kind == EntryKind::RebalanceIn).collect();
    assert!(
        !brought.is_empty() && brought.iter().all(|e| e.amount <= tokens(1_000)),
        "{brought:?}"
    );
    let refused = short.store().in_state(State::Refused, 100).await.unwrap();
    assert!(refused.iter().all(|order| order.reason.contains("of our own")), "{refused:?}");
    for ((index, solver), before) in [(8, &short), (9, &rich)].into_iter().zip(&before) {
        invariants::hold(&world, solver, index, before).await;
    }
}
