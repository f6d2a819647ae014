//! The methods of a node: every one a function from parameters to a JSON value.

mod anvil;
mod debug;
mod devnet;
mod error;
mod eth;
mod filters;
mod params;
mod reader;

use alloy::primitives::{Bytes, keccak256};
pub(crate) use error::{INVALID_REQUEST, LIMIT, PARSE, RpcError};
pub(crate) use eth::{head_notice, log_notices, pending_notice};
pub(crate) use filters::{Filters, Watched};
pub(crate) use params::Params;
pub(crate) use reader::Reader;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    chain::Chain,
    faults::{Fault, Faults},
};

/// What a method returns.
pub(crate) type Answer = Result<Value, RpcError>;

/// A chain with what its server remembers about clients.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) chain: Chain,
    pub(crate) faults: Faults,
    pub(crate) filters: Filters,
}

impl Node {
    pub(crate) fn new(chain: Chain, faults: Faults) -> Self {
        Self { chain, faults, filters: Filters::default() }
    }

    /// Answers one call. `faults` are those that shape the answer: a stale head, lying logs.
    pub(crate) fn answer(&self, method: &str, params: &Params, faults: &[Fault]) -> Answer {
        let Some((namespace, name)) = method.split_once('_') else {
            return Err(RpcError::method_not_found(method));
        };
        let answer = match namespace {
            "eth" => eth::answer(self, name, params, faults),
            "anvil" | "evm" | "hardhat" => anvil::answer(self, namespace, name, params),
            "devnet" => devnet::answer(self, name, params),
            "debug" => debug::answer(self, name, params),
            "net" => self.net(name),
            "web3" => web3(name, params),
            "txpool" => self.txpool(name),
            "personal" if name == "sign" => eth::answer(self, "personalSign", params, faults),
            _ => None,
        };
        answer.unwrap_or_else(|| Err(RpcError::method_not_found(method)))
    }

    fn net(&self, name: &str) -> Option<Answer> {
        match name {
            "version" => Some(Ok(json!(self.chain.chain_id().to_string()))),
            "listening" => Some(Ok(json!(true))),
            "peerCount" => Some(Ok(json!("0x0"))),
            _ => None,
        }
    }

    fn txpool(&self, name: &str) -> Option<Answer> {
        if name != "status" {
            return None;
        }
        let inner = self.chain.read();
        let all = inner.pool.len();
        let pending: usize = {
            let mut senders: Vec<_> = inner.pool.iter().map(|tx| tx.sender).collect();
            senders.dedup();
            let runs = senders.into_iter().map(|sender| {
                let nonce = inner.account(sender).nonce;
                inner.pool.next_nonce(sender, nonce) - nonce
            });
            runs.sum::<u64>() as usize
        };
        Some(Ok(json!({
            "pending": format!("{pending:#x}"),
            "queued": format!("{:#x}", all - pending),
        })))
    }
}

fn web3(name: &str, params: &Params) -> Option<Answer> {
    match name {
        "clientVersion" => {
            Some(Ok(json!(concat!("metalayer-devnet/v", env!("CARGO_PKG_VERSION")))))
        }
        "sha3" => Some(params.required::<Bytes>(0, "data").and_then(|data| value(keccak256(data)))),
        _ => None,
    }
}

/// `answer` as JSON.
pub(crate) fn value(answer: impl Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| RpcError::server(error.to_string()))
}

/// A number as JSON-RPC writes quantities.
pub(crate) fn quantity(number: impl std::fmt::LowerHex) -> Answer {
    Ok(json!(format!("{number:#x}")))
}
