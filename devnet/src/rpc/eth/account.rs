//! Accounts now and in the past.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, U256},
    serde::JsonStorageKey,
};

use super::{Answer, Params, Reader, RpcError, block_id, quantity, value};
use crate::state::Holding;

pub(super) fn balance(reader: &Reader<'_>, params: &Params) -> Answer {
    quantity(holding(reader, params)?.balance)
}

pub(super) fn code(reader: &Reader<'_>, params: &Params) -> Answer {
    let code_hash = holding(reader, params)?.code_hash;
    value(reader.inner.state.code(code_hash).original_bytes())
}

pub(super) fn storage(reader: &Reader<'_>, params: &Params) -> Answer {
    let address: Address = params.required(0, "address")?;
    let key: JsonStorageKey = params.required(1, "storage key")?;
    let version = reader.state(block_id(params, 2)?)?;
    let slot = reader.inner.state.slot(address, U256::from_be_bytes(key.as_b256().0), version);
    value(B256::from(slot))
}

pub(super) fn nonce(reader: &Reader<'_>, params: &Params) -> Answer {
    let nonce = holding(reader, params)?.nonce;
    let pending = block_id(params, 1)? == BlockId::Number(BlockNumberOrTag::Pending);
    let address: Address = params.required(0, "address")?;
    quantity(if pending { reader.inner.pool.next_nonce(address, nonce) } else { nonce })
}

fn holding(reader: &Reader<'_>, params: &Params) -> Result<Holding, RpcError> {
    let address: Address = params.required(0, "address")?;
    let version = reader.state(block_id(params, 1)?)?;
    Ok(reader.inner.state.account(address, version).unwrap_or_default())
}
