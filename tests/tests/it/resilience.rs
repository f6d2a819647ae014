use alloy::primitives::utils::parse_ether;
use api::aggregator::OrderState;
use e2e::{World, invariants};

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_is_settled_once_the_relayer_is_back_and_one_validator_may_be_away()
-> eyre::Result<()> {
    let mut world = World::start().await?;
    world.stop_relayer().await?;
    world.stop_a_validator().await?;

    let id = {
        let transfer = world.user(0)?.sends_native(parse_ether("0.1")?).done().await?;
        transfer.reaches(OrderState::Filled).await?;
        transfer.recipient_has_what_was_quoted().await?;
        transfer.id()
    };
    world.stop_aggregator().await?;
    world.start_relayer().await?;
    world.start_aggregator().await?;

    world.order_reaches(id, OrderState::Settled).await?;
    invariants::hold(&world).await
}
