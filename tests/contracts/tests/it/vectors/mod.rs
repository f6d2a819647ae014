//! The reference's vectors, replayed byte for byte against our programs at the reference's addresses. What differs by
//! design (vault addresses: another clone code) is put in its place before comparing.
//!
//! `VECTORS_DIR` names another folder with a file of the same form; sections that it does not have are left out.

mod destination;
mod orders;
mod provers;
mod side;
mod source;

use std::{fs, path::PathBuf, sync::OnceLock};

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::Outcome;
use protocol::{abi::prover::handleCall, ids::IntentHash};
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    std::env::var_os("VECTORS_DIR").map(PathBuf::from)
}

/// The first file of the folder that says what was deployed, whatever it is called.
fn vectors() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/protocol/vectors");
        let entries = fs::read_dir(folder().unwrap_or_else(|| own.into())).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        paths
            .iter()
            .map(|path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap())
            .find(|file| file["deployment"].is_object())
            .expect("a file with a deployment")
    })
}

/// The cases of a section, of which our own vectors have some.
fn cases(section: &'static Value) -> &'static [Value] {
    let cases = section.as_array().map_or(&[][..], Vec::as_slice);
    assert!(!cases.is_empty() || folder().is_some(), "a section of our vectors is missing");
    cases
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

fn address(value: &Value) -> Address {
    text(value).parse().unwrap()
}

fn number(value: &Value) -> U256 {
    value.as_u64().map_or_else(|| text(value).parse().unwrap(), U256::from)
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

/// Expects the logs of `of`, as the vector has them after putting our vaults in the place of the reference's.
#[track_caller]
fn assert_logs(
    outcome: &Outcome,
    expected: &[Value],
    of: Address,
    id: &str,
    vaults: &[(Address, Address)],
) {
    let given: Vec<_> = outcome
        .logs
        .iter()
        .filter(|log| log.address == of)
        .map(|log| (log.topics().to_vec(), log.data.data.clone()))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .filter(|log| log.get("address").is_none_or(|given| address(given) == of))
        .map(|log| {
            let topics = list(&log["topics"])
                .iter()
                .map(|topic| B256::from_slice(&ours(bytes(topic), vaults)))
                .collect::<Vec<_>>();
            (topics, Bytes::from(ours(bytes(&log["data"]), vaults)))
        })
        .collect();
    assert_eq!(given, expected, "logs of {id}");
}

/// Replaces the reference's vault addresses by ours.
fn ours(mut data: Vec<u8>, vaults: &[(Address, Address)]) -> Vec<u8> {
    for (theirs, our) in vaults {
        let mut start = 0;
        while let Some(found) =
            data[start..].windows(20).position(|window| window == theirs.as_slice())
        {
            data[start + found..start + found + 20].copy_from_slice(our.as_slice());
            start += found + 20;
        }
    }
    data
}

/// For every intent of the vectors: where the reference keeps its reward, and where we do.
fn vaults(source: Address) -> Vec<(Address, Address)> {
    let all = ["intents", "universalIntents"].into_iter().flat_map(|key| list(&vectors()[key]));
    all.map(|intent| {
        let hash: B256 = text(&intent["intentHash"]).parse().unwrap();
        (address(&intent["vault"]), protocol::puppet::vault(source, IntentHash(hash)))
    })
    .collect()
}

fn find(section: &str, id: &str) -> &'static Value {
    list(&vectors()[section]).iter().find(|entry| entry["id"] == id).unwrap()
}

fn handle(case: &Value) -> Vec<u8> {
    handleCall {
        origin: case["origin"].as_u64().unwrap() as u32,
        sender: case.get("sender").map_or(B256::ZERO, |sender| text(sender).parse().unwrap()),
        message: bytes(&case["message"]).into(),
        reads: vec![],
        readResults: vec![],
    }
    .abi_encode()
}

fn decoded(call: &[u8]) -> handleCall {
    handleCall::abi_decode(call).unwrap()
}
