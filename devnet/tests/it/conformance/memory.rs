use devnet::Transact;

use super::world::{FORWARD, USER, World, program_with, start_gas, to, words};

fn deploy(world: &World, pages: u32, body: &str) -> alloy::primitives::Address {
    let memory = format!("(memory (export \"memory\") {pages})");
    world.chain.deploy_program(&program_with(&memory, body).code).unwrap()
}

#[test]
fn memory_at_the_start_is_paid_beyond_two_pages() {
    let world = World::new();
    let gas = |pages: u32| world.send(deploy(&world, pages, "(i32.const 0)"), []).gas_used;
    let two = gas(2);
    assert_eq!(gas(1), two);
    assert_eq!(gas(3) - two, 1_000);
    // A page more at a thousand gas each, and the ramp begins to show.
    let ten = gas(10) - two;
    assert!((8_000..8_010).contains(&ten), "{ten}");
}

#[test]
fn growth_is_paid_like_memory_at_the_start() {
    let world = World::new();
    let grow = |pages: u32| {
        let body = format!(
            "(i32.store (i32.const 0) (memory.grow (i32.const {pages})))
            (i32.store (i32.const 4) (memory.size))
            (call $write_result (i32.const 0) (i32.const 8)) (i32.const 0)"
        );
        let program = deploy(&world, 1, &body);
        let receipt = world.send(program, []);
        assert!(receipt.success);
        let number = |at: usize| u32::from_le_bytes(receipt.output[at..at + 4].try_into().unwrap());
        (number(0), number(4), receipt.gas_used - start_gas(&world, program))
    };
    let (before, size, free) = grow(1);
    assert_eq!((before, size), (1, 2));
    let (_, size, paid) = grow(4);
    assert_eq!(size, 5);
    assert!((3_000..3_020).contains(&(paid - free)), "{}", paid - free);
}

#[test]
fn growth_is_paid_even_when_nothing_follows_it() {
    let world = World::new();
    let gas = |pages: u32| {
        let body = format!("(drop (memory.grow (i32.const {pages}))) (i32.const 0)");
        world.send(deploy(&world, 2, &body), []).gas_used
    };
    assert!((5_000..5_030).contains(&(gas(5) - gas(0))));
}

#[test]
fn growth_is_paid_in_a_trap_too() {
    let world = World::new();
    let gas = |pages: u32| {
        let body = format!("(drop (memory.grow (i32.const {pages}))) unreachable");
        let receipt = world.send(deploy(&world, 2, &body), []);
        assert!(!receipt.success && receipt.halt.is_none(), "{receipt:?}");
        receipt.gas_used
    };
    assert!((5_000..5_030).contains(&(gas(5) - gas(0))));
}

#[test]
fn memory_ends_at_128_pages_and_costs_more_and_more() {
    let world = World::new();
    let grow = |pages: u32, gas: u64| {
        let body = format!("(drop (memory.grow (i32.const {pages}))) (i32.const 0)");
        let program = deploy(&world, 1, &body);
        world.simulate(Transact { gas: Some(gas), ..Transact::call(USER, program, []) })
    };
    let most = grow(126, 30_000_000);
    assert!(most.success && most.gas_used > 27_000_000, "{most:?}");
    assert!(!grow(126, 20_000_000).success);
    let refused = deploy(
        &world,
        1,
        "(i32.store (i32.const 0) (memory.grow (i32.const 128)))
        (call $write_result (i32.const 0) (i32.const 4)) (i32.const 0)",
    );
    assert_eq!(world.output(refused, []).to_vec(), [255; 4]);
}

#[test]
fn pages_of_all_open_programs_count_together() {
    let world = World::new();
    let (one, three) = (deploy(&world, 1, "(i32.const 0)"), deploy(&world, 3, "(i32.const 0)"));
    let caller = world.program(FORWARD);
    let gas = |callee| world.send(caller, to(callee)).gas_used - start_gas(&world, callee);
    let difference = gas(three) - gas(one);
    // One page is open already; of the three, two are beyond the free ones.
    assert!((2_000..2_100).contains(&difference), "{difference}");
}

#[test]
fn announced_growth_is_paid() {
    let world = World::new();
    let gas = |pages: u32| {
        let body = format!("(call $pay_for_memory_grow (i32.const {pages})) (i32.const 0)");
        let receipt = world.send(world.program(&body), []);
        assert!(receipt.success);
        receipt.gas_used
    };
    let none = gas(0);
    assert!(gas(4).abs_diff(none + 3_000) < 3);
    let too_much = world.program("(call $pay_for_memory_grow (i32.const 70000)) (i32.const 0)");
    assert!(!world.call(too_much, words([])).success);
}
