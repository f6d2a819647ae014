//! Prices.

use alloy::{consensus::Transaction as _, eips::BlockNumberOrTag, rpc::types::FeeHistory};

use super::{Answer, Params, Reader, RpcError, quantity, value};
use crate::block::Block;

/// Most blocks that one fee history covers, as in geth.
const MAX_BLOCKS: u64 = 1_024;

/// The base fee: on Arbitrum nobody needs to tip.
pub(super) fn gas_price(reader: &Reader<'_>) -> Answer {
    quantity(reader.inner.base_fee)
}

pub(super) fn history(reader: &Reader<'_>, params: &Params) -> Answer {
    let count = params.required_number(0, "block count")?.min(MAX_BLOCKS);
    let newest: BlockNumberOrTag = params.required(1, "newest block")?;
    let percentiles: Vec<f64> = params.optional(2, "reward percentiles")?.unwrap_or_default();
    let sorted = percentiles.windows(2).all(|pair| pair[0] <= pair[1]);
    if !sorted || percentiles.iter().any(|p| !(0.0..=100.0).contains(p)) {
        return Err(RpcError::invalid_params("invalid reward percentile"));
    }
    let last = reader.number(newest.into())?;
    let oldest = (last + 1).saturating_sub(count).max(reader.inner.ledger.oldest());
    let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    if count > 0 {
        for block in reader.inner.ledger.range(oldest, last) {
            let header = &block.header;
            history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
            history.gas_used_ratio.push(header.gas_used as f64 / header.gas_limit as f64);
            history.base_fee_per_blob_gas.push(1);
            history.blob_gas_used_ratio.push(0.0);
            rewards.push(tips(block, &percentiles));
        }
        let next =
            reader.inner.ledger.block(last + 1).and_then(|next| next.header.base_fee_per_gas);
        history.base_fee_per_gas.push(next.unwrap_or(reader.inner.base_fee).into());
        history.base_fee_per_blob_gas.push(1);
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    value(history)
}

/// Tips at each percentile of the block's gas.
fn tips(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut paid: Vec<(u128, u64)> = block
        .transactions
        .iter()
        .map(|tx| {
            let tip = tx.envelope.effective_tip_per_gas(base_fee).unwrap_or_default();
            (tip, tx.receipt.gas_used)
        })
        .collect();
    paid.sort_unstable();
    let at = |percentile: &f64| {
        let threshold = block.header.gas_used as f64 * percentile / 100.0;
        let mut gas = 0;
        let reached = paid.iter().find(|(_, used)| {
            gas += used;
            gas as f64 >= threshold
        });
        reached.map_or(0, |(tip, _)| *tip)
    };
    percentiles.iter().map(at).collect()
}
