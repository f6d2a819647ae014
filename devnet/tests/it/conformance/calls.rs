use alloy::primitives::{Address, U256};
use devnet::{CallOutcome, Transact};

use super::{
    evm,
    world::{
        CONTEXT, ECHO, FORWARD, FORWARD_DELEGATE, FORWARD_STATIC, STORE, USER, World, program, to,
        words,
    },
};

fn with_value(world: &World, target: Address, data: Vec<u8>, value: u64) -> CallOutcome {
    world.simulate(Transact::call(USER, target, data).value(U256::from(value)))
}

/// Address, caller and value that a callee saw.
fn context(acting: Address, caller: Address, value: u64) -> Vec<u8> {
    [to(acting), to(caller), words([value])].concat()
}

#[test]
fn programs_and_evm_code_call_one_another() {
    let world = World::new();
    let callers = [world.program(FORWARD), world.contract(&evm::FORWARD)];
    let callees = [world.program(ECHO), world.contract(&evm::ECHO)];
    for caller in callers {
        for callee in callees {
            let output = world.output(caller, [to(callee), words([4, 2])].concat());
            assert_eq!(output, words([4, 2]));
        }
    }
}

#[test]
fn a_call_carries_value_and_names_the_caller() {
    let world = World::new();
    let callers = [world.program(FORWARD), world.contract(&evm::FORWARD)];
    let callees = [world.program(CONTEXT), world.contract(&evm::CONTEXT)];
    for caller in callers {
        for callee in callees {
            let outcome = with_value(&world, caller, to(callee), 1_000);
            assert_eq!(outcome.output, context(callee, caller, 1_000));
        }
    }
    let receiver = Address::repeat_byte(0x77);
    let data = to(receiver);
    let sent = Transact::call(USER, callers[0], data).value(U256::from(5));
    assert!(world.transact(sent).success);
    assert_eq!(world.chain.balance(receiver), U256::from(5));
}

#[test]
fn a_delegate_call_keeps_account_sender_and_value() {
    let world = World::new();
    let caller = world.program(FORWARD_DELEGATE);
    for callee in [world.program(CONTEXT), world.contract(&evm::CONTEXT)] {
        let outcome = with_value(&world, caller, to(callee), 7);
        assert_eq!(outcome.output, context(caller, USER, 7));
    }
    let store = world.program(STORE);
    assert!(world.send(caller, [to(store), words([4, 44])].concat()).success);
    assert_eq!(world.storage(caller, 4), U256::from(44));
    assert_eq!(world.storage(store, 4), U256::ZERO);
}

#[test]
fn a_proxy_delegates_into_a_program() {
    let world = World::new();
    let (store, seen) = (world.program(STORE), world.program(CONTEXT));
    let proxy = world.proxy(store);
    assert!(world.send(proxy, words([1, 11])).success);
    assert_eq!(world.storage(proxy, 1), U256::from(11));
    assert_eq!(world.storage(store, 1), U256::ZERO);
    let proxy = world.proxy(seen);
    assert_eq!(with_value(&world, proxy, vec![], 3).output, context(proxy, USER, 3));
}

#[test]
fn a_static_call_forbids_writes_all_the_way_down() {
    let world = World::new();
    let caller = world.program(FORWARD_STATIC);
    let forward = world.program(FORWARD);
    let evm_store = world.contract(&evm::STORE);
    let program_store = world.program(STORE);
    for store in [evm_store, program_store] {
        assert!(world.call(forward, [to(store), words([1, 1])].concat()).success);
        assert!(!world.call(caller, [to(store), words([1, 1])].concat()).success);
        let deep = [to(forward), to(store), words([1, 1])].concat();
        assert!(!world.call(caller, deep).success);
    }
    let seen = world.program(CONTEXT);
    assert_eq!(world.output(caller, to(seen)), context(seen, caller, 0));
}

#[test]
fn value_in_a_static_frame_fails() {
    let world = World::new();
    let pays = world.program(
        "(i32.store8 (i32.const 31) (i32.const 1))
        (call $call_contract (i32.const 100) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const -1) (i32.const 200))",
    );
    world.chain.set_balance(pays, U256::from(10)).unwrap();
    assert!(world.call(pays, []).success);
    let caller = world.program(FORWARD_STATIC);
    assert!(!world.call(caller, to(pays)).success);
}

#[test]
fn a_failed_call_hands_its_data_to_the_caller_and_leaves_no_trace() {
    let world = World::new();
    let caller = world.program(FORWARD);
    let reverts = world.program(
        "(call $read_args (i32.const 0))
        (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
        (call $storage_flush_cache (i32.const 0))
        (call $write_result (i32.const 32) (i32.const 32))
        (i32.const 1)",
    );
    for (callee, data) in [(reverts, words([1, 2])), (world.contract(&evm::REVERT), words([2]))] {
        let receipt = world.send(caller, [to(callee), data].concat());
        assert!(!receipt.success);
        assert_eq!(receipt.output, words([2]));
    }
    // The status says so too, and the caller may go on.
    let status = world.program(
        "(call $read_args (i32.const 0))
        (i32.store8 (i32.const 63) (call $call_contract (i32.const 12) (i32.const 32)
            (i32.const 64) (i32.const 200) (i64.const -1) (i32.const 300)))
        (call $write_result (i32.const 32) (i32.const 32))
        (i32.const 0)",
    );
    let receipt = world.send(status, [to(reverts), words([0, 2])].concat());
    assert!(receipt.success);
    assert_eq!(receipt.output[31], 2);
    assert_eq!(world.storage(reverts, 0), U256::ZERO);
}

#[test]
fn more_value_than_there_is_fails_the_call_only() {
    let world = World::new();
    let program = world.program(
        "(i32.store8 (i32.const 31) (i32.const 1))
        (i32.store8 (i32.const 100) (call $call_contract (i32.const 200) (i32.const 0)
            (i32.const 0) (i32.const 0) (i64.const -1) (i32.const 300)))
        (call $write_result (i32.const 100) (i32.const 1))
        (i32.const 0)",
    );
    assert_eq!(world.output(program, []).to_vec(), [2]);
}

#[test]
fn the_gas_of_a_call_is_limited_to_what_is_asked_and_to_63_of_64_parts() {
    let world = World::new();
    let burner = world.contract(&evm::LOOP);
    // Returns whether the call failed, after at most 50,000 gas of it.
    let limited = world.program(
        "(call $read_args (i32.const 0))
        (i32.store8 (i32.const 100) (call $call_contract (i32.const 12) (i32.const 0)
            (i32.const 0) (i32.const 200) (i64.const 50000) (i32.const 300)))
        (call $write_result (i32.const 100) (i32.const 1))
        (i32.const 0)",
    );
    let outcome = world.call(limited, to(burner));
    assert!(outcome.success && outcome.output.to_vec() == [2]);
    assert!((80_000..100_000).contains(&outcome.gas_used), "{}", outcome.gas_used);
    // All gas asked for: a 64th is left for the caller.
    let all = world.program(
        "(call $read_args (i32.const 0))
        (drop (call $call_contract (i32.const 12) (i32.const 0) (i32.const 0) (i32.const 200)
            (i64.const -1) (i32.const 300)))
        (i32.const 0)",
    );
    let call = Transact { gas: Some(1_000_000), ..Transact::call(USER, all, to(burner)) };
    let outcome = world.simulate(call);
    assert!(outcome.success);
    assert!(outcome.gas_used > 980_000 && outcome.gas_used < 990_000, "{}", outcome.gas_used);
}

#[test]
fn precompiles_and_empty_accounts_answer() {
    let world = World::new();
    for caller in [world.program(FORWARD), world.program(FORWARD_STATIC)] {
        let identity = Address::with_last_byte(4);
        assert_eq!(world.output(caller, [to(identity), words([6])].concat()), words([6]));
        let sha256 = Address::with_last_byte(2);
        let hash = world.output(caller, to(sha256));
        assert_eq!(hash[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(world.output(caller, to(Address::repeat_byte(9))).len(), 0);
    }
}

#[test]
fn a_program_that_is_not_activated_fails_without_data() {
    let world = World::new();
    let caller = world.program(FORWARD);
    let inactive = world.contract(&program("(call $exit_early (i32.const 0)) (i32.const 0)").code);
    let outcome = world.call(caller, to(inactive));
    assert!(!outcome.success && outcome.output.is_empty());
    assert!(outcome.gas_used < 60_000, "the caller has its gas back: {}", outcome.gas_used);
}
