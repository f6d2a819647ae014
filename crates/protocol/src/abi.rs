//! Interfaces of every contract we call, index or write: functions, events, errors.
//!
//! Overloaded functions get a number in the order of declaration; each interface says which is which.
//! With feature `stylus` the structs also derive `AbiType`, so that programs can take and return them.

mod arbos_items;
mod deployer_items;
mod hyperlane_items;
#[expect(clippy::too_many_arguments, reason = "`sol!` makes a constructor of each event")]
mod intent_items;
mod messaging_items;
mod multicall_items;
mod token_items;

pub mod constructor;
#[cfg(feature = "std")]
pub mod solidity;

pub use deployer_items::StylusDeployer as deployer;
pub use intent_items::{
    IDestinationSettler as destination_settler, ILocalProver as local_prover,
    IProver as prover_interface, Inbox as inbox, IntentSource as intent_source,
    MetaProver as prover, RouteExecutor as executor, Vault as vault,
};
pub use messaging_items::{
    IMetalayerRecipient as recipient, MetalayerIsm as ism, MetalayerRouter as router,
    ReadIsm as read_ism,
};
pub use multicall_items::Multicall as multicall;
pub use token_items::{IERC20 as erc20, IERC1271 as erc1271, IPermit as permit};

/// The structs of the intent protocol and of ERC-7683.
pub mod intent {
    pub use super::intent_items::{
        Call, Domain, FillInstruction, GaslessCrossChainOrder, Intent, OnchainCrossChainOrder,
        OrderData, Output, ProofData, ResolvedCrossChainOrder, Reward, Route, Status, TokenAmount,
    };
}

/// The structs of messaging.
pub mod messaging {
    pub use super::messaging_items::{ReadAnchor, ReadOperation, ReadResult};
}

/// The structs of the multicall.
pub mod batch {
    pub use super::multicall_items::{Call3, Call3Gas, Call3Value, CallResult};
}

/// The precompiles and virtual contracts of an ArbOS chain.
pub mod arbos {
    pub use super::arbos_items::{ArbSys, ArbWasm, NodeInterface};
    use alloy_primitives::{Address, address};

    /// Where [`ArbSys`] answers.
    pub const ARB_SYS: Address = address!("0x0000000000000000000000000000000000000064");
    /// Where [`ArbWasm`] answers.
    pub const ARB_WASM: Address = address!("0x0000000000000000000000000000000000000071");
    /// Where [`NodeInterface`] answers (only in `eth_call` and `eth_estimateGas`).
    pub const NODE_INTERFACE: Address = address!("0x00000000000000000000000000000000000000C8");
}

/// Hyperlane's core, as published.
pub mod hyperlane {
    pub use super::hyperlane_items::*;
}
