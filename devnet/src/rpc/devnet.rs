//! The `devnet_` methods: what real life does to chains and nodes, on request.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Node, Params, Reader, RpcError, eth, value};
use crate::{chain::ReorgMode, faults::FaultRule};

/// Answers `devnet_{name}`; `None` when there is no such method.
pub(super) fn answer(node: &Node, name: &str, params: &Params) -> Option<Answer> {
    let answer = match name {
        "reorg" => reorg(node, params),
        "setFault" => set_fault(node, params),
        "clearFaults" => {
            node.faults.clear();
            Ok(json!(true))
        }
        "faults" => value(node.faults.rules()),
        "pause" => {
            node.chain.pause();
            Ok(json!(true))
        }
        "resume" => node.chain.resume().map(|()| json!(true)).map_err(RpcError::from),
        "isPaused" => Ok(json!(node.chain.is_paused())),
        "stateRoot" => eth::proof::state_root(&Reader::new(&node.chain, &[]), params),
        "receipt" => receipt(node, params),
        _ => return None,
    };
    Some(answer)
}

/// What a reorganization is asked for by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReorgRequest {
    depth: u64,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    #[default]
    Keep,
    Drop,
}

fn reorg(node: &Node, params: &Params) -> Answer {
    let request: ReorgRequest = params.required(0, "reorganization")?;
    let mode = match request.mode {
        Mode::Keep => ReorgMode::Keep,
        Mode::Drop => ReorgMode::Drop,
    };
    node.chain.reorg(request.depth, mode)?;
    value(node.chain.head().hash)
}

fn set_fault(node: &Node, params: &Params) -> Answer {
    let rule: FaultRule = params.required(0, "rule")?;
    node.faults.set(rule);
    Ok(json!(true))
}

/// Return or revert data, and the halt reason, of a transaction: receipts do not say.
fn receipt(node: &Node, params: &Params) -> Answer {
    let hash = params.required(0, "transaction hash")?;
    node.chain.receipt(hash).map_or(Ok(Value::Null), value)
}
