//! ERC-7683 orders: opened, and resolved by every function that resolves.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use contract_tests::Outcome;
use devnet::{Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::intent_source::{_resolveCall, openCall, openForCall, resolveCall, resolveForCall},
    erc7683::OrderData,
};
use serde_json::Value;

use super::{
    address, assert_logs, bytes, cases, list, number,
    side::{OWNER, Side},
    text, vectors,
};

/// The source, with two users that have every token.
fn source() -> Side {
    let side = Side::new("src", "intent-source");
    for account in [DEV_ADDRESSES[1], DEV_ADDRESSES[5]] {
        for token in list(&vectors()["deployment"]["mockTokens"]["src"]) {
            side.give(account, address(token), side.portal);
        }
    }
    side
}

/// Opens an order, and expects the reference's event.
fn open(side: &Side, order: &Value, from: Address, call: Vec<u8>) {
    let value = number(&order["orderDataFields"]["reward"]["nativeAmount"]);
    let outcome = side.send(from, side.portal, value, call).ok();
    let opened = std::slice::from_ref(&order["openEvent"]);
    let last = outcome.logs.last().unwrap().clone();
    let alone = Outcome { logs: vec![last], ..outcome };
    assert_logs(&alone, opened, side.portal, text(&order["id"]), &[]);
}

/// Asks one of the functions that resolve, and expects the reference's answer.
fn resolves(side: &Side, call: &impl SolCall, expected: &[u8], id: &str) {
    let call = Transact::call(OWNER, side.portal, call.abi_encode());
    let answer = side.chain.call(call).unwrap();
    assert!(answer.success, "{id}: {}", answer.output);
    assert_eq!(answer.output, Bytes::copy_from_slice(expected), "{id}");
}

/// The third member of a resolved order, whose encoding starts with an offset.
fn open_deadline(resolved: &[u8]) -> u32 {
    U256::from_be_slice(&resolved[32 * 3..32 * 4]).to()
}

#[test]
fn onchain_orders_open_and_resolve_with_the_same_bytes() {
    let side = source();
    for order in cases(&vectors()["erc7683"]["onchain"]) {
        let id = text(&order["id"]);
        let call = bytes(&order["openCalldata"]);
        let order_of = openCall::abi_decode(&call).unwrap().order;
        let data = OrderData::abi_decode(&order_of.orderData).unwrap();

        // The reference was asked when the next block's time was `openDeadline`.
        let resolved = bytes(&order["resolveReturnData"]);
        let deadline = open_deadline(&resolved);
        side.at(deadline.into());
        resolves(&side, &resolveCall { order: order_of }, &resolved, id);
        let call_of = _resolveCall { openDeadline: deadline, orderData: data };
        resolves(&side, &call_of, &resolved, id);

        side.at(order["openBlockTimestamp"].as_u64().unwrap());
        open(&side, order, DEV_ADDRESSES[1], call);
    }
}

#[test]
fn gasless_orders_open_and_resolve_with_the_same_bytes() {
    let side = source();
    for order in cases(&vectors()["erc7683"]["gasless"]) {
        let id = text(&order["id"]);
        let call = bytes(&order["openForCalldata"]);
        let openForCall { order: order_of, originFillerData, .. } =
            openForCall::abi_decode(&call).unwrap();
        let resolved = bytes(&order["resolveForReturnData"]);
        assert_eq!(open_deadline(&resolved), order_of.openDeadline);
        let data = OrderData::abi_decode(&order_of.orderData).unwrap();
        let call_of = _resolveCall { openDeadline: order_of.openDeadline, orderData: data };
        resolves(&side, &call_of, &resolved, id);
        let call_of = resolveForCall { order: order_of, originFillerData };
        resolves(&side, &call_of, &resolved, id);
        open(&side, order, DEV_ADDRESSES[9], call);
    }
}
