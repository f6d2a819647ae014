//! Chains that change their mind.

use alloy::primitives::B256;
use devnet::{Fault, FaultRule, ReorgMode};
use protocol::abi::hyperlane::MerkleTreeHook;
use settlement::{
    checkpoints::SignedCheckpoint,
    relayer::{self, RelayerConfig},
};

use crate::world::{FINALITY, World, eventually, explain, metric, view};

fn checkpoint(path: &std::path::Path) -> Option<SignedCheckpoint> {
    SignedCheckpoint::from_json(&std::fs::read(path).ok()?).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fast_tier_takes_back_what_a_reorg_orphans_and_keeps_the_evidence() {
    let world = World::new().await;
    let validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    let file = world.folder(1, "instant").join("0_with_id.json");

    let orphan = origin.dispatch(destination, b"orphan");
    eventually("a fast signature", async || checkpoint(&file).is_some()).await;
    let first = checkpoint(&file).unwrap();
    assert_eq!(first.checkpoint.message_id.0, orphan);
    origin.undo_last_dispatch();
    let id = origin.dispatch(destination, b"in its place");
    eventually("a signature of the new branch", async || {
        checkpoint(&file).is_some_and(|signed| signed.checkpoint.message_id.0 == id)
    })
    .await;
    let second = checkpoint(&file).unwrap();
    assert_ne!(first.checkpoint.root, second.checkpoint.root);

    let evidence = world.folder(1, "instant").join("reorg_evidence_0.json");
    let kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(evidence).unwrap()).unwrap();
    assert_eq!(kept[0]["message_id"], orphan.to_string());
    assert!(!world.folder(1, "instant").join("reorg_flag.json").exists());

    // The final tier waited: it signs the new branch only, and its only root for the index.
    let last = world.folder(1, "finalized").join("0_with_id.json");
    eventually("a final signature", async || checkpoint(&last).is_some()).await;
    assert_eq!(checkpoint(&last).unwrap().checkpoint, second.checkpoint);
    assert!(!world.folder(1, "finalized").join("reorg_evidence_0.json").exists());

    let _relayer = world.relayer().await;
    eventually("delivery", async || destination.is_delivered(id)).await;
    assert!(!destination.is_delivered(orphan));
    drop(validators);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_final_tier_stops_when_its_finality_is_broken_and_the_fast_tier_goes_on() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    origin.dispatch(destination, b"thought to be final");
    let last = world.folder(1, "finalized").join("0_with_id.json");
    eventually("a final signature", async || checkpoint(&last).is_some()).await;
    let signed = checkpoint(&last).unwrap();
    // A node that cannot answer for a while says nothing of the hook.
    let message = "missing trie node".to_owned();
    let fault = FaultRule::new(&["eth_call"], Fault::Error { code: -32_000, message }).times(4);
    world.devnet.chain(700_001).unwrap().set_fault(fault);
    origin.undo_last_dispatch();

    let flag = world.folder(1, "finalized").join("reorg_flag.json");
    eventually("the flag", async || flag.exists()).await;
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&flag).unwrap()).unwrap();
    assert_eq!(written["checkpoint_index"], 0);
    assert_eq!(written["local_merkle_root"], signed.checkpoint.root.to_string());
    assert_eq!(written["reorg_period"], FINALITY);
    let root = view(&origin.chain, origin.hook, &MerkleTreeHook::rootCall {});
    assert_eq!(written["canonical_merkle_root"], root.to_string());

    let id = origin.dispatch(destination, b"after");
    let _relayer = world.relayer().await;
    eventually("delivery at the fast tier", async || destination.is_delivered(id)).await;
    // The final key signed no second root for the index.
    assert_eq!(checkpoint(&last).unwrap(), signed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_that_is_reorganized_away_is_made_again() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    eventually("the announcements", async || (1..=6).all(|key| origin.is_announced(key))).await;
    origin.undo_announcements();
    assert!((1..=6).all(|key| !origin.is_announced(key)));
    eventually("the announcements again", async || (1..=6).all(|key| origin.is_announced(key)))
        .await;

    let _relayer = world.relayer().await;
    let id = origin.dispatch(destination, b"found");
    eventually("delivery", async || destination.is_delivered(id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_is_reorganized_away_is_made_again() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let config = RelayerConfig { admin, ..world.relayer_config() };
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    // The last is deeper than the chain's declaration allows: even then the message arrives.
    for depth in [1, 2, FINALITY - 1, FINALITY + 1] {
        let id = origin.dispatch(destination, &depth.to_be_bytes());
        eventually("delivery", async || destination.is_delivered(id)).await;
        if depth > FINALITY {
            eventually("finality", async || is_done(&relayer, id).await).await;
            destination.undo_delivery(id, depth);
            eventually("delivery again", async || destination.is_delivered(id)).await;
        } else {
            destination.chain.reorg(depth, ReorgMode::Drop).unwrap();
        }
        eventually("finality", async || is_done(&relayer, id).await).await;
        assert!(destination.is_delivered(id));
        assert_eq!(destination.deliveries(id), 1);
    }
    let undone =
        metric(relayer.admin().unwrap(), "metalayer_relayer_undone_deliveries_total").await;
    assert!(undone >= 1.0, "{undone}");
}

async fn is_done(relayer: &relayer::Handle, id: B256) -> bool {
    explain(relayer, id).await.iter().any(|message| message.state == "done")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_delivered_before_its_origin_block_went_is_listed_and_counted() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let id = origin.dispatch(destination, b"fast and gone");
    eventually("delivery", async || destination.is_delivered(id)).await;
    origin.undo_last_dispatch();
    eventually("the listing", async || {
        explain(&relayer, id).await.iter().any(|message| message.state == "delivered_orphan")
    })
    .await;
    assert!(destination.is_delivered(id));

    let next = origin.dispatch(destination, b"and on it goes");
    eventually("the next delivery", async || destination.is_delivered(next)).await;
}
