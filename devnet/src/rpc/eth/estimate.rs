//! Gas estimates.

use alloy::primitives::{TxKind, U256};
use revm::context_interface::result::InvalidTransaction as Invalid;

use super::{Answer, Params, Reader, RpcError, call, quantity};
use crate::chain::{Call, CallOutcome, Error, Simulation};

/// The search stops when the bounds are this close, as a fraction of the upper one, as in geth.
const TOLERANCE: f64 = 0.015;
/// Gas of a transfer to an account without code.
const TRANSFER: u64 = 21_000;

/// The least gas, within [`TOLERANCE`], with which the transaction succeeds.
pub(super) fn estimate_gas(reader: &Reader<'_>, params: &Params) -> Answer {
    let (mut call, place) = call::prepare(reader, params)?;
    call.tx.gas_limit = affordable(reader, place, &call)?;
    let limit = call.tx.gas_limit;
    if is_transfer(reader, &call)
        && limit >= TRANSFER
        && succeeds(reader, place, &mut call, TRANSFER)?
    {
        return quantity(TRANSFER);
    }
    let most = attempt(reader, place, &mut call, limit)?;
    let most = match most {
        Some(outcome) if outcome.success => outcome,
        Some(outcome)
            if outcome.halt.as_deref().is_some_and(|halt| halt.starts_with("OutOfGas")) =>
        {
            return Err(RpcError::server(format!("gas required exceeds allowance ({limit})")));
        }
        Some(outcome) => return Err(RpcError::failed(&outcome)),
        None => {
            return Err(RpcError::server(format!("gas required exceeds allowance ({limit})")));
        }
    };
    let (mut low, mut high) = (most.gas_used.saturating_sub(1), limit);
    // Most transactions need what they used, plus the 1/64 that calls hold back.
    let likely = (most.gas_used + 2_300).saturating_mul(64) / 63;
    if likely < high {
        if succeeds(reader, place, &mut call, likely)? { high = likely } else { low = likely }
    }
    while low + 1 < high {
        if (high - low) as f64 / (high as f64) < TOLERANCE {
            break;
        }
        // Needs are rarely far above what was used: look there first.
        let middle = (low + (high - low) / 2).min(low.saturating_mul(2).max(low + 1));
        if succeeds(reader, place, &mut call, middle)? { high = middle } else { low = middle }
    }
    quantity(high)
}

/// The gas limit of the request, or as much as its sender can pay for.
fn affordable(reader: &Reader<'_>, place: Simulation, call: &Call) -> Result<u64, RpcError> {
    let tx = &call.tx;
    if tx.caller.is_zero() {
        return Ok(tx.gas_limit);
    }
    let balance = reader.chain.caller_balance(&reader.inner, place, call)?;
    let Some(left) = balance.checked_sub(tx.value) else {
        return Err(RpcError::server("insufficient funds for transfer"));
    };
    let payable = left.checked_div(U256::from(tx.gas_price));
    Ok(payable.map_or(tx.gas_limit, |gas| tx.gas_limit.min(gas.saturating_to())))
}

fn is_transfer(reader: &Reader<'_>, call: &Call) -> bool {
    let TxKind::Call(to) = call.tx.kind else { return false };
    call.tx.data.is_empty() && call.state.is_none() && reader.inner.account(to).is_codeless()
}

fn succeeds(
    reader: &Reader<'_>,
    place: Simulation,
    call: &mut Call,
    gas: u64,
) -> Result<bool, RpcError> {
    Ok(attempt(reader, place, call, gas)?.is_some_and(|outcome| outcome.success))
}

/// `None` when the gas does not even cover the intrinsic cost.
fn attempt(
    reader: &Reader<'_>,
    place: Simulation,
    call: &mut Call,
    gas: u64,
) -> Result<Option<CallOutcome>, RpcError> {
    call.tx.gas_limit = gas;
    match reader.chain.simulate(&reader.inner, place, call) {
        Ok(outcome) => Ok(Some(outcome)),
        Err(Error::Invalid(
            Invalid::CallGasCostMoreThanGasLimit { .. } | Invalid::GasFloorMoreThanGasLimit { .. },
        )) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
