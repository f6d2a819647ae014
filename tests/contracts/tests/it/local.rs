//! LocalProver. Ids in brackets are those of the reference's behaviours.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolError, SolEvent},
};
use contract_tests::{
    Logs, World,
    intents::{IntentExt, call, empty, leg},
    mocks::{Account, Target, Token, account},
    world::fulfill_call,
};
use protocol::{
    abi::{
        inbox::{IntentFulfilled, proveCall},
        intent_source::IntentWithdrawn,
        local_prover::{
            FlashFulfilled, InvalidAddress, InvalidClaimant, InvalidProver,
            ReentrancyGuardReentrantCall, RefundFailed, challengeIntentProofCall, flashFulfillCall,
            provenIntentsCall,
        },
    },
    intent::{Intent, Status},
};

fn flash(intent: &Intent, claimant: B256) -> flashFulfillCall {
    flashFulfillCall { route: intent.route.clone(), reward: intent.reward.clone(), claimant }
}

fn proven(world: &World, prover: Address, intent: &Intent) -> (Address, u64) {
    let proof = world.view(prover, &provenIntentsCall { intentHash: intent.id() });
    (proof.claimant, proof.destination)
}

/// [lp.1] [lp.2] [lp.3]
#[test]
fn flash_fulfill_refuses_claimants_and_provers_that_cannot_work() {
    let world = World::new();
    let prover = world.local_prover();
    let intent = empty(&world, 1).rewarding(12, &[]).proven_by(prover);
    world.publish_and_fund(&intent);
    let send =
        |intent: &Intent, claimant| world.send(world.solver, prover, &flash(intent, claimant));
    send(&intent, B256::ZERO).reverts(InvalidClaimant {});
    send(&intent, prover.into_word()).reverts(InvalidClaimant {});
    let junk = B256::repeat_byte(0xab);
    send(&intent, junk).reverts(InvalidAddress { value: junk });
    let foreign = empty(&world, 2);
    send(&foreign, world.claimant.into_word()).reverts(InvalidProver {});
    assert_eq!(world.status(&intent), Status::Funded);
}

/// [lp.4] [lp.5]: flashFulfill -> withdraw -> provenIntents works through the locks.
#[test]
fn flash_fulfill_pays_for_an_intent_with_its_own_reward() {
    let world = World::new();
    let prover = world.local_prover();
    let target = world.mock("Target");
    let intent = empty(&world, 1)
        .rewarding(12, &[leg(world.token, 10)])
        .asking(
            5,
            &[leg(world.token, 4), leg(world.token, 3)],
            &[call(target, 5, Target::noopCall {}.abi_encode())],
        )
        .proven_by(prover);
    world.give(world.creator, world.token, 10);
    world.send(world.owner, world.token, &Token::setStrictApproveCall { strict: true }).ok();
    world.publish_and_fund(&intent);
    assert_eq!(proven(&world, prover, &intent), (Address::ZERO, 0));
    let claimant = world.claimant.into_word();
    let before = world.native(world.claimant);
    let outcome = world.send(world.solver, prover, &flash(&intent, claimant)).ok();
    assert_eq!(
        outcome.events::<IntentWithdrawn>(),
        [IntentWithdrawn { intentHash: intent.id(), claimant: prover }]
    );
    assert_eq!(
        outcome.events::<IntentFulfilled>(),
        [IntentFulfilled { intentHash: intent.id(), claimant }]
    );
    assert_eq!(
        outcome.events::<FlashFulfilled>(),
        [FlashFulfilled { intentHash: intent.id(), claimant, nativeFee: U256::from(7) }]
    );
    assert_eq!(outcome.topics().last(), Some(&FlashFulfilled::SIGNATURE_HASH));
    assert_eq!(world.native(world.claimant) - before, U256::from(7));
    assert_eq!(world.tokens(world.token, world.claimant), 3);
    assert_eq!(world.tokens(world.token, world.executor), 7);
    assert_eq!(world.native(prover), U256::ZERO);
    let left = Token::allowanceCall { owner: prover, spender: world.inbox };
    assert_eq!(world.view(world.token, &left), U256::ZERO);
    assert_eq!(proven(&world, prover, &intent), (world.claimant, world.chain.chain_id()));
    assert_eq!(world.status(&intent), Status::Withdrawn);
}

/// [lp.6]
#[test]
fn a_fulfillment_that_names_the_prover_or_no_address_proves_nothing() {
    let world = World::new();
    let prover = world.local_prover();
    for (salt, claimant) in [(1, prover.into_word()), (2, B256::repeat_byte(0xab))] {
        let intent = empty(&world, salt).rewarding(12, &[]).proven_by(prover);
        world.publish_and_fund(&intent);
        world.send(world.solver, world.inbox, &fulfill_call(&intent, claimant)).ok();
        assert_eq!(proven(&world, prover, &intent), (Address::ZERO, 0));
        let challenge = challengeIntentProofCall {
            destination: intent.destination,
            routeHash: intent.route_hash(),
            rewardHash: intent.reward_hash(),
        };
        world.send(world.stranger, prover, &challenge).logs(Logs::none());
        world.expire(&intent);
        world.refund(&intent).ok();
    }
}

/// [lp.7]
#[test]
fn proving_locally_returns_the_value() {
    let world = World::new();
    let prover = world.local_prover();
    let intent = empty(&world, 1).rewarding(12, &[]).proven_by(prover);
    world.publish_and_fund(&intent);
    world.send_raw(world.stranger, prover, U256::from(100), vec![]).ok();
    world.fulfill(world.solver, &intent, 0).ok();
    let prove = proveCall {
        prover,
        sourceChainDomainID: 0,
        intentHashes: vec![intent.id()],
        data: Bytes::new(),
    };
    let before = world.native(world.solver);
    world.send_value(world.solver, world.inbox, U256::from(9), &prove).ok();
    assert_eq!(world.native(world.solver), before);
    assert_eq!(world.native(prover), U256::from(100));

    let refusing = world.mock("Account");
    world.send(world.owner, refusing, &Account::setModeCall { mode: account::REFUSES }).ok();
    world.chain.set_balance(refusing, U256::from(9)).unwrap();
    world
        .send_value(refusing, world.inbox, U256::from(9), &prove)
        .reverts(RefundFailed { recipient: refusing, amount: U256::from(9) });
    world.withdraw(&intent).ok();
}

/// A route that enters flashFulfill again is refused, and a failing one leaves nothing marked.
#[test]
fn flash_fulfill_does_not_nest() {
    let world = World::new();
    let prover = world.local_prover();
    let target = world.mock("Target");
    let other = empty(&world, 2).rewarding(5, &[]).proven_by(prover);
    world.publish_and_fund(&other);
    let nest = Target::nestCall {
        to: prover,
        value: U256::ZERO,
        data: flash(&other, world.solver.into_word()).abi_encode().into(),
    };
    let intent = empty(&world, 1)
        .rewarding(12, &[])
        .asking(0, &[], &[call(target, 0, nest.abi_encode())])
        .proven_by(prover);
    world.publish_and_fund(&intent);
    world.send(world.solver, prover, &flash(&intent, world.claimant.into_word())).ok();
    assert_eq!(
        world.view(target, &Target::nestedAnswerCall {}),
        ReentrancyGuardReentrantCall {}.abi_encode()
    );
    assert_eq!(world.status(&other), Status::Funded);
    let failing = empty(&world, 3)
        .rewarding(12, &[])
        .asking(0, &[], &[call(target, 0, Target::failCall {}.abi_encode())])
        .proven_by(prover);
    world.publish_and_fund(&failing);
    let outcome = world.send(world.solver, prover, &flash(&failing, world.claimant.into_word()));
    assert!(!outcome.success);
    assert_eq!(proven(&world, prover, &failing), (Address::ZERO, 0));
}
