//! Facts of the call, the transaction and the block.

use wasmi::{Linker, WasmTy, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{FUEL_PER_GAS, HOST_CALL, INK_PER_FUEL, INK_PER_GAS, POINTER},
    machine::Machine,
};

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    bytes(linker, "msg_sender", |machine| machine.call.sender.into_array())?;
    bytes(linker, "msg_value", |machine| machine.call.value.to_be_bytes::<32>())?;
    bytes(linker, "contract_address", |machine| machine.call.acting.into_array())?;
    bytes(linker, "tx_origin", |machine| machine.chain.origin.into_array())?;
    bytes(linker, "tx_gas_price", |machine| machine.chain.gas_price.to_be_bytes::<32>())?;
    bytes(linker, "block_basefee", |machine| machine.chain.base_fee.to_be_bytes::<32>())?;
    bytes(linker, "block_coinbase", |machine| machine.chain.coinbase.into_array())?;
    number(linker, "msg_reentrant", |machine| u32::from(machine.call.is_reentrant))?;
    number(linker, "tx_ink_price", |_| INK_PER_GAS as u32)?;
    number(linker, "block_number", |machine| machine.chain.number)?;
    number(linker, "block_timestamp", |machine| machine.chain.timestamp)?;
    number(linker, "block_gas_limit", |machine| machine.chain.gas_limit)?;
    number(linker, "chainid", |machine| machine.chain.chain_id)?;
    linker.func_wrap(MODULE, "evm_gas_left", |mut host: Host<'_>| {
        fuel_left(&mut host).map(|fuel| fuel / FUEL_PER_GAS)
    })?;
    linker.func_wrap(MODULE, "evm_ink_left", |mut host: Host<'_>| {
        fuel_left(&mut host).map(|fuel| fuel.saturating_mul(INK_PER_FUEL))
    })?;
    Ok(())
}

/// A function that writes a fact to a pointer.
fn bytes<const N: usize>(
    linker: &mut Linker<Machine>,
    name: &str,
    fact: fn(&Machine) -> [u8; N],
) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, name, move |mut host: Host<'_>, dest: u32| {
        charge(&mut host, HOST_CALL + POINTER)?;
        let bytes = fact(host.data());
        memory::store(&mut host, dest, &bytes)
    })?;
    Ok(())
}

/// A function that returns a fact.
fn number<T: WasmTy + 'static>(
    linker: &mut Linker<Machine>,
    name: &str,
    fact: fn(&Machine) -> T,
) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, name, move |mut host: Host<'_>| -> Result<T> {
        charge(&mut host, HOST_CALL)?;
        Ok(fact(host.data()))
    })?;
    Ok(())
}

fn fuel_left(host: &mut Host<'_>) -> Result<u64> {
    charge(host, HOST_CALL)?;
    host.get_fuel()
}
