use alloy::primitives::{U256, keccak256};

use super::world::World;

/// Applies a function of two or three words.
fn apply(world: &World, function: &str, operands: &[U256]) -> U256 {
    let pointers: String =
        (0..operands.len()).map(|index| format!("(i32.const {})", 32 * index)).collect();
    let program = world.program(&format!(
        "(call $read_args (i32.const 0)) (call ${function} {pointers})
        (call $write_result (i32.const 0) (i32.const 32)) (i32.const 0)"
    ));
    let data: Vec<u8> = operands.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    world.word(program, data)
}

#[test]
fn words_are_divided_and_raised_as_the_evm_does() {
    let world = World::new();
    let (zero, one, max) = (U256::ZERO, U256::from(1), U256::MAX);
    let small = U256::from(1_000_007);
    for (a, b) in [(max, small), (small, max), (small, zero), (zero, small), (max, max), (one, one)]
    {
        let or_zero = |result: Option<U256>| result.unwrap_or_default();
        assert_eq!(apply(&world, "math_div", &[a, b]), or_zero(a.checked_div(b)));
        assert_eq!(apply(&world, "math_mod", &[a, b]), or_zero(a.checked_rem(b)));
        assert_eq!(apply(&world, "math_pow", &[a, b]), a.wrapping_pow(b));
    }
}

#[test]
fn modular_arithmetic_does_not_overflow() {
    let world = World::new();
    let (max, small) = (U256::MAX, U256::from(1_000_007));
    for modulus in [small, max, U256::from(1), U256::ZERO] {
        assert_eq!(
            apply(&world, "math_add_mod", &[max, max - small, modulus]),
            max.add_mod(max - small, modulus)
        );
        assert_eq!(
            apply(&world, "math_mul_mod", &[max, max - small, modulus]),
            max.mul_mod(max - small, modulus)
        );
    }
}

#[test]
fn keccak_hashes_memory() {
    let world = World::new();
    let program = world.program(
        "(call $read_args (i32.const 64))
        (call $native_keccak256 (i32.const 64) (local.get $len) (i32.const 0))
        (call $write_result (i32.const 0) (i32.const 32)) (i32.const 0)",
    );
    for len in [0, 1, 31, 32, 135, 136, 137, 5_000] {
        let data = vec![0xab; len];
        assert_eq!(world.output(program, &data)[..], keccak256(&data)[..]);
    }
}
