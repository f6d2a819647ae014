//! Storage through the program's write-back cache, and transient storage.

use wasmi::{Linker, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{EVM_API, HOST_CALL, Ink, POINTER},
    machine::{CachedWord, Machine, Request},
};

/// Gas of reading or writing a word of transient storage (EIP-1153).
const TRANSIENT_GAS: u64 = 100;

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(MODULE, "storage_load_bytes32", load)?;
    linker.func_wrap(MODULE, "storage_cache_bytes32", cache)?;
    linker.func_wrap(MODULE, "storage_flush_cache", flush)?;
    linker.func_wrap(MODULE, "transient_load_bytes32", load_transient)?;
    linker.func_wrap(MODULE, "transient_store_bytes32", store_transient)?;
    Ok(())
}

fn load(mut host: Host<'_>, key: u32, dest: u32) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(2))?;
    let key = memory::load_word(&host, key)?;
    match host.data().storage.get(&key).copied() {
        Some(word) => memory::store(&mut host, dest, &word.value.to_be_bytes::<32>()),
        None => {
            charge(&mut host, EVM_API)?;
            Request::LoadStorage { key, dest }.raise()
        }
    }
}

fn cache(mut host: Host<'_>, key: u32, value: u32) -> Result<()> {
    charge(&mut host, HOST_CALL + POINTER.times(2))?;
    let (key, value) = (memory::load_word(&host, key)?, memory::load_word(&host, value)?);
    host.data_mut()
        .storage
        .entry(key)
        .and_modify(|word| word.value = value)
        .or_insert(CachedWord { value, stored: None });
    Ok(())
}

fn flush(mut host: Host<'_>, clear: u32) -> Result<()> {
    charge(&mut host, HOST_CALL + EVM_API)?;
    let clear = clear != 0;
    let storage = &mut host.data_mut().storage;
    if storage.values().any(CachedWord::is_dirty) {
        return Request::FlushStorage { clear }.raise();
    }
    if clear {
        storage.clear();
    }
    Ok(())
}

fn load_transient(mut host: Host<'_>, key: u32, dest: u32) -> Result<()> {
    charge_transient(&mut host)?;
    let key = memory::load_word(&host, key)?;
    Request::LoadTransient { key, dest }.raise()
}

fn store_transient(mut host: Host<'_>, key: u32, value: u32) -> Result<()> {
    charge_transient(&mut host)?;
    let (key, value) = (memory::load_word(&host, key)?, memory::load_word(&host, value)?);
    Request::StoreTransient { key, value }.raise()
}

fn charge_transient(host: &mut Host<'_>) -> Result<()> {
    charge(host, HOST_CALL + POINTER.times(2) + EVM_API + Ink::from_gas(TRANSIENT_GAS))
}
