//! What tests arrange: `anvil_`, `evm_` and `hardhat_` methods, under any of the three prefixes.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};

use super::{Answer, Node, Params, RpcError, quantity, value};
use crate::{
    chain::Mining,
    persist::{dump, restore},
};

/// Answers `{namespace}_{name}`; `None` when there is no such method.
pub(super) fn answer(node: &Node, namespace: &str, name: &str, params: &Params) -> Option<Answer> {
    mining(node, namespace, name, params)
        .or_else(|| accounts(node, name, params))
        .or_else(|| moments(node, name, params))
}

/// Blocks, time and prices.
fn mining(node: &Node, namespace: &str, name: &str, params: &Params) -> Option<Answer> {
    let chain = &node.chain;
    let answer = match name {
        "mine" if namespace == "evm" => evm_mine(node, params),
        "mine" => mine(node, params),
        "setAutomine" => params.required(0, "enabled").and_then(|enabled: bool| {
            done(chain.set_mining(if enabled { Mining::Automatic } else { Mining::Manual }))
        }),
        "getAutomine" => Ok(json!(chain.read().mining == Mining::Automatic)),
        "setIntervalMining" => set_interval(node, params),
        "getIntervalMining" => {
            let interval = chain.read().mining.interval();
            Ok(json!(interval.map(|interval| interval.as_secs_f64())))
        }
        "increaseTime" => params.required_number(0, "seconds").map(|seconds| {
            chain.increase_time(seconds);
            json!(seconds)
        }),
        "setNextBlockTimestamp" | "setTime" => params
            .required_number(0, "timestamp")
            .and_then(|timestamp| done(chain.set_next_timestamp(timestamp))),
        "setNextBlockBaseFeePerGas" => params.required_number(0, "base fee").map(|fee| {
            chain.set_base_fee(fee);
            json!(true)
        }),
        "setCoinbase" => params.required(0, "coinbase").map(|coinbase| {
            chain.set_coinbase(coinbase);
            json!(true)
        }),
        "dropTransaction" => params
            .required(0, "transaction hash")
            .map(|hash: B256| if chain.drop_transaction(hash) { json!(hash) } else { Value::Null }),
        "dropAllTransactions" => {
            chain.drop_all_transactions();
            Ok(Value::Null)
        }
        _ => return None,
    };
    Some(answer)
}

/// State.
fn accounts(node: &Node, name: &str, params: &Params) -> Option<Answer> {
    let chain = &node.chain;
    let answer = match name {
        "setBalance" => set_balance(node, params),
        "setCode" => set_code(node, params),
        "setNonce" => set_nonce(node, params),
        "setStorageAt" => set_storage(node, params),
        "impersonateAccount" => params.required(0, "account").map(|account| {
            chain.impersonate(account);
            Value::Null
        }),
        "stopImpersonatingAccount" => params.required(0, "account").map(|account| {
            chain.stop_impersonating(account);
            Value::Null
        }),
        "autoImpersonateAccount" => params.required(0, "enabled").map(|enabled| {
            chain.impersonate_all(enabled);
            Value::Null
        }),
        _ => return None,
    };
    Some(answer)
}

/// Going back, and taking along.
fn moments(node: &Node, name: &str, params: &Params) -> Option<Answer> {
    let chain = &node.chain;
    let answer = match name {
        "snapshot" => quantity(chain.snapshot()),
        "revert" => params.required_number(0, "snapshot").map(|id| json!(chain.revert(id).is_ok())),
        "dumpState" => dump(chain).map_err(RpcError::server).and_then(value),
        "loadState" => load_state(node, params),
        "nodeInfo" => node_info(node),
        _ => return None,
    };
    Some(answer)
}

fn done(result: Result<(), crate::chain::Error>) -> Answer {
    result.map(|()| Value::Null).map_err(RpcError::from)
}

/// `evm_mine` takes nothing, a timestamp, or an object.
fn evm_mine(node: &Node, params: &Params) -> Answer {
    #[derive(serde::Deserialize)]
    struct Options {
        timestamp: Option<u64>,
        blocks: Option<u64>,
    }
    let (timestamp, blocks) = match params.number(0, "timestamp") {
        Ok(timestamp) => (timestamp, 1),
        Err(_) => {
            let options: Options = params.required(0, "options")?;
            (options.timestamp, options.blocks.unwrap_or(1))
        }
    };
    if let Some(timestamp) = timestamp {
        node.chain.set_next_timestamp(timestamp)?;
    }
    node.chain.mine(blocks)?;
    Ok(json!("0x0"))
}

/// `anvil_mine` takes a number of blocks and the seconds between them.
fn mine(node: &Node, params: &Params) -> Answer {
    let blocks = params.number(0, "blocks")?.unwrap_or(1);
    let Some(interval) = params.number(1, "interval")? else {
        return done(node.chain.mine(blocks));
    };
    for index in 0..blocks {
        if index > 0 {
            node.chain.set_next_timestamp(node.chain.timestamp() + interval)?;
        }
        node.chain.mine(1)?;
    }
    Ok(Value::Null)
}

/// Seconds under every prefix, as anvil has it; 0 stops the interval.
fn set_interval(node: &Node, params: &Params) -> Answer {
    let seconds = params.required_number(0, "seconds")?;
    let mining =
        if seconds == 0 { Mining::Manual } else { Mining::Interval(Duration::from_secs(seconds)) };
    done(node.chain.set_mining(mining))
}

fn set_balance(node: &Node, params: &Params) -> Answer {
    let (address, balance): (Address, U256) =
        (params.required(0, "address")?, params.required(1, "balance")?);
    done(node.chain.set_balance(address, balance))
}

fn set_code(node: &Node, params: &Params) -> Answer {
    let (address, code): (Address, Bytes) =
        (params.required(0, "address")?, params.required(1, "code")?);
    done(node.chain.set_code(address, code))
}

fn set_nonce(node: &Node, params: &Params) -> Answer {
    let address: Address = params.required(0, "address")?;
    done(node.chain.set_nonce(address, params.required_number(1, "nonce")?))
}

fn set_storage(node: &Node, params: &Params) -> Answer {
    let address: Address = params.required(0, "address")?;
    let (slot, word): (U256, U256) = (params.required(1, "slot")?, params.required(2, "value")?);
    node.chain.set_storage(address, slot, word)?;
    Ok(json!(true))
}

fn load_state(node: &Node, params: &Params) -> Answer {
    let dump: Bytes = params.required(0, "state")?;
    restore(&node.chain, &dump).map_err(RpcError::invalid_params)?;
    Ok(json!(true))
}

fn node_info(node: &Node) -> Answer {
    let inner = node.chain.read();
    let head = inner.ledger.head();
    Ok(json!({
        "currentBlockNumber": format!("{:#x}", head.number()),
        "currentBlockTimestamp": head.header.timestamp,
        "currentBlockHash": head.hash,
        "hardFork": "prague",
        "transactionOrder": "fifo",
        "environment": {
            "baseFee": format!("{:#x}", inner.base_fee),
            "chainId": node.chain.chain_id(),
            "gasLimit": format!("{:#x}", node.chain.config().block_gas_limit),
            "gasPrice": format!("{:#x}", inner.base_fee),
        },
    }))
}
