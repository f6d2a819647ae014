use alloy::{sol, sol_types::SolValue};
use revm::{
    Database,
    context_interface::{ContextTr, JournalTr},
};

use super::call::{Reply, SystemCall};

sol! {
    #[derive(Debug)]
    interface ArbInfo {
        function getBalance(address account) view returns (uint256);
        function getCode(address account) view returns (bytes);
    }
}

use ArbInfo::ArbInfoCalls as Call;

/// Gas of reading a balance.
const BALANCE_GAS: u64 = 700;

pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    call.require_no_value()?;
    match function {
        Call::getBalance(function) => {
            call.burn(BALANCE_GAS)?;
            Ok(call.ctx.journal_mut().load_account(function.account)?.info.balance.abi_encode())
        }
        Call::getCode(function) => Ok(call.code(function.account)?.1.abi_encode()),
    }
}
