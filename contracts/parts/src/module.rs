//! Security modules, as those who call or set them see them.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256, address};
use alloy_sol_types::SolCall;
use protocol::{
    abi::{
        hyperlane::{AggregationIsm, InterchainSecurityModule, MultisigIsm},
        ism::{EnvelopeMismatch, InvalidFinality, InvalidMessage},
    },
    message::{Envelope, Malformed, Message},
    multisig::Signature,
};
use stylus_sdk::host::VM;

use crate::{Frame, Revert, Writer, external};

/// Hyperlane's types of modules.
pub mod kind {
    /// Hands the question to another module.
    pub const ROUTING: u64 = 1;
    /// Asks several modules.
    pub const AGGREGATION: u64 = 2;
    /// Signatures over a root, and a proof.
    pub const MERKLE_ROOT_MULTISIG: u64 = 4;
    /// Signatures over the message's id.
    pub const MESSAGE_ID_MULTISIG: u64 = 5;
    /// Metadata comes from a server.
    pub const CCIP_READ: u64 = 7;
}

/// The precompile that recovers signers.
const ECRECOVER: Address = address!("0x0000000000000000000000000000000000000001");

/// What `moduleType()` of an account answers; nothing for one without code or with another answer.
pub fn module_type(vm: &VM, module: Address) -> Option<u64> {
    if !external::has_code(vm, module) {
        return None;
    }
    let data = Writer::call(InterchainSecurityModule::moduleTypeCall::SELECTOR, 0).finish();
    Frame(&external::view(vm, module, &data).ok()?).uint64(0).ok()
}

/// The validators and the threshold of a multisig module for an envelope.
pub fn validators_and_threshold(
    vm: &VM,
    module: Address,
    envelope: &[u8],
) -> Result<(Vec<Address>, usize), Revert> {
    set(vm, module, MultisigIsm::validatorsAndThresholdCall::SELECTOR, envelope)
}

/// The modules and the threshold of an aggregation for an envelope.
pub fn modules_and_threshold(
    vm: &VM,
    module: Address,
    envelope: &[u8],
) -> Result<(Vec<Address>, usize), Revert> {
    set(vm, module, AggregationIsm::modulesAndThresholdCall::SELECTOR, envelope)
}

fn set(
    vm: &VM,
    module: Address,
    selector: [u8; 4],
    envelope: &[u8],
) -> Result<(Vec<Address>, usize), Revert> {
    let data = Writer::call(selector, 2 + envelope.len() / 32).size(0x20).bytes(envelope).finish();
    let answer = external::view(vm, module, &data)?;
    let (count, members) = Frame(&answer).array(0, 1)?;
    let members = (0..count).map(|index| members.address(index)).collect::<Result<_, _>>()?;
    let threshold = usize::try_from(Frame(&answer).uint64(1)?).map_err(|_| Revert::empty())?;
    Ok((members, threshold))
}

/// The signer of a digest, by the precompile.
pub fn recover(vm: &VM, digest: B256, signature: &Signature) -> Option<Address> {
    let data = Writer::new(4)
        .word(digest)
        .uint64(signature[64].into())
        .word(B256::from_slice(&signature[..32]))
        .word(B256::from_slice(&signature[32..64]))
        .finish();
    let signer = Frame(&external::view(vm, ECRECOVER, &data).ok()?).address(0).ok()?;
    (!signer.is_zero()).then_some(signer)
}

/// An envelope to the router of this chain, and the message in it, which agree on where they come from and go to.
///
/// # Errors
/// `EnvelopeMismatch()`, `InvalidMessage()`, `InvalidFinality(byte)`.
pub fn open(
    bytes: &[u8],
    router: Address,
    local_domain: u32,
) -> Result<(Envelope<'_>, Message<'_>), Revert> {
    let envelope = Envelope::parse(bytes).map_err(|_| EnvelopeMismatch {})?;
    if envelope.recipient != router.into_word() || envelope.destination.0 != local_domain {
        return Err(EnvelopeMismatch {}.into());
    }
    let message = Message::parse(envelope.body).map_err(malformed)?;
    if message.header.origin != envelope.origin
        || message.header.destination != envelope.destination
    {
        return Err(EnvelopeMismatch {}.into());
    }
    Ok((envelope, message))
}

/// What a program reverts with when it is given a malformed message.
pub fn malformed(error: Malformed) -> Revert {
    match error {
        Malformed::Finality(finality) => InvalidFinality { finality }.into(),
        Malformed::Truncated { .. } | Malformed::Version(_) => InvalidMessage {}.into(),
    }
}

/// The key of a map by origin and tier.
pub fn lane(origin: u32, tier: u8) -> U256 {
    U256::from(u64::from(origin) << 8 | u64::from(tier))
}
