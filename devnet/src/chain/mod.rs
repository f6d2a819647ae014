//! One chain: state, blocks, pool and clock behind one lock.
//!
//! Every request either reads under the shared lock or changes the chain under the exclusive one,
//! so that requests have one order and, under [`Clock::Steps`](crate::Clock::Steps), one outcome.

mod create;
mod edit;
mod error;
mod mine;
pub(crate) mod query;
mod reorg;
mod simulate;
mod snapshot;
mod time;
mod transact;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::{Address, B256};
pub use error::Error;
use parking_lot::{RwLock, RwLockReadGuard};
pub use reorg::ReorgMode;
pub(crate) use simulate::{Call, Simulation};
use tokio::sync::{broadcast, watch};
pub(crate) use transact::unsigned_signature;
pub use transact::{CallOutcome, Transact, init_code};

use crate::{
    block::{Block, Ledger},
    config::ChainConfig,
    mempool::Mempool,
    persist::Journal,
    state::State,
    vm::Executor,
};

/// Events that a slow subscriber may fall behind by before it misses some.
const EVENT_BACKLOG: usize = 4_096;

/// A handle to one chain. Clones share the chain.
///
/// Works without a server and without an async runtime; but blocks at an interval and JSON-RPC
/// come only with [`spawn`](crate::spawn).
#[derive(Debug, Clone)]
pub struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ChainConfig,
    seed: u64,
    executor: Executor,
    inner: RwLock<Inner>,
    events: broadcast::Sender<Event>,
    mining: watch::Sender<Mining>,
}

/// What subscribers learn, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A block became the head.
    Added(Arc<Block>),
    /// The head was taken away by a reorganization or a snapshot's return.
    Removed(Arc<Block>),
    /// A transaction entered the pool.
    Pending(B256),
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// With every transaction that can be executed.
    Automatic,
    /// At this interval, empty or not.
    Interval(Duration),
    /// Only when asked to.
    Manual,
}

impl Mining {
    /// The time between blocks, `None` when they come on demand.
    #[must_use]
    pub const fn interval(self) -> Option<Duration> {
        match self {
            Self::Interval(interval) => Some(interval),
            Self::Automatic | Self::Manual => None,
        }
    }
}

/// Everything that changes.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: State,
    pub(crate) ledger: Ledger,
    pub(crate) pool: Mempool,
    pub(crate) mining: Mining,
    pub(crate) paused: bool,
    pub(crate) base_fee: u64,
    pub(crate) coinbase: Address,
    pub(crate) impersonated: BTreeSet<Address>,
    pub(crate) impersonates_all: bool,
    time: time::ChainTime,
    snapshots: BTreeMap<u64, snapshot::Snapshot>,
    next_snapshot: u64,
    /// Reorganizations so far: part of the blocks' randomness, so that a block made again has
    /// another hash.
    forks: u64,
    journal: Option<Journal>,
}

impl Chain {
    /// The chain's configuration.
    #[must_use]
    pub fn config(&self) -> &ChainConfig {
        &self.shared.config
    }

    /// EIP-155 chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.shared.config.chain_id
    }

    /// Blocks, removals and pending transactions from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// The mining mode and its changes.
    pub(crate) fn mining_changes(&self) -> watch::Receiver<Mining> {
        self.shared.mining.subscribe()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.shared.inner.read()
    }

    fn publish(&self, event: Event) {
        // Without subscribers there is nobody to tell.
        let _ = self.shared.events.send(event);
    }
}
