//! The formats against vectors made with Hyperlane's published contracts.

use std::path::PathBuf;

use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, hex},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolError as _,
};
use protocol::{
    abi::hyperlane::CcipReadIsm,
    announcement::Announcement,
    checkpoint::Checkpoint,
    ids::{Domain, MailboxMessageId},
    signable::Signable as _,
};
use serde_json::Value;
use settlement::checkpoints::{SignedAnnouncement, SignedCheckpoint, format};

/// Every JSON file of the vectors' folder; `VECTORS_DIR` names another folder.
fn vectors() -> Vec<Value> {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/protocol/vectors");
    let folder = std::env::var_os("VECTORS_DIR").map_or_else(|| committed.into(), PathBuf::from);
    let files = std::fs::read_dir(&folder).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .collect()
}

/// The entries of a section, over all files; a section without any is a failure.
fn section(name: &str, pointer: &str) -> Vec<Value> {
    let found: Vec<Value> = vectors()
        .iter()
        .filter_map(|file| file.get(name)?.pointer(pointer).cloned())
        .flat_map(|value| match value {
            Value::Array(entries) => entries,
            entry => vec![entry],
        })
        .collect();
    assert!(!found.is_empty(), "no vectors in section {name}");
    found
}

fn word(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn validators() -> Vec<PrivateKeySigner> {
    let listed = section("meta", "/validators");
    let keys = listed.iter().filter_map(|validator| validator.get("privateKey"));
    keys.map(|key| key.as_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn storage_files_are_read_and_written_back_byte_for_byte() {
    let mut checkpoints = 0;
    for layout in section("validatorStorageFiles", "/dirLayout") {
        for (name, content) in layout.as_object().unwrap() {
            let content = content.as_str().unwrap();
            if name == format::LATEST_INDEX {
                let index = format::parse_index(content.as_bytes()).unwrap();
                assert_eq!(index.to_string(), content);
                continue;
            }
            let signed = SignedCheckpoint::from_json(content.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(signed.to_json().unwrap()).unwrap(), content);
            assert_eq!(*name, format::checkpoint_name(signed.checkpoint.index));
            let signer = signed.signer().unwrap();
            assert!(validators().iter().any(|validator| validator.address() == signer));
            checkpoints += 1;
        }
    }
    assert!(checkpoints > 0);
}

#[test]
fn the_older_name_of_the_value_is_accepted_and_what_the_module_refuses_is_not() {
    let layout = section("validatorStorageFiles", "/dirLayout").remove(0);
    let file = layout.as_object().unwrap().iter().find(|(name, _)| name.ends_with("_id.json"));
    let content: Value = serde_json::from_str(file.unwrap().1.as_str().unwrap()).unwrap();
    let read = |value: &Value| SignedCheckpoint::from_json(value.to_string().as_bytes());

    let mut aliased = content.clone();
    let value = aliased.as_object_mut().unwrap().remove("value").unwrap();
    aliased["checkpoint"] = value;
    aliased.as_object_mut().unwrap().remove("serialized_signature");
    assert_eq!(read(&aliased).unwrap(), read(&content).unwrap());

    let mut bad_v = content.clone();
    bad_v["signature"]["v"] = Value::from(29);
    assert!(matches!(read(&bad_v), Err(format::Malformed::RecoveryId { given: 29 })));

    let mut high_s = content;
    high_s["signature"]["s"] =
        Value::from("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140");
    assert!(matches!(read(&high_s), Err(format::Malformed::HighS)));
    assert!(SignedCheckpoint::from_json(b"").is_err());
    assert!(SignedCheckpoint::from_json(b"{}").is_err());
}

#[test]
fn checkpoints_are_signed_as_the_vectors_are() {
    let mut signatures = 0;
    for case in section("checkpoints", "") {
        let checkpoint = Checkpoint {
            origin: Domain(case["origin"].as_u64().unwrap().try_into().unwrap()),
            merkle_tree_hook: word(&case["hook"]),
            root: word(&case["root"]),
            index: case["index"].as_u64().unwrap().try_into().unwrap(),
            message_id: MailboxMessageId(word(&case["messageId"])),
        };
        assert_eq!(checkpoint.signing_hash(), word(&case["signingHash"]));
        assert_eq!(checkpoint.digest(), word(&case["digest"]));
        for expected in case["signatures"].as_array().unwrap() {
            let by = address(&expected["validator"]);
            let key = validators().into_iter().find(|key| key.address() == by).unwrap();
            let signature = key.sign_hash_sync(&checkpoint.digest()).unwrap();
            assert_eq!(hex::encode_prefixed(signature.as_bytes()), expected["signature"]);
            let signed = SignedCheckpoint { checkpoint, signature };
            assert_eq!(signed.signer().unwrap(), by);
            signatures += 1;
        }
    }
    assert!(signatures > 0);
}

#[test]
fn announcements_are_signed_and_written_as_the_vectors_are() {
    for case in section("announcements", "/accepted") {
        let key: PrivateKeySigner = case["privateKey"].as_str().unwrap().parse().unwrap();
        let announcement = Announcement {
            origin: Domain(case["domain"].as_u64().unwrap().try_into().unwrap()),
            mailbox: word(&case["mailbox"]),
            storage_location: case["storageLocation"].as_str().unwrap().to_owned(),
        };
        assert_eq!(announcement.signing_hash(), word(&case["signingHash"]));
        assert_eq!(announcement.digest(), word(&case["digest"]));
        let signature = key.sign_hash_sync(&announcement.digest()).unwrap();
        assert_eq!(hex::encode_prefixed(signature.as_bytes()), case["signature"]);
        let signed = SignedAnnouncement { validator: key.address(), announcement, signature };
        let written = String::from_utf8(signed.to_json().unwrap()).unwrap();
        assert_eq!(written, case["announcementJson"]);
        assert_eq!(SignedAnnouncement::from_json(written.as_bytes()).unwrap(), signed);
    }
}

#[test]
fn an_offchain_lookup_is_understood() {
    let mut cases = 0;
    for case in section("ccipRead", "") {
        let lookup = CcipReadIsm::OffchainLookup::abi_decode(&bytes(&case["revertData"])).unwrap();
        let expected = &case["decoded"];
        assert_eq!(lookup.sender, address(&expected["sender"]));
        let urls: Vec<Value> = lookup.urls.into_iter().map(Value::from).collect();
        assert_eq!(Value::from(urls), expected["urls"]);
        assert_eq!(lookup.callData, bytes(&expected["callData"]));
        let callback: FixedBytes<4> = lookup.callbackFunction;
        assert_eq!(callback.to_string(), expected["callbackFunction"]);
        assert_eq!(lookup.extraData, bytes(&expected["extraData"]));
        cases += 1;
    }
    assert!(cases > 0);
}
