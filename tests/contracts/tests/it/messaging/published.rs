//! Hyperlane's published bytecode decides as its vectors say, so our metadata codecs are checked against the real modules.

use std::{collections::BTreeMap, fs, path::PathBuf};

use alloy::primitives::{Address, Bytes};
use contract_tests::messaging::{Network, STRANGER, Side};
use protocol::{abi::hyperlane::InterchainSecurityModule, create2};
use serde_json::Value;

/// The vector files: the project's own, or those of `VECTORS_DIR`.
fn files() -> Vec<Value> {
    let folder = std::env::var_os("VECTORS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/protocol/vectors")),
        PathBuf::from,
    );
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names
        .filter(|name| name.extension().is_some_and(|extension| extension == "json"))
        .map(|name| serde_json::from_slice(&fs::read(name).unwrap()).unwrap())
        .collect()
}

/// The modules that the package deploys from a list of validators alone. The others (storage, weighted, pausable, routing)
/// are no part of this deployment.
fn modules(side: &Side, keys: &[Address]) -> BTreeMap<&'static str, Address> {
    let message_id = side.multisig(keys, 2);
    let merkle_root = side.static_set(side.merkle_root_factory, keys, 2);
    BTreeMap::from([
        ("MESSAGE_ID 2/3", message_id),
        ("MESSAGE_ID 3/3", side.multisig(keys, 3)),
        ("MESSAGE_ID 1/1 (v2)", side.multisig(&keys[1..2], 1)),
        ("MERKLE_ROOT 2/3", merkle_root),
        (
            "AGGREGATION 1/2 [MESSAGE_ID, MERKLE_ROOT]",
            side.aggregation(&[message_id, merkle_root], 1),
        ),
    ])
}

#[test]
fn accepted_and_rejected_metadata_are_so_by_the_published_code() {
    let net = Network::new();
    let mut cases = 0;
    for file in files().iter().filter(|file| file["ismVerify"].is_array()) {
        let keys: Vec<Address> = file["meta"]["validators"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["address"].as_str().unwrap().parse().unwrap())
            .collect();
        let modules = modules(&net.b, &keys);
        for case in file["ismVerify"].as_array().unwrap() {
            let Some(module) = modules.get(case["ism"].as_str().unwrap()) else { continue };
            let bytes = |key: &str| case[key].as_str().unwrap().parse::<Bytes>().unwrap();
            let call = InterchainSecurityModule::verifyCall {
                _metadata: bytes("metadata"),
                _message: bytes("message"),
            };
            let outcome = net.b.ask(STRANGER, *module, &call);
            let is_accepted =
                outcome.success && outcome.answer::<InterchainSecurityModule::verifyCall>();
            assert_eq!(is_accepted, case["result"] == "true", "{}: {}", case["ism"], case["name"]);
            cases += 1;
        }
    }
    assert!(cases > 0 || std::env::var_os("VECTORS_DIR").is_some(), "no case was replayed");
}

#[test]
fn the_address_of_a_static_set_is_known_before_it_exists() {
    let net = Network::new();
    let values = [STRANGER, Address::repeat_byte(7)];
    let factory = net.a.message_id_factory;
    let implementation = net.a.view(
        factory,
        &protocol::abi::hyperlane::StaticThresholdAddressSetFactory::implementationCall {},
    );
    let predicted = create2::static_set(factory, implementation, &values, 2);
    assert_eq!(net.a.multisig(&values, 2), predicted);
}
