use alloy::primitives::{Address, U256};
use devnet::Transact;

use super::{
    evm,
    world::{CONTEXT, ECHO, FORWARD, FORWARD_DELEGATE, STORE, USER, World, to, words},
};

#[test]
fn ten_levels_alternate_between_evm_code_and_programs() {
    let world = World::new();
    let levels = [world.contract(&evm::FORWARD), world.program(FORWARD)];
    for innermost in [world.program(CONTEXT), world.contract(&evm::CONTEXT)] {
        for depth in 1..=10 {
            let path: Vec<Address> = (0..depth).map(|level| levels[level % 2]).collect();
            let data: Vec<u8> =
                path[1..].iter().chain([&innermost]).flat_map(|address| to(*address)).collect();
            let call = Transact::call(USER, path[0], data).value(U256::from(3));
            let outcome = world.simulate(call);
            let seen = [to(innermost), to(path[depth - 1]), words([3])].concat();
            assert_eq!(outcome.output, seen, "depth {depth}");
        }
    }
}

#[test]
fn writes_at_the_bottom_stay_and_failures_at_the_bottom_reach_the_top() {
    let world = World::new();
    let (evm, program) = (world.contract(&evm::FORWARD), world.program(FORWARD));
    let delegate = world.program(FORWARD_DELEGATE);
    let store = world.program(STORE);
    let path = |innermost: Address, data: Vec<u8>| {
        [to(evm), to(program), to(evm), to(delegate), to(innermost), data].concat()
    };
    let receipt = world.send(program, path(store, words([6, 66])));
    assert!(receipt.success, "{receipt:?}");
    // The last level delegates, so the word lands in its own account.
    assert_eq!(world.storage(delegate, 6), U256::from(66));
    let reverts = world.contract(&evm::REVERT);
    let receipt = world.send(program, path(reverts, words([13])));
    assert!(!receipt.success);
    assert_eq!(receipt.output, words([13]));
}

#[test]
fn a_failure_in_the_middle_undoes_what_is_below_it_only() {
    let world = World::new();
    let store = world.program(STORE);
    // Forwards, then reverts whatever came back.
    let undo = world.program(&format!("{FORWARD} drop (i32.const 1)"));
    // Writes 1 to its own slot 1, forwards, ignores the outcome.
    let top = world.program(&format!(
        "(i32.store8 (i32.const 50031) (i32.const 1))
        (call $storage_cache_bytes32 (i32.const 50000) (i32.const 50000))
        (call $storage_flush_cache (i32.const 0))
        {FORWARD} drop (i32.const 0)"
    ));
    let receipt = world.send(top, [to(undo), to(store), words([2, 22])].concat());
    assert!(receipt.success);
    assert_eq!(world.storage(top, 1), U256::from(1));
    assert_eq!(world.storage(store, 2), U256::ZERO);
}

#[test]
fn siblings_run_one_after_the_other() {
    let world = World::new();
    let echo = world.program(ECHO);
    // Calls the address in the first word three times with other data each, and joins the answers.
    let program = world.program(
        "(call $read_args (i32.const 0))
        (loop $next
            (drop (call $call_contract (i32.const 12)
                (i32.add (i32.const 32) (i32.mul (local.get $i) (i32.const 32))) (i32.const 32)
                (i32.const 40000) (i64.const -1) (i32.const 40040)))
            (drop (call $read_return_data
                (i32.add (i32.const 1000) (i32.mul (local.get $i) (i32.const 32)))
                (i32.const 0) (i32.const 32)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 3))))
        (call $write_result (i32.const 1000) (i32.const 96))
        (i32.const 0)",
    );
    assert_eq!(world.output(program, [to(echo), words([7, 8, 9])].concat()), words([7, 8, 9]));
}

#[test]
fn a_second_start_in_a_block_is_cheaper() {
    let world = World::new();
    let echo = world.program(ECHO);
    let calls = |count: usize| {
        let call = "(drop (call $call_contract (i32.const 12) (i32.const 0) (i32.const 0)
            (i32.const 40000) (i64.const -1) (i32.const 40040)))";
        let program = world.program(&format!(
            "(call $read_args (i32.const 0)) {} (i32.const 0)",
            call.repeat(count)
        ));
        let used = world.send(program, to(echo)).gas_used;
        used - super::world::start_gas(&world, program)
    };
    let (none, one, two) = (calls(0), calls(1), calls(2));
    assert!(one - none > 12_000, "uncached, cold: {}", one - none);
    assert!(two - one < 2_500, "cached, warm: {}", two - one);
}
