use std::time::Instant;

use devnet::Transact;

use super::{
    evm,
    world::{FORWARD, USER, World, program_with, to},
};

#[test]
fn a_trap_reverts_without_data_and_returns_the_gas() {
    let world = World::new();
    for body in [
        "unreachable",
        "(drop (i32.div_u (i32.const 1) (local.get $i))) (i32.const 0)",
        "(drop (i32.load (i32.const 65534))) (i32.const 0)",
    ] {
        let outcome = world.call(world.program(body), []);
        assert!(!outcome.success && outcome.halt.is_none() && outcome.output.is_empty(), "{body}");
        assert!(outcome.gas_used < 60_000, "{body}: {}", outcome.gas_used);
    }
}

#[test]
fn an_endless_loop_runs_out_of_gas_quickly() {
    let world = World::new();
    for body in [
        "(loop $again (br $again)) (i32.const 0)",
        "(loop $again
            (call $storage_load_bytes32 (i32.const 0) (i32.const 0)) (br $again)) (i32.const 0)",
    ] {
        let program = world.program(body);
        let call = Transact { gas: Some(15_000_000), ..Transact::call(USER, program, []) };
        let start = Instant::now();
        let outcome = world.simulate(call);
        assert!(!outcome.success && outcome.halt.is_some());
        assert_eq!(outcome.gas_used, 15_000_000);
        assert!(start.elapsed().as_secs() < 10);
    }
}

#[test]
fn a_callee_that_runs_out_leaves_its_caller_the_rest() {
    let world = World::new();
    let endless = world.program("(loop $again (br $again)) (i32.const 0)");
    for caller in [world.program(FORWARD), world.contract(&evm::FORWARD)] {
        let call = Transact { gas: Some(5_000_000), ..Transact::call(USER, caller, to(endless)) };
        let outcome = world.simulate(call);
        assert!(!outcome.success && outcome.halt.is_none(), "{outcome:?}");
        assert!(outcome.gas_used > 4_800_000 && outcome.gas_used < 5_000_000);
    }
}

#[test]
fn endless_recursion_ends() {
    let world = World::new();
    let inside = program_with(
        "(memory (export \"memory\") 1)
        (func $recurse (param i64) (result i64)
            (i64.add (i64.const 1) (call $recurse (local.get 0))))",
        "(drop (call $recurse (i64.const 0))) (i32.const 0)",
    );
    let inside = world.chain.deploy_program(&inside.code).unwrap();
    assert!(!world.call(inside, []).success);
    // Through calls of itself: the memory of all levels together is limited.
    let itself = world.program(
        "(call $contract_address (i32.const 0))
        (call $call_contract (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32)
            (i64.const -1) (i32.const 64))",
    );
    let outcome = world.call(itself, []);
    assert!(!outcome.success, "the innermost failure is handed up");
}

#[test]
fn too_little_gas_to_start_is_out_of_gas() {
    let world = World::new();
    let program = world.program("(i32.const 0)");
    let call =
        |gas| world.simulate(Transact { gas: Some(gas), ..Transact::call(USER, program, []) });
    let used = call(100_000).gas_used;
    assert!(call(used + 1).success);
    let outcome = call(used - 100);
    assert!(!outcome.success && outcome.halt.is_some());
}

#[test]
fn returning_data_costs_at_least_what_evm_memory_costs() {
    let world = World::new();
    let program = world.program(
        "(drop (memory.grow (i32.const 1)))
        (call $write_result (i32.const 0) (i32.const 120000)) (i32.const 0)",
    );
    let used = world.call(program, []).gas_used;
    // 3,750 words: 3 gas each, and words squared by 512.
    let floor = 3 * 3_750 + 3_750 * 3_750 / 512;
    assert!(used >= 21_000 + floor, "{used}");
}
