//! Reads: executed when their anchors are known, on chains that make blocks on demand and keep little state.

use std::time::Duration;

use alloy::{primitives::B256, sol_types::SolCall as _};
use devnet::{ChainConfig, Clock};
use protocol::{
    abi::{hyperlane::MerkleTreeHook, messaging::ReadOperation},
    finality::Tier,
};
use settlement::relayer;

use crate::{
    system::System,
    world::{FINALITY, eventually, metric},
};

/// Blocks whose state the read chain keeps.
const HISTORY: u64 = 64;
/// Blocks that it makes at once.
const STEP: u64 = 8;

/// The newest block that agents of this process have read.
async fn read_up_to(relayer: &relayer::Handle, labels: &str) -> u64 {
    let name = format!("hyperlane_block_height{labels}");
    metric(relayer.admin().unwrap(), &name).await as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_a_chain_that_makes_blocks_on_demand_and_keeps_little_state() {
    let origin = ChainConfig::new(700_001).block_time(Duration::from_millis(100));
    let system = System::deploy_on([
        origin.lags(2, FINALITY).clock(Clock::Wall),
        ChainConfig::new(700_002).lags(2, FINALITY).history(HISTORY).clock(Clock::Wall),
    ])
    .await;
    let validators =
        [system.validator(1).await, system.validator(2).await, system.validator(3).await];
    let relayer = system.relayer().await;
    let announced = async || metric(relayer.admin().unwrap(), "hyperlane_announced").await >= 12.0;
    eventually("announcements of three validators, two tiers, two chains", announced).await;
    let (chain, manifest) = system.chain(700_002);
    let read = [ReadOperation {
        domain: 700_002,
        target: manifest.contracts.merkle_tree_hook,
        callData: MerkleTreeHook::countCall {}.abi_encode().into(),
    }];

    // Nobody uses the chain that is read: the relayer makes the block that the read waits for.
    let id = system.dispatch(Tier::Instant, &read, b"heartbeat");
    eventually("delivery", async || system.is_delivered(id)).await;
    let beats = metric(relayer.admin().unwrap(), "metalayer_relayer_heartbeats_total").await;
    assert!(beats >= 1.0, "{beats}");

    // By the time the read is final the chain has dropped the state that it was executed on.
    let early = async || {
        metric(validators[0].admin().unwrap(), "metalayer_validator_early_reads_total").await
    };
    eventually("early executions of all validators", async || early().await >= 3.0).await;
    let before = early().await;
    let id: B256 = system.dispatch(Tier::Finalized, &read, b"history");
    eventually("three early executions", async || {
        chain.mine(1).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        early().await >= before + 3.0
    })
    .await;
    // In steps, so that nobody loses the thread: the chain forgets its old blocks too.
    for _ in 0..2 * HISTORY / STEP {
        chain.mine(STEP).unwrap();
        let (head, last) = (chain.head().number(), chain.head().number() - FINALITY);
        eventually("the agents at the tip", async || {
            read_up_to(&relayer, r#"{chain="chain700002"}"#).await >= head
                && read_up_to(&relayer, r#"{chain="chain700002",tier="finalized"}"#).await >= last
        })
        .await;
    }
    eventually("delivery of a final read", async || system.is_delivered(id)).await;
}
