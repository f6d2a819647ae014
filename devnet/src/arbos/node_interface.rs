use alloy::{
    sol,
    sol_types::{SolCall, SolValue},
};
use revm::{
    Database,
    context::TxEnv,
    context_interface::{Block, ContextTr},
    primitives::{TxKind, U256},
};

use super::{
    NODE_INTERFACE,
    call::{Reply, SystemCall},
};
use crate::vm::Environment;

sol! {
    #[derive(Debug)]
    interface NodeInterface {
        function gasEstimateComponents(address to, bool contractCreation, bytes data) payable returns (uint64 gasEstimate, uint64 gasEstimateForL1, uint256 baseFee, uint256 l1BaseFeeEstimate);
        function gasEstimateL1Component(address to, bool contractCreation, bytes data) payable returns (uint64 gasEstimateForL1, uint256 baseFee, uint256 l1BaseFeeEstimate);
        function nitroGenesisBlock() pure returns (uint256 number);
        function blockL1Num(uint64 l2BlockNum) view returns (uint64 l1BlockNum);
    }
}

use NodeInterface::NodeInterfaceCalls as Call;

/// What a call of `gasEstimateComponents` asks about, as a transaction.
pub(crate) fn transaction_to_estimate(env: &Environment, tx: &TxEnv) -> Option<TxEnv> {
    if !env.rules.node_interface || tx.kind != TxKind::Call(NODE_INTERFACE) {
        return None;
    }
    let asked = NodeInterface::gasEstimateComponentsCall::abi_decode(&tx.data).ok()?;
    let kind = if asked.contractCreation { TxKind::Create } else { TxKind::Call(asked.to) };
    Some(TxEnv { kind, data: asked.data, ..tx.clone() })
}

/// Nothing is paid for data on a development chain, so what estimates say of it is zero.
pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    let base_fee = U256::from(call.ctx.block().basefee());
    let reply = match function {
        Call::gasEstimateComponents(_) => {
            let gas = call.ctx.chain.node_interface.unwrap_or_default();
            (gas, 0u64, base_fee, U256::ZERO).abi_encode()
        }
        Call::gasEstimateL1Component(_) => (0u64, base_fee, U256::ZERO).abi_encode(),
        Call::nitroGenesisBlock(_) => U256::ZERO.abi_encode(),
        // Both layers count the same blocks.
        Call::blockL1Num(function) => function.l2BlockNum.abi_encode(),
    };
    Ok(reply)
}
