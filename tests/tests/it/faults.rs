use alloy::primitives::{U256, utils::parse_ether};
use api::aggregator::OrderState;
use devnet::{Fault, FaultRule};
use e2e::{World, invariants};

/// What a bad day of a node is made of, with the share of calls that it meets.
fn a_bad_day() -> [(FaultRule, f64); 5] {
    let (code, message) = (-32_603, "upstream timed out".to_owned());
    [
        (FaultRule::new(&[], Fault::Latency { millis: 60 }), 0.3),
        (FaultRule::new(&["eth_getBlock*", "eth_getLogs"], Fault::Error { code, message }), 0.05),
        (FaultRule::new(&[], Fault::Drop), 0.05),
        (FaultRule::new(&["eth_getLogs", "eth_call"], Fault::RateLimit), 0.02),
        (FaultRule::new(&["eth_sendRawTransaction"], Fault::DropAnswer), 0.3),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_paid_through_nodes_on_a_bad_day() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "disturbs JSON-RPC").await? else { return Ok(()) };
    let mut transfers = Vec::new();
    for index in 0..2 {
        let user = world.user(index)?;
        transfers.push(user.sends_native(parse_ether("0.1")?).done().await?);
        transfers.push(user.sends_tokens(U256::from(25_000_000)).done().await?);
    }

    for chain in [world.origin(), world.destination()] {
        for (mut rule, share) in a_bad_day() {
            rule.probability = Some(share);
            world.endpoint(chain)?.set_fault(rule);
        }
    }
    for transfer in &transfers {
        transfer.reaches(OrderState::Settled).await?;
    }
    for chain in [world.origin(), world.destination()] {
        world.endpoint(chain)?.clear_faults();
    }

    for transfer in &transfers {
        transfer.recipient_has_what_was_quoted().await?;
    }
    invariants::hold(&world).await
}
