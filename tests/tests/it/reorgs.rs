use alloy::primitives::utils::parse_ether;
use api::aggregator::OrderState;
use devnet::ReorgMode;
use e2e::{World, invariants};

/// Deeper than what any role waits for before it acts on the instant tier.
const DEPTH: u64 = 3;

/// Both chains lose their newest blocks right when a transfer reaches a stage, and mine the same
/// transactions again in others.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_survive_reorgs_of_both_chains_at_every_stage() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "reorganizes chains").await? else { return Ok(()) };
    let mut transfers = Vec::new();
    for stage in [
        OrderState::Published,
        OrderState::Filled,
        OrderState::Proving,
        OrderState::Proven,
        OrderState::Settled,
    ] {
        let transfer = world.user(0)?.sends_native(parse_ether("0.1")?).done().await?;
        transfer.reaches(stage).await?;
        for chain in [world.origin(), world.destination()] {
            world.chain(chain)?.reorg(DEPTH, ReorgMode::Keep)?;
        }
        transfers.push(transfer);
    }
    for transfer in &transfers {
        transfer.reaches(OrderState::Settled).await?;
        transfer.recipient_has_what_was_quoted().await?;
    }
    invariants::hold(&world).await
}

/// The destination forgets a fill, the origin a delivery, and then a claim: all are made again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_is_done_again() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "reorganizes chains").await? else { return Ok(()) };
    let mut transfers = Vec::new();
    for (stage, chain, depth) in [
        (OrderState::Filled, world.destination(), DEPTH),
        (OrderState::Proven, world.origin(), 1),
        (OrderState::Settled, world.origin(), 1),
    ] {
        let transfer = world.user(0)?.sends_native(parse_ether("0.1")?).done().await?;
        transfer.reaches(stage).await?;
        world.chain(chain)?.reorg(depth, ReorgMode::Drop)?;
        transfers.push(transfer);
    }
    for transfer in &transfers {
        transfer.is_paid().await?;
        transfer.recipient_has_what_was_quoted().await?;
    }
    invariants::hold(&world).await
}
