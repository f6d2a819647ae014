//! Addresses that are known before anything is deployed.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use alloy_sol_types::SolValue;

use crate::ids::IntentHash;

/// The deterministic-deployment proxy that most chains carry (`Arachnid/deterministic-deployment-proxy`): call
/// data is salt ‖ init code.
pub const CREATE2_FACTORY: Address = address!("0x4e59b44847b379578588920ca78fbf26c0b4956c");

/// What comes before the implementation in the run-time code of a minimal proxy (EIP-1167).
pub const EIP1167_PREFIX: [u8; 10] = hex!("363d3d373d3d3d363d73");

/// What comes after the implementation in the run-time code of a minimal proxy (EIP-1167).
pub const EIP1167_SUFFIX: [u8; 15] = hex!("5af43d82803e903d91602b57fd5bf3");

/// What comes before the implementation in the init code of a metaproxy (EIP-3448).
const EIP3448_PREFIX: [u8; 32] =
    hex!("600b380380600b3d393df3363d3d373d3d3d3d60368038038091363936013d73");

/// What comes after the implementation in the init code of a metaproxy (EIP-3448).
const EIP3448_SUFFIX: [u8; 13] = hex!("5af43d3d93803e603457fd5bf3");

/// The last 20 bytes of keccak256(0xff ‖ deployer ‖ salt ‖ init code hash).
pub fn address(deployer: Address, salt: B256, init_code_hash: B256) -> Address {
    deployer.create2(salt, init_code_hash)
}

/// The salt that our deployer uses for a caller's salt: keccak256(caller ‖ salt), 52 bytes.
pub fn deployer_salt(caller: Address, salt: B256) -> B256 {
    let mut preimage = [0_u8; 52];
    preimage[..20].copy_from_slice(caller.as_slice());
    preimage[20..].copy_from_slice(salt.as_slice());
    keccak256(preimage)
}

/// The vault of an intent: the salt is the intent's hash, the deployer the IntentSource.
pub fn vault(intent_source: Address, intent: IntentHash, init_code_hash: B256) -> Address {
    address(intent_source, intent.0, init_code_hash)
}

/// The address of a static set (multisig or aggregation module) made by a Hyperlane factory.
///
/// The order of `values` matters: another order is another address, and another order of signatures.
pub fn static_set(
    factory: Address,
    implementation: Address,
    values: &[Address],
    threshold: u8,
) -> Address {
    let metadata = (values.to_vec(), U256::from(threshold)).abi_encode_params();
    let init_code = metaproxy_init_code(implementation, &metadata);
    address(factory, keccak256(&metadata), keccak256(init_code))
}

/// Init code of an EIP-3448 metaproxy: prefix ‖ implementation ‖ suffix ‖ metadata ‖ uint256 its length.
pub fn metaproxy_init_code(implementation: Address, metadata: &[u8]) -> Vec<u8> {
    let mut code = EIP3448_PREFIX.to_vec();
    code.extend_from_slice(implementation.as_slice());
    code.extend_from_slice(&EIP3448_SUFFIX);
    code.extend_from_slice(metadata);
    code.extend_from_slice(&U256::from(metadata.len()).to_be_bytes::<32>());
    code
}
