//! What provers take, refuse and send.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::{mocks::Router, world::program};
use devnet::{Transact, genesis::DEV_ADDRESSES};
use protocol::abi::{
    constructor::{Constructor, MetaProverArguments, ProverDomain},
    prover::{handleCall, proveCall, provenIntentsCall},
};

use super::{
    address, assert_logs, bytes, cases, decoded, find, folder, handle, list, number,
    side::{OWNER, Side},
    text, vectors,
};

#[test]
fn handle_cases_give_the_same_data_and_logs() {
    let side = Side::new("src", "intent-source");
    side.deliver_proofs();
    for case in cases(&vectors()["handleCases"]) {
        let id = text(&case["id"]);
        let caller =
            if case["caller"] == "router" { side.router } else { address(&case["caller"]) };
        let call = handle(case);
        if id == "repeat-pair" {
            side.send(side.router, side.prover, U256::ZERO, call.clone()).ok();
        }
        let outcome = side.send(caller, side.prover, U256::ZERO, call);
        if let Some(data) = case.get("revertData") {
            assert!(!outcome.success, "{id} succeeded");
            assert_eq!(outcome.output, Bytes::from(bytes(data)), "{id}");
        } else {
            assert_logs(&outcome.ok(), list(&case["logs"]), side.prover, id, &[]);
        }
    }
    for proof in cases(&vectors()["proofs"]) {
        for entry in list(&proof["handle"]["provenAfter"]) {
            let hash = entry.get("intentHash").or_else(|| entry.get("hash"));
            let Some(hash) = hash else { continue };
            let call = provenIntentsCall { intentHash: text(hash).parse().unwrap() }.abi_encode();
            let answer = side.chain.call(Transact::call(OWNER, side.prover, call)).unwrap();
            let proven = provenIntentsCall::abi_decode_returns(&answer.output).unwrap();
            assert_eq!(proven.claimant, address(&entry["claimant"]));
        }
    }
}

#[test]
fn a_mapped_domain_stands_for_its_chain_only() {
    let side = Side::new("src", "intent-source");
    let mapped = &vectors()["domainMapped"];
    if mapped.is_null() && folder().is_some() {
        return;
    }
    let twin: B256 = text(&find("handleCases", "header-only")["sender"]).parse().unwrap();
    let domains = list(&mapped["constructor"]["domainConfig"]);
    let arguments = MetaProverArguments {
        router: side.router,
        portal: side.portal,
        provers: vec![twin],
        minGasLimit: number(&mapped["constructor"]["minGasLimit"]),
        domains: domains
            .iter()
            .map(|entry| ProverDomain {
                domain: number(&entry[0]).to(),
                chainId: number(&entry[1]).to(),
            })
            .collect(),
        finality: 0,
    };
    let at = Address::repeat_byte(0x77);
    let deployed = side.chain.deploy_program(&program("meta-prover").code).unwrap();
    side.chain.set_code(at, side.chain.code(deployed)).unwrap();
    let outcome = side.send(OWNER, at, U256::ZERO, arguments.calldata()).ok();
    assert_logs(&outcome, list(&mapped["constructorLogs"]), at, "constructor", &[]);
    for case in list(&mapped["cases"]) {
        let call = handleCall { sender: twin, ..decoded(&handle(case)) }.abi_encode();
        let outcome = side.send(side.router, at, U256::ZERO, call);
        match case.get("revertData") {
            Some(data) => outcome.reverts_with(&bytes(data)),
            None => {
                let logs = list(&case["decodedLogs"]).len();
                assert_eq!(outcome.ok().logs.len(), logs, "{}", case["id"]);
            }
        }
    }
}

#[test]
fn constructor_errors_are_the_same() {
    let side = Side::new("src", "intent-source");
    let deployed = side.chain.deploy_program(&program("meta-prover").code).unwrap();
    let at = Address::repeat_byte(0x77);
    for case in cases(&vectors()["constructorErrors"]) {
        let mut arguments = MetaProverArguments {
            router: side.router,
            portal: side.portal,
            provers: vec![],
            minGasLimit: U256::ZERO,
            domains: vec![],
            finality: 0,
        };
        let domains = |pairs: &[(u64, u64)]| {
            pairs.iter().map(|&(domain, chain)| ProverDomain { domain, chainId: chain }).collect()
        };
        match text(&case["id"]) {
            "zero-router" => arguments.router = Address::ZERO,
            "zero-portal" => arguments.portal = Address::ZERO,
            "21-whitelist" => arguments.provers = vec![B256::repeat_byte(1); 21],
            "domain-zero" => arguments.domains = domains(&[(0, 5)]),
            "chain-zero" => arguments.domains = domains(&[(5, 0)]),
            "dup-domain" => arguments.domains = domains(&[(5, 6), (5, 7)]),
            "dup-chain" => arguments.domains = domains(&[(5, 6), (8, 6)]),
            other => panic!("unknown case {other}"),
        }
        side.chain.set_code(at, side.chain.code(deployed)).unwrap();
        let outcome = side.send(OWNER, at, U256::ZERO, arguments.calldata());
        outcome.reverts_with(&bytes(&case["revertData"]));
    }
}

#[test]
fn the_router_is_asked_for_the_fee_with_the_same_bytes() {
    let side = Side::new("dst", "inbox");
    side.put_mock(side.router, "Echo");
    for proof in cases(&vectors()["proofs"]) {
        let value = number(&proof["valueInboxToProver"]);
        side.chain.set_balance(side.portal, value).unwrap();
        let call = bytes(&proof["calldataInboxToProver"]);
        let outcome = side.send(side.portal, side.prover, value, call);
        outcome.reverts_with(&bytes(&proof["routerQuoteCalldata"]));
    }
}

#[test]
fn proofs_are_sent_with_the_same_bytes_and_errors() {
    let side = Side::new("dst", "inbox");
    let solver = DEV_ADDRESSES[3];
    for proof in cases(&vectors()["proofs"]) {
        let fee = number(&proof["fee"]);
        side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
        let value = number(&proof["valueInboxToProver"]);
        side.chain.set_balance(side.portal, value).unwrap();
        let before = side.chain.balance(solver);
        let call = bytes(&proof["calldataInboxToProver"]);
        side.send(side.portal, side.prover, value, call).ok();
        assert_eq!(side.chain.balance(solver) - before, number(&proof["refundToCaller"]));
        let last = Transact::call(OWNER, side.router, Router::lastDispatchCall {}.abi_encode());
        let last = side.chain.call(last).unwrap().output;
        let dispatched = Router::lastDispatchCall::abi_decode_returns(&last).unwrap();
        assert_eq!(dispatched, Bytes::from(bytes(&proof["routerDispatchCalldata"])));
    }

    let fee = U256::from(1_000_000_000_000_000_u64);
    side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
    side.chain.set_balance(side.portal, fee).unwrap();
    for case in cases(&vectors()["proveErrors"]) {
        let mut call = proveCall {
            sender: solver,
            domainID: 42_161,
            encodedProofs: Bytes::from_static(&[0; 8]),
            data: Bytes::from(vec![0; 64]),
        };
        let (mut from, mut value) = (side.portal, fee);
        match text(&case["id"]) {
            "caller-not-portal" => (from, value) = (solver, U256::ZERO),
            "domain-too-large" => call.domainID = 1 << 32,
            "insufficient-fee" => value = fee - U256::from(1),
            "bad-data-32-bytes" => call.data = Bytes::from(vec![0; 32]),
            "bad-data-empty" => call.data = Bytes::new(),
            other => panic!("unknown case {other}"),
        }
        let outcome = side.send(from, side.prover, value, call.abi_encode());
        outcome.reverts_with(&bytes(&case["revertData"]));
    }
}
