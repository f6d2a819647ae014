use super::{
    evm,
    world::{ECHO, FORWARD, World, to, words},
};

#[test]
fn arguments_come_in_and_a_result_goes_out() {
    let world = World::new();
    let echo = world.program(ECHO);
    assert_eq!(world.output(echo, words([1, 2, 3])), words([1, 2, 3]));
    assert_eq!(world.output(echo, []).len(), 0);
    let receipt = world.send(echo, words([7]));
    assert!(receipt.success);
    assert_eq!(receipt.output, words([7]));
}

#[test]
fn a_nonzero_status_reverts_with_the_result() {
    let world = World::new();
    let program = world.program(
        "(call $read_args (i32.const 0))
        (call $write_result (i32.const 0) (local.get $len))
        (i32.const 1)",
    );
    let outcome = world.call(program, words([5]));
    assert!(!outcome.success && outcome.halt.is_none());
    assert_eq!(outcome.output, words([5]));
}

#[test]
fn the_last_result_counts() {
    let world = World::new();
    let program = world.program(
        "(i32.store8 (i32.const 0) (i32.const 1))
        (call $write_result (i32.const 0) (i32.const 1))
        (call $write_result (i32.const 8) (i32.const 2))
        (i32.const 0)",
    );
    assert_eq!(world.output(program, []).to_vec(), [0, 0]);
}

#[test]
fn exit_early_skips_the_rest() {
    let world = World::new();
    for (status, success) in [(0, true), (1, false)] {
        let program = world.program(&format!(
            "(call $read_args (i32.const 0))
            (call $write_result (i32.const 0) (local.get $len))
            (call $exit_early (i32.const {status}))
            unreachable"
        ));
        let outcome = world.call(program, words([3]));
        assert_eq!((outcome.success, outcome.output.to_vec()), (success, words([3])));
    }
}

#[test]
fn return_data_is_read_in_parts_and_truncated() {
    let world = World::new();
    let echo = world.contract(&evm::ECHO);
    // Calls with 64 bytes of data, reads from `offset`, and returns size, length read, data.
    let read = |offset: u32, size: u32| {
        let program = world.program(&format!(
            "(call $read_args (i32.const 0))
            (drop (call $call_contract (i32.const 12) (i32.const 32) (i32.const 64)
                (i32.const 1000) (i64.const -1) (i32.const 2000)))
            (i32.store (i32.const 2000) (call $return_data_size))
            (i32.store (i32.const 2004)
                (call $read_return_data (i32.const 2008) (i32.const {offset}) (i32.const {size})))
            (call $write_result (i32.const 2000) (i32.const 16))
            (i32.const 0)"
        ));
        let output = world.output(program, [to(echo), words([0x0102_0304, u64::MAX])].concat());
        let number = |at: usize| u32::from_le_bytes(output[at..at + 4].try_into().unwrap());
        (number(0), number(4), output[8..12].to_vec())
    };
    assert_eq!(read(28, 4), (64, 4, vec![1, 2, 3, 4]));
    assert_eq!(read(62, 10), (64, 2, vec![255, 255, 0, 0]));
    assert_eq!(read(64, 4), (64, 0, vec![0; 4]));
    assert_eq!(read(u32::MAX, u32::MAX), (64, 0, vec![0; 4]));
}

#[test]
fn there_is_no_return_data_before_a_call() {
    let world = World::new();
    let program = world.program(
        "(i32.store8 (i32.const 0) (call $return_data_size))
        (call $write_result (i32.const 0) (i32.const 1))
        (i32.const 0)",
    );
    assert_eq!(world.output(program, []).to_vec(), [0]);
}

#[test]
fn pointers_beyond_memory_revert_without_data() {
    let world = World::new();
    let echo = world.contract(&evm::ECHO);
    for body in [
        "(call $read_args (i32.const 65520)) (i32.const 0)",
        "(call $write_result (i32.const 65535) (i32.const 2)) (i32.const 0)",
        "(call $msg_sender (i32.const 65530)) (i32.const 0)",
        "(call $native_keccak256 (i32.const 0) (i32.const 65537) (i32.const 0)) (i32.const 0)",
        "(call $storage_load_bytes32 (i32.const 0) (i32.const 65530)) (i32.const 0)",
        "(call $emit_log (i32.const 65530) (i32.const 32) (i32.const 0)) (i32.const 0)",
        "(call $account_balance (i32.const 0) (i32.const 65530)) (i32.const 0)",
        "(call $call_contract (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const -1)
            (i32.const 65533))",
    ] {
        let program = world.program(body);
        let outcome = world.call(program, words([1]));
        assert!(!outcome.success && outcome.output.is_empty(), "{body}: {outcome:?}");
        assert_eq!(outcome.halt, None, "{body}");
        // The caller has its gas back and goes on.
        let caller = world.program(FORWARD);
        let nested = world.call(caller, [to(echo), to(program)].concat());
        assert!(nested.success);
    }
}
