//! Calls.

use alloy::primitives::{TxKind, U256};
use alloy::rpc::types::{AccessList, BlockOverrides, TransactionRequest, state::StateOverride};
use revm::context::TxEnv;
use revm_inspectors::access_list::AccessListInspector;
use serde_json::json;

use super::{Answer, Params, Reader, RpcError, block_id, value};
use crate::chain::{Call, Simulation};

pub(super) fn call(reader: &Reader<'_>, params: &Params) -> Answer {
    let (call, place) = prepare(reader, params)?;
    require_funds(reader, place, &call)?;
    let outcome = reader.chain.simulate(&reader.inner, place, &call)?;
    if outcome.success { value(outcome.output) } else { Err(RpcError::failed(&outcome)) }
}

pub(super) fn create_access_list(reader: &Reader<'_>, params: &Params) -> Answer {
    let (call, place) = prepare(reader, params)?;
    let mut inspector = AccessListInspector::new(call.tx.access_list.clone());
    let result = reader.chain.inspect(&reader.inner, place, &call, &mut inspector)?;
    let list: AccessList = inspector.into_access_list();
    // The list itself is part of what the transaction pays for.
    let with_list = Call { tx: TxEnv { access_list: list.clone(), ..call.tx.clone() }, ..call };
    let gas = reader.chain.simulate(&reader.inner, place, &with_list)?.gas_used;
    let mut answer = json!({ "accessList": list, "gasUsed": format!("{gas:#x}") });
    if !result.is_success()
        && let Some(fields) = answer.as_object_mut()
    {
        fields.insert("error".into(), json!("execution reverted"));
    }
    Ok(answer)
}

/// Reads the parameters that `eth_call` and its kin share: request, block, state overrides, block
/// overrides.
pub(in crate::rpc) fn prepare(
    reader: &Reader<'_>,
    params: &Params,
) -> Result<(Call, Simulation), RpcError> {
    let request: TransactionRequest = params.required(0, "transaction")?;
    let place = reader.place(block_id(params, 1)?)?;
    let state: Option<StateOverride> = params.optional(2, "state overrides")?;
    if state.iter().flatten().any(|(_, it)| it.state.is_some() && it.state_diff.is_some()) {
        return Err(RpcError::invalid_params("account has both 'state' and 'stateDiff'"));
    }
    let block: Option<BlockOverrides> = params.optional(3, "block overrides")?;
    let tx = tx_env(reader, &request)?;
    Ok((Call { tx, state, block }, place))
}

fn tx_env(reader: &Reader<'_>, request: &TransactionRequest) -> Result<TxEnv, RpcError> {
    let config = reader.chain.config();
    if let Some(chain_id) = request.chain_id
        && chain_id != config.chain_id
    {
        let message =
            format!("chainId does not match node's (have={chain_id}, want={})", config.chain_id);
        return Err(RpcError::server(message));
    }
    if request.gas_price.is_some() && request.max_fee_per_gas.is_some() {
        return Err(RpcError::invalid_params(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    let data = request.input.clone().try_into_unique_input();
    let data = data.map_err(|error| RpcError::invalid_params(error.to_string()))?;
    Ok(TxEnv {
        caller: request.from.unwrap_or_default(),
        gas_limit: request.gas.unwrap_or(config.tx_gas_limit).min(config.tx_gas_limit),
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or_default(),
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        nonce: request.nonce.unwrap_or_default(),
        chain_id: Some(config.chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        ..TxEnv::default()
    })
}

/// Refuses a call whose sender could not send it: the machine itself charges nobody here.
pub(super) fn require_funds(
    reader: &Reader<'_>,
    place: Simulation,
    call: &Call,
) -> Result<(), RpcError> {
    let tx = &call.tx;
    let gas = U256::from(tx.gas_limit).saturating_mul(U256::from(tx.gas_price));
    let cost = gas.saturating_add(tx.value);
    // A call that names no sender asks what would happen to anybody.
    if cost.is_zero() || tx.caller.is_zero() {
        return Ok(());
    }
    let balance = reader.chain.caller_balance(&reader.inner, place, call)?;
    if balance >= cost {
        return Ok(());
    }
    let sender = tx.caller;
    Err(RpcError::server(format!(
        "insufficient funds for gas * price + value: address {sender} have {balance} want {cost}"
    )))
}
