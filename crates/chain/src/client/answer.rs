//! The part of a node's answers that we use.
//!
//! Clients of different makers and versions agree on what is hashed and differ in the rest (`totalDifficulty`, `size`,
//! `blockTimestamp` of logs): that is left out before answers are compared.

use alloy::{
    primitives::{B256, U64},
    rpc::types::Log,
};
use serde::Deserialize;

use super::BlockHeader;

/// A block as `eth_getBlockBy…` answers it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    gas_limit: U64,
    #[serde(default)]
    base_fee_per_gas: Option<U64>,
}

impl From<Header> for BlockHeader {
    fn from(header: Header) -> Self {
        Self {
            number: header.number.to(),
            hash: header.hash,
            parent_hash: header.parent_hash,
            timestamp: header.timestamp.to(),
            base_fee: header.base_fee_per_gas.unwrap_or_default().to(),
            gas_limit: header.gas_limit.to(),
        }
    }
}

/// Logs as `eth_getLogs` answers them.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "Vec<Log>")]
pub(super) struct Logs(pub(super) Vec<Log>);

impl From<Vec<Log>> for Logs {
    fn from(logs: Vec<Log>) -> Self {
        let agreed = |log: Log| Log { block_timestamp: None, removed: false, ..log };
        Self(logs.into_iter().map(agreed).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(mut object: Value, extra: Value) -> Value {
        let (fields, more) = (object.as_object_mut().unwrap(), extra.as_object().unwrap());
        fields.extend(more.clone());
        object
    }

    #[test]
    fn clients_of_two_versions_give_the_same_header() {
        let plain = json!({
            "number": "0x10", "hash": B256::repeat_byte(1), "parentHash": B256::repeat_byte(2),
            "timestamp": "0x65", "gasLimit": "0x1c9c380", "baseFeePerGas": "0x7",
        });
        let extra = json!({ "totalDifficulty": "0x0", "size": "0x220", "l1BlockNumber": "0x1" });
        let old: Header = serde_json::from_value(with(plain.clone(), extra)).unwrap();
        let new: Header = serde_json::from_value(plain).unwrap();
        assert_eq!(old, new);
        let header = BlockHeader::from(new);
        assert_eq!((header.number, header.timestamp, header.base_fee), (16, 101, 7));
        assert_eq!(header.gas_limit, 30_000_000);
    }

    #[test]
    fn clients_of_two_versions_give_the_same_logs() {
        let plain = json!({
            "address": "0x00000000000000000000000000000000000000be", "topics": [], "data": "0x01",
            "blockNumber": "0x10", "blockHash": B256::repeat_byte(1), "logIndex": "0x0",
            "transactionHash": B256::repeat_byte(3), "transactionIndex": "0x0",
        });
        let stamped = with(plain.clone(), json!({ "blockTimestamp": "0x65", "removed": false }));
        let new: Logs = serde_json::from_value(json!([stamped])).unwrap();
        let old: Logs = serde_json::from_value(json!([plain])).unwrap();
        assert_eq!(old, new);
        let other = with(plain, json!({ "data": "0x02" }));
        let other: Logs = serde_json::from_value(json!([other])).unwrap();
        assert_ne!(old, other);
    }
}
