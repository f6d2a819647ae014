//! What a rollup charges for posting a transaction's data to its parent, beside its own gas.
//!
//! On Arbitrum the charge is part of the gas that a node estimates, so only transactions that
//! cannot be estimated yet (the withdrawal, before the proof) need to be asked for. On OP stack
//! chains it is paid beside the gas, always.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256, address},
    sol,
};
use chain::{ChainClient, client};
use protocol::abi::arbos::{NODE_INTERFACE, NodeInterface};

use crate::config::L1Fee;

/// `GasPriceOracle` predeploy of the OP stack (specs.optimism.io, predeploys).
const GAS_PRICE_ORACLE: Address = address!("0x420000000000000000000000000000000000000F");

/// Bytes that signature, nonce and fees add to the call data of a transaction, rounded up.
const ENVELOPE: usize = 160;

sol! {
    /// The part of the OP stack's predeploy that we ask.
    interface GasPriceOracle {
        /// Wei for posting a transaction with these unsigned bytes.
        function getL1Fee(bytes data) external view returns (uint256);
    }
}

/// Whether a transaction's gas was estimated by a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GasSource {
    /// By a node: on Arbitrum the charge is in it.
    Estimated,
    /// By us.
    Assumed,
}

/// Wei beside the gas for a transaction to `to` with this call data.
pub(crate) async fn data_fee(
    client: &ChainClient,
    kind: L1Fee,
    source: GasSource,
    to: Address,
    data: &Bytes,
) -> Result<U256, client::Error> {
    match (kind, source) {
        (L1Fee::None, _) | (L1Fee::Arbitrum, GasSource::Estimated) => Ok(U256::ZERO),
        (L1Fee::Arbitrum, GasSource::Assumed) => {
            let call = NodeInterface::gasEstimateL1ComponentCall {
                to,
                contractCreation: false,
                data: data.clone(),
            };
            let answer = client.call(NODE_INTERFACE, &call, BlockNumberOrTag::Latest).await?;
            Ok(U256::from(answer.gasEstimateForL1).saturating_mul(answer.baseFee))
        }
        (L1Fee::OpStack, _) => {
            let mut bytes = data.to_vec();
            bytes.resize(bytes.len() + ENVELOPE, 0xff);
            let call = GasPriceOracle::getL1FeeCall { data: bytes.into() };
            client.call(GAS_PRICE_ORACLE, &call, BlockNumberOrTag::Latest).await
        }
    }
}
