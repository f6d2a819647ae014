//! Strangers choose recipients, modules and validators: none of that stops, floods or drains a relayer.

use alloy::{
    hex,
    primitives::{Address, B256, U256},
    signers::SignerSync as _,
};
use devnet::{Fault, FaultRule};
use protocol::{checkpoint::Checkpoint, ids::MailboxMessageId, signable::Signable as _};
use service::health::State;
use settlement::{
    checkpoints::{Folder, SignedCheckpoint},
    relayer::{self, ChainOptions, RelayerConfig, gas::GasPolicy},
};

use crate::{
    faults::announce,
    world::{
        Core, RELAYER, TestRecipient, World, address_of, eventually, explain, key, metric, send,
    },
};

/// An aggregation of fifty times itself: with four bytes of call data (`moduleType()`) it answers 2, with
/// more an array of fifty times its own address, and 50.
const AGGREGATES_ITSELF: &str = concat!(
    "36600414602d57604060005260326020526032604052",
    "60605b3081526020016106a08110601857",
    "6106a06000f35b600260005260206000f3"
);
/// Succeeds where gas costs nothing, as in an estimate, and reverts in a block.
const FAILS_IN_BLOCKS: &str = "3a600557005b60006000fd";

fn choose(core: &Core, module: Address) {
    let call = TestRecipient::setInterchainSecurityModuleCall { ism: module };
    send(&core.chain, core.recipient, &call);
}

async fn says(relayer: &relayer::Handle, id: B256, words: &str) {
    eventually(words, async || {
        explain(relayer, id).await.iter().any(|message| message.reason.contains(words))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_multiplies_is_given_up() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let module = Address::repeat_byte(0x66);
    destination.chain.set_code(module, hex::decode(AGGREGATES_ITSELF).unwrap()).unwrap();
    choose(destination, module);
    let endless = origin.dispatch(destination, b"endless");
    says(&relayer, endless, "more than 100 modules").await;

    choose(destination, Address::ZERO);
    let id = origin.dispatch(destination, b"after it");
    eventually("delivery", async || destination.is_delivered(id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_built_for_a_message_that_paid_nothing() {
    let world = World::new().await;
    let mut config = world.relayer_config();
    config.gas_policy = GasPolicy::Fraction { numerator: 1, denominator: 2 };
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    origin.sell_gas(destination.domain, 0);
    // Without validators it would wait for signatures, had anything been built.
    let id = origin.dispatch(destination, b"free");
    says(&relayer, id, "paid 0 wei, the policy asks for 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_needs_too_much_gas_waits() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let mut config = world.relayer_config();
    let options = ChainOptions { max_gas_per_transaction: Some(50_000), ..ChainOptions::default() };
    config.chains.insert(world.manifest.chains["chain700002"].chain_id, options);
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    let id = origin.dispatch(destination, b"large");
    says(&relayer, id, "one transaction may take 50000").await;
    assert_eq!(destination.chain.nonce(address_of(RELAYER)), 0);
    let back = destination.dispatch(origin, b"where nothing is set");
    eventually("delivery", async || origin.is_delivered(back)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_fail_in_their_blocks_are_paid_for_three_times() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    let code = hex::decode(FAILS_IN_BLOCKS).unwrap();
    destination.chain.set_code(destination.recipient, code).unwrap();
    let id = origin.dispatch(destination, b"trap");
    // Nothing is to be waited for, so that few attempts were made when the first transaction fails.
    let signed = |number: u32| world.folder(number, "instant").join("0_with_id.json").exists();
    eventually("signatures", async || (1..=3).all(signed)).await;
    let relayer = world.relayer().await;
    says(&relayer, id, "3 transactions did not deliver it").await;
    let message = explain(&relayer, id).await.remove(0);
    assert_eq!(message.failed_transactions, 3);
    assert!(message.failed_cost.parse::<U256>().unwrap() > U256::ZERO);
    assert_eq!(destination.chain.nonce(address_of(RELAYER)), 3);
    let now = service::clock::Clock::system().since_epoch().as_millis();
    let wait = u128::from(message.next_attempt_at).saturating_sub(now);
    assert!(wait > 4 * 3_600_000, "{wait}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_from_before_their_destination_was_configured_are_delivered() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    let mut config = world.relayer_config();
    config.manifest.chains.remove("chain700002");
    let relayer = relayer::spawn(config).await.unwrap();
    let id = origin.dispatch(destination, b"early");
    says(&relayer, id, "destination 700002 is not configured").await;
    relayer.stop().await.unwrap();

    let _relayer = world.relayer().await;
    eventually("delivery", async || destination.is_delivered(id)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_relayer_delivered_is_noticed() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let first = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let id = origin.dispatch(destination, b"once");
    eventually("delivery", async || destination.is_delivered(id)).await;
    first.stop().await.unwrap();

    // It knows nothing of the first.
    let config = world.relayer_config();
    let database = format!("sqlite:{}", world.data.path().join("second.db").display());
    let config = RelayerConfig { database, signers: vec![key(RELAYER + 1)], ..config };
    let second = relayer::spawn(config).await.unwrap();
    eventually("the end of it", async || {
        let explained = explain(&second, id).await;
        explained
            .iter()
            .any(|message| message.state == "done" && message.process_transaction.is_some())
    })
    .await;
    assert_eq!(destination.chain.nonce(address_of(RELAYER + 1)), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_signs_another_root_is_no_fraud_of_our_validators() {
    let world = World::new().await;
    let mut config = world.relayer_config();
    config.suspicion = std::time::Duration::ZERO;
    config.admin = Some("127.0.0.1:0".parse().unwrap());
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    let stranger = key(RELAYER + 1).load().unwrap();
    let path = world.data.path().join("stranger");
    let folder = Folder::open(&path).unwrap();
    announce(origin, &stranger, &format!("file://{}", path.display()));
    let checkpoint = Checkpoint {
        origin: origin.domain,
        merkle_tree_hook: origin.hook.into_word(),
        root: B256::repeat_byte(0xee),
        index: 0,
        message_id: MailboxMessageId(B256::repeat_byte(0xdd)),
    };
    let signature = stranger.sign_hash_sync(&checkpoint.digest()).unwrap();
    folder.publish(&[SignedCheckpoint { checkpoint, signature }]).unwrap();
    choose(destination, destination.set(destination.message_id_factory, &[stranger.address()], 1));
    let id = origin.dispatch(destination, b"bait");
    // The reason of a message that waits for signatures is written down only now and then.
    says(&relayer, id, "another root at index 0").await;

    let status = format!("http://{}/status", relayer.address());
    let status: relayer::status::Status = reqwest::get(status).await.unwrap().json().await.unwrap();
    assert!(status.contradictions.is_empty(), "{:?}", status.contradictions);
    let admin = relayer.admin().unwrap();
    let counted = "metalayer_relayer_contradicting_checkpoints_total";
    assert!(metric(admin, counted).await >= 1.0);
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    assert!(!text.contains(&stranger.address().to_string()), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_that_a_node_hid_is_read_again_and_delivered() {
    let world = World::new().await;
    let config =
        RelayerConfig { admin: Some("127.0.0.1:0".parse().unwrap()), ..world.relayer_config() };
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    let node = world.devnet.chain(700_001).unwrap();
    let first = origin.dispatch(destination, b"seen");
    eventually("the first", async || !explain(&relayer, first).await.is_empty()).await;

    node.set_fault(FaultRule::new(&["eth_getLogs"], Fault::OmitLogs { every: 1 }));
    let hidden = origin.dispatch(destination, b"hidden");
    let height = async || {
        let name = r#"hyperlane_block_height{chain="chain700001"}"#;
        metric(relayer.admin().unwrap(), name).await as u64
    };
    let head = origin.chain.head().number();
    eventually("blocks without logs", async || height().await > head).await;
    assert!(explain(&relayer, hidden).await.is_empty());
    node.clear_faults();
    let third = origin.dispatch(destination, b"after the gap");

    let _validators = world.validators().await;
    for id in [first, hidden, third] {
        eventually("delivery", async || destination.is_delivered(id)).await;
        assert_eq!(destination.deliveries(id), 1);
    }
    let failures =
        metric(relayer.admin().unwrap(), "metalayer_relayer_origin_failures_total").await;
    assert!(failures >= 1.0, "{failures}");
    eventually("a chain that is read", async || {
        relayer.health().components().remove("read chain700001") == Some(State::Ok)
    })
    .await;
}
