//! What goes wrong around the agents, and that messages arrive all the same, once.

use std::time::{Duration, Instant};

use alloy::{
    primitives::{B256, Bytes, U256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use axum::{Router, routing::get};
use devnet::{Fault, FaultRule, ForgedLog};
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, MerkleTreeHook, ValidatorAnnounce},
    announcement::Announcement,
    checkpoint::Checkpoint,
    ids::MailboxMessageId,
    signable::Signable as _,
};
use service::health::{Health, State};
use settlement::{
    checkpoints::{Folder, SignedCheckpoint},
    relayer::{self, gas::GasPolicy},
};

use crate::world::{Core, World, eventually, explain, key, metric, pay, send, view};

/// Announces a location for a validator that is not running.
pub(crate) fn announce(core: &Core, signer: &PrivateKeySigner, location: &str) {
    let announcement = Announcement {
        origin: core.domain,
        mailbox: core.mailbox.into_word(),
        storage_location: location.to_owned(),
    };
    let signature = signer.sign_hash_sync(&announcement.digest()).unwrap();
    let call = ValidatorAnnounce::announceCall {
        _validator: signer.address(),
        _storageLocation: location.to_owned(),
        _signature: signature.as_bytes().to_vec().into(),
    };
    send(&core.chain, core.announce, &call);
}

async fn delivered(world: &World, id: B256, what: &str) {
    eventually(what, async || world.destination().is_delivered(id)).await;
    assert_eq!(world.destination().deliveries(id), 1);
}

/// A server that keeps everyone waiting.
async fn slow_server() -> (String, impl Sized) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/700001/instant", listener.local_addr().unwrap());
    let answer = get(|| tokio::time::sleep(Duration::from_secs(30)));
    let mut server = tokio::task::JoinSet::new();
    server
        .spawn(async move { axum::serve(listener, Router::new().route("/{*path}", answer)).await });
    (location, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_validators_may_be_dead_slow_corrupt_or_lying() {
    let world = World::new().await;
    let _two = [world.validator(2).await, world.validator(3).await];
    let _relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let bad = key(1).load().unwrap();

    let id = origin.dispatch(destination, b"dead");
    delivered(&world, id, "with one validator never announced").await;

    let (location, _server) = slow_server().await;
    announce(origin, &bad, &location);
    let id = origin.dispatch(destination, b"slow");
    let since = Instant::now();
    delivered(&world, id, "with one validator slow").await;
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());

    let path = world.data.path().join("bad");
    let folder = Folder::open(&path).unwrap();
    announce(origin, &bad, &format!("file://{}", path.display()));
    for index in 2..4 {
        std::fs::write(path.join(format!("{index}_with_id.json")), "{\"value\":7").unwrap();
    }
    let id = origin.dispatch(destination, b"corrupt");
    delivered(&world, id, "with one validator corrupt").await;

    let lie = |index| {
        let checkpoint = Checkpoint {
            origin: origin.domain,
            merkle_tree_hook: origin.hook.into_word(),
            root: B256::repeat_byte(0xee),
            index,
            message_id: MailboxMessageId(B256::repeat_byte(0xdd)),
        };
        let signature = bad.sign_hash_sync(&checkpoint.digest()).unwrap();
        SignedCheckpoint { checkpoint, signature }
    };
    folder.publish(&[lie(3), lie(4)]).unwrap();
    std::fs::write(path.join("reorg_flag.json"), "not even JSON").unwrap();
    let id = origin.dispatch(destination, b"lying");
    delivered(&world, id, "with one validator lying and its reorg flag up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_nobody_saw_is_fraud_and_one_that_was_orphaned_is_not() {
    let world = World::new().await;
    let mut config = world.relayer_config();
    config.suspicion = Duration::ZERO;
    config.admin = Some("127.0.0.1:0".parse().unwrap());
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    let bad = key(1).load().unwrap();
    let path = world.data.path().join("bad");
    let folder = Folder::open(&path).unwrap();
    announce(origin, &bad, &format!("file://{}", path.display()));
    let signed = |index, root, message_id| {
        let checkpoint = Checkpoint {
            origin: origin.domain,
            merkle_tree_hook: origin.hook.into_word(),
            root,
            index,
            message_id: MailboxMessageId(message_id),
        };
        let signature = bad.sign_hash_sync(&checkpoint.digest()).unwrap();
        SignedCheckpoint { checkpoint, signature }
    };

    // It stays on a branch that everyone saw go.
    let orphan = origin.dispatch(destination, b"orphan");
    let root = view(&origin.chain, origin.hook, &MerkleTreeHook::rootCall {});
    eventually("the orphan", async || !explain(&relayer, orphan).await.is_empty()).await;
    origin.undo_last_dispatch();
    eventually("its end", async || {
        explain(&relayer, orphan).await.iter().any(|message| message.state == "orphaned")
    })
    .await;
    // And it invents a branch for the next leaf.
    folder.publish(&[signed(0, root, orphan)]).unwrap();
    folder.publish(&[signed(1, B256::repeat_byte(0xee), B256::repeat_byte(0xdd))]).unwrap();
    let first = origin.dispatch(destination, b"in its place");
    let second = origin.dispatch(destination, b"after it");

    let status: url::Url = format!("http://{}/status", relayer.address()).parse().unwrap();
    let classes = async || {
        let status = reqwest::get(status.clone()).await.unwrap();
        let status: relayer::status::Status = status.json().await.unwrap();
        let found = status.contradictions.into_iter();
        let mut classes: Vec<_> = found.map(|found| (found.index, found.class)).collect();
        classes.sort_unstable();
        classes
    };
    let expected = [(0, "reorg".to_owned()), (1, "fraud".to_owned())];
    eventually("both classes", async || classes().await == expected).await;
    let counted = "metalayer_relayer_contradicting_checkpoints_total";
    assert!(metric(relayer.admin().unwrap(), counted).await >= 2.0);

    let _two = [world.validator(2).await, world.validator(3).await];
    delivered(&world, first, "without it").await;
    delivered(&world, second, "without it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_may_drop_connections_limit_rates_lag_and_be_slow() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let _relayer = world.relayer().await;
    let faults = [
        ("dropped", Fault::Drop, 0.3),
        ("limited", Fault::RateLimit, 0.3),
        ("stale", Fault::Stale { blocks: 2 }, 0.5),
        ("slow", Fault::Latency { millis: 300 }, 0.3),
        ("answers lost", Fault::DropAnswer, 0.3),
    ];
    for (name, fault, probability) in faults {
        for handle in world.devnet.chains() {
            let rule =
                FaultRule { probability: Some(probability), ..FaultRule::new(&[], fault.clone()) };
            handle.set_fault(rule);
        }
        let id = world.origin().dispatch(world.destination(), name.as_bytes());
        delivered(&world, id, name).await;
        world.devnet.chains().iter().for_each(devnet::ChainHandle::clear_faults);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_names_a_chain_that_does_not_answer_until_it_does() {
    let world = World::new().await;
    let validator = world.validator(1).await;
    let relayer = world.relayer().await;
    let healths = [validator.health().clone(), relayer.health().clone()];
    eventually("both are well", async || healths.iter().all(Health::is_ok)).await;
    let node = world.devnet.chain(700_001).unwrap();
    node.set_fault(FaultRule::new(&[], Fault::Drop));
    for health in &healths {
        eventually("the chain is missed", async || {
            let part = health.components().remove("chain chain700001");
            matches!(part, Some(State::Failing { .. }))
        })
        .await;
        assert_eq!(health.components().remove("chain chain700002"), Some(State::Ok));
    }
    node.clear_faults();
    eventually("the chain is back", async || healths.iter().all(Health::is_ok)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_invents_a_leaf_gets_no_signature() {
    let world = World::new().await;
    let origin = world.origin();
    let forged = ForgedLog {
        address: origin.hook,
        topics: vec![alloy::primitives::keccak256("InsertedIntoTree(bytes32,uint32)")],
        data: [B256::repeat_byte(0xbb).0, B256::ZERO.0].concat().into(),
    };
    let fault = Fault::ForgeLogs { logs: vec![forged] };
    world.devnet.chains()[0].set_fault(FaultRule::new(&["eth_getLogs"], fault));
    let validator = world.validator(1).await;
    eventually("a refusal", async || {
        validator.health().components().iter().any(|(name, state)| {
            let refusal = format!("{state:?}");
            name.ends_with("instant") && refusal.contains("show another root")
        })
    })
    .await;
    assert!(!world.folder(1, "instant").join("0_with_id.json").exists());

    world.devnet.chains()[0].clear_faults();
    let id = origin.dispatch(world.destination(), b"true");
    let folder = world.folder(1, "instant");
    eventually("the true leaf", async || folder.join("0_with_id.json").exists()).await;
    let signed = std::fs::read(folder.join("0_with_id.json")).unwrap();
    assert_eq!(SignedCheckpoint::from_json(&signed).unwrap().checkpoint.message_id.0, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_that_a_node_hides_for_a_while_is_signed_in_the_end() {
    let world = World::new().await;
    let origin = world.origin();
    let fault = FaultRule::new(&["eth_getLogs"], Fault::OmitLogs { every: 1 });
    world.devnet.chains()[0].set_fault(fault);
    let _validator = world.validator(1).await;
    let id = origin.dispatch(world.destination(), b"hidden");
    let head = origin.chain.head().number();
    eventually("more blocks", async || origin.chain.head().number() > head + 10).await;
    let folder = world.folder(1, "instant");
    assert!(!folder.join("0_with_id.json").exists());

    world.devnet.chains()[0].clear_faults();
    eventually("the leaf", async || folder.join("0_with_id.json").exists()).await;
    let signed = std::fs::read(folder.join("0_with_id.json")).unwrap();
    assert_eq!(SignedCheckpoint::from_json(&signed).unwrap().checkpoint.message_id.0, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_reverts_for_a_while_gets_its_message_in_the_end() {
    const ALWAYS_REVERTS: [u8; 5] = alloy::hex!("60006000fd");
    let world = World::new().await;
    let _validators = world.validators().await;
    let relayer = world.relayer().await;
    let destination = world.destination();
    let code = destination.chain.code(destination.recipient);
    let id = world.origin().dispatch(destination, b"patience");
    // Its choice of module must still be readable, so only `handle` fails: it has no code to answer with.
    destination.chain.set_code(destination.recipient, ALWAYS_REVERTS.to_vec()).unwrap();
    eventually("ten refusals", async || {
        explain(&relayer, id)
            .await
            .iter()
            .any(|message| message.attempts >= 10 && message.reason.contains("reverted"))
    })
    .await;
    destination.chain.set_code(destination.recipient, code).unwrap();
    delivered(&world, id, "after the recipient was mended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpaid_message_waits_until_anyone_pays() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let mut config = world.relayer_config();
    config.gas_policy = GasPolicy::Minimum(U256::from(60_000));
    let relayer = relayer::spawn(config).await.unwrap();
    let (origin, destination) = (world.origin(), world.destination());
    let id = origin.dispatch(destination, b"cheap");
    eventually("a refusal", async || {
        let explained = explain(&relayer, id).await;
        explained.iter().any(|message| message.reason.contains("the policy asks for 60000"))
    })
    .await;
    assert!(!destination.is_delivered(id));
    let call = InterchainGasPaymaster::payForGasCall {
        _messageId: id,
        _destinationDomain: destination.domain.0,
        _gasLimit: U256::from(10_000),
        _refundAddress: crate::world::OWNER,
    };
    pay(&origin.chain, origin.igp, &call, U256::from(10_000));
    delivered(&world, id, "after a second payment").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_inserted_twice_is_delivered_from_either_leaf() {
    let world = World::new().await;
    let (origin, destination) = (world.origin(), world.destination());
    let id = origin.dispatch(destination, b"twice");
    let envelope = envelope_of(origin, id);
    let call = MerkleTreeHook::postDispatchCall { metadata: Bytes::new(), message: envelope };
    send(&origin.chain, origin.hook, &call);
    assert_eq!(view(&origin.chain, origin.hook, &MerkleTreeHook::countCall {}), 2);

    let _validators = world.validators().await;
    let relayer = world.relayer().await;
    delivered(&world, id, "with two leaves").await;
    assert_eq!(explain(&relayer, id).await[0].leaves, [0, 1]);
}

fn envelope_of(core: &Core, id: B256) -> Bytes {
    use alloy::sol_types::SolEvent as _;
    use protocol::abi::hyperlane::Mailbox;
    let filter = alloy::rpc::types::Filter::new()
        .address(core.mailbox)
        .event_signature(Mailbox::Dispatch::SIGNATURE_HASH)
        .from_block(0);
    let logs = core.chain.logs(&filter).unwrap();
    let dispatched = logs.iter().map(|log| Mailbox::Dispatch::decode_log(&log.inner).unwrap());
    dispatched
        .map(|log| log.data.message)
        .find(|message| alloy::primitives::keccak256(message) == id)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_are_stopped_and_started_lose_and_repeat_nothing() {
    let world = World::new().await;
    let (origin, destination) = (world.origin(), world.destination());
    let mut ids = Vec::new();
    for round in 0_u8..3 {
        ids.push(origin.dispatch(destination, &[round]));
        let validators = world.validators().await;
        let relayer = world.relayer().await;
        ids.push(origin.dispatch(destination, &[round, round]));
        let first = ids[0];
        eventually("the first of all", async || destination.is_delivered(first)).await;
        // Stopped in the middle of whatever they do for the others.
        relayer.stop().await.unwrap();
        drop(validators);
        eventually("free folders", async || {
            Folder::open(world.folder(1, "instant")).is_ok()
                && Folder::open(world.folder(3, "finalized")).is_ok()
        })
        .await;
    }
    let _validators = world.validators().await;
    let _relayer = world.relayer().await;
    for id in ids {
        delivered(&world, id, "in the end").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_whose_folder_is_ahead_of_its_journal_does_not_start() {
    let world = World::new().await;
    world.origin().dispatch(world.destination(), b"one");
    let validator = world.validator(1).await;
    let index = world.folder(1, "instant").join("index.json");
    eventually("a signature", async || index.exists()).await;
    validator.stop().await.unwrap();

    let mut config = world.validator_config(1);
    config.database = format!("sqlite:{}", world.data.path().join("lost.db").display());
    let refused = settlement::validator::spawn(config).await.unwrap_err();
    assert!(refused.to_string().contains("published up to index 0"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiers_never_share_a_key_and_folders_have_one_writer() {
    let world = World::new().await;
    let mut config = world.validator_config(1);
    for source in config.keys.values_mut() {
        *source = key(1);
    }
    let refused = settlement::validator::spawn(config).await.unwrap_err();
    assert!(refused.to_string().contains("tiers never share a key"), "{refused}");

    let _running = world.validator(1).await;
    let refused = settlement::validator::spawn(world.validator_config(1)).await.unwrap_err();
    assert!(refused.to_string().contains("is in use by another process"), "{refused}");

    let mut config = world.validator_config(2);
    for chain in config.manifest.chains.values_mut() {
        chain.finality = chain::FinalityRule::Tag(chain::finality::Tag::Latest);
    }
    let refused = settlement::validator::spawn(config).await.unwrap_err();
    assert!(refused.to_string().contains("declare `instant`"), "{refused}");
}
