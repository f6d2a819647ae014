//! Logs and filters.

use alloy::{
    primitives::{LogData, U64},
    rpc::types::{Filter, Log},
};
use serde_json::json;

use super::{Answer, Node, Params, Reader, RpcError, quantity, value};
use crate::{
    chain::Chain,
    faults::{Fault, ForgedLog},
    rpc::Watched,
};

pub(super) fn get(reader: &Reader<'_>, params: &Params, faults: &[Fault]) -> Answer {
    let filter: Filter = params.required(0, "filter")?;
    value(logs(reader, &filter, faults)?)
}

pub(super) fn new_filter(node: &Node, params: &Params) -> Answer {
    let filter: Filter = params.required(0, "filter")?;
    install(&node.chain, node, Watched::Logs(Box::new(filter)))
}

pub(super) fn new_block_filter(node: &Node) -> Answer {
    install(&node.chain, node, Watched::Blocks)
}

pub(super) fn new_pending_filter(node: &Node) -> Answer {
    install(&node.chain, node, Watched::Pending)
}

pub(super) fn uninstall(node: &Node, params: &Params) -> Answer {
    Ok(json!(node.filters.uninstall(filter_id(params)?)))
}

pub(super) fn filter_changes(node: &Node, params: &Params) -> Answer {
    node.filters.changes(filter_id(params)?)
}

pub(super) fn filter_logs(node: &Node, params: &Params, faults: &[Fault]) -> Answer {
    let filter = node.filters.logs(filter_id(params)?)?;
    value(logs(&Reader::new(&node.chain, faults), &filter, faults)?)
}

fn logs(reader: &Reader<'_>, filter: &Filter, faults: &[Fault]) -> Result<Vec<Log>, RpcError> {
    let mut logs = reader.chain.logs_up_to(&reader.inner, filter, reader.head)?;
    for fault in faults {
        match fault {
            Fault::OmitLogs { every } => omit(&mut logs, *every),
            Fault::ForgeLogs { logs: forged } => {
                let from = filter.get_from_block().unwrap_or(reader.head).min(reader.head);
                forge(reader, &mut logs, forged, from);
            }
            Fault::Latency { .. }
            | Fault::Error { .. }
            | Fault::Drop
            | Fault::DropAnswer
            | Fault::RateLimit
            | Fault::Stale { .. } => {}
        }
    }
    Ok(logs)
}

/// Leaves out every `every`-th log.
fn omit(logs: &mut Vec<Log>, every: usize) {
    let mut index = 0_usize;
    logs.retain(|_| {
        index += 1;
        !index.is_multiple_of(every.max(1))
    });
}

/// Adds logs that claim to be from block `number`.
fn forge(reader: &Reader<'_>, logs: &mut Vec<Log>, forged: &[ForgedLog], number: u64) {
    let Some(block) = reader.inner.ledger.block(number) else { return };
    let transaction =
        block.transactions.first().map_or(block.hash, |tx| tx.receipt.transaction_hash);
    logs.extend(forged.iter().enumerate().map(|(index, log)| Log {
        inner: alloy::primitives::Log {
            address: log.address,
            data: LogData::new_unchecked(log.topics.clone(), log.data.clone()),
        },
        block_hash: Some(block.hash),
        block_number: Some(number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(transaction),
        transaction_index: Some(0),
        log_index: Some(block.logs().count() as u64 + index as u64),
        removed: false,
    }));
}

fn install(chain: &Chain, node: &Node, watched: Watched) -> Answer {
    quantity(node.filters.install(chain, watched))
}

fn filter_id(params: &Params) -> Result<u64, RpcError> {
    let id: U64 = params.required(0, "filter id")?;
    Ok(id.to())
}
