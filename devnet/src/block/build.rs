//! Seals transactions that have been executed into a block.

use alloy::rlp::Encodable;
use alloy::{
    consensus::{
        Block as ConsensusBlock, BlockBody, Header, Receipt as ConsensusReceipt, ReceiptEnvelope,
        TxEnvelope, constants::EMPTY_WITHDRAWALS, proofs,
    },
    eips::eip4895::Withdrawals,
    primitives::{Address, B256, Bloom, U256},
};

use super::{Block, Transaction};

/// What a block is made of besides its transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockParts {
    pub(crate) parent_hash: B256,
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) beneficiary: Address,
    pub(crate) gas_limit: u64,
    pub(crate) base_fee: u64,
    pub(crate) prevrandao: B256,
    pub(crate) state_root: B256,
}

/// Computes roots, bloom and hash, and writes the block's place into the receipts.
pub(crate) fn build(parts: &BlockParts, mut transactions: Vec<Transaction>) -> Block {
    let receipts: Vec<_> = transactions.iter().map(consensus_receipt).collect();
    let logs_bloom =
        receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    let gas_used = transactions.last().map_or(0, |tx| tx.receipt.cumulative_gas_used);
    let envelopes: Vec<TxEnvelope> = transactions.iter().map(|tx| tx.envelope.clone()).collect();
    let header = Header {
        parent_hash: parts.parent_hash,
        beneficiary: parts.beneficiary,
        state_root: parts.state_root,
        transactions_root: proofs::calculate_transaction_root(&envelopes),
        receipts_root: proofs::calculate_receipt_root(&receipts),
        logs_bloom,
        difficulty: U256::ZERO,
        number: parts.number,
        gas_limit: parts.gas_limit,
        gas_used,
        timestamp: parts.timestamp,
        mix_hash: parts.prevrandao,
        base_fee_per_gas: Some(parts.base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        ..Header::default()
    };
    let hash = header.hash_slow();
    for (index, tx) in transactions.iter_mut().enumerate() {
        tx.receipt.transaction_index = index as u64;
        tx.receipt.block_hash = hash;
        tx.receipt.block_number = parts.number;
    }
    let body = BlockBody {
        transactions: envelopes,
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::default()),
    };
    let whole = ConsensusBlock { header, body };
    let size = whole.length();
    Block { header: whole.header, hash, transactions, size }
}

/// The receipt as the receipts root commits to it.
pub(crate) fn consensus_receipt(tx: &Transaction) -> ReceiptEnvelope {
    let receipt = ConsensusReceipt {
        status: tx.receipt.success.into(),
        cumulative_gas_used: tx.receipt.cumulative_gas_used,
        logs: tx.receipt.logs.clone(),
    };
    ReceiptEnvelope::from_typed(tx.envelope.tx_type(), receipt)
}
