//! What activating a program costs, asked before it is there.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256, keccak256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use chain::{ChainClient, client};
use protocol::abi::arbos::{ARB_WASM, ArbWasm};
use serde_json::json;

/// More than any program costs; the rest comes back.
const PLENTY: u64 = 1_000_000_000_000_000_000;

/// Wei to send along with the activation of `code`, a fifth above what it costs now: the fee moves with the chain's data
/// price. Zero when the same code is activated already.
pub(crate) async fn fee(
    client: &ChainClient,
    from: Address,
    code: &Bytes,
) -> Result<U256, client::Error> {
    // An account that nothing lives at, made to hold the code for the length of one call.
    let program = Address::from_word(keccak256(code));
    let request = TransactionRequest {
        from: Some(from),
        value: Some(U256::from(PLENTY)),
        ..TransactionRequest::default()
    }
    .to(ARB_WASM)
    .input(Bytes::from(ArbWasm::activateProgramCall { program }.abi_encode()).into());
    let overrides = json!({
        format!("{program:#x}"): { "code": code },
        format!("{from:#x}"): { "balance": U256::from(PLENTY) * U256::from(2) },
    });
    let params = json!([request, BlockNumberOrTag::Latest, overrides]);
    match client.request::<Bytes>("eth_call", &params).await {
        Ok(answer) => {
            let answer = ArbWasm::activateProgramCall::abi_decode_returns(&answer);
            let fee = answer.map_err(|error| client::Error::Decode {
                what: "activateProgram".to_owned(),
                detail: error.to_string(),
            })?;
            Ok(fee.dataFee + fee.dataFee / U256::from(5))
        }
        Err(client::Error::Reverted { revert, .. })
            if revert.decode_as::<ArbWasm::ProgramUpToDate>().is_some() =>
        {
            Ok(U256::ZERO)
        }
        Err(error) => Err(error),
    }
}
