use alloy::{
    primitives::{Address, U256},
    sol,
    sol_types::{SolCall, SolError, SolEvent},
};
use devnet::{CallOutcome, Transact, arbos::ARB_WASM, arbos::ARB_WASM_CACHE, init_code};
use stylus_program::Program;

use super::world::{ECHO, FORWARD_DELEGATE, FORWARD_STATIC, USER, World, program, to, words};

sol! {
    function activateProgram(address program) payable returns (uint16 version, uint256 dataFee);
    function codehashVersion(bytes32 codehash) view returns (uint16 version);
    function codehashKeepalive(bytes32 codehash) payable;
    function codehashAsmSize(bytes32 codehash) view returns (uint32 size);
    function programVersion(address program) view returns (uint16 version);
    function programInitGas(address program) view returns (uint64 gas, uint64 gasWhenCached);
    function programMemoryFootprint(address program) view returns (uint16 footprint);
    function programTimeLeft(address program) view returns (uint64 _secs);
    function codehashIsCached(bytes32 codehash) view returns (bool);
    function cacheProgram(address addr);
    function evictCodehash(bytes32 codehash);

    event ProgramActivated(bytes32 indexed codehash, bytes32 moduleHash, address program, uint256 dataFee, uint16 version);
    event ProgramLifetimeExtended(bytes32 indexed codehash, uint256 dataFee);
    event UpdateProgramCache(address indexed manager, bytes32 indexed codehash, bool cached);

    error ProgramNotWasm();
    error ProgramNotActivated();
    error ProgramExpired(uint64 ageInSeconds);
    error ProgramUpToDate();
    error ProgramKeepaliveTooSoon(uint64 ageInSeconds);
    error ProgramInsufficientValue(uint256 have, uint256 want);
}

const DAY: u64 = 24 * 60 * 60;

/// More than any activation costs.
fn plenty() -> U256 {
    U256::from(10).pow(U256::from(18))
}

fn ask(world: &World, call: impl SolCall) -> CallOutcome {
    let tx = Transact::call(USER, ARB_WASM, call.abi_encode()).value(U256::ZERO);
    world.simulate(tx)
}

fn answer<C: SolCall>(world: &World, call: C) -> C::Return {
    C::abi_decode_returns(&ask(world, call).output).unwrap()
}

fn activate(world: &World, program: Address, value: U256) -> CallOutcome {
    let data = activateProgramCall { program }.abi_encode();
    world.simulate(Transact::call(USER, ARB_WASM, data).value(value))
}

/// Code on chain that has not been activated.
fn deploy(world: &World, code: &[u8]) -> Address {
    let receipt = world.transact(Transact::create(USER, init_code(code)));
    receipt.contract_address.unwrap()
}

fn error<E: SolError>(outcome: &CallOutcome) -> E {
    assert!(!outcome.success);
    E::abi_decode(&outcome.output).unwrap()
}

#[test]
fn activation_makes_a_program_run_and_returns_what_it_did_not_cost() {
    let world = World::new();
    let echo = program(ECHO);
    let address = deploy(&world, &echo.code);
    assert!(!world.call(address, words([1])).success);
    let before = world.chain.balance(USER);
    let data = activateProgramCall { program: address }.abi_encode();
    let receipt = world.transact(Transact::call(USER, ARB_WASM, data).value(plenty()));
    assert!(receipt.success);
    let reply = activateProgramCall::abi_decode_returns(&receipt.output).unwrap();
    let paid = before - world.chain.balance(USER);
    let gas = U256::from(u128::from(receipt.gas_used) * receipt.effective_gas_price);
    assert_eq!(paid, reply.dataFee + gas);
    assert!(!reply.dataFee.is_zero());
    let [log] = &receipt.logs[..] else { panic!("{receipt:?}") };
    let event = ProgramActivated::decode_log_data(&log.data).unwrap();
    assert_eq!((log.address, event.codehash, event.program), (ARB_WASM, echo.code_hash, address));
    assert_eq!((event.version, event.dataFee), (reply.version, reply.dataFee));
    assert_eq!(world.output(address, words([1])), words([1]));
    // Measured on production metering: 1,685,258 gas and the data fee.
    assert!(receipt.gas_used.abs_diff(1_685_258) < 1_000, "{}", receipt.gas_used);
}

#[test]
fn a_program_tells_about_itself() {
    let world = World::new();
    let echo = program(ECHO);
    let address = world.program(ECHO);
    assert_eq!(answer(&world, programVersionCall { program: address }), 2);
    assert_eq!(answer(&world, codehashVersionCall { codehash: echo.code_hash }), 2);
    assert_eq!(answer(&world, programMemoryFootprintCall { program: address }), 1);
    let gas = answer(&world, programInitGasCall { program: address });
    assert!(gas.gas > 9_184 && gas.gas < 11_000 && gas.gasWhenCached < 2_000);
    assert!(answer(&world, codehashAsmSizeCall { codehash: echo.code_hash }) > 0);
    let left = answer(&world, programTimeLeftCall { program: address });
    assert!(left > 364 * DAY && left <= 365 * DAY, "{left}");
}

#[test]
fn activation_is_by_code_and_once() {
    let world = World::new();
    world.program(ECHO);
    let copy = deploy(&world, &program(ECHO).code);
    assert_eq!(world.output(copy, words([3])), words([3]));
    error::<ProgramUpToDate>(&activate(&world, copy, plenty()));
}

#[test]
fn what_is_no_program_is_not_activated() {
    let world = World::new();
    let contract = deploy(&world, &super::evm::ECHO);
    for address in [contract, USER, Address::repeat_byte(5)] {
        error::<ProgramNotWasm>(&activate(&world, address, plenty()));
        let asked = ask(&world, programVersionCall { program: address });
        error::<ProgramNotActivated>(&asked);
    }
}

#[test]
fn malformed_programs_are_refused_without_data() {
    let world = World::new();
    let compress = |wat: &str| stylus_program::compress(&wat::parse_str(wat).unwrap()).unwrap();
    let valid = program(ECHO).code;
    let too_long = stylus_program::compress(&vec![0; 128 * 1024]).unwrap();
    for code in [
        vec![0xEF, 0xF0, 0x00],
        vec![0xEF, 0xF0, 0x00, 0x00],
        [&valid[..3], &[1], &valid[4..]].concat(),
        valid[..valid.len() / 2].to_vec(),
        compress("(module)"),
        compress("(module (memory (export \"memory\") 1) (func (export \"user_entrypoint\")))"),
        too_long,
        [&[0xEF, 0xF0, 0x01], &valid[3..]].concat(),
        [&[0xEF, 0xF0, 0x02], &valid[3..]].concat(),
    ] {
        let address = deploy(&world, &code);
        let outcome = activate(&world, address, plenty());
        assert!(!outcome.success && outcome.output.is_empty(), "{outcome:?}");
        assert!(!world.call(address, []).success, "and it does not run");
    }
}

#[test]
fn the_data_fee_must_be_covered() {
    let world = World::new();
    let address = deploy(&world, &program(ECHO).code);
    let refused: ProgramInsufficientValue = error(&activate(&world, address, U256::from(1)));
    assert_eq!(refused.have, U256::from(1));
    assert!(activate(&world, address, refused.want).success);
    assert!(!activate(&world, address, refused.want - U256::from(1)).success);
}

#[test]
fn a_program_expires_after_a_year_and_lives_on_when_extended() {
    let world = World::new();
    let (code_hash, address) = (program(ECHO).code_hash, world.program(ECHO));
    let extend = || {
        let data = codehashKeepaliveCall { codehash: code_hash }.abi_encode();
        Transact::call(USER, ARB_WASM, data).value(plenty())
    };
    let too_soon: ProgramKeepaliveTooSoon = error(&world.simulate(extend()));
    assert!(too_soon.ageInSeconds < DAY);
    world.chain.increase_time(32 * DAY);
    let receipt = world.transact(extend());
    assert!(receipt.success);
    let event = ProgramLifetimeExtended::decode_log_data(&receipt.logs[0].data).unwrap();
    assert_eq!(event.codehash, code_hash);
    world.chain.increase_time(364 * DAY);
    assert!(world.call(address, words([1])).success);
    world.chain.increase_time(2 * DAY);
    let outcome = world.call(address, words([1]));
    assert!(!outcome.success && outcome.output.is_empty());
    let expired: ProgramExpired = error(&ask(&world, programVersionCall { program: address }));
    assert!(expired.ageInSeconds > 365 * DAY);
    error::<ProgramExpired>(&world.simulate(extend()));
    // Activating again is the way back.
    let data = activateProgramCall { program: address }.abi_encode();
    let again = Transact::call(USER, ARB_WASM, data).value(plenty());
    assert!(world.transact(again).success);
    assert!(world.call(address, words([1])).success);
}

#[test]
fn activations_are_state_of_the_chain() {
    let world = World::new();
    let address = deploy(&world, &program(ECHO).code);
    let snapshot = world.chain.snapshot();
    let data = activateProgramCall { program: address }.abi_encode();
    let tx = Transact::call(USER, ARB_WASM, data).value(plenty());
    assert!(world.transact(tx).success);
    assert!(world.call(address, words([1])).success);
    world.chain.revert(snapshot).unwrap();
    assert!(!world.call(address, words([1])).success);
}

#[test]
fn nobody_activates_in_a_static_call_or_for_another() {
    let world = World::new();
    let address = deploy(&world, &program("(i32.const 0)").code);
    let data = [to(ARB_WASM), activateProgramCall { program: address }.abi_encode()].concat();
    for caller in [world.program(FORWARD_STATIC), world.program(FORWARD_DELEGATE)] {
        let call = Transact::call(USER, caller, data.clone()).value(plenty());
        assert!(!world.simulate(call).success);
    }
}

#[test]
fn cached_programs_start_for_less() {
    let world = World::new();
    let (code_hash, address) = (program(ECHO).code_hash, world.program(ECHO));
    let is_cached = || {
        let data = codehashIsCachedCall { codehash: code_hash }.abi_encode();
        world.word(ARB_WASM_CACHE, data) == U256::from(1)
    };
    let uncached = world.send(address, []).gas_used;
    assert!(!is_cached());
    let receipt = world.send(ARB_WASM_CACHE, cacheProgramCall { addr: address }.abi_encode());
    let event = UpdateProgramCache::decode_log_data(&receipt.logs[0].data).unwrap();
    assert_eq!((event.codehash, event.cached), (code_hash, true));
    assert!(is_cached());
    let cached = world.send(address, []).gas_used;
    let gas = answer(&world, programInitGasCall { program: address });
    assert!(uncached - cached > gas.gas - gas.gasWhenCached, "{uncached} {cached}");
    world.send(ARB_WASM_CACHE, evictCodehashCall { codehash: code_hash }.abi_encode());
    assert!(!is_cached());
    assert_eq!(world.send(address, []).gas_used, uncached);
}

#[test]
fn a_program_at_the_size_limit_deploys() {
    let world = World::new();
    // Bytes that do not compress, as a data segment.
    let mut seed = 1u64;
    let noise: String = (0..23_500)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("\\{:02x}", seed >> 56)
        })
        .collect();
    let parts = format!("(memory (export \"memory\") 1) (data (i32.const 0) \"{noise}\")");
    let large: Program = super::world::program_with(&parts, "(i32.const 0)");
    assert!(large.code.len() > 24_000 && large.code.len() <= 24_576, "{large:?}");
    let address = world.chain.deploy_program(&large.code).unwrap();
    assert!(world.call(address, []).success);
}
