//! Nothing of the reference is forgotten: its behaviours, its interfaces, and the paths money takes.

use std::{collections::BTreeSet, fs, path::Path};

use alloy::json_abi::JsonAbi;
use contract_tests::exported::abis;
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text of every test file of this crate.
fn tests() -> String {
    text_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"))
}

/// The text of every file in a folder and the folders in it.
fn text_of(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { text_of(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

/// Each behaviour is named, in brackets, by the documentation of a test, or has a row in `docs/behaviours.md`.
#[test]
fn every_behaviour_has_a_test_or_a_reason() {
    let behaviours: Value =
        serde_json::from_str(&read("crates/protocol/vectors/eco-routes-behaviours.json")).unwrap();
    let behaviours = behaviours["behaviours"].as_array().unwrap();
    assert_eq!(behaviours.len(), 166);
    let (tests, reasons) = (tests(), read("docs/behaviours.md"));
    let missing: Vec<_> = behaviours
        .iter()
        .map(|behaviour| behaviour["id"].as_str().unwrap())
        .filter(|id| {
            !tests.contains(&format!("[{id}]")) && !reasons.contains(&format!("| `{id}` |"))
        })
        .collect();
    assert!(missing.is_empty(), "neither tested nor explained: {missing:?}");
}

/// Every test that `docs/threat-model.md` and `docs/behaviours.md` name exists.
#[test]
fn every_test_that_the_documents_name_exists() {
    let tests = tests();
    for document in ["docs/threat-model.md", "docs/behaviours.md"] {
        for line in read(document).lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let Some(last) = cells.iter().rev().find(|cell| !cell.is_empty()) else { continue };
            for name in last.split('`').filter_map(|word| word.strip_prefix("it::")) {
                let function = name.rsplit("::").next().unwrap();
                assert!(tests.contains(&format!("fn {function}(")), "{document}: {name}");
            }
        }
    }
}

/// One line for each function, event and error: types in order, names of what clients read by name, mutability, and which
/// parameters of an event are indexed.
fn items(abi: &JsonAbi) -> BTreeSet<String> {
    let functions = abi.functions().map(|it| {
        let outputs: Vec<_> = it.outputs.iter().map(|output| output.selector_type()).collect();
        let mutability = it.state_mutability.as_json_str();
        format!("function {} {mutability} returns ({})", it.signature(), outputs.join(","))
    });
    let events = abi.events().map(|it| {
        let inputs: Vec<_> = it
            .inputs
            .iter()
            .map(|input| {
                let indexed = if input.indexed { " indexed" } else { "" };
                format!("{}{indexed} {}", input.selector_type(), input.name)
            })
            .collect();
        format!("event {}({})", it.name, inputs.join(", "))
    });
    let errors = abi.errors().map(|it| {
        let inputs: Vec<_> = it
            .inputs
            .iter()
            .map(|input| format!("{} {}", input.selector_type(), input.name))
            .collect();
        format!("error {}({})", it.name, inputs.join(", "))
    });
    functions.chain(events).chain(errors).collect()
}

/// What the reference's interfaces have and an exported one has otherwise, and why.
const DIFFERENCES: [(&str, &str); 2] = [
    (
        "local-prover: function challengeIntentProof(uint64,bytes32,bytes32) nonpayable returns ()",
        "IProver lets a prover write here; the reference's LocalProver does not, and ours neither",
    ),
    (
        "router: function dispatch(uint32,bytes32,(uint32,address,bytes)[],bytes,uint8,uint256) payable returns ()",
        "ours returns the message's id, which nobody who expects no answer reads",
    ),
];

/// The exported interface of each program, which is what its table of functions is written with, holds all that the
/// reference's contract answers to, emits and reverts with. More is fine.
#[test]
fn exported_interfaces_contain_the_references() {
    let mut differences = BTreeSet::new();
    for (program, files) in [
        ("intent-source", &["IntentSource", "IIntentSource", "IOriginSettler", "ISemver"][..]),
        ("inbox", &["Inbox", "IInbox", "IDestinationSettler", "ISemver"]),
        ("meta-prover", &["MetaProver", "IMessageBridgeProver", "IProver", "ISemver"]),
        ("local-prover", &["LocalProver", "ILocalProver", "IProver", "ISemver"]),
        ("router", &["IMetalayerRouterExt"]),
    ] {
        let exported = items(&abis()[program]);
        for file in files {
            let reference: JsonAbi =
                serde_json::from_str(&read(&format!("crates/protocol/abi/{file}.json"))).unwrap();
            let reference = items(&reference);
            assert!(!reference.is_empty(), "{file}");
            let missing = reference.difference(&exported);
            differences.extend(missing.map(|item| format!("{program}: {item}")));
        }
    }
    let known = DIFFERENCES.map(|(difference, _)| difference.to_owned()).into();
    assert_eq!(differences, known, "exported interfaces differ from the reference's");
}

/// No program calls out but through `parts::external`, which clears the storage cache first.
#[test]
fn every_call_of_a_program_clears_the_storage_cache() {
    let mut found = Vec::new();
    for program in fs::read_dir(Path::new(ROOT).join("contracts")).unwrap() {
        let source = program.unwrap().path().join("src");
        let Ok(files) = fs::read_dir(&source) else { continue };
        for path in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let calls = ["RawCall::", "RawDeploy::", "transfer_eth("];
                if calls.iter().any(|call| line.contains(call)) {
                    let here = format!("{}:{}", path.display(), number + 1);
                    if !path.ends_with("parts/src/external.rs") {
                        found.push(here);
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "calls outside parts::external: {found:?}");
    let external = read("contracts/parts/src/external.rs");
    let calls =
        external.matches("RawCall::new").count() + external.matches("RawDeploy::new").count();
    assert_eq!(calls, external.matches(".clear_storage_cache()").count());
}
