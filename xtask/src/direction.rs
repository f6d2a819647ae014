//! Who may depend on whom inside the workspace.

use std::collections::BTreeSet;

use crate::dependencies::{Metadata, Package};

/// The services. Each is a library of its own and knows no other.
const SERVICES: [&str; 4] = ["aggregator", "deploy", "settlement", "solver"];
/// Those that put services together.
const COMPOSERS: [&str; 2] = ["cli", "e2e"];
/// Those that know chains and programs, and no protocol.
const PROTOCOL_FREE: [&str; 3] = ["devnet", "service", "stylus-program"];
/// All that an on-chain program may be made of.
const ON_CHAIN: [&str; 7] =
    ["alloy-primitives", "alloy-sol-types", "executor", "parts", "protocol", "stylus-sdk", "vault"];

/// Every edge that points the wrong way.
pub(crate) fn faults(metadata: &Metadata) -> Vec<String> {
    let ours: BTreeSet<_> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in metadata.members() {
        for dependency in package.normal_dependencies() {
            if let Some(reason) = objection(package, dependency, &ours) {
                faults.push(format!("{} depends on {dependency}: {reason}", package.name));
            }
        }
    }
    faults
}

fn objection(package: &Package, dependency: &str, ours: &BTreeSet<&str>) -> Option<&'static str> {
    let name = package.name.as_str();
    let is_program = package.manifest_path.contains("/contracts/") && name != "contract-tests";
    if is_program && !ON_CHAIN.contains(&dependency) {
        return Some("an on-chain program is made of protocol, parts and the SDK only");
    }
    if !ours.contains(dependency) {
        return None;
    }
    match name {
        "protocol" => Some("everything stands on protocol, and protocol on nothing of ours"),
        _ if PROTOCOL_FREE.contains(&name) && dependency == "protocol" => {
            Some("it knows chains and processes, no protocol")
        }
        _ if SERVICES.contains(&name) && SERVICES.contains(&dependency) => {
            Some("services never depend on one another")
        }
        _ if SERVICES.contains(&dependency)
            && !COMPOSERS.contains(&name)
            && !(name == "contract-tests" && dependency == "deploy") =>
        {
            Some("only the command line and the system tests see services")
        }
        _ => None,
    }
}
