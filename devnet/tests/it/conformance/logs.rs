use alloy::primitives::U256;

use super::world::{FORWARD_STATIC, World, to, word, words};

/// Emits the call data after its first word, whose last byte is the number of topics.
const LOG: &str = "(call $read_args (i32.const 0))
    (call $emit_log (i32.const 32) (i32.sub (local.get $len) (i32.const 32))
        (i32.load8_u (i32.const 31)))
    (i32.const 0)";

#[test]
fn logs_have_up_to_four_topics_and_any_data() {
    let world = World::new();
    let program = world.program(LOG);
    for topics in 0..=4 {
        let data = words([topics, 10, 11, 12, 13, 14]);
        let receipt = world.send(program, data);
        let [log] = &receipt.logs[..] else { panic!("{receipt:?}") };
        assert_eq!(log.address, program);
        let expected: Vec<_> = (10..10 + topics).map(word).collect();
        assert_eq!(log.data.topics(), expected);
        let rest: Vec<u8> =
            (10 + topics..15).flat_map(|n| U256::from(n).to_be_bytes::<32>()).collect();
        assert_eq!(log.data.data, rest);
    }
    let receipt = world.send(program, words([0]));
    assert!(receipt.logs[0].data.topics().is_empty() && receipt.logs[0].data.data.is_empty());
}

#[test]
fn bad_topics_fail() {
    let world = World::new();
    let program = world.program(LOG);
    assert!(!world.call(program, words([5, 1, 2, 3, 4, 5])).success);
    assert!(!world.call(program, words([2, 1])).success, "less data than topics");
}

#[test]
fn a_static_frame_emits_nothing() {
    let world = World::new();
    let (program, caller) = (world.program(LOG), world.program(FORWARD_STATIC));
    assert!(!world.call(caller, [to(program), words([0])].concat()).success);
}

#[test]
fn logs_of_a_reverted_frame_are_gone() {
    let world = World::new();
    let program =
        world.program("(call $emit_log (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 1)");
    let receipt = world.send(program, []);
    assert!(!receipt.success && receipt.logs.is_empty());
}

#[test]
fn logs_cost_what_they_cost_evm_code() {
    let world = World::new();
    let program = world.program(LOG);
    let used = |topics: u64, words: usize| {
        let mut data = vec![0; 32 + 32 * words];
        data[31] = topics as u8;
        // Zero bytes of call data cost 4 gas each.
        world.call(program, &data).gas_used - 4 * 32 * words as u64
    };
    let topic = used(1, 1) - used(0, 1);
    // A topic costs 375 gas and saves 8 gas for each of its bytes as data; the byte that asks for it
    // costs 12 gas more as call data than a zero.
    assert!((131..=133).contains(&topic), "{topic}");
}
