//! Who signed a gasless order: a key (ECDSA) or a contract (ERC-1271).

use alloy_primitives::{Address, B256, address, b256};
use alloy_sol_types::SolCall;
use parts::{Frame, Writer, external};
use protocol::abi::erc1271::isValidSignatureCall;
use stylus_sdk::host::VM;

/// The precompile that recovers a signer.
const ECRECOVER: Address = address!("0x0000000000000000000000000000000000000001");

/// Half the order of secp256k1: a greater `s` is the other form of the same signature.
const HALF_ORDER: B256 =
    b256!("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// Whether `signer` signed `digest`: by key (65 bytes, low `s`), or by its own word as a contract (ERC-1271).
pub(crate) fn is_signed_by(vm: &VM, signer: Address, digest: B256, signature: &[u8]) -> bool {
    recover(vm, digest, signature) == Some(signer) || is_accepted_by(vm, signer, digest, signature)
}

/// The account whose key made the signature. 64-byte forms and high `s` are refused: they would give one order several
/// signatures.
fn recover(vm: &VM, digest: B256, signature: &[u8]) -> Option<Address> {
    let (head, [v]) = signature.split_at_checked(64)? else { return None };
    let (r, s) = (B256::from_slice(&head[..32]), B256::from_slice(&head[32..]));
    if s > HALF_ORDER {
        return None;
    }
    let query = Writer::new(4).word(digest).uint64((*v).into()).word(r).word(s).finish();
    let answer = external::view(vm, ECRECOVER, &query).ok()?;
    Frame(&answer).address(0).ok().filter(|signer| !signer.is_zero())
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
