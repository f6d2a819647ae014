//! Blocks.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::primitives::BlockTransactions,
    primitives::{B256, U256},
    rpc::types::{self, Header},
};
use serde_json::{Value, json};

use super::{Answer, Params, Reader, RpcError, quantity, transaction, value};
use crate::block::Block;

pub(super) fn by_number(reader: &Reader<'_>, params: &Params) -> Answer {
    let tag: BlockNumberOrTag = params.required(0, "block number")?;
    let full: bool = params.optional(1, "full transactions")?.unwrap_or_default();
    if tag.is_pending() {
        return render(&reader.chain.pending_block(&reader.inner), full);
    }
    reader.block(tag.into()).map_or(Ok(Value::Null), |block| render(block, full))
}

pub(super) fn by_hash(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "block hash")?;
    let full: bool = params.optional(1, "full transactions")?.unwrap_or_default();
    reader.block(hash.into()).map_or(Ok(Value::Null), |block| render(block, full))
}

pub(super) fn receipts(reader: &Reader<'_>, params: &Params) -> Answer {
    let id: BlockId = params.required(0, "block")?;
    let Some(block) = reader.block(id) else { return Ok(Value::Null) };
    let receipts = block.transactions.iter().map(|tx| transaction::render_receipt(block, tx));
    value(receipts.collect::<Result<Vec<_>, _>>()?)
}

pub(super) fn transaction_count_by_number(reader: &Reader<'_>, params: &Params) -> Answer {
    let tag: BlockNumberOrTag = params.required(0, "block number")?;
    transaction_count(reader, tag.into())
}

pub(super) fn transaction_count_by_hash(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "block hash")?;
    transaction_count(reader, hash.into())
}

fn transaction_count(reader: &Reader<'_>, id: BlockId) -> Answer {
    reader.block(id).map_or(Ok(Value::Null), |block| quantity(block.transactions.len()))
}

/// The header as clients get it.
pub(super) fn header(block: &Block) -> Header {
    Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::from(block.size)),
    }
}

fn render(block: &Block, full: bool) -> Answer {
    let transactions = if full {
        let transactions = block.transactions.iter().map(|tx| transaction::mined(block, tx));
        BlockTransactions::Full(transactions.collect())
    } else {
        BlockTransactions::Hashes(
            block.transactions.iter().map(|tx| tx.receipt.transaction_hash).collect(),
        )
    };
    let rendered = types::Block::new(header(block), transactions)
        .with_withdrawals(Some(alloy::eips::eip4895::Withdrawals::default()));
    with_l1_block(value(rendered)?, block.number())
}

/// Adds the field by which Arbitrum says which parent chain block was current; here each block has
/// its own.
pub(super) fn with_l1_block(mut rendered: Value, number: u64) -> Result<Value, RpcError> {
    if let Some(fields) = rendered.as_object_mut() {
        fields.insert("l1BlockNumber".into(), json!(format!("{number:#x}")));
    }
    Ok(rendered)
}
