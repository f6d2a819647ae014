//! What `cargo stylus export-abi` prints is Solidity, and names exactly what the programs' tables are written with.

use std::collections::BTreeSet;

use alloy::{primitives::B256, sol_types::SolInterface};
use contract_tests::{exported::abis, world::programs};
use protocol::abi::{
    deployer::{StylusDeployerCalls, StylusDeployerErrors, StylusDeployerEvents},
    erc20::{IERC20Calls, IERC20Events},
    inbox::{InboxCalls, InboxErrors, InboxEvents},
    intent_source::{IntentSourceCalls, IntentSourceErrors, IntentSourceEvents},
    ism::{MetalayerIsmCalls, MetalayerIsmErrors, MetalayerIsmEvents},
    local_prover::{ILocalProverCalls, ILocalProverErrors, ILocalProverEvents},
    multicall::{MulticallCalls, MulticallErrors},
    prover::{MetaProverCalls, MetaProverErrors, MetaProverEvents},
    read_ism::{ReadIsmCalls, ReadIsmErrors, ReadIsmEvents},
    router::{MetalayerRouterCalls, MetalayerRouterErrors, MetalayerRouterEvents},
    solidity::PROGRAMS,
};

#[test]
fn every_program_exports_an_interface() {
    let built: BTreeSet<_> =
        programs().index().programs.iter().map(|entry| entry.name.as_str()).collect();
    let exported: BTreeSet<_> = PROGRAMS.iter().map(|exported| exported.program).collect();
    assert_eq!(exported, built);
}

fn agrees<C: SolInterface>(program: &str, errors: &[&[[u8; 4]]], events: &[&[[u8; 32]]]) {
    let abi = &abis()[program];
    let functions: BTreeSet<_> = abi.functions().map(|it| it.selector().0).collect();
    assert_eq!(functions, C::selectors().collect(), "functions of {program}");
    let exported: BTreeSet<_> = abi.errors().map(|it| it.selector().0).collect();
    assert_eq!(exported, errors.concat().into_iter().collect(), "errors of {program}");
    let exported: BTreeSet<_> = abi.events().map(|it| it.selector()).collect();
    assert_eq!(
        exported,
        events.concat().into_iter().map(B256::from).collect(),
        "events of {program}"
    );
}

macro_rules! agree {
    ($($program:literal: $calls:ty, [$($errors:ty)?], [$($events:ty)?];)+) => {$(
        agrees::<$calls>($program, &[$(<$errors>::SELECTORS)?], &[$(<$events>::SELECTORS)?]);
    )+};
}

#[test]
fn solc_reads_the_exported_interfaces_as_sol_does() {
    agree! {
        "deployer": StylusDeployerCalls, [StylusDeployerErrors], [StylusDeployerEvents];
        "inbox": InboxCalls, [InboxErrors], [InboxEvents];
        "intent-source": IntentSourceCalls, [IntentSourceErrors], [IntentSourceEvents];
        "ism": MetalayerIsmCalls, [MetalayerIsmErrors], [MetalayerIsmEvents];
        "local-prover": ILocalProverCalls, [ILocalProverErrors], [ILocalProverEvents];
        "meta-prover": MetaProverCalls, [MetaProverErrors], [MetaProverEvents];
        "multicall": MulticallCalls, [MulticallErrors], [];
        "read-ism": ReadIsmCalls, [ReadIsmErrors], [ReadIsmEvents];
        "router": MetalayerRouterCalls, [MetalayerRouterErrors], [MetalayerRouterEvents];
        "test-token": IERC20Calls, [], [IERC20Events];
    }
}
