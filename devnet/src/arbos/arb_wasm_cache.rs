use alloy::{sol, sol_types::SolValue};
use revm::{
    Database,
    primitives::{Address, B256},
};

use super::call::{Reply, SystemCall, WRITE_GAS, fail};

sol! {
    #[derive(Debug)]
    interface ArbWasmCache {
        function isCacheManager(address manager) view returns (bool);
        function allCacheManagers() view returns (address[] managers);
        function cacheCodehash(bytes32 codehash);
        function cacheProgram(address addr);
        function evictCodehash(bytes32 codehash);
        function codehashIsCached(bytes32 codehash) view returns (bool);

        event UpdateProgramCache(address indexed manager, bytes32 indexed codehash, bool cached);

        error ProgramNotActivated();
    }
}

use ArbWasmCache::ArbWasmCacheCalls as Call;

/// Everybody may manage the cache of a development chain.
pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    call.require_no_value()?;
    let reply = match function {
        Call::isCacheManager(_) => true.abi_encode(),
        Call::allCacheManagers(_) => Vec::<Address>::new().abi_encode(),
        Call::codehashIsCached(function) => {
            let record = call.state().program(function.codehash)?;
            record.is_some_and(|record| record.cached).abi_encode()
        }
        Call::cacheCodehash(function) => set(call, function.codehash, true)?,
        Call::cacheProgram(function) => {
            let (code_hash, _) = call.code(function.addr)?;
            set(call, code_hash, true)?
        }
        Call::evictCodehash(function) => set(call, function.codehash, false)?,
    };
    Ok(reply)
}

fn set<DB: Database>(call: &mut SystemCall<'_, DB>, code_hash: B256, cached: bool) -> Reply<DB> {
    call.require_writable()?;
    let Some(mut record) = call.state().program(code_hash)? else {
        return fail(ArbWasmCache::ProgramNotActivated {});
    };
    if record.cached != cached {
        record.cached = cached;
        call.burn(WRITE_GAS)?;
        call.state().set_program(code_hash, record)?;
        let manager = call.caller;
        call.emit(ArbWasmCache::UpdateProgramCache { manager, codehash: code_hash, cached })?;
    }
    Ok(Vec::new())
}
