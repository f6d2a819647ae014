//! Sending transactions.

use alloy::{
    consensus::{SignableTransaction, TxEnvelope, TypedTransaction},
    eips::eip2718::Decodable2718,
    network::TxSignerSync,
    primitives::{Address, B256, Bytes, Signature, TxKind},
    rpc::types::TransactionRequest,
};
use revm::precompile::crypto;
use serde_json::Value;

use super::{Answer, Node, Params, Reader, RpcError, estimate, sign, transaction, value};
use crate::{
    chain::{Error, unsigned_signature},
    genesis::DEV_ADDRESSES,
    mempool::{Authority, Pooled, Refusal},
};

pub(super) fn raw(node: &Node, params: &Params) -> Answer {
    value(submit_raw(node, params)?)
}

/// Sends and returns the receipt, when the transaction is mined at once.
pub(super) fn raw_sync(node: &Node, params: &Params) -> Answer {
    let hash = submit_raw(node, params)?;
    let reader = Reader::new(&node.chain, &[]);
    match reader.transaction(hash) {
        Some((block, tx)) => transaction::render_receipt(block, tx),
        None => Err(RpcError::server("transaction was added to the pool but is not yet mined")),
    }
}

/// Signs for a development account, or acts for an impersonated one.
pub(super) fn unsigned(node: &Node, params: &Params) -> Answer {
    let request: TransactionRequest = params.required(0, "transaction")?;
    let sender = request.from.unwrap_or(DEV_ADDRESSES[0]);
    let impersonated = {
        let inner = node.chain.read();
        inner.impersonates_all || inner.impersonated.contains(&sender)
    };
    if !impersonated && !DEV_ADDRESSES.contains(&sender) {
        return Err(RpcError::server("unknown account"));
    }
    let unsigned = complete(node, request, sender)?;
    let tx = if impersonated {
        let envelope = seal(unsigned, unsigned_signature(sender));
        Pooled { envelope, sender, authority: Authority::Impersonation }
    } else {
        let mut unsigned = unsigned;
        let signature = sign::dev_signer(sender)?.sign_transaction_sync(&mut unsigned);
        let signature = signature.map_err(|error| RpcError::server(error.to_string()))?;
        Pooled { envelope: seal(unsigned, signature), sender, authority: Authority::Signature }
    };
    value(node.chain.submit(tx)?)
}

fn submit_raw(node: &Node, params: &Params) -> Result<B256, RpcError> {
    let bytes: Bytes = params.required(0, "raw transaction")?;
    let envelope = TxEnvelope::decode_2718(&mut bytes.as_ref())
        .map_err(|error| RpcError::server(format!("rlp: {error}")))?;
    let sender = recover(&envelope).map_err(Error::from)?;
    let tx = Pooled { envelope, sender, authority: Authority::Signature };
    Ok(node.chain.submit(tx)?)
}

/// Who signed: with the machine's own `ecrecover`, several times faster than the signers' library.
fn recover(envelope: &TxEnvelope) -> Result<Address, Refusal> {
    let signature = envelope.signature();
    // EIP-2: of the two signatures that every key can make, only the one with the lower `s` counts.
    if signature.normalize_s().is_some() {
        return Err(Refusal::InvalidSender);
    }
    let mut point = [0; 64];
    point.copy_from_slice(&signature.as_bytes()[..64]);
    let digest = envelope.signature_hash();
    let recovered = crypto().secp256k1_ecrecover(&point, signature.v().into(), &digest.0);
    let word = recovered.map_err(|_| Refusal::InvalidSender)?;
    Ok(Address::from_word(word.into()))
}

/// Fills in what the request leaves open.
fn complete(
    node: &Node,
    mut request: TransactionRequest,
    sender: Address,
) -> Result<TypedTransaction, RpcError> {
    request.from = Some(sender);
    request.to = Some(request.to.unwrap_or(TxKind::Create));
    request.input.normalize_input();
    let chain = &node.chain;
    request.chain_id = Some(request.chain_id.unwrap_or(chain.chain_id()));
    if request.gas.is_none() {
        request.gas = Some(estimated(node, &request)?);
    }
    let inner = chain.read();
    let base_fee = u128::from(inner.base_fee);
    request.nonce = Some(
        request.nonce.unwrap_or_else(|| inner.pool.next_nonce(sender, inner.account(sender).nonce)),
    );
    if request.gas_price.is_none() {
        let tip = request.max_priority_fee_per_gas.unwrap_or_default();
        request.max_priority_fee_per_gas = Some(tip);
        request.max_fee_per_gas = Some(request.max_fee_per_gas.unwrap_or(2 * base_fee + tip));
    }
    request
        .build_typed_tx()
        .map_err(|_| RpcError::invalid_params("transaction is incomplete or of no supported type"))
}

fn estimated(node: &Node, request: &TransactionRequest) -> Result<u64, RpcError> {
    let params = Params::new(Some(Value::Array(vec![value(request)?])))?;
    let answer = estimate::estimate_gas(&Reader::new(&node.chain, &[]), &params)?;
    let gas: alloy::primitives::U64 =
        serde_json::from_value(answer).map_err(|error| RpcError::server(error.to_string()))?;
    Ok(gas.to())
}

fn seal(unsigned: TypedTransaction, signature: Signature) -> TxEnvelope {
    unsigned.into_signed(signature).into()
}

#[cfg(test)]
mod tests {
    use alloy::{
        consensus::TxLegacy,
        primitives::{U256, uint},
    };

    use super::*;

    /// Order of the curve's group.
    const ORDER: U256 =
        uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

    #[test]
    fn the_signer_is_recovered_and_the_other_signature_refused() {
        let signer = sign::dev_signer(DEV_ADDRESSES[3]).unwrap();
        let mut tx = TxLegacy { chain_id: Some(1), ..TxLegacy::default() };
        let signature = signer.sign_transaction_sync(&mut tx).unwrap();
        let sealed = |signature| TxEnvelope::from(tx.clone().into_signed(signature));
        assert_eq!(recover(&sealed(signature)), Ok(DEV_ADDRESSES[3]));
        let other = Signature::new(signature.r(), ORDER - signature.s(), !signature.v());
        assert_eq!(recover(&sealed(other)), Err(Refusal::InvalidSender));
        let nobody = Signature::new(U256::ZERO, U256::from(1), false);
        assert_eq!(recover(&sealed(nobody)), Err(Refusal::InvalidSender));
    }
}
