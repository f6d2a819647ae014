use alloy::primitives::{U256, utils::parse_ether};
use api::aggregator::{OrderState, Security};
use e2e::{World, invariants};

/// Ten test tokens, which have six decimals.
const TEN_TOKENS: u64 = 10_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn native_and_token_transfers_arrive_and_pay_the_solver() -> eyre::Result<()> {
    let world = World::start().await?;
    let alice = world.user(0)?;
    let bob = world.user(1)?;

    let native = alice.sends_native(parse_ether("0.5")?).done().await?;
    let token = bob.sends_tokens(U256::from(TEN_TOKENS)).done().await?;
    let signed = bob.sends_tokens(U256::from(TEN_TOKENS)).signed().done().await?;

    for transfer in [&native, &token, &signed] {
        transfer.names_every_fee()?;
        transfer.reaches(OrderState::Filled).await?;
        transfer.recipient_has_what_was_quoted().await?;
    }
    for transfer in [&native, &token, &signed] {
        transfer.reaches(OrderState::Settled).await?;
    }
    invariants::hold(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_finalized_tier_settles_too() -> eyre::Result<()> {
    let world = World::start().await?;
    let alice = world.user(0)?;

    let transfer =
        alice.sends_native(parse_ether("0.25")?).with_security(Security::Finalized).done().await?;

    transfer.reaches(OrderState::Filled).await?;
    transfer.recipient_has_what_was_quoted().await?;
    transfer.reaches(OrderState::Settled).await?;
    invariants::hold(&world).await
}
