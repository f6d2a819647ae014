//! What Hyperlane's published contracts computed and decided.

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::SolError;
use protocol::{
    abi::hyperlane::CcipReadIsm::OffchainLookup,
    announcement::Announcement,
    checkpoint::Checkpoint,
    create2,
    ids::{Domain, address_of},
    merkle::{self, FullTree, IncrementalTree},
    message::Envelope,
    multisig::{self, MerkleRootMetadata, MessageIdMetadata, MultisigKind, Refused, aggregation},
    signable::Signable,
};
use serde_json::Value;

use crate::vectors::Field;

pub(crate) fn empty_tree(case: &Value, _: &Value) {
    assert_eq!(IncrementalTree::default().root(), case.word("root"));
    assert_eq!(FullTree::default().root_at(0), Some(case.word("root")));
}

pub(crate) fn tree(case: &Value, _: &Value) {
    let words = |key: &str| -> Vec<B256> {
        case.list(key).iter().map(|word| word.as_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(words("zeroHashes"), merkle::zero_hashes());
    let branch = words("branchStorage").try_into().unwrap();
    let tree = IncrementalTree::from_parts(branch, case.number("count"));
    assert_eq!(tree.root(), case.word("finalRoot"));
}

pub(crate) fn message(case: &Value, file: &Value) {
    let bytes = case.bytes("bytes");
    let body = case.bytes("body");
    let envelope = Envelope {
        nonce: case.number("nonce") as u32,
        origin: Domain(case.number("origin") as u32),
        sender: case.word("sender"),
        destination: Domain(case.number("destination") as u32),
        recipient: case.word("recipient"),
        body: &body,
    };
    assert_eq!(envelope.encode(), bytes);
    assert_eq!(Envelope::parse(&bytes), Ok(envelope));
    assert_eq!(envelope.id().0, case.word("id"));
    if case["leafIndex"].is_number() {
        let index = case.number("leafIndex") as u32;
        for (proof, root) in [
            ("proofAtInsertion", case.word("rootAfter")),
            ("proofAtEnd", file["tree"].word("finalRoot")),
        ] {
            assert_eq!(merkle::branch_root(envelope.id().0, &proof_of(case, proof), index), root);
        }
    }
}

fn proof_of(case: &Value, key: &str) -> merkle::Proof {
    let siblings = case.list(key).iter().map(|word| word.as_str().unwrap().parse().unwrap());
    siblings.collect::<Vec<_>>().try_into().unwrap()
}

/// Builds the tree from a file's messages, in the order of their leaves.
pub(crate) fn messages_in_tree(file: &Value) {
    let (mut incremental, mut full) = (IncrementalTree::default(), FullTree::default());
    let mut leaves: Vec<_> =
        file.list("messages").iter().filter(|m| m["leafIndex"].is_number()).collect();
    leaves.sort_by_key(|message| message.number("leafIndex"));
    for message in &leaves {
        incremental.insert(message.word("id")).unwrap();
        full.insert(message.word("id")).unwrap();
        assert_eq!(incremental.root(), message.word("rootAfter"));
        let index = message.number("leafIndex") as usize;
        assert_eq!(full.proof(index, index + 1), Some(proof_of(message, "proofAtInsertion")));
    }
    for message in &leaves {
        let index = message.number("leafIndex") as usize;
        assert_eq!(full.proof(index, leaves.len()), Some(proof_of(message, "proofAtEnd")));
    }
}

pub(crate) fn domain_hash(case: &Value, _: &Value) {
    let checkpoint = Checkpoint {
        origin: Domain(case.number("origin") as u32),
        merkle_tree_hook: case.word("hook"),
        root: B256::ZERO,
        index: 0,
        message_id: B256::ZERO.into(),
    };
    assert_eq!(checkpoint.domain_hash(), case.word("domainHash"));
}

pub(crate) fn checkpoint(case: &Value, _: &Value) {
    let checkpoint = Checkpoint {
        origin: Domain(case.number("origin") as u32),
        merkle_tree_hook: case.word("hook"),
        root: case.word("root"),
        index: case.number("index") as u32,
        message_id: case.word("messageId").into(),
    };
    assert_eq!(checkpoint.signing_hash(), case.word("signingHash"));
    assert_eq!(checkpoint.digest(), case.word("digest"));
    for signed in case.list("signatures") {
        let signature = signed.bytes("signature").to_vec().try_into().unwrap();
        assert!(multisig::is_canonical(&signature));
        let signer = multisig::recover(checkpoint.digest(), &signature);
        assert_eq!(signer, Some(signed.address("validator")));
    }
}

pub(crate) fn announcement(case: &Value, _: &Value) {
    let announcement = Announcement {
        origin: Domain(case.number("domain") as u32),
        mailbox: case.word("mailbox"),
        storage_location: case.text("storageLocation").to_owned(),
    };
    assert_eq!(announcement.domain_hash(), case.word("domainHash"));
    assert_eq!(announcement.signing_hash(), case.word("signingHash"));
    assert_eq!(announcement.digest(), case.word("digest"));
    let signature = case.bytes("signature").to_vec().try_into().unwrap();
    let signer = multisig::recover(announcement.digest(), &signature);
    assert_eq!(signer, Some(case.address("validator")));
}

/// Replays the cases of the modules whose rule is ours too; the others belong to the contracts' own tests.
pub(crate) fn module(case: &Value, file: &Value) {
    let metadata = case.bytes("metadata");
    let message = case.bytes("message");
    let envelope = Envelope::parse(&message).unwrap();
    let keys: Vec<Address> =
        file["meta"].list("validators").iter().map(|key| key.address("address")).collect();
    let verify = |kind, metadata: &[u8], set: &[Address], threshold| {
        multisig::verify(kind, metadata, &envelope, set, threshold, multisig::recover)
    };
    let ours = match case.text("ism") {
        "MESSAGE_ID 2/3" | "STORAGE MESSAGE_ID 2/3" => {
            verify(MultisigKind::MessageId, &metadata, &keys, 2)
        }
        "MESSAGE_ID 3/3" => verify(MultisigKind::MessageId, &metadata, &keys, 3),
        "MESSAGE_ID 1/1 (v2)" => verify(MultisigKind::MessageId, &metadata, &keys[1..2], 1),
        "STORAGE MESSAGE_ID rotated to 1/1 [v3]" => {
            verify(MultisigKind::MessageId, &metadata, &keys[2..], 1)
        }
        "MERKLE_ROOT 2/3" => verify(MultisigKind::MerkleRoot, &metadata, &keys, 2),
        "AGGREGATION 1/2 [MESSAGE_ID, MERKLE_ROOT]" if case["result"] == "true" => {
            let entry = aggregation::entry(&metadata, 1).unwrap();
            assert_eq!(aggregation::entry(&metadata, 0), None);
            let entries = [None, Some(entry)];
            assert_eq!(aggregation::encode(&entries), metadata);
            verify(MultisigKind::MerkleRoot, entry, &keys, 2)
        }
        _ => return,
    };
    assert_eq!(ours.is_ok(), case["result"] == "true", "{}: {ours:?}", case.text("name"));
    if let (Ok(()), "MESSAGE_ID 2/3" | "MERKLE_ROOT 2/3") = (ours, case.text("ism")) {
        round_trip(case.text("ism"), &metadata);
    }
    if metadata.is_empty() {
        let expected = MessageIdMetadata::HEADER_LEN;
        assert_eq!(ours, Err(Refused::Truncated { expected, given: 0 }));
    }
}

/// Metadata that was accepted is what our encoder makes of its parts, up to bytes that nobody reads.
fn round_trip(ism: &str, metadata: &[u8]) {
    let word = |at: usize| B256::from_slice(&metadata[at..at + 32]);
    let number = |at: usize| u32::from_be_bytes(metadata[at..at + 4].try_into().unwrap());
    let signatures = |at: usize| metadata[at..].as_chunks().0.to_vec();
    let encoded = if ism.starts_with("MESSAGE_ID") {
        MessageIdMetadata {
            merkle_tree_hook: word(0),
            root: word(32),
            index: number(64),
            signatures: signatures(MessageIdMetadata::HEADER_LEN),
        }
        .encode()
    } else {
        MerkleRootMetadata {
            merkle_tree_hook: word(0),
            leaf_index: number(32),
            signed_message_id: word(36),
            proof: std::array::from_fn(|level| word(68 + 32 * level)),
            signed_index: number(1092),
            signatures: signatures(MerkleRootMetadata::HEADER_LEN),
        }
        .encode()
    };
    assert!(metadata.starts_with(&encoded) && metadata.len() - encoded.len() < 65);
}

pub(crate) fn static_set(case: &Value, _: &Value) {
    let values: Vec<Address> =
        case.list("values").iter().map(|value| value.as_str().unwrap().parse().unwrap()).collect();
    let implementation = case.address("implementation");
    let metadata = case.bytes("metadata");
    assert_eq!(keccak256(&metadata), case.word("salt"));
    let init_code = create2::metaproxy_init_code(implementation, &metadata);
    assert_eq!(init_code, case.bytes("initCode"));
    let threshold = case.number("threshold") as u8;
    let address = create2::static_set(case.address("factory"), implementation, &values, threshold);
    assert_eq!(address, case.address("address"));
}

pub(crate) fn offchain_lookup(case: &Value, _: &Value) {
    let revert = case.bytes("revertData");
    let lookup = OffchainLookup::abi_decode(&revert).unwrap();
    let decoded = &case["decoded"];
    assert_eq!(lookup.sender, decoded.address("sender"));
    assert_eq!(lookup.extraData, decoded.bytes("extraData"));
    assert!(decoded.list("urls").iter().eq(&lookup.urls));
    assert_eq!(lookup.abi_encode(), revert);
    assert_eq!(address_of(lookup.sender.into_word()), Some(lookup.sender));
}
