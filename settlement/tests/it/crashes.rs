//! Sudden death at every named point: what was begun is finished by the next start, once.
//!
//! The process that dies is this test binary, started again for one test and told its role.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use chain::{Manifest, manifest::TierName};
use rand::{Rng as _, SeedableRng as _};
use settlement::{checkpoints::SignedCheckpoint, relayer, validator};

use crate::world::{self, World, address_of, eventually};

const ROLE: &str = "SETTLEMENT_TEST_ROLE";
const DATA: &str = "SETTLEMENT_TEST_DATA";

/// Follows the number of a validator that signs at the instant tier only.
const INSTANT: &str = "-instant";

/// Checkpoints that a validator records and publishes at once.
const BATCH: u32 = 200;

/// Points of a validator between reading a leaf and having published it.
const VALIDATOR_POINTS: [&str; 4] = [
    "validator.journal.before",
    "validator.journal.after",
    "validator.publish.files",
    "validator.publish.after",
];

/// Points of a validator while it takes signatures back.
const REORG_POINTS: [&str; 3] =
    ["validator.reorg.evidence", "validator.reorg.truncated", "validator.reorg.recorded"];

/// Points of a relayer between seeing a message and knowing it delivered.
const RELAYER_POINTS: [&str; 7] = [
    "relayer.index.before",
    "relayer.index.after",
    "relayer.submit.before",
    "relayer.submit.after",
    "relayer.included",
    "relayer.delivered.before",
    "relayer.delivered.after",
];

/// Set for the long form of what is random.
const LONG: &str = "METALAYER_LONG";

/// Plays the role that the environment names, until it dies. Without one this is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(role), Ok(data)) = (std::env::var(ROLE), std::env::var(DATA)) else { return };
    let data = PathBuf::from(data);
    let manifest = Manifest::load(data.join("manifest.json")).unwrap();
    if role == "relayer" {
        let handle = relayer::spawn(world::relayer_config(manifest, &data)).await.unwrap();
        handle.ended().await;
    } else {
        let number = role.strip_suffix(INSTANT).unwrap_or(&role).parse().unwrap();
        let mut config = world::validator_config(manifest, &data, number);
        if role.ends_with(INSTANT) {
            config.keys.remove(&TierName::Finalized);
        }
        let handle = validator::spawn(config).await.unwrap();
        handle.ended().await;
    }
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(world: &World, role: &str, crash_at: Option<&str>) -> Self {
        world.manifest.save(world.data.path().join("manifest.json")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crashes::child", "--nocapture"])
            .env(ROLE, role)
            .env(DATA, world.data.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(point) = crash_at {
            command.env(service::crash::CRASH_VARIABLE, point);
        }
        Self(command.spawn().unwrap())
    }

    async fn died(&mut self, point: &str) {
        let process = std::cell::RefCell::new(&mut self.0);
        eventually(point, async || process.borrow_mut().try_wait().unwrap().is_some()).await;
    }
}

impl Process {
    fn kill(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A world in which the message needs the validator that dies.
async fn world_of_two() -> World {
    let world = World::new().await;
    for core in &world.cores {
        let both = [address_of(1), address_of(2)];
        core.set_default_ism(core.set(core.message_id_factory, &both, 2));
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_dies_at_any_point_signs_what_it_began() {
    let world = world_of_two().await;
    let _other = world.validator(2).await;
    let _relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    for point in VALIDATOR_POINTS {
        let id = origin.dispatch(destination, point.as_bytes());
        Process::start(&world, "1", Some(point)).died(point).await;
        let _again = Process::start(&world, "1", None);
        eventually(point, async || destination.is_delivered(id)).await;
        assert_eq!(destination.deliveries(id), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_dies_while_it_takes_back_signatures_ends_on_the_new_branch() {
    let world = world_of_two().await;
    let _other = world.validator(2).await;
    let _relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let index = world.folder(1, "instant").join("index.json");
    for (number, point) in REORG_POINTS.into_iter().enumerate() {
        let mut dying = Process::start(&world, "1", Some(point));
        origin.dispatch(destination, b"goes");
        let published = || std::fs::read_to_string(&index).unwrap_or_default();
        eventually("a fast signature", async || published() == number.to_string()).await;
        origin.undo_last_dispatch();
        let id = origin.dispatch(destination, &number.to_be_bytes());
        dying.died(point).await;
        let _again = Process::start(&world, "1", None);
        eventually(point, async || destination.is_delivered(id)).await;
        assert_eq!(destination.deliveries(id), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_dies_between_two_batches_takes_back_what_went_meanwhile() {
    let world = World::new().await;
    let (origin, destination) = (world.origin(), world.destination());
    for number in 0..=BATCH {
        origin.dispatch(destination, &number.to_be_bytes());
    }
    let (point, role) = ("validator.journal.after", format!("1{INSTANT}"));
    Process::start(&world, &role, Some(point)).died(point).await;
    // The last leaf of the first batch goes, and the one after it.
    origin.undo_last_dispatch();
    origin.undo_last_dispatch();
    let ids = ["one", "other"].map(|body| origin.dispatch(destination, body.as_bytes()));

    let _again = Process::start(&world, &role, None);
    let folder = world.folder(1, "instant");
    let signed = |index: u32| {
        let file = std::fs::read(folder.join(format!("{index}_with_id.json"))).ok()?;
        Some(SignedCheckpoint::from_json(&file).ok()?.checkpoint.message_id.0)
    };
    eventually("the new branch", async || [signed(BATCH - 1), signed(BATCH)] == ids.map(Some))
        .await;
    assert!(folder.join(format!("reorg_evidence_{}.json", BATCH - 1)).exists());
    assert!(!folder.join("reorg_flag.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayer_that_dies_at_any_point_delivers_once() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let (origin, destination) = (world.origin(), world.destination());
    for (point, paid) in RELAYER_POINTS.into_iter().zip(1..) {
        let id = origin.dispatch(destination, point.as_bytes());
        Process::start(&world, "relayer", Some(point)).died(point).await;
        let _again = Process::start(&world, "relayer", None);
        eventually(point, async || destination.is_delivered(id)).await;
        assert_eq!(destination.deliveries(id), 1);
        // Nor is a second transaction paid for.
        assert_eq!(destination.chain.nonce(address_of(world::RELAYER)), paid, "{point}");
    }
}

/// Kills at random moments, a hundred in the long form: at the end every message has arrived, once, and no
/// validator has signed two roots for an index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_that_are_killed_at_random_lose_and_repeat_nothing() {
    let kills = if std::env::var_os(LONG).is_some() { 100 } else { 5 };
    let world = world_of_two().await;
    let (origin, destination) = (world.origin(), world.destination());
    let seed = std::env::var("METALAYER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    let what = format!("delivery with METALAYER_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let roles = ["1", "2", "relayer"];
    let mut running = roles.map(|role| Process::start(&world, role, None));
    let mut ids = Vec::new();
    for _ in 0..kills {
        for _ in 0..random.random_range(1..4) {
            ids.push(origin.dispatch(destination, &random.random::<[u8; 32]>()));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
        let victim = random.random_range(0..roles.len());
        running[victim].kill();
        running[victim] = Process::start(&world, roles[victim], None);
    }
    for id in &ids {
        eventually(&what, async || destination.is_delivered(*id)).await;
        assert_eq!(destination.deliveries(*id), 1, "{what}");
    }
    for (number, tier) in [(1, "instant"), (2, "instant"), (1, "finalized"), (2, "finalized")] {
        let folder = world.folder(number, tier);
        let last = folder.join(format!("{}_with_id.json", ids.len() - 1));
        eventually("every signature", async || last.exists()).await;
        for (index, id) in ids.iter().enumerate() {
            let file = std::fs::read(folder.join(format!("{index}_with_id.json"))).unwrap();
            let signed = SignedCheckpoint::from_json(&file).unwrap();
            assert_eq!(signed.checkpoint.message_id.0, *id, "validator {number} at {tier}");
        }
    }
}
