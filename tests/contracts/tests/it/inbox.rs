//! Fulfilling, proving and filling. Ids in brackets are those of the reference's behaviours.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolError, SolValue},
};
use contract_tests::{
    Logs, Outcome, World,
    intents::{IntentExt, call, empty, leg},
    mocks::{Account, Error, Prover, Target, Token, account},
    world::fulfill_call,
};
use protocol::{
    abi::{
        executor::{CallFailed, CallToEOA, NonPortalCaller, executeCall},
        inbox::{
            InsufficientNativeAmount, IntentAlreadyFulfilled, IntentExpired, IntentFulfilled,
            IntentNotFulfilled, IntentProven, InvalidHash, InvalidPortal, OrderFilled,
            ReentrancyGuardReentrantCall, ZeroClaimant, claimantsCall, fillCall,
            fulfillAndProveCall, fulfillCall, proveCall,
        },
        prover::RefundFailed,
        vault::AddressEmptyCode,
    },
    erc7683::{FillerData, OriginData},
    intent::{Call, Intent, Route},
};

fn claimant_of(world: &World, intent: &Intent) -> B256 {
    world.view(world.inbox, &claimantsCall { intentHash: intent.id() })
}

fn prove(world: &World, from: Address, intents: &[&Intent], value: u64) -> Outcome {
    let call = proveCall {
        prover: world.prover,
        sourceChainDomainID: 9,
        intentHashes: intents.iter().map(|intent| intent.id()).collect(),
        data: Bytes::from_static(&[0x12, 0x34]),
    };
    world.send_value(from, world.inbox, U256::from(value), &call)
}

fn hit(data: &'static [u8]) -> Vec<u8> {
    Target::hitCall { data: Bytes::from_static(data) }.abi_encode()
}

/// [ful.1] [ful.2] [ful.2b] [ful.3]
#[test]
fn a_route_is_fulfilled_up_to_its_deadline() {
    let world = World::new();
    let intent = empty(&world, 1);
    world.chain.set_next_timestamp(intent.route.deadline).unwrap();
    world.fulfill(world.solver, &intent, 0).ok();
    let mut late = empty(&world, 2);
    late.route.deadline = intent.route.deadline;
    late.route.portal = world.stranger;
    world.fulfill(world.solver, &late, 0).reverts(IntentExpired {});
}

/// [ful.4] [ful.5] [ful.6] [ful.7] [ful.8]
#[test]
fn checks_come_in_order() {
    let world = World::new();
    let intent = empty(&world, 1);
    let mut wrong = fulfill_call(&intent, B256::ZERO);
    wrong.intentHash = B256::ZERO;
    wrong.route.portal = world.stranger;
    world.send(world.solver, world.inbox, &wrong).reverts(InvalidPortal { portal: world.stranger });
    wrong.route.portal = world.inbox;
    world.send(world.solver, world.inbox, &wrong).reverts(InvalidHash { expectedHash: B256::ZERO });
    world
        .send(world.solver, world.inbox, &fulfill_call(&intent, B256::ZERO))
        .reverts(ZeroClaimant {});
    assert_eq!(claimant_of(&world, &intent), B256::ZERO);
    world.fulfill(world.solver, &intent, 0).ok();
    world
        .send(world.solver, world.inbox, &fulfill_call(&intent, B256::ZERO))
        .reverts(IntentAlreadyFulfilled { intentHash: intent.id() });
    let elsewhere = empty(&world, 2).to(10);
    world
        .fulfill(world.solver, &elsewhere, 0)
        .reverts(InvalidHash { expectedHash: elsewhere.id() });
    assert_eq!(claimant_of(&world, &intent), world.claimant.into_word());
}

/// [ful.9] [ful.10] [ful.11] [ful.11b]
#[test]
fn what_the_route_needs_is_taken_from_the_solver() {
    let world = World::new();
    let short = empty(&world, 1).asking(10, &[leg(world.token, 5)], &[]);
    world
        .fulfill(world.solver, &short, 9)
        .reverts(InsufficientNativeAmount { sent: U256::from(9), required: U256::from(10) });
    world.approve(world.solver, world.token, world.inbox);
    world.fulfill(world.solver, &short, 10).reverts(Error { reason: "balance".into() });
    assert_eq!(claimant_of(&world, &short), B256::ZERO);
    for amount in [1, 0] {
        let codeless = empty(&world, 2).asking(0, &[leg(world.stranger, amount)], &[]);
        world
            .fulfill(world.solver, &codeless, 0)
            .reverts(AddressEmptyCode { target: world.stranger });
    }
    let twice = empty(&world, 3).asking(0, &[leg(world.token, 5), leg(world.token, 5)], &[]);
    world.give(world.solver, world.token, 10);
    world.fulfill(world.solver, &twice, 0).ok();
    assert_eq!(world.tokens(world.token, world.executor), 10);
}

/// [ful.12] [ful.13] [ful.14]
#[test]
fn call_data_only_reach_contracts() {
    let world = World::new();
    for target in [world.stranger, Address::with_last_byte(1)] {
        let intent = empty(&world, 1).asking(0, &[], &[call(target, 0, [1_u8])]);
        world.fulfill(world.solver, &intent, 0).reverts(CallToEOA { target });
    }
    let pays = empty(&world, 2).asking(5, &[], &[call(world.stranger, 5, [])]);
    let before = world.native(world.stranger);
    world.fulfill(world.solver, &pays, 5).ok();
    assert_eq!(world.native(world.stranger) - before, U256::from(5));
}

/// [ful.15] [ful.16]
#[test]
fn a_failing_call_undoes_everything() {
    let world = World::new();
    let target = world.mock("Target");
    let failing = call(target, 0, Target::failCall {}.abi_encode());
    let calls = [call(target, 0, hit(b"first")), failing.clone()];
    let intent = empty(&world, 1).asking(0, &[leg(world.token, 5)], &calls);
    world.give(world.solver, world.token, 5);
    let reason = Error { reason: "boom".into() }.abi_encode().into();
    world.fulfill(world.solver, &intent, 0).reverts(CallFailed { call: failing, reason });
    assert_eq!(claimant_of(&world, &intent), B256::ZERO);
    assert_eq!(world.tokens(world.token, world.solver), 5);

    for failing in [
        call(target, 5, Target::noopCall {}.abi_encode()),
        call(target, 0, Target::failSilentlyCall {}.abi_encode()),
    ] {
        let intent = empty(&world, 2).asking(0, &[], std::slice::from_ref(&failing));
        world
            .fulfill(world.solver, &intent, 0)
            .reverts(CallFailed { call: failing, reason: Bytes::new() });
    }
}

/// [ful.17] [ful.18] [ful.19]
#[test]
fn the_executor_keeps_leftovers_and_the_solver_gets_its_excess() {
    let world = World::new();
    let target = world.mock("Target");
    let noop = |value| call(target, value, Target::noopCall {}.abi_encode());
    let wasteful = empty(&world, 1).asking(20, &[], &[noop(5)]);
    world.fulfill(world.solver, &wasteful, 20).ok();
    assert_eq!(world.native(world.executor), U256::from(15));
    let thrifty = empty(&world, 2).asking(0, &[], &[noop(15)]);
    world.fulfill(world.solver, &thrifty, 0).ok();
    assert_eq!(world.native(world.executor), U256::ZERO);

    let before = world.native(world.solver);
    let intent = empty(&world, 3).asking(5, &[], &[noop(5)]);
    world.fulfill(world.solver, &intent, 50).ok();
    assert_eq!(before - world.native(world.solver), U256::from(5));
    assert_eq!(world.native(world.inbox), U256::ZERO);
    let idle = empty(&world, 4).asking(7, &[], &[]);
    world.fulfill(world.solver, &idle, 7).ok();
    assert_eq!(world.native(world.executor), U256::from(7));
}

/// A solver that cannot take its excess back is refused: nothing is ever stranded in the Inbox.
#[test]
fn a_solver_that_cannot_take_its_excess_back_is_refused() {
    let world = World::new();
    let solver = world.mock("Account");
    world.send(world.owner, solver, &Account::setModeCall { mode: account::REFUSES }).ok();
    world.chain.set_balance(solver, U256::from(100)).unwrap();
    let intent = empty(&world, 1).asking(5, &[], &[]);
    world
        .fulfill(solver, &intent, 12)
        .reverts(RefundFailed { recipient: solver, amount: U256::from(7) });
    world.fulfill(solver, &intent, 5).ok();
}

/// [ful.20] [ful.21] [ful.22] [ful.23]
#[test]
fn the_executor_makes_the_calls_and_only_for_the_inbox() {
    let world = World::new();
    let target = world.mock("Target");
    let data = hit(&[0x12, 0x34]);
    let intent = empty(&world, 1).asking(0, &[], &[call(target, 0, data)]);
    let claimant = B256::repeat_byte(0xab);
    let outcome = world.send(world.solver, world.inbox, &fulfill_call(&intent, claimant)).logs(
        Logs::none().then(world.inbox, IntentFulfilled { intentHash: intent.id(), claimant }).then(
            target,
            Target::Hit {
                sender: world.executor,
                value: U256::ZERO,
                data: Bytes::from_static(&[0x12, 0x34]),
            },
        ),
    );
    let answers = outcome.answer::<fulfillCall>();
    assert_eq!(answers, [Bytes::from(Bytes::from_static(&[0x12, 0x34]).abi_encode())]);
    assert_eq!(claimant_of(&world, &intent), claimant);

    let calls: Vec<Call> = vec![call(target, 0, hit(b"stolen"))];
    world
        .send(world.solver, world.executor, &executeCall { calls })
        .reverts(NonPortalCaller { caller: world.solver });
    let request = protocol::puppet::request(target, U256::ZERO, &hit(b"stolen"));
    world
        .send_raw(world.solver, world.executor, U256::ZERO, request)
        .reverts(NonPortalCaller { caller: world.solver });
    world.send_raw(world.solver, world.executor, U256::from(1), vec![]).ok();
}

/// A token, a prover or a call that is the Executor itself never makes it obey.
#[test]
fn the_executor_cannot_be_made_to_obey_through_the_inbox() {
    let world = World::new();
    let target = world.mock("Target");
    world.send_raw(world.solver, world.executor, U256::from(100), vec![]).ok();

    let as_token = empty(&world, 1).asking(0, &[leg(world.executor, 0)], &[]);
    world.fulfill(world.solver, &as_token, 0).reverts(protocol::abi::vault::FailedInnerCall {});

    let request = protocol::puppet::request(target, U256::from(100), &[]);
    let as_target = call(world.executor, 0, request);
    let intent = empty(&world, 2).asking(0, &[], std::slice::from_ref(&as_target));
    let reason = NonPortalCaller { caller: world.executor }.abi_encode().into();
    world.fulfill(world.solver, &intent, 0).reverts(CallFailed { call: as_target, reason });

    let intent = empty(&world, 3);
    world.fulfill(world.solver, &intent, 0).ok();
    let as_prover = proveCall {
        prover: world.executor,
        sourceChainDomainID: 0,
        intentHashes: vec![intent.id()],
        data: Bytes::new(),
    };
    world.send(world.solver, world.inbox, &as_prover).reverts_empty();
    assert_eq!(world.native(world.executor), U256::from(100));
}

/// [reent.2] [reent.3]: the lock refuses nested fulfillment of any intent.
#[test]
fn nested_fulfillment_is_refused_by_the_lock() {
    let world = World::new();
    let target = world.mock("Target");
    let other = empty(&world, 2);
    let nest = Target::nestCall {
        to: world.inbox,
        value: U256::ZERO,
        data: fulfill_call(&other, world.claimant.into_word()).abi_encode().into(),
    };
    let intent = empty(&world, 1).asking(0, &[], &[call(target, 0, nest.abi_encode())]);
    world.fulfill(world.solver, &intent, 0).ok();
    assert!(!world.view(target, &Target::nestedOkCall {}));
    assert_eq!(
        world.view(target, &Target::nestedAnswerCall {}),
        ReentrancyGuardReentrantCall {}.abi_encode()
    );
    assert_eq!(claimant_of(&world, &other), B256::ZERO);
    world.fulfill(world.solver, &other, 0).ok();
}

/// [reent.5]
#[test]
fn a_refunded_prover_of_intents_cannot_reenter() {
    let world = World::new();
    let account = world.mock("Account");
    let intent = empty(&world, 1);
    world.fulfill(world.solver, &intent, 0).ok();
    let again = proveCall {
        prover: world.prover,
        sourceChainDomainID: 9,
        intentHashes: vec![intent.id()],
        data: Bytes::new(),
    };
    let callback =
        Account::setCallbackCall { target: world.inbox, data: again.abi_encode().into() };
    world.send(world.owner, account, &callback).ok();
    world.send(world.owner, world.prover, &Prover::setFeeCall { fee: U256::from(10) }).ok();
    world.chain.set_balance(account, U256::from(25)).unwrap();
    prove(&world, account, &[&intent], 25).ok();
    assert_eq!(
        world.view(account, &Account::callbackAnswerCall {}),
        ReentrancyGuardReentrantCall {}.abi_encode()
    );
    assert_eq!(world.native(account), U256::from(15));
}

/// [prove.5] [prove.6] [prove.7]
#[test]
fn proving_hands_over_what_was_recorded() {
    let world = World::new();
    let intent = empty(&world, 1);
    prove(&world, world.solver, &[&intent], 0)
        .reverts(IntentNotFulfilled { intentHash: intent.id() });
    world.fulfill(world.solver, &intent, 0).ok();

    let chain = world.chain.chain_id().to_be_bytes();
    let proving = |payload: Vec<u8>, value: u64| Prover::Proving {
        sender: world.solver,
        domain: 9,
        payload: payload.into(),
        data: Bytes::from_static(&[0x12, 0x34]),
        value: U256::from(value),
    };
    prove(&world, world.solver, &[], 3)
        .logs(Logs::none().then(world.prover, proving(chain.to_vec(), 3)));
    let claimant = world.claimant.into_word();
    let pair = [intent.id().as_slice(), claimant.as_slice()].concat();
    let proven = IntentProven { intentHash: intent.id(), claimant };
    prove(&world, world.solver, &[&intent, &intent], 0).logs(
        Logs::none()
            .then(world.inbox, proven.clone())
            .then(world.inbox, proven)
            .then(world.prover, proving([&chain[..], &pair, &pair].concat(), 0)),
    );
    let codeless = proveCall {
        prover: world.stranger,
        sourceChainDomainID: 9,
        intentHashes: vec![intent.id()],
        data: Bytes::new(),
    };
    world.send_value(world.solver, world.inbox, U256::from(3), &codeless).reverts_empty();
}

struct Fill {
    world: World,
    intent: Intent,
    call: fillCall,
}

fn fill() -> Fill {
    let world = World::new();
    let target = world.mock("Target");
    let intent = empty(&world, 1).asking(3, &[], &[call(target, 3, hit(b"filled"))]);
    let origin =
        OriginData { route: intent.route.encode().into(), rewardHash: intent.reward_hash() };
    let filler = FillerData {
        prover: world.prover,
        source: 9,
        claimant: world.claimant.into_word(),
        proverData: Bytes::from_static(&[0x12, 0x34]),
    };
    let call = fillCall {
        orderId: intent.id(),
        originData: origin.abi_encode_params().into(),
        fillerData: filler.abi_encode_params().into(),
    };
    Fill { world, intent, call }
}

impl Fill {
    fn send(&self, call: &fillCall) -> Outcome {
        self.world.send_value(self.world.solver, self.world.inbox, U256::from(7), call)
    }
}

/// [fill.1] [fill.2] [fill.3]
#[test]
fn filling_is_fulfilling_and_proving() {
    let it = fill();
    let mut mismatched = it.call.clone();
    mismatched.orderId = B256::ZERO;
    it.send(&mismatched).reverts(InvalidHash { expectedHash: B256::ZERO });
    let (world, hash) = (&it.world, it.intent.id());
    let claimant = world.claimant.into_word();
    let payload =
        [&world.chain.chain_id().to_be_bytes()[..], hash.as_slice(), claimant.as_slice()].concat();
    let outcome = it.send(&it.call).ok();
    assert_eq!(
        outcome.events::<OrderFilled>(),
        [OrderFilled { orderId: hash, solver: world.solver }]
    );
    assert_eq!(
        outcome.events::<Prover::Proving>(),
        [Prover::Proving {
            sender: world.solver,
            domain: 9,
            payload: payload.into(),
            data: Bytes::from_static(&[0x12, 0x34]),
            value: U256::from(4),
        }]
    );
    use alloy::sol_types::SolEvent;
    assert_eq!(
        outcome.topics(),
        [
            OrderFilled::SIGNATURE_HASH,
            IntentFulfilled::SIGNATURE_HASH,
            Target::Hit::SIGNATURE_HASH,
            IntentProven::SIGNATURE_HASH,
            Prover::Proving::SIGNATURE_HASH,
        ]
    );
    it.send(&it.call).reverts(IntentAlreadyFulfilled { intentHash: hash });
}

/// [fill.4]
#[test]
fn a_fill_hashes_the_canonical_route() {
    let it = fill();
    let mut route = it.intent.route.encode();
    route.extend([0xee; 64]);
    let origin = OriginData { route: route.into(), rewardHash: it.intent.reward_hash() };
    let mut call = it.call.clone();
    call.originData = origin.abi_encode_params().into();
    it.send(&call).ok();
    for broken in [&mut it.call.clone(), &mut it.call.clone()] {
        broken.originData = Bytes::from_static(&[1, 2, 3]);
        it.send(broken).reverts_empty();
    }
    let mut broken = it.call.clone();
    broken.fillerData = Bytes::from_static(&[1, 2, 3]);
    it.send(&broken).reverts_empty();
}

/// What proving does not need of the value never stays in the Inbox, and a return bomb costs only its solver.
#[test]
fn fulfill_and_prove_spends_the_rest_on_the_prover() {
    let world = World::new();
    let target = world.mock("Target");
    let bomb = Target::bombCall { size: U256::from(100_000) };
    let intent = empty(&world, 1).asking(0, &[], &[call(target, 0, bomb.abi_encode())]);
    world.send(world.owner, world.prover, &Prover::setFeeCall { fee: U256::from(10) }).ok();
    let call = fulfillAndProveCall {
        intentHash: intent.id(),
        route: intent.route.clone(),
        rewardHash: intent.reward_hash(),
        claimant: world.claimant.into_word(),
        prover: world.prover,
        sourceChainDomainID: 9,
        data: Bytes::new(),
    };
    let before = world.native(world.solver);
    world.send_value(world.solver, world.inbox, U256::from(25), &call).ok();
    assert_eq!(before - world.native(world.solver), U256::from(10));
    assert_eq!(world.native(world.inbox), U256::ZERO);
}

/// A route token that calls back while the solver's tokens move is refused by the lock.
#[test]
fn a_route_token_that_calls_back_is_refused() {
    let world = World::new();
    let other = empty(&world, 2);
    world.give(world.solver, world.token, 5);
    let data = fulfill_call(&other, world.claimant.into_word()).abi_encode().into();
    let callback = Token::setCallbackCall { target: world.inbox, data };
    world.send(world.owner, world.token, &callback).ok();
    let intent = empty(&world, 1).asking(0, &[leg(world.token, 5)], &[]);
    world.fulfill(world.solver, &intent, 0).ok();
    assert_eq!(
        world.view(world.token, &Token::callbackAnswerCall {}),
        ReentrancyGuardReentrantCall {}.abi_encode()
    );
    assert_eq!(claimant_of(&world, &other), B256::ZERO);
}

/// [abi.1] [abi.2] [abi.3] [abi.4] [abi.5] [abi.6]
#[test]
fn malformed_call_data_revert_without_data() {
    let world = World::new();
    let intent = empty(&world, 1);
    let publish = protocol::abi::intent_source::publishAndFund_0Call {
        intent: intent.clone(),
        allowPartial: false,
    }
    .abi_encode();
    let send = |data: Vec<u8>| world.simulate(world.creator, world.source, U256::ZERO, data);
    // Words after the selector: 0 offset of the intent, 1 allowPartial, 2 destination, 3 and 4 offsets of route and reward.
    let word = |data: &mut Vec<u8>, index: usize, byte: usize, value: u8| {
        data[4 + 32 * index + byte] = value;
    };
    let mut dirty = publish.clone();
    word(&mut dirty, 2, 0, 1);
    send(dirty).reverts_empty();
    let mut dirty = publish.clone();
    // The reward starts after the route: 8 words of it, two empty arrays among them.
    let reward = 2 + U256::from_be_slice(&publish[4 + 32 * 4..4 + 32 * 5]).to::<usize>() / 32;
    word(&mut dirty, reward + 1, 0, 1);
    send(dirty).reverts_empty();
    let mut dirty = publish.clone();
    word(&mut dirty, 1, 31, 2);
    send(dirty).reverts_empty();
    let mut long = publish.clone();
    long.extend([7; 40]);
    send(long).ok();
    send(publish[..publish.len() - 1].to_vec()).reverts_empty();
    send(vec![1, 2, 3]).reverts_empty();
    send(vec![0xde, 0xad, 0xbe, 0xef]).reverts_empty();
    world
        .send_raw(world.solver, world.inbox, U256::ZERO, vec![0xde, 0xad, 0xbe, 0xef])
        .reverts_empty();

    let mut fulfill = fulfill_call(&intent, world.claimant.into_word()).abi_encode();
    let route: Route = intent.route;
    assert_eq!(route.calls.len(), 0);
    fulfill.truncate(fulfill.len() - 32);
    world.send_raw(world.solver, world.inbox, U256::ZERO, fulfill).reverts_empty();
}
