use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use devnet::{Transact, init_code};

use super::{
    evm,
    world::{ECHO, FORWARD_STATIC, USER, World, program, to, words},
};

/// Creates a contract from the call data and returns address, status and length of return data.
const CREATE: &str = "(call $read_args (i32.const 1000))
    (call $msg_value (i32.const 0))
    (call $create1 (i32.const 1000) (local.get $len) (i32.const 0) (i32.const 108) (i32.const 128))
    (call $write_result (i32.const 96)
        (i32.add (i32.const 36)
            (call $read_return_data (i32.const 132) (i32.const 0) (i32.const 500))))
    (i32.const 0)";

/// The same with the salt in the first word of the call data.
const CREATE2: &str = "(call $read_args (i32.const 1000))
    (call $msg_value (i32.const 0))
    (call $create2 (i32.const 1032) (i32.sub (local.get $len) (i32.const 32)) (i32.const 0)
        (i32.const 1000) (i32.const 108) (i32.const 128))
    (call $write_result (i32.const 96)
        (i32.add (i32.const 36)
            (call $read_return_data (i32.const 132) (i32.const 0) (i32.const 500))))
    (i32.const 0)";

/// What a creating program returned: the address, the announced length, and the return data.
fn created(output: &Bytes) -> (Address, u32, Vec<u8>) {
    let len = u32::from_le_bytes(output[32..36].try_into().unwrap());
    (Address::from_word(B256::from_slice(&output[..32])), len, output[36..].to_vec())
}

#[test]
fn create_deploys_at_the_address_of_the_nonce() {
    let world = World::new();
    let factory = world.program(CREATE);
    let receipt = world.send(factory, init_code(&evm::ECHO));
    let (address, len, data) = created(&receipt.output);
    assert_eq!(address, factory.create(1));
    assert_eq!((len, data.len()), (0, 0));
    assert_eq!(world.chain.code(address)[..], evm::ECHO);
    assert_eq!(world.chain.nonce(factory), 2);
}

#[test]
fn create2_deploys_at_the_address_of_salt_and_code_once() {
    let world = World::new();
    let factory = world.program(CREATE2);
    let code = init_code(&evm::ECHO);
    let salt = keccak256("salt");
    let data = [salt.as_slice(), &code].concat();
    let (address, ..) = created(&world.send(factory, &data).output);
    assert_eq!(address, factory.create2(salt, keccak256(&code)));
    assert_eq!(world.chain.code(address)[..], evm::ECHO);
    let (again, len, _) = created(&world.send(factory, &data).output);
    assert_eq!((again, len), (Address::ZERO, 0), "a collision creates nothing");
}

#[test]
fn creations_carry_value() {
    let world = World::new();
    let factory = world.program(CREATE);
    let tx = Transact::call(USER, factory, init_code(&evm::ECHO)).value(U256::from(12));
    let (address, ..) = created(&world.transact(tx).output);
    assert_eq!(world.chain.balance(address), U256::from(12));
}

#[test]
fn a_failed_constructor_gives_the_zero_address_and_its_data() {
    let world = World::new();
    // Reverts with the word 5: PUSH1 5, PUSH0, MSTORE, PUSH1 32, PUSH0, REVERT.
    let fails = alloy::hex!("60055f5260205ffd");
    for (factory, data) in [
        (world.program(CREATE), fails.to_vec()),
        (world.program(CREATE2), [words([0]), fails.to_vec()].concat()),
    ] {
        let receipt = world.send(factory, data);
        assert!(receipt.success);
        assert_eq!(created(&receipt.output), (Address::ZERO, 32, words([5])));
    }
}

#[test]
fn programs_deploy_programs() {
    let world = World::new();
    let factory = world.program(CREATE);
    world.program(ECHO);
    let (copy, ..) = created(&world.send(factory, init_code(&program(ECHO).code)).output);
    // Activation is per code, so the copy runs at once.
    assert_eq!(world.output(copy, words([8])), words([8]));
}

#[test]
fn other_code_that_begins_with_ef_is_refused() {
    let world = World::new();
    let factory = world.program(CREATE);
    for code in [&[0xef][..], &[0xef, 0x00, 0x01], &[0xef, 0xf0], &[0xef, 0xf0, 0x03, 0x00]] {
        let (address, ..) = created(&world.output(factory, init_code(code)));
        assert_eq!(address, Address::ZERO, "{code:?}");
        let direct = world.simulate(Transact::create(USER, init_code(code)));
        assert!(!direct.success && direct.halt.is_some(), "{code:?}");
    }
}

#[test]
fn code_and_init_code_have_a_size_limit() {
    let world = World::new();
    let deploy = |size: usize| {
        let code = vec![0; size];
        world.simulate(Transact::create(USER, init_code(&code))).success
    };
    assert!(deploy(24_576));
    assert!(!deploy(24_577));
    let factory = world.program(
        "(call $create1 (i32.const 0) (i32.const 49153) (i32.const 0) (i32.const 0) (i32.const 0))
        (i32.const 0)",
    );
    assert!(!world.call(factory, []).success);
}

#[test]
fn a_static_frame_creates_nothing() {
    let world = World::new();
    let caller = world.program(FORWARD_STATIC);
    let factory = world.program(CREATE);
    let data = [to(factory), init_code(&evm::ECHO).to_vec()].concat();
    assert!(!world.call(caller, data).success);
}
