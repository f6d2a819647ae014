//! The program's memory.

use revm::primitives::{Address, U256};
use wasmi::{AsContextMut, Linker, Memory, errors::LinkerError};

use super::{Host, MODULE, Result, charge};
use crate::vm::{
    ink::{HOST_CALL, Ink},
    machine::Machine,
};

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, "pay_for_memory_grow", |mut host: Host<'_>, pages: u32| {
        // Real growth is paid for where it is seen; this pays for what the program announces.
        let ink = match u16::try_from(pages) {
            Ok(0) => HOST_CALL,
            Ok(pages) => Ink::from_gas(host.data_mut().pages.add(pages)),
            Err(_) => Ink(u64::MAX),
        };
        charge(&mut host, ink)
    })?;
    Ok(())
}

fn of(host: &Host<'_>) -> Result<Memory> {
    host.data().memory.ok_or_else(|| wasmi::Error::new("the program has no memory yet"))
}

pub(super) fn load<const N: usize>(host: &Host<'_>, from: u32) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    of(host)?.read(host, from as usize, &mut bytes)?;
    Ok(bytes)
}

pub(super) fn load_word(host: &Host<'_>, from: u32) -> Result<U256> {
    load(host, from).map(U256::from_be_bytes::<32>)
}

pub(super) fn load_address(host: &Host<'_>, from: u32) -> Result<Address> {
    load::<20>(host, from).map(Address::from)
}

/// A slice of memory; checked before anything is copied.
pub(super) fn load_slice<'a>(host: &'a Host<'_>, from: u32, len: u32) -> Result<&'a [u8]> {
    let from = from as usize;
    of(host)?
        .data(host)
        .get(from..from + len as usize)
        .ok_or_else(|| wasmi::Error::new("out of bounds memory access"))
}

pub(super) fn store(host: &mut Host<'_>, to: u32, bytes: &[u8]) -> Result<()> {
    Ok(of(host)?.write(host.as_context_mut(), to as usize, bytes)?)
}
