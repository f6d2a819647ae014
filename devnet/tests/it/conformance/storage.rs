use alloy::primitives::U256;
use devnet::Transact;

use super::{
    evm,
    world::{FORWARD_STATIC, STORE, USER, World, to, words},
};

/// Returns the word in the slot that the call data names.
const LOAD: &str = "(call $read_args (i32.const 0))
    (call $storage_load_bytes32 (i32.const 0) (i32.const 32))
    (call $write_result (i32.const 32) (i32.const 32))
    (i32.const 0)";

#[test]
fn flushed_words_are_kept() {
    let world = World::new();
    let (store, load) = (world.program(STORE), world.program(LOAD));
    assert!(world.send(store, words([3, 99])).success);
    assert_eq!(world.storage(store, 3), U256::from(99));
    assert_eq!(world.word(load, words([3])), U256::ZERO);
    world.chain.set_storage(load, U256::from(3), U256::from(7)).unwrap();
    assert_eq!(world.word(load, words([3])), U256::from(7));
}

#[test]
fn words_that_are_not_flushed_are_lost() {
    let world = World::new();
    let program = world.program(
        "(call $read_args (i32.const 0))
        (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
        (call $storage_load_bytes32 (i32.const 0) (i32.const 64))
        (call $write_result (i32.const 64) (i32.const 32))
        (i32.const 0)",
    );
    let receipt = world.send(program, words([3, 99]));
    assert_eq!(receipt.output, words([99]), "the program sees its own cache");
    assert_eq!(world.storage(program, 3), U256::ZERO);
}

#[test]
fn a_revert_undoes_what_was_flushed() {
    let world = World::new();
    let program = world.program(
        "(call $read_args (i32.const 0))
        (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
        (call $storage_flush_cache (i32.const 0))
        (i32.const 1)",
    );
    assert!(!world.send(program, words([3, 99])).success);
    assert_eq!(world.storage(program, 3), U256::ZERO);
}

#[test]
fn clearing_the_cache_shows_what_a_reentrant_call_wrote() {
    let world = World::new();
    // Without data: reads slot 0, calls itself with data, reads slot 0 again. With data: writes 5.
    let program = |clear: u32| {
        world.program(&format!(
            "(if (local.get $len) (then
                (i32.store8 (i32.const 63) (i32.const 5))
                (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
                (call $storage_flush_cache (i32.const 0))
                (return (i32.const 0))))
            (call $storage_load_bytes32 (i32.const 0) (i32.const 64))
            (call $storage_flush_cache (i32.const {clear}))
            (call $contract_address (i32.const 100))
            (drop (call $call_contract (i32.const 100) (i32.const 0) (i32.const 1)
                (i32.const 200) (i64.const -1) (i32.const 300)))
            (call $storage_load_bytes32 (i32.const 0) (i32.const 64))
            (call $write_result (i32.const 64) (i32.const 32))
            (i32.const 0)"
        ))
    };
    assert_eq!(world.word(program(0), []), U256::ZERO, "stale");
    assert_eq!(world.word(program(1), []), U256::from(5));
}

#[test]
fn clearing_flushes_first() {
    let world = World::new();
    let program = world.program(
        "(call $read_args (i32.const 0))
        (call $storage_cache_bytes32 (i32.const 0) (i32.const 32))
        (call $storage_flush_cache (i32.const 1))
        (call $storage_load_bytes32 (i32.const 0) (i32.const 64))
        (call $write_result (i32.const 64) (i32.const 32))
        (i32.const 0)",
    );
    assert_eq!(world.send(program, words([1, 8])).output, words([8]));
    assert_eq!(world.storage(program, 1), U256::from(8));
}

#[test]
fn a_static_frame_reads_and_caches_but_cannot_flush_changes() {
    let world = World::new();
    let caller = world.program(FORWARD_STATIC);
    let (store, load) = (world.program(STORE), world.program(LOAD));
    assert!(world.call(caller, [to(load), words([1])].concat()).success);
    assert!(!world.call(caller, [to(store), words([1, 2])].concat()).success);
    let no_change = world.program(
        "(call $storage_load_bytes32 (i32.const 0) (i32.const 32))
        (call $storage_flush_cache (i32.const 1))
        (i32.const 0)",
    );
    assert!(world.call(caller, to(no_change)).success);
    let cached_only =
        world.program("(call $storage_cache_bytes32 (i32.const 0) (i32.const 0)) (i32.const 0)");
    assert!(world.call(caller, to(cached_only)).success);
    // The same when EVM code made the call static.
    let evm_caller = world.contract(&evm::FORWARD_STATIC);
    assert!(!world.call(evm_caller, [to(store), words([1, 2])].concat()).success);
}

#[test]
fn a_write_needs_more_than_the_stipend_left() {
    let world = World::new();
    let program = world.program(STORE);
    let run = |gas: u64| {
        let data = words([0, 0]);
        world.simulate(Transact { gas: Some(gas), ..Transact::call(USER, program, data) })
    };
    // Writing the zero that is there costs 2,200 gas, so the sentry is what fails last.
    let used = run(1_000_000).gas_used;
    let (mut low, mut high) = (21_000, 1_000_000);
    while low + 1 < high {
        let middle = (low + high) / 2;
        if run(middle).success { high = middle } else { low = middle }
    }
    assert!(high >= used + 2_300 - 2_200 && high < used + 300, "{high} for {used}");
}
