//! Call data, result, and the data that sub-calls return.

use revm::primitives::Bytes;
use wasmi::{Linker, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{EVM_API, HOST_CALL, read, write},
    machine::{Machine, Request},
};

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, "read_args", read_args)?;
    linker.func_wrap(MODULE, "write_result", write_result)?;
    linker.func_wrap(MODULE, "exit_early", exit_early)?;
    linker.func_wrap(MODULE, "return_data_size", return_data_size)?;
    linker.func_wrap(MODULE, "read_return_data", read_return_data)?;
    Ok(())
}

fn read_args(mut host: Host<'_>, dest: u32) -> Result<()> {
    let args = host.data().args.clone();
    charge(&mut host, HOST_CALL + write(args.len()))?;
    memory::store(&mut host, dest, &args)
}

fn write_result(mut host: Host<'_>, from: u32, len: u32) -> Result<()> {
    // Paid for twice: once to leave the program, once to reach the caller.
    charge(&mut host, HOST_CALL + read(len as usize).times(2))?;
    let result = Bytes::copy_from_slice(memory::load_slice(&host, from, len)?);
    host.data_mut().result = result;
    Ok(())
}

fn exit_early(mut host: Host<'_>, status: i32) -> Result<()> {
    charge(&mut host, HOST_CALL)?;
    Request::Exit { status }.raise()
}

fn return_data_size(mut host: Host<'_>) -> Result<u32> {
    charge(&mut host, HOST_CALL)?;
    Ok(host.data().return_data.len() as u32)
}

/// Copies what there is of the wanted range, and returns how much that was.
fn read_return_data(mut host: Host<'_>, dest: u32, offset: u32, size: u32) -> Result<u32> {
    let data = host.data().return_data.clone();
    let start = (offset as usize).min(data.len());
    let end = start.saturating_add(size as usize).min(data.len());
    charge(&mut host, HOST_CALL + EVM_API + write(end - start))?;
    if start < end {
        memory::store(&mut host, dest, &data[start..end])?;
    }
    Ok((end - start) as u32)
}
