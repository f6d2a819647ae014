use alloy::{
    sol,
    sol_types::{SolCall, SolValue},
};
use revm::{
    Database,
    context_interface::{Block, ContextTr},
    primitives::{Address, B256, Bytes, U256, keccak256},
};
use stylus_program::CodeKind;

use super::{
    call::{Reply, SystemCall, WRITE_GAS, fail, refuse},
    program::{EXPIRY_DAYS, KEEPALIVE_DAYS, ProgramRecord, STYLUS_VERSION},
};
use crate::vm::{
    ink::INK_PER_GAS,
    modules::MAX_STACK_WORDS,
    pages::{FREE_PAGES, PAGE_GAS, PAGE_LIMIT, PAGE_RAMP},
    scope::BLOCK_CACHE_SIZE,
};

sol! {
    #[derive(Debug)]
    interface ArbWasm {
        function activateProgram(address program) payable returns (uint16 version, uint256 dataFee);
        function stylusVersion() view returns (uint16 version);
        function codehashVersion(bytes32 codehash) view returns (uint16 version);
        function codehashKeepalive(bytes32 codehash) payable;
        function codehashAsmSize(bytes32 codehash) view returns (uint32 size);
        function programVersion(address program) view returns (uint16 version);
        function programInitGas(address program) view returns (uint64 gas, uint64 gasWhenCached);
        function programMemoryFootprint(address program) view returns (uint16 footprint);
        function programTimeLeft(address program) view returns (uint64 _secs);
        function inkPrice() view returns (uint32 price);
        function maxStackDepth() view returns (uint32 depth);
        function freePages() view returns (uint16 pages);
        function pageGas() view returns (uint16 gas);
        function pageRamp() view returns (uint64 ramp);
        function pageLimit() view returns (uint16 limit);
        function minInitGas() view returns (uint64 gas, uint64 cached);
        function initCostScalar() view returns (uint64 percent);
        function expiryDays() view returns (uint16 _days);
        function keepaliveDays() view returns (uint16 _days);
        function blockCacheSize() view returns (uint16 count);

        event ProgramActivated(bytes32 indexed codehash, bytes32 moduleHash, address program, uint256 dataFee, uint16 version);
        event ProgramLifetimeExtended(bytes32 indexed codehash, uint256 dataFee);

        error ProgramNotWasm();
        error ProgramNotActivated();
        error ProgramNeedsUpgrade(uint16 version, uint16 stylusVersion);
        error ProgramExpired(uint64 ageInSeconds);
        error ProgramUpToDate();
        error ProgramKeepaliveTooSoon(uint64 ageInSeconds);
        error ProgramInsufficientValue(uint256 have, uint256 want);
    }
}

use ArbWasm::ArbWasmCalls as Call;

/// Gas of every activation, whatever the program.
const ACTIVATION_GAS: u64 = 1_659_168;
/// Least gas of a start, as the chain's parameters give it: without the cache, and with it.
const MIN_INIT_GAS: (u64, u64) = (8_832, 352);
/// Percentage at which the cost of starting is charged.
const INIT_COST_SCALAR: u64 = 100;
/// Bytes of machine code that a byte of WASM becomes; an estimate.
const ASM_EXPANSION: u32 = 4;
/// Wei for a byte of machine code. A real chain lets this price follow demand.
const DATA_FEE_PER_BYTE: u64 = 1_000_000_000;

pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    match function {
        Call::activateProgram(function) => return activate(call, function.program),
        Call::codehashKeepalive(function) => return keep_alive(call, function.codehash),
        _ => call.require_no_value()?,
    }
    let reply = match function {
        Call::stylusVersion(_) => STYLUS_VERSION.abi_encode(),
        Call::codehashVersion(function) => {
            live_program(call, function.codehash)?.version.abi_encode()
        }
        Call::codehashAsmSize(function) => {
            asm_size(&live_program(call, function.codehash)?).abi_encode()
        }
        Call::programVersion(function) => program(call, function.program)?.version.abi_encode(),
        Call::programInitGas(function) => {
            let start = program(call, function.program)?.start;
            (u64::from(start.declared), u64::from(start.cached)).abi_encode()
        }
        Call::programMemoryFootprint(function) => {
            program(call, function.program)?.footprint.abi_encode()
        }
        Call::programTimeLeft(function) => {
            let record = program(call, function.program)?;
            record.time_left(call.now()).abi_encode()
        }
        Call::inkPrice(_) => (INK_PER_GAS as u32).abi_encode(),
        Call::maxStackDepth(_) => MAX_STACK_WORDS.abi_encode(),
        Call::freePages(_) => FREE_PAGES.abi_encode(),
        Call::pageGas(_) => PAGE_GAS.abi_encode(),
        Call::pageRamp(_) => PAGE_RAMP.abi_encode(),
        Call::pageLimit(_) => PAGE_LIMIT.abi_encode(),
        Call::minInitGas(_) => MIN_INIT_GAS.abi_encode(),
        Call::initCostScalar(_) => INIT_COST_SCALAR.abi_encode(),
        Call::expiryDays(_) => EXPIRY_DAYS.abi_encode(),
        Call::keepaliveDays(_) => KEEPALIVE_DAYS.abi_encode(),
        Call::blockCacheSize(_) => BLOCK_CACHE_SIZE.abi_encode(),
        Call::activateProgram(_) | Call::codehashKeepalive(_) => Vec::new(),
    };
    Ok(reply)
}

/// Checks a program's code against the rules and writes down that it may run.
fn activate<DB: Database>(call: &mut SystemCall<'_, DB>, program: Address) -> Reply<DB> {
    call.require_writable()?;
    call.burn(ACTIVATION_GAS)?;
    let (code_hash, code) = call.code(program)?;
    if CodeKind::of(&code) == CodeKind::Evm {
        return fail(ArbWasm::ProgramNotWasm {});
    }
    let now = call.now();
    let cached = match call.state().program(code_hash)? {
        Some(record) if !record.needs_upgrade() && !record.is_expired(now) => {
            return fail(ArbWasm::ProgramUpToDate {});
        }
        record => record.is_some_and(|record| record.cached),
    };
    let Some((info, module_hash)) = checked(&code) else { return refuse() };
    let record =
        ProgramRecord { cached, ..ProgramRecord::activated(now, info.wasm_len, info.footprint) };
    let fee = data_fee(&record);
    take_fee(call, fee)?;
    call.state().set_program(code_hash, record)?;
    let version = record.version;
    call.emit(ArbWasm::ProgramActivated {
        codehash: code_hash,
        moduleHash: module_hash,
        program,
        dataFee: fee,
        version,
    })?;
    Ok(ArbWasm::activateProgramCall::abi_encode_returns(&ArbWasm::activateProgramReturn {
        version,
        dataFee: fee,
    }))
}

/// The record of a program that is active from the genesis block on; nothing for code that is no
/// program, or none that a chain would activate.
pub(super) fn active_at_genesis(code: &Bytes, now: u64) -> Option<ProgramRecord> {
    if CodeKind::of(code) != CodeKind::Classic {
        return None;
    }
    let (info, _) = checked(code)?;
    Some(ProgramRecord::activated(now, info.wasm_len, info.footprint))
}

/// The module's facts and hash, if every rule of activation holds.
fn checked(code: &Bytes) -> Option<(stylus_program::ProgramInfo, B256)> {
    let wasm = stylus_program::decompress(code)
        .inspect_err(|error| tracing::debug!("activation refused: {error}"))
        .ok()?;
    let info = stylus_program::check(&wasm)
        .inspect_err(|faults| {
            for fault in faults {
                tracing::debug!("activation refused: {fault}");
            }
        })
        .ok()?;
    Some((info, keccak256(&wasm)))
}

/// Starts another year of a program that has not expired.
fn keep_alive<DB: Database>(call: &mut SystemCall<'_, DB>, code_hash: B256) -> Reply<DB> {
    call.require_writable()?;
    let mut record = live_program(call, code_hash)?;
    let now = call.now();
    if !record.can_be_extended(now) {
        return fail(ArbWasm::ProgramKeepaliveTooSoon { ageInSeconds: record.age(now) });
    }
    let fee = data_fee(&record);
    take_fee(call, fee)?;
    record.activated_at = now;
    call.burn(WRITE_GAS)?;
    call.state().set_program(code_hash, record)?;
    call.emit(ArbWasm::ProgramLifetimeExtended { codehash: code_hash, dataFee: fee })?;
    Ok(Vec::new())
}

/// Keeps the fee for whoever produces the block and returns the excess to the caller.
fn take_fee<DB: Database>(call: &mut SystemCall<'_, DB>, fee: U256) -> Reply<DB, ()> {
    let Some(excess) = call.value.checked_sub(fee) else {
        return fail(ArbWasm::ProgramInsufficientValue { have: call.value, want: fee });
    };
    let producer = call.ctx.block().beneficiary();
    call.pay(producer, fee)?;
    call.pay(call.caller, excess)
}

fn data_fee(record: &ProgramRecord) -> U256 {
    U256::from(asm_size(record)) * U256::from(DATA_FEE_PER_BYTE)
}

const fn asm_size(record: &ProgramRecord) -> u32 {
    record.wasm_len.saturating_mul(ASM_EXPANSION)
}

fn program<DB: Database>(
    call: &mut SystemCall<'_, DB>,
    program: Address,
) -> Reply<DB, ProgramRecord> {
    let (code_hash, _) = call.code(program)?;
    live_program(call, code_hash)
}

/// The record of a program that could run now.
fn live_program<DB: Database>(
    call: &mut SystemCall<'_, DB>,
    code_hash: B256,
) -> Reply<DB, ProgramRecord> {
    let now = call.now();
    let Some(record) = call.state().program(code_hash)? else {
        return fail(ArbWasm::ProgramNotActivated {});
    };
    if record.needs_upgrade() {
        return fail(ArbWasm::ProgramNeedsUpgrade {
            version: record.version,
            stylusVersion: STYLUS_VERSION,
        });
    }
    if record.is_expired(now) {
        return fail(ArbWasm::ProgramExpired { ageInSeconds: record.age(now) });
    }
    Ok(record)
}
