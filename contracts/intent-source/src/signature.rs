//! Who signed a gasless order: a key (ECDSA) or a contract (ERC-1271).

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolCall;
use parts::{Frame, Writer, external, module};
use protocol::{abi::erc1271::isValidSignatureCall, multisig};
use stylus_sdk::host::VM;

/// Whether `signer` signed `digest`: by key (65 bytes, low `s`), or by its own word as a contract (ERC-1271).
pub(crate) fn is_signed_by(vm: &VM, signer: Address, digest: B256, signature: &[u8]) -> bool {
    recover(vm, digest, signature) == Some(signer) || is_accepted_by(vm, signer, digest, signature)
}

/// The account whose key made the signature. 64-byte forms and high `s` are refused: they would give one order several
/// signatures.
fn recover(vm: &VM, digest: B256, signature: &[u8]) -> Option<Address> {
    let signature = signature.try_into().ok().filter(multisig::is_canonical)?;
    module::recover(vm, digest, &signature)
}

/// Whether a contract account accepts the signature. An account without code accepts none.
fn is_accepted_by(vm: &VM, wallet: Address, digest: B256, signature: &[u8]) -> bool {
    let query = Writer::call(isValidSignatureCall::SELECTOR, 5)
        .word(digest)
        .size(0x40)
        .bytes(signature)
        .finish();
    let mut accepted = B256::ZERO;
    accepted[..4].copy_from_slice(&isValidSignatureCall::SELECTOR);
    external::view(vm, wallet, &query).is_ok_and(|answer| Frame(&answer).word(0) == Ok(accepted))
}
