//! Balance and code of any account.

use wasmi::{Linker, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{EVM_API, HOST_CALL, POINTER, write},
    machine::{Machine, Request},
};

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, "account_balance", balance)?;
    linker.func_wrap(MODULE, "account_code", code)?;
    linker.func_wrap(MODULE, "account_code_size", code_size)?;
    linker.func_wrap(MODULE, "account_codehash", code_hash)?;
    Ok(())
}

fn balance(mut host: Host<'_>, account: u32, dest: u32) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(2) + EVM_API)?;
    let of = memory::load_address(&host, account)?;
    Request::Balance { of, dest }.raise()
}

fn code(mut host: Host<'_>, account: u32, offset: u32, size: u32, dest: u32) -> Result<u32> {
    // What is copied is at most the largest code, whatever the program asks for.
    let copied = (size as usize).min(stylus_program::MAX_CODE_SIZE);
    charge(&mut host, HOST_CALL + POINTER + EVM_API + write(copied))?;
    let of = memory::load_address(&host, account)?;
    Request::Code { of, offset, size, dest }.raise()
}

fn code_size(mut host: Host<'_>, account: u32) -> Result<u32> {
    charge(&mut host, HOST_CALL + POINTER + EVM_API)?;
    let of = memory::load_address(&host, account)?;
    Request::CodeSize { of }.raise()
}

fn code_hash(mut host: Host<'_>, account: u32, dest: u32) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(2) + EVM_API)?;
    let of = memory::load_address(&host, account)?;
    Request::CodeHash { of, dest }.raise()
}
