//! Calls, creations and logs.

use revm::{
    context_interface::CreateScheme,
    interpreter::CallScheme,
    primitives::{B256, Bytes, U256},
};
use wasmi::{Linker, errors::LinkerError};

use super::{Host, MODULE, Result, charge, memory};
use crate::vm::{
    ink::{EVM_API, HOST_CALL, Ink, POINTER, read},
    machine::{CallRequest, CreateRequest, Machine, Request},
};

/// Most topics of a log.
const MAX_TOPICS: u32 = 4;

pub(super) fn link(linker: &mut Linker<Machine>) -> std::result::Result<(), LinkerError> {
    linker.func_wrap(
        MODULE,
        "call_contract",
        |host: Host<'_>, to: u32, data: u32, len: u32, value: u32, gas: u64, len_dest: u32| {
            let call = CallArgs { to, data, len, value: Some(value), gas, len_dest };
            call.raise(host, CallScheme::Call)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "delegate_call_contract",
        |host: Host<'_>, to: u32, data: u32, len: u32, gas: u64, len_dest: u32| {
            let call = CallArgs { to, data, len, value: None, gas, len_dest };
            call.raise(host, CallScheme::DelegateCall)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "static_call_contract",
        |host: Host<'_>, to: u32, data: u32, len: u32, gas: u64, len_dest: u32| {
            let call = CallArgs { to, data, len, value: None, gas, len_dest };
            call.raise(host, CallScheme::StaticCall)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "create1",
        |host: Host<'_>, code: u32, len: u32, value: u32, address_dest: u32, len_dest: u32| {
            CreateArgs { code, len, value, salt: None, address_dest, len_dest }.raise(host)
        },
    )?;
    linker.func_wrap(
        MODULE,
        "create2",
        |host: Host<'_>,
         code: u32,
         len: u32,
         value: u32,
         salt: u32,
         address_dest: u32,
         len_dest: u32| {
            CreateArgs { code, len, value, salt: Some(salt), address_dest, len_dest }.raise(host)
        },
    )?;
    linker.func_wrap(MODULE, "emit_log", emit_log)?;
    Ok(())
}

/// Arguments of the three kinds of calls; all but `len` and `gas` are pointers.
struct CallArgs {
    to: u32,
    data: u32,
    len: u32,
    value: Option<u32>,
    gas: u64,
    len_dest: u32,
}

impl CallArgs {
    fn raise(self, mut host: Host<'_>, scheme: CallScheme) -> Result<u32> {
        charge(&mut host, call_ink(self.len))?;
        let value = self.value.map_or(Ok(U256::ZERO), |value| memory::load_word(&host, value))?;
        Request::Call(CallRequest {
            scheme,
            to: memory::load_address(&host, self.to)?,
            data: Bytes::copy_from_slice(memory::load_slice(&host, self.data, self.len)?),
            value,
            gas: self.gas,
            len_dest: self.len_dest,
        })
        .raise()
    }
}

/// Arguments of the two kinds of creations; all but `len` are pointers.
struct CreateArgs {
    code: u32,
    len: u32,
    value: u32,
    salt: Option<u32>,
    address_dest: u32,
    len_dest: u32,
}

impl CreateArgs {
    fn raise(self, mut host: Host<'_>) -> Result<()> {
        let salt_ink = POINTER.times(self.salt.is_some().into());
        charge(&mut host, call_ink(self.len) + salt_ink)?;
        let scheme = match self.salt {
            Some(salt) => CreateScheme::Create2 { salt: memory::load_word(&host, salt)? },
            None => CreateScheme::Create,
        };
        Request::Create(CreateRequest {
            code: Bytes::copy_from_slice(memory::load_slice(&host, self.code, self.len)?),
            value: memory::load_word(&host, self.value)?,
            scheme,
            address_dest: self.address_dest,
            len_dest: self.len_dest,
        })
        .raise()
    }
}

/// What asking for a call costs, before the call itself. The data is copied twice.
fn call_ink(len: u32) -> Ink {
    HOST_CALL + POINTER.times(3) + EVM_API + read(len as usize).times(2)
}

/// The first words of the data are the topics.
fn emit_log(mut host: Host<'_>, from: u32, len: u32, topics: u32) -> Result<()> {
    if topics > MAX_TOPICS || len < topics * 32 {
        return Err(wasmi::Error::new("bad topic data"));
    }
    let data_len = len - topics * 32;
    let gas = 375 + 375 * u64::from(topics) + 8 * u64::from(data_len);
    charge(&mut host, HOST_CALL + EVM_API + read(len as usize) + Ink::from_gas(gas))?;
    let bytes = memory::load_slice(&host, from, len)?;
    let (words, data) = bytes.split_at(topics as usize * 32);
    Request::EmitLog {
        topics: words.chunks(32).map(B256::from_slice).collect(),
        data: Bytes::copy_from_slice(data),
    }
    .raise()
}
