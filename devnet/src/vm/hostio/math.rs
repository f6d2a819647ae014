//! Arithmetic on words, and Keccak-256.

use revm::primitives::{U256, keccak256};
use wasmi::{Linker, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{HOST_CALL, Ink, POINTER, keccak},
    machine::Machine,
};

const DIVIDE: Ink = Ink(20_000);
const ADD_MOD: Ink = Ink(21_000);
const MUL_MOD: Ink = Ink(24_100);
const POWER: Ink = Ink(3_000);
/// Each byte of an exponent.
const POWER_BYTE: Ink = Ink(17_500);

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, "math_div", |host: Host<'_>, value: u32, by: u32| {
        binary(host, value, by, |_| DIVIDE, |a, b| a.checked_div(b).unwrap_or_default())
    })?;
    linker.func_wrap(MODULE, "math_mod", |host: Host<'_>, value: u32, by: u32| {
        binary(host, value, by, |_| DIVIDE, |a, b| a.checked_rem(b).unwrap_or_default())
    })?;
    linker.func_wrap(MODULE, "math_pow", |host: Host<'_>, value: u32, exponent: u32| {
        let ink = |exponent: U256| POWER + POWER_BYTE.times(exponent.byte_len() as u64 + 1);
        binary(host, value, exponent, ink, U256::wrapping_pow)
    })?;
    linker.func_wrap(MODULE, "math_add_mod", |host: Host<'_>, value: u32, add: u32, by: u32| {
        modular(host, [value, add, by], ADD_MOD, U256::add_mod)
    })?;
    linker.func_wrap(
        MODULE,
        "math_mul_mod",
        |host: Host<'_>, value: u32, by: u32, modulus: u32| {
            modular(host, [value, by, modulus], MUL_MOD, U256::mul_mod)
        },
    )?;
    linker.func_wrap(MODULE, "native_keccak256", hash)?;
    Ok(())
}

/// Replaces the word at `value` by a function of it and another.
fn binary(
    mut host: Host<'_>,
    value: u32,
    other: u32,
    ink: impl Fn(U256) -> Ink,
    function: impl Fn(U256, U256) -> U256,
) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(3))?;
    let (a, b) = (memory::load_word(&host, value)?, memory::load_word(&host, other)?);
    charge(&mut host, ink(b))?;
    memory::store(&mut host, value, &function(a, b).to_be_bytes::<32>())
}

/// Replaces the word at the first pointer by a function of the three.
fn modular(
    mut host: Host<'_>,
    pointers: [u32; 3],
    ink: Ink,
    function: impl Fn(U256, U256, U256) -> U256,
) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(4) + ink)?;
    let [a, b, c] = pointers.map(|pointer| memory::load_word(&host, pointer));
    memory::store(&mut host, pointers[0], &function(a?, b?, c?).to_be_bytes::<32>())
}

fn hash(mut host: Host<'_>, from: u32, len: u32, dest: u32) -> Result<()> {
    charge(&mut host, keccak(len as usize))?;
    let hash = keccak256(memory::load_slice(&host, from, len)?);
    memory::store(&mut host, dest, hash.as_slice())
}
