//! Signatures of the development accounts.

use std::sync::OnceLock;

use alloy::{
    dyn_abi::TypedData,
    primitives::{Address, Bytes},
    signers::{SignerSync, local::PrivateKeySigner},
};

use super::{Answer, Params, RpcError, value};
use crate::genesis;

/// `eth_sign` and `personal_sign` differ in the order of their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Account, message.
    AccountFirst,
    /// Message, account.
    MessageFirst,
}

/// An EIP-191 signature of a message.
pub(super) fn message(params: &Params, order: Order) -> Answer {
    let (account, message) = match order {
        Order::AccountFirst => (0, 1),
        Order::MessageFirst => (1, 0),
    };
    let account: Address = params.required(account, "account")?;
    let message: Bytes = params.required(message, "message")?;
    let signature = dev_signer(account)?.sign_message_sync(&message);
    let signature = signature.map_err(|error| RpcError::server(error.to_string()))?;
    value(Bytes::from(signature.as_bytes().to_vec()))
}

/// An EIP-712 signature.
pub(super) fn typed_data(params: &Params) -> Answer {
    let account: Address = params.required(0, "account")?;
    let data: TypedData = params.required(1, "typed data")?;
    let signature = dev_signer(account)?.sign_dynamic_typed_data_sync(&data);
    let signature = signature.map_err(|error| RpcError::server(error.to_string()))?;
    value(Bytes::from(signature.as_bytes().to_vec()))
}

/// The key of a development account.
pub(super) fn dev_signer(account: Address) -> Result<&'static PrivateKeySigner, RpcError> {
    static SIGNERS: OnceLock<Vec<PrivateKeySigner>> = OnceLock::new();
    // Derived when first asked for: it takes longer than everything else at start.
    let signers = SIGNERS.get_or_init(|| genesis::dev_signers().unwrap_or_default());
    signers
        .iter()
        .find(|signer| signer.address() == account)
        .ok_or_else(|| RpcError::server("unknown account"))
}
