//! Publishing, and the life of intents at their origin.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use contract_tests::mocks::Token;
use devnet::{Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{
        intent_source::{getRewardStatusCall, publish_1Call},
        prover::handleCall,
    },
    ids::IntentHash,
    intent::Reward,
};
use serde_json::Value;

use super::{
    address, assert_logs, bytes, cases, decoded, find, handle, list, number, ours,
    side::{OWNER, Side},
    text, vaults, vectors,
};

#[test]
fn every_intent_publishes_the_same_event() {
    let side = Side::new("src", "intent-source");
    for key in ["intents", "universalIntents"] {
        for intent in cases(&vectors()[key]) {
            let outcome = side.send(OWNER, side.portal, U256::ZERO, publish(intent)).ok();
            let event = std::slice::from_ref(&intent["publishEvent"]);
            assert_logs(&outcome, event, side.portal, text(&intent["id"]), &[]);
            assert_eq!(outcome.output[..32], bytes(&intent["intentHash"]));
        }
    }
}

/// The call of a vector; the largest intents come without, and are published as bytes.
fn publish(intent: &Value) -> Vec<u8> {
    if !intent["publishCalldata"].is_null() {
        return bytes(&intent["publishCalldata"]);
    }
    let reward = bytes(&intent["encodedReward"]);
    publish_1Call {
        destination: number(&intent["destination"]).to(),
        route: bytes(&intent["encodedRoute"]).into(),
        reward: Reward::abi_decode_validate(&reward).unwrap(),
    }
    .abi_encode()
}

#[test]
fn lifecycle_gives_the_same_data_and_logs() {
    let side = Side::new("src", "intent-source");
    let vaults = vaults(side.portal);
    let creator = DEV_ADDRESSES[1];
    for token in list(&vectors()["deployment"]["mockTokens"]["src"]) {
        side.give(creator, address(token), side.portal);
    }
    side.at(1_800_000_000);
    side.deliver_proofs();
    for step in cases(&vectors()["lifecycle"]) {
        let id = text(&step["id"]);
        prepare(&side, id, text(&step["intent"]), creator);
        let from = address(&step["from"]);
        let outcome =
            side.send(from, side.portal, number(&step["value"]), bytes(&step["calldata"]));
        assert_eq!(outcome.success, step["ok"].as_bool().unwrap(), "{id}: {}", outcome.output);
        let expected = step.get("returnData").or_else(|| step.get("revertData")).unwrap();
        // Recorded by a call before time was moved: it holds what the transaction then did not answer.
        if id != "refund at timestamp == reward.deadline" {
            let expected = Bytes::from(ours(bytes(expected), &vaults));
            assert_eq!(outcome.output, expected, "data of {id}");
        }
        for of in [side.portal, side.prover] {
            assert_logs(&outcome, list(&step["logs"]), of, id, &vaults);
        }
        let hash = text(&find("intents", text(&step["intent"]))["intentHash"]).parse().unwrap();
        let status = getRewardStatusCall { intentHash: hash }.abi_encode();
        let status = side.chain.call(Transact::call(OWNER, side.portal, status)).unwrap().output;
        assert_eq!(U256::from_be_slice(&status), number(&step["statusAfter"]), "status of {id}");
    }
}

/// What the reference's script did between the steps: time, allowances, stray tokens.
fn prepare(side: &Side, step: &str, intent: &str, creator: Address) {
    let intent = find("intents", intent);
    let hash: B256 = text(&intent["intentHash"]).parse().unwrap();
    let vault = protocol::puppet::vault(side.portal, IntentHash(hash));
    match step {
        "refund before deadline" => side.at(1_800_000_065),
        "refund at timestamp == reward.deadline" => side.at(1_800_090_001),
        "fundFor 3 ERC20 with allowance to the vault" => {
            for token in list(&intent["reward"]["tokens"]) {
                side.approve(creator, address(&token["token"]), vault);
            }
        }
        step if step.starts_with("withdraw with a proof from chain 10") => {
            let claimant = creator.into_word();
            let message =
                [&10_u64.to_be_bytes()[..], hash.as_slice(), claimant.as_slice()].concat();
            let case = find("handleCases", "header-only");
            let call = handleCall { message: message.into(), ..decoded(&handle(case)) };
            side.send(side.router, side.prover, U256::ZERO, call.abi_encode()).ok();
        }
        "recoverToken" => {
            let stray = address(&vectors()["deployment"]["mockTokens"]["src"][3]);
            let mint = Token::mintCall { to: vault, amount: U256::from(7) };
            side.send(OWNER, stray, U256::ZERO, mint.abi_encode()).ok();
        }
        _ => {}
    }
}
