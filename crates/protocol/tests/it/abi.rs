//! Our interfaces against the JSON ABIs of the protocol that integrators use: a superset is fine, a gap is not.

use std::{collections::BTreeSet, fs, path::Path};

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::SolInterface;
use protocol::abi::{
    destination_settler, executor, inbox, intent_source, local_prover, permit, prover,
    prover_interface, recipient, router, vault,
};
use serde_json::Value;

/// What an interface of ours answers to.
struct Ours {
    functions: BTreeSet<[u8; 4]>,
    errors: BTreeSet<[u8; 4]>,
    events: BTreeSet<B256>,
}

impl Ours {
    fn functions<C: SolInterface>() -> Self {
        Self {
            functions: C::selectors().collect(),
            errors: BTreeSet::new(),
            events: BTreeSet::new(),
        }
    }

    fn errors<E: SolInterface>(mut self) -> Self {
        self.errors.extend(E::selectors());
        self
    }

    fn events(mut self, selectors: &[[u8; 32]]) -> Self {
        self.events.extend(selectors.iter().map(B256::from));
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.functions.extend(other.functions);
        self.errors.extend(other.errors);
        self.events.extend(other.events);
        self
    }

    /// Everything in the file exists here, except what is named in `missing`, which must not.
    fn covers(&self, file: &str, missing: &[&str]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi").join(file);
        let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let entries = json.as_array().or_else(|| json["abi"].as_array()).unwrap();
        let mut count = 0;
        for entry in entries {
            let Some(name) = entry["name"].as_str() else { continue };
            let signature = format!("{name}{}", tuple(&entry["inputs"]));
            let hash = keccak256(&signature);
            let selector = [hash[0], hash[1], hash[2], hash[3]];
            let is_there = match entry["type"].as_str().unwrap() {
                "function" => self.functions.contains(&selector),
                "error" => self.errors.contains(&selector),
                "event" => self.events.contains(&hash),
                other => panic!("{other} in {file}"),
            };
            assert_eq!(is_there, !missing.contains(&name), "{signature} of {file}");
            count += 1;
        }
        assert!(count > 0, "{file} is empty");
    }
}

/// The types of a list of parameters, as a signature has them.
fn tuple(inputs: &Value) -> String {
    let types: Vec<_> = inputs.as_array().unwrap().iter().map(type_of).collect();
    format!("({})", types.join(","))
}

fn type_of(input: &Value) -> String {
    let name = input["type"].as_str().unwrap();
    match name.strip_prefix("tuple") {
        Some(suffix) => format!("{}{suffix}", tuple(&input["components"])),
        None => name.to_owned(),
    }
}

fn source() -> Ours {
    Ours::functions::<intent_source::IntentSourceCalls>()
        .errors::<intent_source::IntentSourceErrors>()
        .events(intent_source::IntentSourceEvents::SELECTORS)
}

fn destination() -> Ours {
    Ours::functions::<inbox::InboxCalls>()
        .errors::<inbox::InboxErrors>()
        .events(inbox::InboxEvents::SELECTORS)
}

#[test]
fn intent_source_and_inbox_answer_to_every_selector_of_the_reference() {
    // `executor` and `claimants` are the Inbox's: the reference has both sides in one contract.
    source().covers("IIntentSource.json", &[]);
    source().covers("IOriginSettler.json", &[]);
    source().covers("IntentSource.json", &[]);
    destination().covers("IInbox.json", &[]);
    destination().covers("IDestinationSettler.json", &[]);
    destination().covers("Inbox.json", &[]);
    source().and(destination()).covers("IPortal.json", &[]);
    Ours::functions::<destination_settler::IDestinationSettlerCalls>()
        .events(destination_settler::IDestinationSettlerEvents::SELECTORS)
        .covers("IDestinationSettler.json", &[]);
}

#[test]
fn helpers_of_the_two_sides_do_too() {
    let executor =
        Ours::functions::<executor::RouteExecutorCalls>().errors::<executor::RouteExecutorErrors>();
    executor.covers("Executor.json", &[]);
    executor.covers("IExecutor.json", &[]);
    let vault = Ours::functions::<vault::VaultCalls>().errors::<vault::VaultErrors>();
    vault.covers("Vault.json", &[]);
    vault.covers("IVault.json", &[]);
    Ours::functions::<permit::IPermitCalls>()
        .errors::<permit::IPermitErrors>()
        .events(permit::IPermitEvents::SELECTORS)
        .covers("IPermit.json", &[]);
}

#[test]
fn provers_do_too() {
    let prover = Ours::functions::<prover::MetaProverCalls>()
        .errors::<prover::MetaProverErrors>()
        .events(prover::MetaProverEvents::SELECTORS);
    prover.covers("MetaProver.json", &[]);
    prover.covers("IMessageBridgeProver.json", &[]);
    let local = Ours::functions::<local_prover::ILocalProverCalls>()
        .errors::<local_prover::ILocalProverErrors>()
        .events(local_prover::ILocalProverEvents::SELECTORS);
    local.covers("LocalProver.json", &[]);
    local.covers("ILocalProver.json", &[]);
    Ours::functions::<prover_interface::IProverCalls>()
        .errors::<prover_interface::IProverErrors>()
        .events(prover_interface::IProverEvents::SELECTORS)
        .covers("IProver.json", &[]);
}

#[test]
fn router_and_recipients_do_too() {
    Ours::functions::<router::MetalayerRouterCalls>().covers("IMetalayerRouterExt.json", &[]);
    Ours::functions::<recipient::IMetalayerRecipientCalls>()
        .covers("IMetalayerRecipient.json", &[]);
    let selectors: BTreeSet<_> = router::MetalayerRouterCalls::selectors().collect();
    for selector in [
        0xab4f_36bc_u32,
        0xe8dd_7ad7,
        0x00ab_e24b,
        0x7176_f96b,
        0xf7cc_d321,
        0x9c42_bd18,
        0x56d5_d475,
    ] {
        assert!(selectors.contains(&selector.to_be_bytes()), "{selector:08x}");
    }
}
