//! Following a chain that is cut, replaced and badly served.

use std::time::Duration;

use alloy::primitives::{Address, B256, bytes};
use chain::{
    ChainClient, FinalityRule, Follower,
    client::ClientOptions,
    follower::{BlockRef, Error, Event, FollowerConfig},
};
use devnet::{
    ChainConfig, ChainHandle, Config, Fault, FaultRule, Handle, ReorgMode, Transact,
    genesis::DEV_ADDRESSES,
};
use protocol::ids::ChainId;
use url::Url;

use crate::databases::{Database, both, sqlite};

const CHAIN: u64 = 700_001;
const BELL: Address = Address::repeat_byte(0xbe);
const DEADLINE: Duration = Duration::from_secs(60);

struct World {
    network: Handle,
    database: Database,
}

impl World {
    async fn new(database: Database) -> Self {
        let mut chain = ChainConfig::new(CHAIN);
        chain.finalized_lag = 4;
        let config = Config { chains: vec![chain], ..Config::default() };
        let network = devnet::spawn(config).await.unwrap();
        let world = Self { network, database };
        // Every call rings: LOG1 with the topic 42.
        world.chain().chain().set_code(BELL, bytes!("602a5f5fa100")).unwrap();
        world
    }

    fn chain(&self) -> &ChainHandle {
        self.network.chain(CHAIN).unwrap()
    }

    /// A block with one log.
    fn ring(&self) {
        self.chain().chain().transact(Transact::call(DEV_ADDRESSES[0], BELL, [])).unwrap();
    }

    fn silence(&self, blocks: u64) {
        self.chain().chain().mine(blocks).unwrap();
    }

    fn config(&self) -> FollowerConfig {
        FollowerConfig {
            addresses: vec![BELL],
            events: vec![B256::with_last_byte(42)],
            poll: Duration::from_millis(10),
            window: 16,
            ..FollowerConfig::new("test", 1)
        }
    }

    async fn follower(&self) -> Ledger<'_> {
        self.follower_with(self.config()).await
    }

    async fn follower_with(&self, config: FollowerConfig) -> Ledger<'_> {
        self.follower_through(&[self.chain()], config).await
    }

    async fn follower_through(&self, nodes: &[&ChainHandle], config: FollowerConfig) -> Ledger<'_> {
        let urls: Vec<Url> = nodes.iter().map(|node| node.http_url().parse().unwrap()).collect();
        let options =
            ClientOptions { hedge_after: Duration::from_millis(50), ..ClientOptions::default() };
        let client = ChainClient::new(ChainId(CHAIN), &urls, options).unwrap();
        let follower = Follower::start(self.database.db.clone(), client, config).await.unwrap();
        Ledger { world: self, follower, blocks: Vec::new(), removed: 0 }
    }
}

/// A consumer that keeps the blocks with logs, as a service keeps its rows.
struct Ledger<'a> {
    world: &'a World,
    follower: Follower,
    blocks: Vec<BlockRef>,
    removed: usize,
}

impl Ledger<'_> {
    /// Applies and acknowledges one batch.
    async fn step(&mut self) {
        let batch = tokio::time::timeout(DEADLINE, self.follower.next()).await.unwrap().unwrap();
        for event in &batch.events {
            match event {
                Event::Added(added) if added.logs.is_empty() => {}
                Event::Added(added) => {
                    assert!(added.logs.iter().all(|log| log.block_hash == Some(added.block.hash)));
                    let block = BlockRef { number: added.block.number, hash: added.block.hash };
                    for _ in &added.logs {
                        self.blocks.push(block);
                    }
                }
                Event::Removed(block) => {
                    self.removed += 1;
                    self.blocks.retain(|known| known != block);
                }
            }
        }
        let mut tx = self.world.database.db.begin().await.unwrap();
        self.follower.acknowledge(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Follows to the head and compares with what the chain itself says.
    async fn catch_up(&mut self) {
        let head = self.world.chain().chain().head();
        while self.follower.position().map(|at| at.hash) != Some(head.hash) {
            self.step().await;
        }
        assert_eq!(self.blocks, self.truth());
    }

    fn truth(&self) -> Vec<BlockRef> {
        let chain = self.world.chain().chain();
        let mut blocks = Vec::new();
        for number in 1..=chain.head().number() {
            let block = chain.block(number).unwrap();
            let filter = alloy::rpc::types::Filter::new().at_block_hash(block.hash).address(BELL);
            for _ in chain.logs(&filter).unwrap() {
                blocks.push(BlockRef { number, hash: block.hash });
            }
        }
        blocks
    }
}

#[tokio::test]
async fn every_log_comes_once_and_in_order_from_a_long_history_to_the_tip() {
    for database in both().await {
        let world = World::new(database).await;
        for round in 0..20 {
            world.ring();
            world.silence(round % 5);
        }
        let mut ledger = world.follower_with(FollowerConfig { range: 7, ..world.config() }).await;
        ledger.catch_up().await;
        assert_eq!(ledger.blocks.len(), 20);
        world.ring();
        ledger.catch_up().await;
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_acknowledged() {
    for database in both().await {
        let world = World::new(database).await;
        world.ring();
        let mut ledger = world.follower().await;
        ledger.catch_up().await;
        world.ring();
        let unacknowledged = ledger.follower.next().await.unwrap();
        assert_eq!(ledger.follower.next().await.unwrap(), unacknowledged, "given again");
        let known = ledger.blocks.clone();
        drop(ledger);
        let mut ledger = world.follower().await;
        ledger.blocks = known;
        assert_eq!(ledger.follower.next().await.unwrap(), unacknowledged);
        ledger.catch_up().await;
        assert_eq!(ledger.blocks.len(), 2);
    }
}

#[tokio::test]
async fn replaced_blocks_are_taken_back_at_every_depth() {
    let world = World::new(sqlite().await).await;
    world.silence(5);
    let mut ledger = world.follower().await;
    for (round, depth) in [1, 2, 3, 7, 12].into_iter().enumerate() {
        for _ in 0..depth {
            world.ring();
        }
        ledger.catch_up().await;
        let removed = ledger.removed;
        let mode = if round % 2 == 0 { ReorgMode::Drop } else { ReorgMode::Keep };
        world.chain().chain().reorg(depth, mode).unwrap();
        ledger.catch_up().await;
        assert_eq!(ledger.removed - removed, usize::try_from(depth).unwrap(), "depth {depth}");
    }
}

#[tokio::test]
async fn a_reorg_while_nobody_followed_is_noticed_at_the_restart() {
    let world = World::new(sqlite().await).await;
    world.ring();
    world.ring();
    let mut ledger = world.follower().await;
    ledger.catch_up().await;
    let known = ledger.blocks.clone();
    drop(ledger);
    world.chain().chain().reorg(1, ReorgMode::Drop).unwrap();
    world.ring();
    let mut ledger = world.follower().await;
    ledger.blocks = known;
    ledger.catch_up().await;
    assert_eq!(ledger.removed, 1);
}

#[tokio::test]
async fn a_reorg_deeper_than_memory_stops_the_follower() {
    let world = World::new(sqlite().await).await;
    world.silence(30);
    let mut ledger = world.follower_with(FollowerConfig { window: 3, ..world.config() }).await;
    ledger.catch_up().await;
    world.chain().chain().reorg(10, ReorgMode::Drop).unwrap();
    let stopped = ledger.follower.next().await;
    assert!(matches!(stopped, Err(Error::ReorgTooDeep { window: 3, .. })), "{stopped:?}");
}

#[tokio::test]
async fn a_final_follower_waits_for_finality() {
    let world = World::new(sqlite().await).await;
    let config = FollowerConfig { finality: "finalized".parse().unwrap(), ..world.config() };
    world.silence(2);
    world.ring();
    let mut ledger = world.follower_with(config).await;
    let early = async {
        while ledger.blocks.is_empty() {
            ledger.step().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), early).await.is_err());
    world.silence(4);
    while ledger.blocks.is_empty() {
        ledger.step().await;
    }
    assert_eq!(ledger.blocks, ledger.truth());
    assert_eq!(FinalityRule::Blocks(4).to_string(), "blocks(4)");
}

#[tokio::test]
async fn bad_service_costs_time_and_no_log() {
    let world = World::new(sqlite().await).await;
    let mut ledger = world.follower().await;
    let faults = [Fault::Drop, Fault::RateLimit, Fault::DropAnswer, Fault::Stale { blocks: 3 }];
    for fault in faults {
        world.ring();
        world.ring();
        ledger.catch_up().await;
        world.chain().set_fault(FaultRule::new(&["eth_*"], fault).times(4));
        world.ring();
        ledger.catch_up().await;
    }
    assert_eq!(ledger.removed, 0, "a node that lags has not replaced anything");
}

#[tokio::test]
async fn a_websocket_wakes_the_follower_and_may_be_lost() {
    let world = World::new(sqlite().await).await;
    let config = FollowerConfig {
        poll: Duration::from_secs(3600),
        ws: vec![world.chain().ws_url().parse().unwrap()],
        ..world.config()
    };
    world.ring();
    let mut ledger = world.follower_with(config).await;
    ledger.catch_up().await;
    // Only a new head can end the wait now. The subscription may be a moment later than the ring: ring until it is heard.
    let heard = async {
        let at = ledger.follower.position();
        loop {
            world.ring();
            let step = tokio::time::timeout(Duration::from_millis(200), ledger.follower.next());
            if step.await.is_ok() {
                break at;
            }
        }
    };
    tokio::time::timeout(DEADLINE, heard).await.unwrap();
    ledger.step().await;
    assert!(ledger.blocks.len() >= 2);
}

#[tokio::test]
async fn an_endpoint_that_has_not_got_so_far_loses_no_log() {
    let (behind, world) = (World::new(sqlite().await).await, World::new(sqlite().await).await);
    for _ in 0..30 {
        world.ring();
    }
    // The same blocks by the same requests; this endpoint has not got the last ones yet.
    for _ in 0..5 {
        behind.ring();
    }
    assert_eq!(behind.chain().chain().head().hash, world.chain().chain().block(5).unwrap().hash);
    // Slow with heads, so that the other one gives them, and quick with the logs that it has.
    let slow = Fault::Latency { millis: 15_000 };
    behind.chain().set_fault(FaultRule::new(&["eth_getBlockByNumber"], slow));
    let nodes = [behind.chain(), world.chain()];
    let config = FollowerConfig { window: 4, ..world.config() };
    let mut ledger = world.follower_through(&nodes, config).await;
    ledger.catch_up().await;
    assert_eq!(ledger.blocks.len(), 30);
    assert_eq!(ledger.removed, 0);
}

#[tokio::test]
async fn an_endpoint_that_lags_behind_another_invents_no_reorg() {
    let (behind, world) = (World::new(sqlite().await).await, World::new(sqlite().await).await);
    for _ in 0..5 {
        world.ring();
        behind.ring();
    }
    let nodes = [behind.chain(), world.chain()];
    let mut ledger = world.follower_through(&nodes, world.config()).await;
    ledger.catch_up().await;
    // From now on only the second one grows, and the first one loses a question now and then.
    let question = &["eth_getBlockByNumber"];
    for _ in 0..5 {
        world.ring();
        behind.chain().set_fault(FaultRule::new(question, Fault::Drop).times(1));
        // There may be no news: the endpoint that is preferred lags.
        let news = tokio::time::timeout(Duration::from_millis(500), ledger.follower.next());
        if news.await.is_ok() {
            ledger.step().await;
        }
    }
    assert_eq!(ledger.removed, 0);
    for _ in 0..5 {
        behind.ring();
    }
    ledger.catch_up().await;
    assert_eq!((ledger.blocks.len(), ledger.removed), (10, 0));
}
