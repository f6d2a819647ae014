use alloy::primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};

use super::{
    evm,
    world::{ECHO, USER, World, program, to},
};

/// Runs one host function on the address in the first word and returns 64 bytes from 64 on.
fn ask(world: &World, body: &str, of: Address) -> Vec<u8> {
    let program = world.program(&format!(
        "(call $read_args (i32.const 0)) {body}
        (call $write_result (i32.const 64) (i32.const 64)) (i32.const 0)"
    ));
    world.output(program, to(of)).to_vec()
}

#[test]
fn balances_are_of_any_account() {
    let world = World::new();
    let balance = |of: Address| {
        let word = ask(&world, "(call $account_balance (i32.const 12) (i32.const 64))", of);
        U256::from_be_slice(&word[..32])
    };
    assert_eq!(balance(USER), world.chain.balance(USER));
    assert_eq!(balance(Address::repeat_byte(1)), U256::ZERO);
}

#[test]
fn code_hashes_tell_programs_contracts_and_accounts_apart() {
    let world = World::new();
    let contract = world.contract(&evm::ECHO);
    let echo = world.program(ECHO);
    let hash = |of: Address| {
        let word = ask(&world, "(call $account_codehash (i32.const 12) (i32.const 64))", of);
        B256::from_slice(&word[..32])
    };
    assert_eq!(hash(contract), keccak256(evm::ECHO));
    assert_eq!(hash(echo), program(ECHO).code_hash);
    assert_eq!(hash(USER), KECCAK256_EMPTY);
    assert_eq!(hash(Address::repeat_byte(1)), B256::ZERO);
}

#[test]
fn code_is_copied_in_parts_and_a_program_shows_its_own() {
    let world = World::new();
    let contract = world.contract(&evm::ECHO);
    let echo = world.program(ECHO);
    let size = |of: Address| {
        let body = "(i32.store (i32.const 64) (call $account_code_size (i32.const 12)))";
        u32::from_le_bytes(ask(&world, body, of)[..4].try_into().unwrap()) as usize
    };
    assert_eq!(size(contract), evm::ECHO.len());
    assert_eq!(size(echo), program(ECHO).code.len());
    assert_eq!(size(USER), 0);
    let code = |of: Address, offset: u32, size: u32| {
        let body = format!(
            "(i32.store (i32.const 64) (call $account_code (i32.const 12) (i32.const {offset})
                (i32.const {size}) (i32.const 68)))"
        );
        let bytes = ask(&world, &body, of);
        let len = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        bytes[4..4 + len].to_vec()
    };
    assert_eq!(code(contract, 0, 60), evm::ECHO);
    assert_eq!(code(contract, 2, 3), evm::ECHO[2..5]);
    assert!(code(contract, 7, 10).is_empty());
    assert!(code(contract, u32::MAX, u32::MAX).is_empty());
    assert_eq!(code(echo, 0, 4), [0xEF, 0xF0, 0, 0]);
}

#[test]
fn the_first_touch_of_an_account_is_cold() {
    let world = World::new();
    let once = "(call $account_balance (i32.const 100) (i32.const 0))";
    let gas = |body: &str| {
        let program = world
            .program(&format!("(i32.store8 (i32.const 100) (i32.const 99)) {body} (i32.const 0)"));
        let receipt = world.send(program, []);
        // Without what the length of the module costs.
        receipt.gas_used - super::world::start_gas(&world, program)
    };
    let (none, one, two) = (gas(""), gas(once), gas(&once.repeat(2)));
    assert!((2_600..2_620).contains(&(one - none)), "{}", one - none);
    assert!((100..120).contains(&(two - one)), "{}", two - one);
}
