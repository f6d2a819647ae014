use alloy::{
    consensus::Transaction as _,
    primitives::{Address, B256},
};
use api::aggregator::{Quote, Step};
use chain::{ChainClient, client};

/// Why a transaction does not open the order of a quote.
#[derive(Debug, thiserror::Error)]
pub enum TransactionFault {
    /// The node has not heard of it.
    #[error("chain {chain} does not know transaction {hash} yet")]
    Unknown {
        /// The origin.
        chain: u64,
        /// The transaction.
        hash: B256,
    },
    /// It does something else.
    #[error("transaction {hash} is none of the quote's steps and does not open its order")]
    Foreign {
        /// The transaction.
        hash: B256,
    },
    /// It was mined and did nothing.
    #[error("transaction {hash} reverted")]
    Reverted {
        /// The transaction.
        hash: B256,
    },
    /// The chain cannot be asked.
    #[error(transparent)]
    Chain(#[from] client::Error),
}

/// When the transaction that opens the quote's order was mined, or `None` while it waits.
///
/// It is the quote's when it is its last step to the letter, or when our IntentSource says in its
/// receipt that it opened the order: wallets that are contracts send other transactions than they
/// are asked for.
///
/// # Errors
/// [`TransactionFault`].
pub async fn mined_at(
    client: &ChainClient,
    intent_source: Address,
    quote: &Quote,
    order: B256,
    hash: B256,
) -> Result<Option<u64>, TransactionFault> {
    let chain = client.chain_id().0;
    let sent = client.transaction(hash).await?;
    let sent = sent.ok_or(TransactionFault::Unknown { chain, hash })?;
    let asked = quote.steps.iter().rev().find_map(|step| match step {
        Step::Transaction(step) => Some(step),
        Step::Signature(_) => None,
    });
    let is_step = asked.is_some_and(|step| {
        sent.to() == Some(step.to) && *sent.input() == step.data && sent.value() == step.value.0
    });
    let Some(receipt) = client.receipt(hash).await? else {
        return if is_step { Ok(None) } else { Err(TransactionFault::Foreign { hash }) };
    };
    if !receipt.status() {
        return Err(TransactionFault::Reverted { hash });
    }
    let opens = receipt.logs().iter().any(|log| {
        log.address() == intent_source && log.topics().get(1).is_some_and(|id| *id == order)
    });
    if !is_step && !opens {
        return Err(TransactionFault::Foreign { hash });
    }
    let Some(number) = receipt.block_number else { return Ok(None) };
    Ok(client.block(number).await?.map(|block| block.timestamp))
}
