use alloy::{sol, sol_types::SolValue};
use revm::{
    Database,
    context_interface::{Block, ContextTr},
    primitives::U256,
};

use super::call::{Reply, SystemCall};

sol! {
    #[derive(Debug)]
    interface ArbGasInfo {
        function getPricesInWei() view returns (uint256, uint256, uint256, uint256, uint256, uint256);
        function getPricesInArbGas() view returns (uint256, uint256, uint256);
        function getGasAccountingParams() view returns (uint256, uint256, uint256);
        function getMinimumGasPrice() view returns (uint256);
        function getL1BaseFeeEstimate() view returns (uint256);
        function getL1GasPriceEstimate() view returns (uint256);
        function getCurrentTxL1GasFees() view returns (uint256);
        function getGasBacklog() view returns (uint64);
        function getPricingInertia() view returns (uint64);
        function getGasBacklogTolerance() view returns (uint64);
    }
}

use ArbGasInfo::ArbGasInfoCalls as Call;

/// Gas that a chain wants to spend in a second.
const SPEED_LIMIT: u64 = 7_000_000;
/// Gas of writing a new word of storage.
const STORAGE_GAS: u64 = 20_000;
/// How slowly the gas price follows demand.
const PRICING_INERTIA: u64 = 102;
/// Seconds of backlog that leave the gas price alone.
const BACKLOG_TOLERANCE: u64 = 10;

/// Data costs nothing on a development chain, which has no parent to post to; gas costs the base fee.
pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    call.require_no_value()?;
    let gas_price = U256::from(call.ctx.block().basefee());
    let zero = U256::ZERO;
    let reply = match function {
        // A transaction, a byte of its data, a word of storage, then gas: least, congestion, total.
        Call::getPricesInWei(_) => {
            let storage = gas_price * U256::from(STORAGE_GAS);
            (zero, zero, storage, gas_price, zero, gas_price).abi_encode()
        }
        Call::getPricesInArbGas(_) => (zero, zero, U256::from(STORAGE_GAS)).abi_encode(),
        Call::getGasAccountingParams(_) => {
            let limit = U256::from(call.ctx.block().gas_limit());
            (U256::from(SPEED_LIMIT), limit, limit).abi_encode()
        }
        Call::getMinimumGasPrice(_) => gas_price.abi_encode(),
        Call::getL1BaseFeeEstimate(_)
        | Call::getL1GasPriceEstimate(_)
        | Call::getCurrentTxL1GasFees(_) => zero.abi_encode(),
        Call::getGasBacklog(_) => 0u64.abi_encode(),
        Call::getPricingInertia(_) => PRICING_INERTIA.abi_encode(),
        Call::getGasBacklogTolerance(_) => BACKLOG_TOLERANCE.abi_encode(),
    };
    Ok(reply)
}
