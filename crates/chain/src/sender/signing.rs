//! From a request to signed bytes.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{Address, TxKind, U256},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use protocol::ids::ChainId;

use super::{Error, Request, fees::Offer, journal::Attempt};
use crate::client::{self, ChainClient};

/// What is decided about a transaction besides the request itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft {
    pub(super) nonce: u64,
    pub(super) gas: u64,
    pub(super) offer: Offer,
    /// Send nothing to ourselves instead, to use up the nonce.
    pub(super) cancels: bool,
}

/// The request's own gas limit, or the node's estimate with a margin.
pub(super) async fn gas(
    client: &ChainClient,
    sender: Address,
    request: &Request,
    margin_percent: u64,
) -> Result<u64, client::Error> {
    if let Some(limit) = request.gas_limit {
        return Ok(limit);
    }
    let mut transaction = TransactionRequest {
        from: Some(sender),
        to: Some(request.to.map_or(TxKind::Create, TxKind::Call)),
        value: Some(request.value),
        ..TransactionRequest::default()
    };
    transaction.input.input = Some(request.data.clone());
    estimate(client, &transaction, margin_percent).await
}

/// Gas of the empty transaction. Not the limit of the request: that may be what nodes refuse, and the account may be able
/// to pay for the one and not for the other.
pub(super) async fn gas_of_empty(
    client: &ChainClient,
    sender: Address,
    margin_percent: u64,
) -> Result<u64, client::Error> {
    let transaction = TransactionRequest {
        from: Some(sender),
        to: Some(TxKind::Call(sender)),
        ..TransactionRequest::default()
    };
    estimate(client, &transaction, margin_percent).await
}

async fn estimate(
    client: &ChainClient,
    transaction: &TransactionRequest,
    margin_percent: u64,
) -> Result<u64, client::Error> {
    let estimate = client.estimate(transaction).await?;
    Ok(estimate.saturating_add(estimate.saturating_mul(margin_percent) / 100))
}

pub(super) fn sign(
    signer: &PrivateKeySigner,
    chain_id: ChainId,
    request: &Request,
    draft: Draft,
) -> Result<Attempt, Error> {
    let mut transaction = TxEip1559 {
        chain_id: chain_id.0,
        nonce: draft.nonce,
        gas_limit: draft.gas,
        max_fee_per_gas: draft.offer.max_fee,
        max_priority_fee_per_gas: draft.offer.priority,
        ..TxEip1559::default()
    };
    if draft.cancels {
        transaction.to = TxKind::Call(signer.address());
        transaction.value = U256::ZERO;
    } else {
        transaction.to = request.to.map_or(TxKind::Create, TxKind::Call);
        transaction.value = request.value;
        transaction.input = request.data.clone();
    }
    let signature = signer
        .sign_transaction_sync(&mut transaction)
        .map_err(|error| Error::Signing { key: request.key.clone(), detail: error.to_string() })?;
    let signed = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Attempt {
        hash: *signed.tx_hash(),
        raw: signed.encoded_2718().into(),
        offer: draft.offer,
        cancels: draft.cancels,
    })
}
