use alloy::primitives::U256;

use super::world::{FORWARD_DELEGATE, FORWARD_STATIC, World, to, words};

/// Returns what slot 1 holds, then writes 9 to it.
const SWAP: &str = "(i32.store8 (i32.const 31) (i32.const 1))
    (i32.store8 (i32.const 95) (i32.const 9))
    (call $transient_load_bytes32 (i32.const 0) (i32.const 32))
    (call $transient_store_bytes32 (i32.const 0) (i32.const 64))
    (call $write_result (i32.const 32) (i32.const 32))
    (i32.const 0)";

#[test]
fn transient_words_last_for_the_transaction() {
    let world = World::new();
    let swap = world.program(SWAP);
    // Calls the program twice, returning what the second call saw.
    let twice = world.program(
        "(call $read_args (i32.const 0))
        (drop (call $call_contract (i32.const 12) (i32.const 0) (i32.const 0) (i32.const 32)
            (i64.const -1) (i32.const 100)))
        (drop (call $call_contract (i32.const 12) (i32.const 0) (i32.const 0) (i32.const 32)
            (i64.const -1) (i32.const 100)))
        (call $write_result (i32.const 200)
            (call $read_return_data (i32.const 200) (i32.const 0) (i32.const 32)))
        (i32.const 0)",
    );
    assert_eq!(world.send(twice, to(swap)).output, words([9]));
    assert_eq!(world.send(swap, []).output, words([0]), "a new transaction starts empty");
    assert_eq!(world.storage(swap, 1), U256::ZERO);
}

#[test]
fn a_static_frame_cannot_write_transient_words() {
    let world = World::new();
    let (swap, caller) = (world.program(SWAP), world.program(FORWARD_STATIC));
    assert!(!world.call(caller, to(swap)).success);
    let load =
        world.program("(call $transient_load_bytes32 (i32.const 0) (i32.const 32)) (i32.const 0)");
    assert!(world.call(caller, to(load)).success);
}

#[test]
fn transient_words_belong_to_the_acting_account() {
    let world = World::new();
    let (swap, delegate) = (world.program(SWAP), world.program(FORWARD_DELEGATE));
    assert_eq!(world.output(delegate, to(swap)), words([0]));
}
