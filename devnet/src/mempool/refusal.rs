//! Why a transaction is not taken into the pool, in geth's words: clients match on them.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    primitives::{Address, U256},
};
use thiserror::Error;

use super::Pooled;

/// EIP-3860: twice the 24,576 bytes of EIP-170.
const MAX_INITCODE: usize = 2 * 24_576;

/// Why a transaction is refused before it is executed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The very same transaction waits already, or is in a block.
    #[error("already known")]
    AlreadyKnown,
    /// It would replace another without paying enough more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Blob and set-code transactions.
    #[error("transaction type not supported")]
    UnsupportedType,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {given} want {expected}")]
    ChainId {
        /// Id in the transaction.
        given: u64,
        /// The chain's.
        expected: u64,
    },
    /// The signature recovers to nobody.
    #[error("invalid sender")]
    InvalidSender,
    /// The nonce has been used.
    #[error("nonce too low: next nonce {expected}, tx nonce {given}")]
    NonceTooLow {
        /// Nonce in the transaction.
        given: u64,
        /// The account's next.
        expected: u64,
    },
    /// Asks for more gas than a transaction may.
    #[error("exceeds block gas limit")]
    GasLimit {
        /// Gas asked for.
        given: u64,
        /// Most that may be asked for.
        limit: u64,
    },
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {given}, minimum needed {needed}")]
    IntrinsicGas {
        /// Gas limit in the transaction.
        given: u64,
        /// Cost of its data, access list and creation.
        needed: u64,
    },
    /// Init code above EIP-3860's limit.
    #[error("max initcode size exceeded: code size {given}, limit {limit}")]
    InitcodeSize {
        /// Bytes given.
        given: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Would not pay the base fee.
    #[error(
        "max fee per gas less than block base fee: address {sender}, maxFeePerGas: {given}, baseFee: {base_fee}"
    )]
    FeeCapTooLow {
        /// Sender.
        sender: Address,
        /// Fee cap in the transaction, in wei.
        given: u128,
        /// The block's, in wei.
        base_fee: u64,
    },
    /// Offers a tip above its own cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: address {sender}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap {
        /// Sender.
        sender: Address,
        /// Tip, in wei.
        tip: u128,
        /// Cap, in wei.
        cap: u128,
    },
    /// The sender cannot pay for value and gas at the full price.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        .cost.saturating_sub(*.balance)
    )]
    InsufficientFunds {
        /// What the sender has, in wei.
        balance: U256,
        /// What the transaction may cost, in wei.
        cost: U256,
    },
}

/// What the checks compare a transaction with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Against {
    pub(crate) chain_id: u64,
    pub(crate) tx_gas_limit: u64,
    pub(crate) base_fee: u64,
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
}

/// Refuses what could never be executed, cheapest checks first.
pub(crate) fn check(tx: &Pooled, against: &Against) -> Result<(), Refusal> {
    let (envelope, sender) = (&tx.envelope, tx.sender);
    if !matches!(envelope, TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_))
    {
        return Err(Refusal::UnsupportedType);
    }
    if let Some(given) = envelope.chain_id()
        && given != against.chain_id
    {
        return Err(Refusal::ChainId { given, expected: against.chain_id });
    }
    if envelope.is_create() && envelope.input().len() > MAX_INITCODE {
        return Err(Refusal::InitcodeSize { given: envelope.input().len(), limit: MAX_INITCODE });
    }
    let given = envelope.gas_limit();
    if given > against.tx_gas_limit {
        return Err(Refusal::GasLimit { given, limit: against.tx_gas_limit });
    }
    let cap = envelope.max_fee_per_gas();
    let tip = envelope.max_priority_fee_per_gas().unwrap_or_default();
    if tip > cap {
        return Err(Refusal::TipAboveFeeCap { sender, tip, cap });
    }
    if cap < u128::from(against.base_fee) {
        return Err(Refusal::FeeCapTooLow { sender, given: cap, base_fee: against.base_fee });
    }
    if envelope.nonce() < against.nonce {
        return Err(Refusal::NonceTooLow { given: envelope.nonce(), expected: against.nonce });
    }
    let cost = U256::from(given).saturating_mul(U256::from(cap)).saturating_add(envelope.value());
    if cost > against.balance {
        return Err(Refusal::InsufficientFunds { balance: against.balance, cost });
    }
    let needed = intrinsic_gas(envelope);
    if given < needed {
        return Err(Refusal::IntrinsicGas { given, needed });
    }
    Ok(())
}

/// Gas of a transaction before its first instruction (EIP-2028, 2930, 3860).
fn intrinsic_gas(tx: &TxEnvelope) -> u64 {
    let data: u64 = tx.input().iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
    let creation =
        if tx.is_create() { 32_000 + 2 * tx.input().len().div_ceil(32) as u64 } else { 0 };
    let list = tx.access_list().map_or(0, |list| {
        let keys: usize = list.iter().map(|item| item.storage_keys.len()).sum();
        2_400 * list.len() as u64 + 1_900 * keys as u64
    });
    21_000 + data + creation + list
}
