use alloy::{sol, sol_types::SolValue};
use revm::{
    Database,
    context_interface::{Block, ContextTr},
    primitives::Address,
};

use super::call::{Reply, SystemCall};

sol! {
    #[derive(Debug)]
    interface ArbOwnerPublic {
        function isChainOwner(address addr) view returns (bool);
        function getAllChainOwners() view returns (address[]);
        function isNativeTokenOwner(address addr) view returns (bool);
        function getAllNativeTokenOwners() view returns (address[]);
        function getNetworkFeeAccount() view returns (address);
        function getInfraFeeAccount() view returns (address);
        function getBrotliCompressionLevel() view returns (uint64);
        function getScheduledUpgrade() view returns (uint64 arbosVersion, uint64 scheduledForTimestamp);
        function isCalldataPriceIncreaseEnabled() view returns (bool);
    }
}

use ArbOwnerPublic::ArbOwnerPublicCalls as Call;

/// A development chain has no owner: its parameters never change.
pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    call.require_no_value()?;
    let reply = match function {
        Call::isChainOwner(_) | Call::isNativeTokenOwner(_) => false.abi_encode(),
        Call::getAllChainOwners(_) | Call::getAllNativeTokenOwners(_) => {
            Vec::<Address>::new().abi_encode()
        }
        Call::getNetworkFeeAccount(_) | Call::getInfraFeeAccount(_) => {
            call.ctx.block().beneficiary().abi_encode()
        }
        // Nothing is posted to a parent chain, so nothing is compressed.
        Call::getBrotliCompressionLevel(_) => 0u64.abi_encode(),
        Call::getScheduledUpgrade(_) => (0u64, 0u64).abi_encode(),
        Call::isCalldataPriceIncreaseEnabled(_) => false.abi_encode(),
    };
    Ok(reply)
}
