use alloy::primitives::{Address, U256};
use devnet::Transact;

use super::{
    evm,
    world::{FORWARD, FORWARD_STATIC, USER, World, to, words},
};

/// Returns 32 bytes that the host writes.
fn bytes(world: &World, function: &str) -> Vec<u8> {
    let program = world.program(&format!(
        "(call ${function} (i32.const 0)) (call $write_result (i32.const 0) (i32.const 32))
        (i32.const 0)"
    ));
    world.output(program, []).to_vec()
}

/// Returns a number that the host returns.
fn number(world: &World, ty: &str, function: &str) -> u64 {
    let program = world.program(&format!(
        "({ty}.store (i32.const 0) (call ${function}))
        (call $write_result (i32.const 0) (i32.const 8)) (i32.const 0)"
    ));
    u64::from_le_bytes(world.output(program, [])[..8].try_into().unwrap())
}

#[test]
fn the_block_shows_its_header() {
    let world = World::new();
    world.chain.mine(3).unwrap();
    let coinbase = Address::repeat_byte(0xc0);
    world.chain.set_coinbase(coinbase);
    assert_eq!(bytes(&world, "block_coinbase")[..20], coinbase[..]);
    // A deployment takes two blocks, and the call runs in the next.
    let number_before = world.chain.head().header.number;
    assert_eq!(number(&world, "i64", "block_number"), number_before + 3);
    assert_eq!(number(&world, "i64", "chainid"), 700_001);
    assert_eq!(number(&world, "i64", "block_gas_limit"), world.chain.config().block_gas_limit);
    let time = number(&world, "i64", "block_timestamp");
    assert!(time >= world.chain.timestamp(), "{time}");
    world.chain.increase_time(1_000);
    assert!(number(&world, "i64", "block_timestamp") >= time + 1_000);
    let base_fee = U256::from_be_slice(&bytes(&world, "block_basefee"));
    assert_eq!(base_fee, U256::from(world.chain.config().base_fee));
}

#[test]
fn the_transaction_shows_its_origin_and_price() {
    let world = World::new();
    assert_eq!(bytes(&world, "tx_origin")[..20], USER[..]);
    assert_eq!(number(&world, "i32", "tx_ink_price"), 10_000);
    let program = world.program(
        "(call $tx_gas_price (i32.const 0)) (call $write_result (i32.const 0) (i32.const 32))
        (i32.const 0)",
    );
    let price = 3 * u128::from(world.chain.config().base_fee);
    let call = Transact { gas_price: Some(price), ..Transact::call(USER, program, []) };
    let seen = U256::from_be_slice(&world.simulate(call).output);
    assert_eq!(seen, U256::from(price));
}

#[test]
fn gas_and_ink_left_agree() {
    let world = World::new();
    let program = world.program(
        "(i64.store (i32.const 0) (call $evm_gas_left))
        (i64.store (i32.const 8) (call $evm_ink_left))
        (call $write_result (i32.const 0) (i32.const 16)) (i32.const 0)",
    );
    let call = Transact { gas: Some(500_000), ..Transact::call(USER, program, []) };
    let output = world.simulate(call).output;
    let gas = u64::from_le_bytes(output[..8].try_into().unwrap());
    let ink = u64::from_le_bytes(output[8..].try_into().unwrap());
    assert!(gas < 480_000 && gas > 400_000, "{gas}");
    assert!(ink / 10_000 <= gas && gas - ink / 10_000 < 3, "{gas} gas, {ink} ink");
}

/// Returns whether the program is re-entered; with call data, first forwards like `FORWARD`.
const REENTRANT: &str = "(if (local.get $len) (then
        (call $read_args (i32.const 0))
        (drop (call $call_contract (i32.const 12) (i32.const 32)
            (i32.sub (local.get $len) (i32.const 32)) (i32.const 40000) (i64.const -1)
            (i32.const 40040)))
        (call $write_result (i32.const 0)
            (call $read_return_data (i32.const 0) (i32.const 0) (i32.const 32)))
        (return (i32.const 0))))
    (i32.store8 (i32.const 31) (call $msg_reentrant))
    (call $write_result (i32.const 0) (i32.const 32))
    (i32.const 0)";

#[test]
fn a_program_knows_when_it_is_reentered() {
    let world = World::new();
    let program = world.program(REENTRANT);
    let (other, other_static) = (world.program(FORWARD), world.program(FORWARD_STATIC));
    let (evm, evm_static) = (world.contract(&evm::FORWARD), world.contract(&evm::FORWARD_STATIC));
    assert_eq!(world.output(program, []), words([0]));
    assert_eq!(world.output(program, to(program)), words([1]), "by itself");
    for through in [other, other_static, evm, evm_static] {
        let there_and_back = [to(through), to(program)].concat();
        assert_eq!(world.output(program, there_and_back), words([1]), "through another");
        assert_eq!(world.output(through, to(program)), words([0]), "called once");
    }
}

#[test]
fn a_proxy_alone_is_no_reentry_but_coming_back_is() {
    let world = World::new();
    let program = world.program(REENTRANT);
    let proxy = world.proxy(program);
    assert_eq!(world.output(proxy, []), words([0]));
    assert_eq!(world.output(proxy, to(program)), words([0]), "another account");
    assert_eq!(world.output(proxy, to(proxy)), words([1]));
    let evm = world.contract(&evm::FORWARD);
    assert_eq!(world.output(proxy, [to(evm), to(proxy)].concat()), words([1]));
}
