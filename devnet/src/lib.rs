//! Stylus-capable development chains in one process.
//!
//! # Two ways in
//!
//! [`Chain`] is a chain by itself, in-process and synchronous; a network of chains that speak
//! JSON-RPC over HTTP and WebSocket is made by [`spawn`]. Nothing here knows what runs on the chains.
//!
//! ```
//! use alloy::primitives::{Address, U256};
//! use devnet::{Chain, ChainConfig, Transact, genesis::DEV_ADDRESSES};
//!
//! let chain = Chain::new(ChainConfig::new(700_001));
//! let receiver = Address::repeat_byte(7);
//! let transfer = Transact::call(DEV_ADDRESSES[0], receiver, []).value(U256::from(5));
//! assert!(chain.transact(transfer)?.success);
//! assert_eq!(chain.balance(receiver), U256::from(5));
//! # Ok::<(), devnet::ChainError>(())
//! ```
//!
//! # JSON-RPC
//!
//! HTTP (single calls and batches) and WebSocket (with `eth_subscribe`) on one port, whatever the
//! path. `eth_`, `net_`, `web3_` and `txpool_status` as on a real node; `debug_traceTransaction` and
//! `debug_traceCall` with the call tracer; what tests arrange under any of the prefixes `anvil_`,
//! `evm_` and `hardhat_`: `mine`, `setAutomine`, `setIntervalMining`, `increaseTime`,
//! `setNextBlockTimestamp`, `setBalance`, `setCode`, `setNonce`, `setStorageAt`,
//! `impersonateAccount`, `snapshot`, `revert`, `dropTransaction`, `setNextBlockBaseFeePerGas`,
//! `dumpState`, `loadState` and others. What real life does to clients:
//!
//! | method | parameters | effect |
//! |---|---|---|
//! | `devnet_reorg` | `{depth, mode: "keep" \| "drop"}` | [`Chain::reorg`] |
//! | `devnet_setFault` | [`FaultRule`] as JSON | calls of the named methods meet the fault |
//! | `devnet_clearFaults`, `devnet_faults` | none | no rule any more; the rules |
//! | `devnet_pause`, `devnet_resume`, `devnet_isPaused` | none | [`Chain::pause`], [`Chain::resume`] |
//! | `devnet_stateRoot` | block | the Merkle root that `eth_getProof` proves against |
//! | `devnet_receipt` | transaction hash | [`Receipt`] with return data and halt reason |
//!
//! # Where it differs from a real Arbitrum chain
//!
//! The header's state root is a digest of changes, not a Merkle root. The parent chain's block number
//! is the chain's own. Data costs nothing extra. Everybody who can pay the base fee pays just that, as
//! on Arbitrum; the base fee itself moves only when told to. Programs in fragments (ArbOS 60) are
//! refused, as on chains that do not allow them.

pub mod arbos;
pub mod bench;
mod block;
mod chain;
mod config;
mod faults;
pub mod genesis;
mod mempool;
mod persist;
mod rpc;
mod server;
mod state;
pub mod vm;

pub use block::{Block, Receipt, Transaction};
pub use chain::{
    CallOutcome, Chain, Error as ChainError, Event, Mining, ReorgMode, Transact, init_code,
};
pub use config::{
    ChainConfig, Clock, Config, DEFAULT_BASE_FEE, DEFAULT_BLOCK_GAS_LIMIT, DEFAULT_MAX_LOGS,
    DEFAULT_TX_GAS_LIMIT, GENESIS_TIMESTAMP,
};
pub use faults::{Fault, FaultRule, ForgedLog};
pub use mempool::{REPLACEMENT_BUMP, Refusal};
pub use persist::Error as PersistError;
pub use server::{ChainHandle, Error, Handle, spawn};
