//! Deployments from nothing, again, and after a crash at every named point.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
    time::Duration,
};

use alloy::primitives::{Address, U256};
use chain::Manifest;
use deploy::{CRASH_POINTS, Config, Deployment, Error, apply, config::ConfigError};
use devnet::genesis::DEV_ADDRESSES;
use protocol::{
    abi::{hyperlane::StorageGasOracle, router},
    ids::Domain,
};

use crate::world::{DEPLOYER, FIRST, World, name};

/// Names the folder and the RPC URLs of a world to the child process that deploys on it.
const CHILD: &str = "METALAYER_DEPLOY_CHILD";
/// How a crash point ends a process.
const SIGABRT: i32 = 6;

#[tokio::test]
async fn two_chains_from_nothing_and_nothing_twice() {
    let world = World::new(2).await;
    let plan = Deployment::open(world.config(2)).unwrap().plan().await.unwrap();
    assert_eq!(plan.chains.len(), 2);
    assert!(plan.to_string().contains("router is there"), "{plan}");

    let before = world.chain(0).balance(DEPLOYER);
    let manifest = apply(world.config(2)).await.unwrap();
    let spent = before - world.chain(0).balance(DEPLOYER);
    let planned = plan.chains[0].cost();
    assert!(
        planned >= spent && planned < spent * U256::from(3),
        "planned {planned}, spent {spent}"
    );

    assert_eq!(Manifest::load(world.folder.path().join("manifest.json")).unwrap(), manifest);
    let (alpha, beta) = (&manifest.chains[&name(0)], &manifest.chains[&name(1)]);
    for (ours, theirs) in alpha.programs.values().zip(beta.programs.values()) {
        assert_eq!(ours, theirs, "one address on every chain");
    }
    assert_ne!(alpha.contracts.meta_prover_finalized, alpha.contracts.meta_prover_instant);

    let deployment = Deployment::open(world.config(2)).unwrap();
    let report = deployment.verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
    assert!(deployment.plan().await.unwrap().chains.iter().all(|chain| chain.steps.is_empty()));

    let heads = world.heads();
    assert_eq!(apply(world.config(2)).await.unwrap(), manifest);
    assert_eq!(world.heads(), heads, "no transaction was needed");
}

#[tokio::test]
async fn the_manifest_is_what_its_schema_says() {
    let world = World::new(2).await;
    apply(world.config(2)).await.unwrap();
    let schema = serde_json::from_str(include_str!("../../manifest.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let text = std::fs::read_to_string(world.folder.path().join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let faults: Vec<String> =
        schema.iter_errors(&manifest).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    let key = devnet::genesis::dev_signers().unwrap()[0].to_bytes();
    assert!(!text.contains(&format!("{key:x}")), "a key in the manifest");
    manifest["chains"]["alpha"]["contracts"]["router"] = "nowhere".into();
    assert!(!schema.is_valid(&manifest));
}

#[tokio::test]
async fn a_domain_that_is_not_the_chain_id_is_refused_with_the_reason() {
    let world = World::new(2).await;
    let mut config = world.config(2);
    config.chains.get_mut("alpha").unwrap().domain = Domain(5);
    let Err(Error::Config(faults)) = Deployment::open(config) else { panic!("deployed") };
    assert!(matches!(faults[0], ConfigError::DomainIsNotChainId { .. }), "{faults:?}");
    assert!(faults[0].to_string().contains("provers"));
    assert_eq!(world.heads(), [0, 0]);
}

// The chains are served by this process while it waits for the child.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_named_point_it_comes_to_the_same_end() {
    let reference = World::new(2).await;
    let expected = apply(reference.config(2)).await.unwrap();
    let transactions = [reference.chain(0).nonce(DEPLOYER), reference.chain(1).nonce(DEPLOYER)];
    for point in crash_plans() {
        let world = World::new(2).await;
        let killed = deploy_in_child(&world, Some(&point));
        assert_eq!(killed.status.signal(), Some(SIGABRT), "{point} was never reached: {killed:?}");
        let finished = deploy_in_child(&world, None);
        assert!(finished.status.success(), "after {point}: {finished:?}");
        let manifest = Manifest::load(world.folder.path().join("manifest.json")).unwrap();
        for (chain, wanted) in manifest.chains.values().zip(expected.chains.values()) {
            assert_eq!(chain.contracts, wanted.contracts, "after {point}");
        }
        let sent = [world.chain(0).nonce(DEPLOYER), world.chain(1).nonce(DEPLOYER)];
        assert_eq!(sent, transactions, "after {point}: something was sent twice");
        let report = Deployment::open(world.config(2)).unwrap().verify().await.unwrap();
        assert!(report.is_sound(), "after {point}: {report}");
    }
}

/// Every named point once; with `METALAYER_LONG` at twenty moments spread over the run.
fn crash_plans() -> Vec<String> {
    let mut plans: Vec<String> = CRASH_POINTS.iter().map(|point| (*point).to_owned()).collect();
    if std::env::var_os("METALAYER_LONG").is_some() {
        let often = CRASH_POINTS.iter().filter(|point| !point.ends_with("manifest"));
        let visits = [2, 5, 11, 17];
        let later = often.flat_map(|point| visits.map(|visit| format!("{point}:{visit}")));
        plans.extend(later.filter(|plan| !plan.starts_with("deploy.phase:1")).take(20));
    }
    plans
}

/// Killed from outside, in the long form twenty times, it goes on from wherever it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_goes_on() {
    let reference = World::new(2).await;
    apply(reference.config(2)).await.unwrap();
    let long = std::env::var_os("METALAYER_LONG").is_some();
    for round in 0..if long { 20 } else { 2 } {
        let world = World::with_block_time(2, Duration::from_millis(100)).await;
        let mut kills = 0;
        // Later and later, so that it comes to its end; every round at other moments.
        for patience in 1_u64.. {
            let mut running = child_command(&world, None).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(patience * (90 + 37 * round))).await;
            if let Some(status) = running.try_wait().unwrap() {
                assert!(status.success(), "round {round}, after {kills} kills: {status}");
                break;
            }
            running.kill().unwrap();
            running.wait().unwrap();
            kills += 1;
        }
        assert!(kills > 0, "round {round}");
        for index in 0..2 {
            let sent = world.chain(index).nonce(DEPLOYER);
            assert_eq!(sent, reference.chain(index).nonce(DEPLOYER), "round {round}: sent twice");
        }
        let report = Deployment::open(world.config(2)).unwrap().verify().await.unwrap();
        assert!(report.is_sound(), "round {round}: {report}");
    }
}

/// Runs [`child`] of this same test binary in a process of its own.
fn deploy_in_child(world: &World, crash_at: Option<&str>) -> Output {
    child_command(world, crash_at).output().unwrap()
}

fn child_command(world: &World, crash_at: Option<&str>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "applying::child", "--nocapture"]).env(CHILD, world.describe());
    match crash_at {
        Some(point) => command.env("METALAYER_CRASH_AT", point),
        None => command.env_remove("METALAYER_CRASH_AT"),
    };
    command
}

/// Not a case of its own: what [`deploy_in_child`] runs. Without a world it has nothing to do.
#[tokio::test]
async fn child() {
    let Ok(world) = std::env::var(CHILD) else { return };
    apply(crate::world::described(&world)).await.unwrap();
}

#[tokio::test]
async fn a_step_is_one_block_however_many_transactions_it_has() {
    let world = World::with_block_time(2, Duration::from_millis(250)).await;
    apply(world.config(2)).await.unwrap();
    let chain = world.chain(0);
    let blocks = (0..=chain.head().number()).filter_map(|number| chain.block(number));
    let busy = blocks.filter(|block| !block.transactions.is_empty()).count();
    let sent = chain.nonce(DEPLOYER);
    assert!(busy * 2 < usize::try_from(sent).unwrap(), "{sent} transactions in {busy} blocks");
}

#[tokio::test]
async fn a_deployer_without_money_is_named() {
    let world = World::new(2).await;
    world.chain(1).set_balance(DEPLOYER, U256::from(1_000)).unwrap();
    let refused = apply(world.config(2)).await;
    let Err(Error::NotEnoughMoney { chain, deployer, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((chain, deployer), (name(1), DEPLOYER));
    world.chain(1).set_balance(DEPLOYER, U256::from(10).pow(U256::from(20))).unwrap();
    apply(world.config(2)).await.unwrap();
    let report = Deployment::open(world.config(2)).unwrap().verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn a_chain_that_was_made_anew_is_not_taken_for_the_journals() {
    let mut world = World::new(2).await;
    apply(world.config(2)).await.unwrap();
    let anew = World::new(2).await;
    let old = std::mem::replace(&mut world.network, anew.network);
    old.stop().await;
    let refused = apply(world.config(2)).await.unwrap_err();
    assert!(matches!(refused, Error::AnotherChain { .. }), "{refused:?}");
    let (manifest, words) = (world.config(2).manifest, refused.to_string());
    let journal = manifest.with_extension("journal.sqlite");
    assert!(words.contains(&journal.display().to_string()), "{words}");
    assert_eq!(world.heads(), [0, 0], "something was sent");

    // As the message says.
    for file in [manifest, journal] {
        std::fs::remove_file(file).unwrap();
    }
    apply(world.config(2)).await.unwrap();
    let report = Deployment::open(world.config(2)).unwrap().verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn what_was_undone_or_refused_is_done_again() {
    let world = World::new(2).await;
    let manifest = apply(world.config(2)).await.unwrap();
    let contracts = &manifest.chains[&name(0)].contracts;
    // More often than one run tries.
    for _ in 0..5 {
        let call = router::setReadDomainCall { domain: FIRST + 1, readable: false };
        world.call(0, DEPLOYER, contracts.router, &call);
        apply(world.config(2)).await.unwrap();
    }
    // The remedy is refused before it is sent: for now the oracle is not ours.
    let stranger = DEV_ADDRESSES[15];
    let give = |to| StorageGasOracle::transferOwnershipCall { newOwner: to };
    world.call(0, DEPLOYER, contracts.gas_oracle, &give(stranger));
    let mut config = world.config(2);
    config.chains.get_mut("alpha").unwrap().gas.get_mut("beta").unwrap().price = 77;
    for _ in 0..5 {
        let refused = apply(config.clone()).await;
        assert!(matches!(refused, Err(Error::Send { .. })), "{refused:?}");
    }
    world.call(0, stranger, contracts.gas_oracle, &give(DEPLOYER));
    apply(config.clone()).await.unwrap();
    let report = Deployment::open(config).unwrap().verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn everything_can_be_handed_over_in_the_same_run() {
    let world = World::new(2).await;
    let owner = DEV_ADDRESSES[9];
    let wanted = || Config { owner: Some(owner), ..world.config(2) };
    let manifest = apply(wanted()).await.unwrap();
    let report = Deployment::open(wanted()).unwrap().verify().await.unwrap();
    assert!(!report.is_sound(), "the deployer's key still owns something");
    assert_eq!(report.findings, []);
    assert_eq!(
        report.pending.len(),
        6,
        "three contracts on two chains wait for their owner: {report}"
    );

    for index in 0..2 {
        let contracts = &manifest.chains[&name(index)].contracts;
        for contract in [contracts.router, contracts.ism, contracts.read_ism] {
            world.call(index, owner, contract, &router::acceptOwnershipCall {});
        }
    }
    let report = Deployment::open(wanted()).unwrap().verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
    let report = Deployment::open(Config { owner: None, ..world.config(2) }).unwrap();
    assert!(!report.verify().await.unwrap().is_sound(), "the deployer owns nothing any more");
    assert_ne!(owner, Address::ZERO);
}

#[tokio::test]
async fn an_owner_in_production_is_a_timelock() {
    let world = World::new(2).await;
    let config =
        Config { owner: Some(DEV_ADDRESSES[9]), dev: false, test_token: false, ..world.config(2) };
    apply(config.clone()).await.unwrap();
    let report = Deployment::open(config).unwrap().verify().await.unwrap();
    assert!(report.to_string().contains("timelock of at least 48 hours"), "{report}");
}
