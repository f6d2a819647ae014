//! Transactions and receipts.

use alloy::{
    consensus::{ReceiptEnvelope, ReceiptWithBloom, Transaction as _, transaction::Recovered},
    eips::{BlockId, BlockNumberOrTag, Encodable2718},
    primitives::{B256, Bytes},
    rpc::types::{self, TransactionReceipt},
};
use serde_json::{Value, json};

use super::{Answer, Params, Reader, block, value};
use crate::{
    block::{Block, Transaction},
    chain::query::rpc_logs,
    mempool::Pooled,
};

pub(super) fn by_hash(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "transaction hash")?;
    match reader.transaction(hash) {
        Some((block, tx)) => value(mined(block, tx)),
        None => reader.inner.pool.get(hash).map_or(Ok(Value::Null), |tx| value(pending(tx))),
    }
}

pub(super) fn by_number_and_index(reader: &Reader<'_>, params: &Params) -> Answer {
    let tag: BlockNumberOrTag = params.required(0, "block number")?;
    by_index(reader, tag.into(), params)
}

pub(super) fn by_hash_and_index(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "block hash")?;
    by_index(reader, hash.into(), params)
}

pub(super) fn raw(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "transaction hash")?;
    let mined = reader.transaction(hash).map(|(_, tx)| &tx.envelope);
    let envelope = mined.or_else(|| Some(&reader.inner.pool.get(hash)?.envelope));
    value(envelope.map(|envelope| Bytes::from(envelope.encoded_2718())))
}

pub(super) fn receipt(reader: &Reader<'_>, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "transaction hash")?;
    reader.transaction(hash).map_or(Ok(Value::Null), |(block, tx)| render_receipt(block, tx))
}

/// A transaction of a block as clients get it.
pub(super) fn mined(block: &Block, tx: &Transaction) -> types::Transaction {
    types::Transaction {
        inner: Recovered::new_unchecked(tx.envelope.clone(), tx.sender),
        block_hash: Some(block.hash),
        block_number: Some(block.number()),
        transaction_index: Some(tx.receipt.transaction_index),
        effective_gas_price: Some(tx.receipt.effective_gas_price),
        block_timestamp: Some(block.header.timestamp),
    }
}

/// A waiting transaction as clients get it.
pub(super) fn pending(tx: &Pooled) -> types::Transaction {
    types::Transaction {
        inner: Recovered::new_unchecked(tx.envelope.clone(), tx.sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(tx.envelope.max_fee_per_gas()),
        block_timestamp: None,
    }
}

/// A receipt as clients get it, with Arbitrum's extra fields.
pub(super) fn render_receipt(block: &Block, tx: &Transaction) -> Answer {
    let outcome = &tx.receipt;
    let consensus = crate::block::consensus_receipt(tx);
    let bloom = *consensus.logs_bloom();
    let receipt = alloy::consensus::Receipt {
        status: outcome.success.into(),
        cumulative_gas_used: outcome.cumulative_gas_used,
        logs: rpc_logs(block, tx).collect(),
    };
    let inner: ReceiptEnvelope<types::Log> = match consensus {
        ReceiptEnvelope::Eip2930(_) => {
            ReceiptEnvelope::Eip2930(ReceiptWithBloom { receipt, logs_bloom: bloom })
        }
        ReceiptEnvelope::Eip1559(_) => {
            ReceiptEnvelope::Eip1559(ReceiptWithBloom { receipt, logs_bloom: bloom })
        }
        _ => ReceiptEnvelope::Legacy(ReceiptWithBloom { receipt, logs_bloom: bloom }),
    };
    let mut rendered = block::with_l1_block(
        value(TransactionReceipt {
            inner,
            transaction_hash: outcome.transaction_hash,
            transaction_index: Some(outcome.transaction_index),
            block_hash: Some(block.hash),
            block_number: Some(block.number()),
            gas_used: outcome.gas_used,
            effective_gas_price: outcome.effective_gas_price,
            blob_gas_used: None,
            blob_gas_price: None,
            from: outcome.from,
            to: outcome.to,
            contract_address: outcome.contract_address,
        })?,
        block.number(),
    )?;
    if let Some(fields) = rendered.as_object_mut() {
        // The data of a transaction costs nothing extra here.
        fields.insert("gasUsedForL1".into(), json!("0x0"));
    }
    Ok(rendered)
}

fn by_index(reader: &Reader<'_>, id: BlockId, params: &Params) -> Answer {
    let index = params.required_number(1, "index")?;
    let Some(block) = reader.block(id) else { return Ok(Value::Null) };
    let tx = usize::try_from(index).ok().and_then(|index| block.transactions.get(index));
    tx.map_or(Ok(Value::Null), |tx| value(mined(block, tx)))
}
