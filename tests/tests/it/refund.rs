use alloy::primitives::{U256, utils::parse_ether};
use e2e::{World, invariants};

/// Short enough to be waited for on chains whose time nobody can move.
const LIFETIME: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_nobody_fills_is_refunded_after_its_deadline() -> eyre::Result<()> {
    let world = World::with_contracts().await?;
    let alice = world.user(0)?;

    let intent = alice.publishes(parse_ether("1")?, U256::ONE, LIFETIME).await?;
    assert!(intent.is_refunded().await.is_err(), "refunded before the deadline");

    world.time_passes(world.origin(), LIFETIME + 1).await?;
    intent.is_refunded().await?;
    // Anybody may sweep again what came late; there is nothing, so nothing moves.
    intent.is_refunded().await?;
    invariants::hold(&world).await
}
