//! What subscribers and filters are told of the chain's events.

use alloy::rpc::types::{Filter, Log};
use serde_json::{Value, json};

use super::{RpcError, block, value};
use crate::chain::{Event, query::matching_logs};

/// The header of a new head.
pub(crate) fn head_notice(event: &Event) -> Result<Option<Value>, RpcError> {
    match event {
        Event::Added(added) => {
            block::with_l1_block(value(block::header(added))?, added.number()).map(Some)
        }
        Event::Removed(_) | Event::Pending(_) => Ok(None),
    }
}

/// The hash of a new transaction in the pool.
pub(crate) fn pending_notice(event: &Event) -> Option<Value> {
    match event {
        Event::Pending(hash) => Some(json!(hash)),
        Event::Added(_) | Event::Removed(_) => None,
    }
}

/// Logs that have come, or are taken back (`removed`), last first.
pub(crate) fn log_notices(event: &Event, filter: &Filter) -> Result<Vec<Value>, RpcError> {
    match event {
        Event::Added(block) => matching_logs(block, filter).map(value).collect(),
        Event::Removed(block) => {
            let mut logs: Vec<Log> = matching_logs(block, filter).collect();
            logs.reverse();
            logs.into_iter().map(|log| value(Log { removed: true, ..log })).collect()
        }
        Event::Pending(_) => Ok(Vec::new()),
    }
}
