//! Fulfilling and filling.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use contract_tests::mocks::Router;
use devnet::{Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::inbox::{claimantsCall, fulfillCall},
    intent::Route,
};
use serde_json::Value;

use super::{
    address, assert_logs, bytes, cases, find, list, number,
    side::{OWNER, Side},
    text, vectors,
};

impl Side {
    /// The destination, shortly after the reference began, with a solver that has every token.
    fn destination(solver: Address) -> Self {
        let side = Self::new("dst", "inbox");
        for token in list(&vectors()["deployment"]["mockTokens"]["dst"]) {
            side.give(solver, address(token), side.portal);
        }
        side.at(1_800_000_000);
        side
    }
}

/// The call of a vector; the largest comes without.
fn fulfill(case: &Value) -> Vec<u8> {
    if !case["calldata"].is_null() {
        return bytes(&case["calldata"]);
    }
    let intent = find("intents", text(&case["id"]));
    fulfillCall {
        intentHash: text(&case["intentHash"]).parse().unwrap(),
        route: Route::abi_decode_validate(&bytes(&intent["encodedRoute"])).unwrap(),
        rewardHash: text(&intent["rewardHash"]).parse().unwrap(),
        claimant: text(&case["claimant"]).parse().unwrap(),
    }
    .abi_encode()
}

#[test]
fn fulfillments_give_the_same_answers_and_logs() {
    let side = Side::destination(DEV_ADDRESSES[3]);
    for case in cases(&vectors()["fulfillments"]) {
        let id = text(&case["id"]);
        let solver = address(&case["solver"]);
        let before = side.chain.balance(solver);
        let (value, call) = (number(&case["msgValue"]), fulfill(case));
        let outcome = side.send(solver, side.portal, value, call).ok();
        let answer = B256::from_slice(&bytes(&case["returnDataKeccak"]));
        assert_eq!(keccak256(&outcome.output), answer, "answer of {id}: {}", outcome.output);
        if let Some(answer) = case["returnData"].as_str() {
            assert_eq!(outcome.output, answer.parse::<Bytes>().unwrap(), "answer of {id}");
        }
        assert_logs(&outcome, list(&case["inboxLogs"]), side.portal, id, &[]);
        // Three wei more than the route needs were sent, and came back.
        assert_eq!(before - side.chain.balance(solver), value - U256::from(3), "spent on {id}");
        let intent = text(&case["intentHash"]).parse().unwrap();
        let query = claimantsCall { intentHash: intent }.abi_encode();
        let stored = side.chain.call(Transact::call(OWNER, side.portal, query)).unwrap().output;
        assert_eq!(stored, Bytes::from(bytes(&case["storedClaimant"])), "claimant of {id}");
    }
}

#[test]
fn provers_are_called_with_the_same_bytes() {
    let solver = DEV_ADDRESSES[3];
    let side = Side::destination(solver);
    for case in cases(&vectors()["fulfillments"]) {
        side.send(solver, side.portal, number(&case["msgValue"]), fulfill(case)).ok();
    }
    let prover = side.chain.code(side.prover);
    for proof in cases(&vectors()["proofs"]) {
        let id = text(&proof["id"]);
        let (value, call) = (number(&proof["valueInboxToProver"]), bytes(&proof["proveCalldata"]));
        side.put_mock(side.prover, "Echo");
        let outcome = side.send(solver, side.portal, value, call.clone());
        outcome.reverts_with(&bytes(&proof["calldataInboxToProver"]));

        side.chain.set_code(side.prover, prover.clone()).unwrap();
        let fee = number(&proof["fee"]);
        side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
        let before = side.chain.balance(solver);
        let outcome = side.send(solver, side.portal, value, call).ok();
        assert_logs(&outcome, list(&proof["inboxLogs"]), side.portal, id, &[]);
        assert_eq!(before - side.chain.balance(solver), fee, "cost of {id}");
        let router = side.chain.balance(side.router);
        assert!(router >= number(&proof["routerDispatchValue"]), "{id}");
    }
}

#[test]
fn fills_give_the_same_logs() {
    let solver = DEV_ADDRESSES[3];
    let side = Side::destination(solver);
    let executor = protocol::puppet::first_created(side.portal);
    let theirs = address(&vectors()["deployment"]["dst"]["executor"]);
    for fill in cases(&vectors()["erc7683"]["fills"]) {
        let fee = number(&fill["fee"]);
        side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
        let outcome = side
            .send(solver, side.portal, number(&fill["value"]), bytes(&fill["fillCalldata"]))
            .ok();
        let id = text(&fill["id"]);
        assert_logs(&outcome, list(&fill["inboxLogs"]), side.portal, id, &[(theirs, executor)]);
    }
}
