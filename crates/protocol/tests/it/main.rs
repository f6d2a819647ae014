//! Golden tests: what other implementations computed, and what compatible contracts answer to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod abi;
mod hyperlane;
mod intents;
mod vectors;

use vectors::Folder;

/// Every section that this crate knows, and its check.
const SECTIONS: &[(&str, vectors::Check)] = &[
    ("/emptyTree", hyperlane::empty_tree),
    ("/tree", hyperlane::tree),
    ("/messages", hyperlane::message),
    ("/domainHash", hyperlane::domain_hash),
    ("/checkpoints", hyperlane::checkpoint),
    ("/announcements/accepted", hyperlane::announcement),
    ("/ismVerify", hyperlane::module),
    ("/staticSet", hyperlane::static_set),
    ("/ccipRead", hyperlane::offchain_lookup),
    ("/intents", intents::intent),
    ("/universalIntents", intents::universal_intent),
    ("/proofs", intents::proof),
    ("/constants", intents::constants),
    ("/erc7683/onchain", intents::onchain_order),
    ("/erc7683/gasless", intents::gasless_order),
    ("/erc7683/fills", intents::fill),
];

#[test]
fn every_vector_of_every_file_holds() {
    let folder = Folder::open();
    let mut cases = 0;
    for (section, check) in SECTIONS {
        let found = folder.each(section, *check);
        assert!(found > 0 || !folder.is_own(), "no case in {section}");
        cases += found;
    }
    assert!(cases > 0, "no known section in {}", folder.path().display());
}

#[test]
fn messages_form_the_tree_they_say_they_do() {
    let folder = Folder::open();
    let files = folder.files_with("/messages").map(hyperlane::messages_in_tree).count();
    assert!(files > 0 || !folder.is_own());
}
