//! How a chain comes to be: from its genesis, or from what it wrote to disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use alloy::primitives::{Address, B256, address, keccak256};
use parking_lot::RwLock;
use tokio::sync::{broadcast, watch};

use super::{Chain, EVENT_BACKLOG, Error, Inner, Mining, Shared, time::ChainTime};
use crate::{
    arbos,
    block::{self, Block, BlockParts, Ledger},
    config::ChainConfig,
    genesis,
    mempool::Mempool,
    persist::{Journal, Loaded},
    state::{Changes, Holding, State, Version},
    vm::Executor,
};

/// Beneficiary of every block: Arbitrum's sequencer address.
const COINBASE: Address = address!("a4b000000000000000000073657175656e636572");

impl Chain {
    /// A chain in memory, at its genesis block, with seed 0.
    #[must_use]
    pub fn new(config: ChainConfig) -> Self {
        Self::with_seed(config, 0)
    }

    /// A chain in memory whose block randomness comes from `seed`.
    #[must_use]
    pub fn with_seed(config: ChainConfig, seed: u64) -> Self {
        let mut state = State::default();
        let timestamp = ChainTime::genesis(config.clock, config.genesis_timestamp);
        let (genesis, version) = genesis_block(&config, seed, timestamp, &mut state);
        Self::assemble(config, seed, state, Ledger::new(Arc::new(genesis), version), None)
    }

    /// A chain that keeps itself in the file `path`, going on from what is there.
    ///
    /// # Errors
    /// When the file cannot be used, or belongs to another chain or version.
    pub fn open(config: ChainConfig, seed: u64, path: &Path) -> Result<Self, Error> {
        let mut state = State::default();
        let timestamp = Journal::genesis_timestamp(path)?
            .unwrap_or_else(|| ChainTime::genesis(config.clock, config.genesis_timestamp));
        let (genesis, version) = genesis_block(&config, seed, timestamp, &mut state);
        let ledger = Ledger::new(Arc::new(genesis), version);
        let (journal, loaded) = Journal::open(path, Loaded { state, ledger, forks: 0 }, &config)?;
        let chain = Self::assemble(config, seed, loaded.state, loaded.ledger, Some(journal));
        chain.shared.inner.write().forks = loaded.forks;
        Ok(chain)
    }

    fn assemble(
        config: ChainConfig,
        seed: u64,
        state: State,
        ledger: Ledger,
        journal: Option<Journal>,
    ) -> Self {
        let mining = config.block_time.map_or(Mining::Automatic, Mining::Interval);
        let head = ledger.head().header.timestamp;
        let inner = Inner {
            state,
            ledger,
            pool: Mempool::default(),
            mining,
            paused: false,
            base_fee: config.base_fee,
            coinbase: COINBASE,
            impersonated: BTreeSet::new(),
            impersonates_all: false,
            time: ChainTime::new(config.clock, head),
            snapshots: BTreeMap::new(),
            next_snapshot: 1,
            forks: 0,
            journal,
        };
        let shared = Shared {
            config,
            seed,
            executor: Executor::new(),
            inner: RwLock::new(inner),
            events: broadcast::channel(EVENT_BACKLOG).0,
            mining: watch::channel(mining).0,
        };
        Self { shared: Arc::new(shared) }
    }
}

/// Fills the state and makes block 0 of it.
fn genesis_block(
    config: &ChainConfig,
    seed: u64,
    timestamp: u64,
    state: &mut State,
) -> (Block, Version) {
    let mut changes = Changes::default();
    for (address, info) in arbos::genesis_accounts() {
        let code = info.code.map(|code| code.original_bytes()).unwrap_or_default();
        let code_hash = changes.insert_code(&code);
        let holding = Holding { balance: info.balance, nonce: info.nonce, code_hash };
        changes.accounts.insert(address, Some(holding));
    }
    for (address, account) in genesis::accounts().iter().chain(&config.genesis) {
        changes.insert_account(*address, account);
        if let Some((slot, word)) = arbos::genesis_activation(&account.code, timestamp) {
            changes.storage.insert((arbos::ARBOS_STATE, slot), word);
        }
    }
    let state_root = changes.digest(B256::ZERO);
    let version = state.commit(&changes);
    let parts = BlockParts {
        parent_hash: B256::ZERO,
        number: 0,
        timestamp,
        beneficiary: COINBASE,
        gas_limit: config.block_gas_limit,
        base_fee: config.base_fee,
        prevrandao: randomness(seed, config.chain_id, 0, 0),
        state_root,
    };
    (block::build(&parts, Vec::new()), version)
}

/// What the `PREVRANDAO` instruction returns in a block.
pub(super) fn randomness(seed: u64, chain_id: u64, forks: u64, number: u64) -> B256 {
    let words = [seed, chain_id, forks, number].map(u64::to_be_bytes);
    keccak256(words.concat())
}
