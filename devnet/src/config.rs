//! What a network is made of: the host it listens on and its chains.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use alloy::primitives::Address;

use crate::genesis::Account;

/// Base fee of every block unless told otherwise: 0.1 gwei, what Arbitrum chains charge at rest.
pub const DEFAULT_BASE_FEE: u64 = 100_000_000;
/// Most gas one transaction may ask for: what ArbOS allows.
pub const DEFAULT_TX_GAS_LIMIT: u64 = 32_000_000;
/// Gas limit written into headers: Arbitrum's 2^50, in effect none.
pub const DEFAULT_BLOCK_GAS_LIMIT: u64 = 1 << 50;
/// Most logs one `eth_getLogs` answers with.
pub const DEFAULT_MAX_LOGS: usize = 10_000;
/// Timestamp of the genesis block under [`Clock::Steps`]: 2026-01-01T00:00:00Z.
pub const GENESIS_TIMESTAMP: u64 = 1_767_225_600;

/// A network: any number of chains in one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The chains, each with its own port.
    pub chains: Vec<ChainConfig>,
    /// The address that every chain listens on.
    pub host: IpAddr,
    /// Enters every block's randomness: the same ordered requests under one seed give the same
    /// block hashes (with [`Clock::Steps`]).
    pub seed: u64,
    /// Where chains persist, one folder a chain id; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chains: vec![ChainConfig::default()],
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            seed: 0,
            data_dir: None,
        }
    }
}

impl Config {
    /// A network of `count` chains with ids 700001, 700002, … on free ports.
    #[must_use]
    pub fn with_chains(count: u64) -> Self {
        let chains = (0..count).map(|index| ChainConfig::new(700_001 + index)).collect();
        Self { chains, ..Self::default() }
    }
}

/// Where block timestamps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// From the requests alone: every block is `block_time` after its parent (one second when
    /// automining), starting from [`ChainConfig::genesis_timestamp`]. Reproducible.
    #[default]
    Steps,
    /// From the machine's clock (plus what `evm_increaseTime` added), never before the parent.
    Wall,
}

/// One chain. Start from [`ChainConfig::new`] and set what differs.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// TCP port of the JSON-RPC server; 0 takes any free one.
    pub port: u16,
    /// A block at this interval, empty ones too; `None` mines each transaction as it comes.
    pub block_time: Option<Duration>,
    /// Blocks that the `safe` tag lags behind the head.
    pub safe_lag: u64,
    /// Blocks that the `finalized` tag lags behind the head.
    pub finalized_lag: u64,
    /// Blocks (with state, receipts and logs) kept behind the head; `None` keeps all.
    pub history: Option<u64>,
    /// Base fee of every block, in wei per gas.
    pub base_fee: u64,
    /// Gas limit of each block.
    pub block_gas_limit: u64,
    /// Most gas a transaction may ask for, and the cap of `eth_call` and `eth_estimateGas`.
    pub tx_gas_limit: u64,
    /// Most logs that one query answers with.
    pub max_logs: usize,
    /// Widest block range of one log query; `None` for any.
    pub max_log_range: Option<u64>,
    /// Where timestamps come from.
    pub clock: Clock,
    /// Timestamp of the genesis block, in Unix seconds, under [`Clock::Steps`].
    pub genesis_timestamp: u64,
    /// Accounts put into the genesis state besides [`crate::genesis::accounts`]. The Stylus programs
    /// among them are active.
    pub genesis: Vec<(Address, Account)>,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            chain_id: 700_001,
            port: 0,
            block_time: None,
            safe_lag: 0,
            finalized_lag: 0,
            history: None,
            base_fee: DEFAULT_BASE_FEE,
            block_gas_limit: DEFAULT_BLOCK_GAS_LIMIT,
            tx_gas_limit: DEFAULT_TX_GAS_LIMIT,
            max_logs: DEFAULT_MAX_LOGS,
            max_log_range: None,
            clock: Clock::Steps,
            genesis_timestamp: GENESIS_TIMESTAMP,
            genesis: Vec::new(),
        }
    }
}

impl ChainConfig {
    /// The defaults under `chain_id`.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self { chain_id, ..Self::default() }
    }

    /// Listens on `port`.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A block every `interval` instead of one per transaction.
    #[must_use]
    pub const fn block_time(mut self, interval: Duration) -> Self {
        self.block_time = Some(interval);
        self
    }

    /// `safe` and `finalized` stay this many blocks behind the head.
    #[must_use]
    pub const fn lags(mut self, safe: u64, finalized: u64) -> Self {
        self.safe_lag = safe;
        self.finalized_lag = finalized;
        self
    }

    /// Keeps only `blocks` blocks behind the head.
    #[must_use]
    pub const fn history(mut self, blocks: u64) -> Self {
        self.history = Some(blocks);
        self
    }

    /// Takes timestamps from `clock`.
    #[must_use]
    pub const fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds an account to the genesis state.
    #[must_use]
    pub fn with_account(mut self, address: Address, account: Account) -> Self {
        self.genesis.push((address, account));
        self
    }
}
