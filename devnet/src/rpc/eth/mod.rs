//! The `eth_` methods.

mod account;
mod block;
pub(super) mod call;
mod estimate;
mod fees;
mod logs;
mod notice;
pub(super) mod proof;
mod send;
mod sign;
mod transaction;

use alloy::eips::{BlockId, BlockNumberOrTag};
pub(crate) use notice::{head_notice, log_notices, pending_notice};
use serde_json::json;

use super::{Answer, Node, Params, Reader, RpcError, quantity, value};
use crate::{faults::Fault, genesis::DEV_ADDRESSES};

/// Answers `eth_{name}`; `None` when there is no such method.
pub(crate) fn answer(node: &Node, name: &str, params: &Params, faults: &[Fault]) -> Option<Answer> {
    read(node, name, params, faults).or_else(|| write(node, name, params, faults))
}

fn read(node: &Node, name: &str, params: &Params, faults: &[Fault]) -> Option<Answer> {
    let chain = &node.chain;
    let reader = || Reader::new(chain, faults);
    let answer = match name {
        "chainId" => quantity(chain.chain_id()),
        "protocolVersion" => Ok(json!("0x41")),
        "syncing" | "mining" => Ok(json!(false)),
        "hashrate" => Ok(json!("0x0")),
        "coinbase" => value(reader().inner.coinbase),
        "accounts" => value(DEV_ADDRESSES),
        "blockNumber" => quantity(reader().head),
        "getBalance" => account::balance(&reader(), params),
        "getCode" => account::code(&reader(), params),
        "getStorageAt" => account::storage(&reader(), params),
        "getTransactionCount" => account::nonce(&reader(), params),
        "getProof" => proof::get(&reader(), params),
        "getBlockByNumber" => block::by_number(&reader(), params),
        "getBlockByHash" => block::by_hash(&reader(), params),
        "getBlockReceipts" => block::receipts(&reader(), params),
        "getBlockTransactionCountByNumber" => block::transaction_count_by_number(&reader(), params),
        "getBlockTransactionCountByHash" => block::transaction_count_by_hash(&reader(), params),
        "getUncleCountByBlockNumber" | "getUncleCountByBlockHash" => Ok(json!("0x0")),
        "getUncleByBlockNumberAndIndex" | "getUncleByBlockHashAndIndex" => Ok(json!(null)),
        "getTransactionByHash" => transaction::by_hash(&reader(), params),
        "getTransactionByBlockNumberAndIndex" => {
            transaction::by_number_and_index(&reader(), params)
        }
        "getTransactionByBlockHashAndIndex" => transaction::by_hash_and_index(&reader(), params),
        "getRawTransactionByHash" => transaction::raw(&reader(), params),
        "getTransactionReceipt" => transaction::receipt(&reader(), params),
        "call" => call::call(&reader(), params),
        "estimateGas" => estimate::estimate_gas(&reader(), params),
        "createAccessList" => call::create_access_list(&reader(), params),
        "gasPrice" => fees::gas_price(&reader()),
        "maxPriorityFeePerGas" | "blobBaseFee" => Ok(json!("0x0")),
        "feeHistory" => fees::history(&reader(), params),
        "getLogs" => logs::get(&reader(), params, faults),
        _ => return None,
    };
    Some(answer)
}

fn write(node: &Node, name: &str, params: &Params, faults: &[Fault]) -> Option<Answer> {
    let answer = match name {
        "sendRawTransaction" => send::raw(node, params),
        "sendRawTransactionSync" => send::raw_sync(node, params),
        "sendTransaction" => send::unsigned(node, params),
        "sign" => sign::message(params, sign::Order::AccountFirst),
        "personalSign" => sign::message(params, sign::Order::MessageFirst),
        "signTypedData" | "signTypedData_v4" => sign::typed_data(params),
        "newFilter" => logs::new_filter(node, params),
        "newBlockFilter" => logs::new_block_filter(node),
        "newPendingTransactionFilter" => logs::new_pending_filter(node),
        "uninstallFilter" => logs::uninstall(node, params),
        "getFilterChanges" => logs::filter_changes(node, params),
        "getFilterLogs" => logs::filter_logs(node, params, faults),
        _ => return None,
    };
    Some(answer)
}

/// The block that the parameter at `index` names, the latest when absent.
fn block_id(params: &Params, index: usize) -> Result<BlockId, RpcError> {
    let id: Option<BlockId> = params.optional(index, "block")?;
    Ok(id.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest)))
}
