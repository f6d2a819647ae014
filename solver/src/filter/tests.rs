use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use chain::manifest::Manifest;
use prices::Usd;
use protocol::{
    ids::ChainId,
    intent::{Call, Intent, Reward, Route, TokenAmount},
};

use super::*;
use crate::{
    config::{Config, LimitsConfig},
    facts::{Plan, Promise, ProofSeen, Simulation, VaultLeg},
    fill::FillKind,
    money::Asset,
    pricing::Estimate,
    store::Mode,
};

const TOKEN: Address = Address::repeat_byte(0x77);

fn address(n: u8) -> Address {
    Address::repeat_byte(n)
}

/// A manifest of the example's two chains; contract `n` of a chain is at a fixed address.
fn manifest() -> Manifest {
    let contracts = serde_json::json!({
        "mailbox": address(1), "proxy_admin": null, "merkle_tree_hook": address(2), "igp": address(3),
        "gas_oracle": address(4), "validator_announce": address(5),
        "message_id_multisig_factory": address(6), "aggregation_factory": address(7),
        "deployer": address(8), "router": address(9), "ism": address(10), "read_ism": address(11),
        "intent_source": address(12), "inbox": address(13), "executor": address(14),
        "vault": address(15), "meta_prover_instant": address(16),
        "meta_prover_finalized": address(17), "local_prover": address(18), "multicall": null,
        "test_token": TOKEN, "owner": address(19), "guardian": address(20),
    });
    let chain = |id: u64| {
        serde_json::json!({
            "chain_id": id, "domain": id, "rpc": ["http://127.0.0.1:1"], "stack": "nitro",
            "data_availability": "none", "finality": "finalized", "start_block": 0,
            "contracts": contracts, "programs": {}, "validators": {}, "modules": {},
        })
    };
    serde_json::from_value(serde_json::json!({
        "format": 1, "metalayer": "0", "hyperlane": null,
        "chains": { "a": chain(700_001), "b": chain(700_002) },
    }))
    .unwrap()
}

fn policy() -> Policy {
    let text = include_str!("../../examples/solver.toml")
        .replace("0x0000000000000000000000000000000000007777", &TOKEN.to_string());
    let config: Config = service::config::parse(&text).unwrap();
    Policy::new(&config, &manifest()).unwrap()
}

fn order() -> Order {
    let leg = |amount| vec![TokenAmount { token: TOKEN, amount: U256::from(amount) }];
    let intent = Intent {
        destination: 700_002,
        route: Route {
            salt: B256::ZERO,
            deadline: 2_000,
            portal: address(13),
            nativeAmount: U256::ZERO,
            tokens: leg(1_000_000),
            calls: vec![Call { target: TOKEN, data: Bytes::new(), value: U256::ZERO }],
        },
        reward: Reward {
            deadline: 3_000,
            creator: address(0xc0),
            prover: address(16),
            nativeAmount: U256::ZERO,
            tokens: leg(1_010_000),
        },
    };
    Order::new(ChainId(700_001), intent, 0)
}

fn facts() -> Facts {
    let asset = Asset { chain: ChainId(700_001), token: TOKEN };
    let needed = U256::from(1_010_000);
    Facts {
        mode: Mode::Running,
        origin_time: 1_000,
        destination_time: 1_000,
        reward_status: 1,
        proof: ProofSeen::default(),
        filled_by: B256::ZERO,
        vault: vec![VaultLeg { asset, needed, now: needed, confirmed: needed }],
        confirmations: 2,
        payouts: vec![(TOKEN, Simulation::Works(0))],
        route_value: Usd::dollars(1),
        exposure: Usd::ZERO,
        in_flight_of_creator: 0,
        fill: Simulation::Works(300_000),
        estimate: Ok(Estimate {
            reward: Usd::dollars(2),
            route: Usd::dollars(1),
            ..Estimate::default()
        }),
        promise: None,
        no_wallet: false,
        plan: None,
    }
}

/// The rule that objects after a change to the intent.
fn on_intent(change: impl FnOnce(&mut Order, &Policy)) -> (&'static str, bool) {
    let (mut order, policy) = (order(), policy());
    change(&mut order, &policy);
    let ruling = judge_intake(&Intake { order: &order, policy: &policy });
    (ruling.rule, matches!(ruling.verdict, Verdict::Reject { .. }))
}

/// The rule that objects after a change to the facts, and how.
fn on_facts(change: impl FnOnce(&mut Facts)) -> (&'static str, Verdict) {
    let (order, policy, mut facts) = (order(), policy(), facts());
    change(&mut facts);
    let ruling = judge_case(&Case { order: &order, policy: &policy, facts: &facts });
    (ruling.rule, ruling.verdict)
}

#[test]
fn an_honest_intent_passes_every_rule() {
    assert_eq!(on_intent(|_, _| {}), ("all", false));
    assert_eq!(on_facts(|_| {}), ("all", Verdict::Accept));
}

#[test]
fn each_rule_on_the_intent_refuses_what_it_is_for() {
    let set = |address| BTreeSet::from([address]);
    assert_eq!(on_intent(|o, _| o.origin = ChainId(5)), ("inbox", true));
    assert_eq!(on_intent(|o, _| o.intent.destination = 5), ("inbox", true));
    assert_eq!(on_intent(|o, _| o.intent.route.portal = address(99)), ("inbox", true));
    assert_eq!(on_intent(|o, _| o.intent.reward.prover = address(99)), ("prover", true));
    assert_eq!(on_intent(|o, _| o.intent.reward.prover = address(18)), ("prover", true));
    assert_eq!(on_intent(|o, _| o.intent.destination = 700_001), ("prover", true));
    let lists = |deny, allow_creators, allow_targets| {
        on_intent(|_, policy| {
            policy.set_lists(crate::ListsConfig { deny, allow_creators, allow_targets });
        })
    };
    let none = BTreeSet::new;
    assert_eq!(lists(set(address(0xc0)), none(), none()), ("lists", true));
    assert_eq!(lists(set(TOKEN), none(), none()), ("lists", true));
    assert_eq!(lists(none(), set(address(1)), none()), ("lists", true));
    assert_eq!(lists(none(), none(), set(address(1))), ("lists", true));
    let hidden = |o: &mut Order, policy: &Policy| {
        let mut data = vec![0; 4];
        data.extend_from_slice(address(0xba).into_word().as_slice());
        o.intent.route.calls[0].data = data.into();
        let deny = set(address(0xba));
        policy.set_lists(crate::ListsConfig { deny, ..crate::ListsConfig::default() });
    };
    assert_eq!(on_intent(hidden), ("lists", true));
    let many = |o: &mut Order, _: &Policy| {
        o.intent.route.calls = vec![o.intent.route.calls[0].clone(); 17];
    };
    assert_eq!(on_intent(many), ("shape", true));
    let long = |o: &mut Order, _: &Policy| o.intent.route.calls[0].data = vec![0; 16_385].into();
    assert_eq!(on_intent(long), ("shape", true));
    let leftovers = |o: &mut Order, _: &Policy| o.intent.route.calls[0].value = U256::ONE;
    assert_eq!(on_intent(leftovers), ("shape", true));
    assert_eq!(on_intent(|o, _| o.intent.reward.tokens.clear()), ("shape", true));
    let strange = |o: &mut Order, _: &Policy| o.intent.reward.tokens[0].token = address(99);
    assert_eq!(on_intent(strange), ("tokens", true));
    assert_eq!(on_intent(|o, _| o.attempt = 3), ("attempts", true));
}

#[test]
fn a_local_intent_passes_with_the_local_prover() {
    let local = |o: &mut Order, _: &Policy| {
        o.intent.destination = 700_001;
        o.intent.reward.prover = address(18);
    };
    assert_eq!(on_intent(local), ("all", false));
}

#[test]
fn each_rule_on_the_chains_refuses_what_it_is_for() {
    let rejects = |change: fn(&mut Facts), rule| {
        let (by, verdict) = on_facts(change);
        assert!(
            by == rule && matches!(verdict, Verdict::Reject { .. }),
            "{rule}: {by} {verdict:?}"
        );
    };
    rejects(|f| f.proof = ProofSeen { claimant: address(9), destination: 700_002 }, "open");
    rejects(|f| f.destination_time = 1_995, "deadlines");
    rejects(|f| f.origin_time = 2_970, "deadlines");
    rejects(|f| f.payouts[0].1 = Simulation::Fails("no".into()), "payout");
    rejects(|f| f.route_value = Usd::dollars(50_001), "size");
    rejects(|f| f.fill = Simulation::Works(10_000_001), "simulation");
}

#[test]
fn proofs_that_take_longer_than_configured_ask_for_later_deadlines() {
    let (policy, mut order, facts) = (policy(), order(), facts());
    let rule = |order: &Order| judge_case(&Case { order, policy: &policy, facts: &facts }).rule;
    let slow = Duration::from_secs(3_000);
    for _ in 1..20 {
        policy.measured(&order, slow, 0);
    }
    assert_eq!(rule(&order), "all", "too few to tell");
    policy.measured(&order, slow, 0);
    assert_eq!(rule(&order), "deadlines");
    assert_eq!(policy.tiers().instant, slow, "a quote asks for as much as the rule");
    let back = policy.tiers_on(ChainId(700_002), ChainId(700_001));
    assert_eq!(back, policy.configured_tiers(), "other lanes are as fast as before");
    order.intent.reward.deadline = 5_000;
    assert_eq!(rule(&order), "all");
}

#[test]
fn what_may_pass_is_not_yet() {
    let waits = |change: fn(&mut Facts), rule| {
        let (by, verdict) = on_facts(change);
        assert!(
            by == rule && matches!(verdict, Verdict::NotYet { .. }),
            "{rule}: {by} {verdict:?}"
        );
    };
    waits(|f| f.mode = Mode::Paused, "mode");
    waits(|f| f.mode = Mode::Draining, "mode");
    waits(|f| f.vault[0].now = U256::from(1_009_999), "vault");
    waits(|f| f.vault[0].confirmed = U256::ZERO, "confirmations");
    waits(|f| f.exposure = Usd::dollars(1_000_000), "exposure");
    waits(|f| f.in_flight_of_creator = 100, "exposure");
    waits(|f| f.payouts[0].1 = Simulation::Unclear("busy".into()), "payout");
    waits(|f| f.fill = Simulation::Fails("reverted".into()), "simulation");
    let poor = |f: &mut Facts| {
        f.estimate = Ok(Estimate { route: Usd::dollars(1), ..Estimate::default() });
    };
    waits(poor, "profit");
    let unknown = crate::valuer::Unknown::Token(Asset::native(ChainId(1)));
    let (rule, verdict) = on_facts(|f| f.estimate = Err(unknown));
    assert!(rule == "profit" && matches!(verdict, Verdict::NotYet { .. }));
}

#[test]
fn what_is_over_is_too_late() {
    let late = |change: fn(&mut Facts)| matches!(on_facts(change).1, Verdict::TooLate { .. });
    assert!(late(|f| f.filled_by = B256::repeat_byte(1)));
    assert!(late(|f| f.reward_status = 2));
    assert!(late(|f| f.reward_status = 3));
    assert!(late(|f| f.destination_time = 2_001));
}

#[test]
fn a_promise_outweighs_the_margin_but_nothing_else() {
    let unprofitable = |f: &mut Facts| {
        f.promise = Some(PROMISE);
        f.estimate = Ok(Estimate { route: Usd::dollars(1), ..Estimate::default() });
    };
    assert_eq!(on_facts(unprofitable).1, Verdict::Accept);
    let (rule, _) = on_facts(|f| {
        f.promise = Some(PROMISE);
        f.vault[0].now = U256::ZERO;
    });
    assert_eq!(rule, "vault");
    let (rule, _) = on_facts(|f| {
        unprofitable(f);
        f.plan = Some(plan(PROMISE.gas + 1));
    });
    assert_eq!(rule, "profit", "calls that take more gas than was quoted are not promised");
}

const PROMISE: Promise = Promise { gas: 400_000, opening: false };

fn plan(gas: u64) -> Plan {
    Plan {
        wallet: Address::ZERO,
        kind: FillKind::Alone,
        value: U256::ZERO,
        proof_fee: U256::ZERO,
        data: Bytes::new(),
        gas,
    }
}

#[test]
fn limits_can_be_changed_while_running() {
    let policy = policy();
    let limits = LimitsConfig { calls: 0, ..policy.limits() };
    policy.set_limits(limits);
    let ruling = judge_intake(&Intake { order: &order(), policy: &policy });
    assert_eq!(ruling.rule, "shape");
}
