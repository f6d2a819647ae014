//! The reference's vectors, replayed byte for byte against our programs at the reference's addresses. What differs by
//! design (vault addresses: another clone code) is put in its place before comparing.

use std::{fs, path::PathBuf, sync::OnceLock};

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use contract_tests::{
    Outcome, mocks,
    mocks::{Router, Token},
    world::program,
};
use devnet::{Chain, ChainConfig, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{
        constructor::{
            Constructor, InboxArguments, IntentSourceArguments, MetaProverArguments, ProverDomain,
        },
        intent_source::{getRewardStatusCall, publish_1Call},
        prover::{handleCall, proveCall, provenIntentsCall},
    },
    ids::IntentHash,
    intent::Reward,
};
use serde_json::Value;

fn vectors() -> &'static Value {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| {
        let folder = std::env::var_os("VECTORS_DIR").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/protocol/vectors")),
            PathBuf::from,
        );
        let text = fs::read_to_string(folder.join("eco-routes.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).unwrap()
}

fn address(value: &Value) -> Address {
    text(value).parse().unwrap()
}

fn number(value: &Value) -> U256 {
    value.as_u64().map_or_else(|| text(value).parse().unwrap(), U256::from)
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list, not {value}"))
}

/// One of the reference's two chains.
struct Side {
    chain: Chain,
    portal: Address,
    router: Address,
    prover: Address,
}

const OWNER: Address = DEV_ADDRESSES[0];

impl Side {
    /// Our program `portal` where the reference's contract is, with the mock tokens, router and prover of that chain.
    fn new(name: &str, portal: &str) -> Self {
        let deployment = &vectors()["deployment"][name];
        // Shortly before the vectors' time: a program expires a year after its activation.
        let chain = Chain::new(ChainConfig {
            genesis_timestamp: 1_799_990_000,
            ..ChainConfig::new(deployment["chainId"].as_u64().unwrap())
        });
        // The reference's addresses are those of this account's first transactions: ours come after.
        chain.set_nonce(OWNER, 10_000).unwrap();
        let this = Self {
            chain,
            portal: address(&deployment["portal"]),
            router: address(&deployment["metaRouter"]),
            prover: address(&deployment["metaProver"]),
        };
        let arguments = match portal {
            "inbox" => InboxArguments.calldata(),
            _ => IntentSourceArguments { nativeErc20: Address::ZERO }.calldata(),
        };
        this.put_program(this.portal, portal, arguments);
        for token in list(&vectors()["deployment"]["mockTokens"][name]) {
            this.put_mock(address(token), "Token");
        }
        // On the source chain the router has the address that a mock token has on the other one.
        this.put_mock(this.router, "Router");
        let arguments = MetaProverArguments {
            router: this.router,
            portal: this.portal,
            provers: list(&deployment["metaProverConstructor"]["whitelist"])
                .iter()
                .map(|prover| text(prover).parse().unwrap())
                .collect(),
            minGasLimit: U256::ZERO,
            domains: vec![],
            finality: 0,
        };
        this.put_program(this.prover, "meta-prover", arguments.calldata());
        this
    }

    fn put_program(&self, at: Address, name: &str, init_data: Vec<u8>) {
        let deployed = self.chain.deploy_program(&program(name).code).unwrap();
        self.chain.set_code(at, self.chain.code(deployed)).unwrap();
        self.chain.set_nonce(at, 1).unwrap();
        self.send(OWNER, at, U256::ZERO, init_data).ok();
    }

    fn put_mock(&self, at: Address, name: &str) {
        let create = Transact::create(OWNER, mocks::creation_code(name));
        let created = self.chain.transact(create).unwrap().contract_address.unwrap();
        self.chain.set_code(at, self.chain.code(created)).unwrap();
    }

    fn send(&self, from: Address, to: Address, value: U256, data: impl Into<Bytes>) -> Outcome {
        self.chain.transact(Transact::call(from, to, data).value(value)).unwrap().into()
    }

    fn at(&self, timestamp: u64) {
        self.chain.set_next_timestamp(timestamp).unwrap();
    }

    /// Mints a mock token to an account that approves it to `spender`.
    fn give(&self, account: Address, token: Address, spender: Address) {
        let amount = U256::from(1_000_000_000_u64);
        self.send(OWNER, token, U256::ZERO, Token::mintCall { to: account, amount }.abi_encode())
            .ok();
        self.approve(account, token, spender);
    }

    fn approve(&self, account: Address, token: Address, spender: Address) {
        let approve = Token::approveCall { spender, amount: U256::MAX };
        self.send(account, token, U256::ZERO, approve.abi_encode()).ok();
    }

    /// Delivers every proof of the vectors.
    fn deliver_proofs(&self) {
        for proof in list(&vectors()["proofs"]) {
            let handle = &proof["handle"];
            let outcome =
                self.send(self.router, self.prover, U256::ZERO, bytes(&handle["calldata"])).ok();
            assert_logs(&outcome, list(&handle["logs"]), self.prover, text(&proof["id"]), &[]);
        }
    }
}

/// Expects the logs of `of`, as the vector has them after putting our vaults in the place of the reference's.
#[track_caller]
fn assert_logs(
    outcome: &Outcome,
    expected: &[Value],
    of: Address,
    id: &str,
    vaults: &[(Address, Address)],
) {
    let given: Vec<_> = outcome
        .logs
        .iter()
        .filter(|log| log.address == of)
        .map(|log| (log.topics().to_vec(), log.data.data.clone()))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .filter(|log| log.get("address").is_none_or(|given| address(given) == of))
        .map(|log| {
            let topics = list(&log["topics"])
                .iter()
                .map(|topic| B256::from_slice(&ours(bytes(topic), vaults)))
                .collect::<Vec<_>>();
            (topics, Bytes::from(ours(bytes(&log["data"]), vaults)))
        })
        .collect();
    assert_eq!(given, expected, "logs of {id}");
}

/// Replaces the reference's vault addresses by ours.
fn ours(mut data: Vec<u8>, vaults: &[(Address, Address)]) -> Vec<u8> {
    for (theirs, our) in vaults {
        let mut start = 0;
        while let Some(found) =
            data[start..].windows(20).position(|window| window == theirs.as_slice())
        {
            data[start + found..start + found + 20].copy_from_slice(our.as_slice());
            start += found + 20;
        }
    }
    data
}

/// For every intent of the vectors: where the reference keeps its reward, and where we do.
fn vaults(source: Address) -> Vec<(Address, Address)> {
    let all = ["intents", "universalIntents"].into_iter().flat_map(|key| list(&vectors()[key]));
    all.map(|intent| {
        let hash: B256 = text(&intent["intentHash"]).parse().unwrap();
        (address(&intent["vault"]), protocol::puppet::vault(source, IntentHash(hash)))
    })
    .collect()
}

#[test]
fn every_intent_publishes_the_same_event() {
    let side = Side::new("src", "intent-source");
    let mut count = 0;
    for key in ["intents", "universalIntents"] {
        for intent in list(&vectors()[key]) {
            let outcome = side.send(OWNER, side.portal, U256::ZERO, publish(intent)).ok();
            let event = std::slice::from_ref(&intent["publishEvent"]);
            assert_logs(&outcome, event, side.portal, text(&intent["id"]), &[]);
            assert_eq!(outcome.output[..32], bytes(&intent["intentHash"]));
            count += 1;
        }
    }
    assert!(count > 0);
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
    let steps = list(&vectors()["lifecycle"]);
    assert!(!steps.is_empty());
    for step in steps {
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

fn find(section: &str, id: &str) -> &'static Value {
    list(&vectors()[section]).iter().find(|entry| entry["id"] == id).unwrap()
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

#[test]
fn handle_cases_give_the_same_data_and_logs() {
    let side = Side::new("src", "intent-source");
    side.deliver_proofs();
    let cases = list(&vectors()["handleCases"]);
    assert!(!cases.is_empty());
    for case in cases {
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
    for proof in list(&vectors()["proofs"]) {
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

fn handle(case: &Value) -> Vec<u8> {
    handleCall {
        origin: case["origin"].as_u64().unwrap() as u32,
        sender: case.get("sender").map_or(B256::ZERO, |sender| text(sender).parse().unwrap()),
        message: bytes(&case["message"]).into(),
        reads: vec![],
        readResults: vec![],
    }
    .abi_encode()
}

#[test]
fn a_mapped_domain_stands_for_its_chain_only() {
    let side = Side::new("src", "intent-source");
    let mapped = &vectors()["domainMapped"];
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

fn decoded(call: &[u8]) -> handleCall {
    handleCall::abi_decode(call).unwrap()
}

#[test]
fn constructor_errors_are_the_same() {
    let side = Side::new("src", "intent-source");
    let deployed = side.chain.deploy_program(&program("meta-prover").code).unwrap();
    let at = Address::repeat_byte(0x77);
    for case in list(&vectors()["constructorErrors"]) {
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
fn proofs_are_sent_with_the_same_bytes_and_errors() {
    let side = Side::new("dst", "inbox");
    let proofs = list(&vectors()["proofs"]);
    let solver = DEV_ADDRESSES[3];
    let mut sent = 0;
    for proof in proofs {
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
        sent += 1;
    }
    assert!(sent > 0);

    let fee = U256::from(1_000_000_000_000_000_u64);
    side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
    side.chain.set_balance(side.portal, fee).unwrap();
    for case in list(&vectors()["proveErrors"]) {
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

#[test]
fn orders_open_and_resolve_with_the_same_data_and_logs() {
    let side = Side::new("src", "intent-source");
    let orders = &vectors()["erc7683"];
    for account in [DEV_ADDRESSES[1], DEV_ADDRESSES[5]] {
        for token in list(&vectors()["deployment"]["mockTokens"]["src"]) {
            side.give(account, address(token), side.portal);
        }
    }
    let open = |order: &Value, from: Address, calldata: &Value, resolved: &Value| {
        let value = number(&order["orderDataFields"]["reward"]["nativeAmount"]);
        let outcome = side.send(from, side.portal, value, bytes(calldata)).ok();
        let opened = std::slice::from_ref(&order["openEvent"]);
        let last = outcome.logs.last().unwrap().clone();
        let alone = Outcome { logs: vec![last], ..outcome };
        assert_logs(&alone, opened, side.portal, text(&order["id"]), &[]);
        assert_eq!(alone.logs[0].data.data, Bytes::from(bytes(&order["openEvent"]["data"])));
        // The resolved order is the event's data.
        assert_eq!(alone.logs[0].data.data.len(), bytes(resolved).len());
    };
    let mut count = 0;
    for order in list(&orders["onchain"]) {
        side.at(order["openBlockTimestamp"].as_u64().unwrap());
        open(order, DEV_ADDRESSES[1], &order["openCalldata"], &order["resolveReturnData"]);
        count += 1;
    }
    for order in list(&orders["gasless"]) {
        open(order, DEV_ADDRESSES[9], &order["openForCalldata"], &order["resolveForReturnData"]);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn fills_give_the_same_logs() {
    let side = Side::new("dst", "inbox");
    let solver = DEV_ADDRESSES[3];
    for token in list(&vectors()["deployment"]["mockTokens"]["dst"]) {
        side.give(solver, address(token), side.portal);
    }
    side.at(1_800_000_000);
    let executor = protocol::puppet::first_created(side.portal);
    let theirs = address(&vectors()["deployment"]["dst"]["executor"]);
    for fill in list(&vectors()["erc7683"]["fills"]) {
        let fee = number(&fill["fee"]);
        side.send(OWNER, side.router, U256::ZERO, Router::setFeeCall { fee }.abi_encode()).ok();
        let outcome = side
            .send(solver, side.portal, number(&fill["value"]), bytes(&fill["fillCalldata"]))
            .ok();
        let id = text(&fill["id"]);
        assert_logs(&outcome, list(&fill["inboxLogs"]), side.portal, id, &[(theirs, executor)]);
    }
}
