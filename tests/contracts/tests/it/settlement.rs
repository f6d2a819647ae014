//! Withdrawing, refunding, recovering. Ids in brackets are those of the reference's behaviours.

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use contract_tests::{
    Logs, Outcome, World,
    intents::{IntentExt, empty, leg},
    mocks::{Account, Error, Prover, Token, account, prover, token},
    world::{refund_call, withdraw_call},
};
use protocol::{
    abi::{
        intent_source::{
            ArrayLengthMismatch, IntentNotClaimed, IntentRefunded, IntentTokenRecovered,
            IntentWithdrawn, InvalidClaimant, InvalidRecoverToken, InvalidStatusForRefund,
            InvalidStatusForWithdrawal, NotCreatorCaller, ReentrancyGuardReentrantCall,
            batchWithdrawCall, recoverTokenCall, refundToCall,
        },
        vault::{NativeTransferFailed, ZeroRecoverTokenBalance},
    },
    intent::{Intent, Status},
};

fn refunded(intent: &Intent, refundee: Address) -> IntentRefunded {
    IntentRefunded { intentHash: intent.id(), refundee }
}

fn batch(world: &World, intents: &[&Intent]) -> Outcome {
    let call = batchWithdrawCall {
        destinations: intents.iter().map(|intent| intent.destination).collect(),
        routeHashes: intents.iter().map(|intent| intent.route_hash()).collect(),
        rewards: intents.iter().map(|intent| intent.reward.clone()).collect(),
    };
    world.send(world.stranger, world.source, &call)
}

fn refund_to(world: &World, from: Address, intent: &Intent, refundee: Address) -> Outcome {
    let call = refundToCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        refundee,
    };
    world.send(from, world.source, &call)
}

fn recover(world: &World, intent: &Intent, token: Address) -> Outcome {
    let call = recoverTokenCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        token,
    };
    world.send(world.stranger, world.source, &call)
}

fn refusing(world: &World) -> Address {
    let refusing = world.mock("Account");
    world.send(world.owner, refusing, &Account::setModeCall { mode: account::REFUSES }).ok();
    refusing
}

/// [wd.1] [wd.2] [wd.3] [wd.5] [wd.6]
#[test]
fn a_proven_intent_is_paid_once_and_its_leftovers_refunded() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.withdraw(&intent).reverts(InvalidClaimant {});
    world.prove(&intent);
    let before = world.native(world.claimant);
    world.withdraw(&intent).logs(
        Logs::none().then(
            world.source,
            IntentWithdrawn { intentHash: intent.id(), claimant: world.claimant },
        ),
    );
    assert_eq!(world.native(world.claimant) - before, U256::from(9));
    world.withdraw(&intent).reverts(InvalidStatusForWithdrawal { status: 2 });
    world.refund(&intent).logs(Logs::none().then(world.source, refunded(&intent, world.creator)));
    assert_eq!(world.status(&intent), Status::Refunded);
    world.withdraw(&intent).reverts(InvalidStatusForWithdrawal { status: 3 });
}

/// [wd.7] [wd.9]
#[test]
fn a_proven_intent_pays_what_is_there() {
    let world = World::new();
    let never = empty(&world, 1).rewarding(9, &[leg(world.token, 3)]);
    world.prove(&never);
    let outcome = world.withdraw(&never).ok();
    assert_eq!(outcome.events::<IntentWithdrawn>().len(), 1);
    assert_eq!(world.status(&never), Status::Withdrawn);

    let partly = empty(&world, 2).rewarding(9, &[]);
    world.try_publish_and_fund(world.creator, &partly, U256::from(4), true).ok();
    world.prove(&partly);
    let before = world.native(world.claimant);
    world.withdraw(&partly).ok();
    assert_eq!(world.native(world.claimant) - before, U256::from(4));
    assert_eq!(world.status(&partly), Status::Withdrawn);
}

/// [wd.10] [wd.11]
#[test]
fn excess_stays_in_the_vault_and_goes_to_the_creator() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    let vault = world.vault(&intent);
    world.send_raw(world.stranger, vault, U256::from(100), vec![]).ok();
    world.prove(&intent);
    let before = world.native(world.claimant);
    world.withdraw(&intent).ok();
    assert_eq!(world.native(world.claimant) - before, U256::from(9));
    assert_eq!(world.native(vault), U256::from(100));
    // The deployed vault takes plain ETH with a transfer's 2,300 gas and no more.
    let transfer = devnet::Transact::call(world.stranger, vault, vec![]).value(U256::from(1));
    assert!(world.chain.transact(transfer.gas(21_000 + 2_300)).unwrap().success);
    let before = world.native(world.creator);
    world.refund(&intent).ok();
    assert_eq!(world.native(world.creator) - before, U256::from(101));
}

/// [wd.12] [wd.13]
#[test]
fn a_claimant_that_cannot_take_ether_blocks_itself() {
    let mut world = World::new();
    world.claimant = refusing(&world);
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.prove(&intent);
    world
        .withdraw(&intent)
        .reverts(NativeTransferFailed { to: world.claimant, amount: U256::from(9) });
    assert_eq!(world.status(&intent), Status::Funded);
    world.expire(&intent);
    world.refund(&intent).reverts(IntentNotClaimed { intentHash: intent.id() });
    world.send(world.owner, world.claimant, &Account::setModeCall { mode: account::TAKES }).ok();
    world.withdraw(&intent).ok();
    assert_eq!(world.native(world.claimant), U256::from(9));
}

/// [wd.14]
#[test]
fn one_reverting_token_blocks_the_whole_withdrawal() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[leg(world.other_token, 1), leg(world.token, 1)]);
    world.give(world.creator, world.token, 1);
    world.give(world.creator, world.other_token, 1);
    world.publish_and_fund(&intent);
    world.prove(&intent);
    let mode = |mode| world.send(world.owner, world.token, &Token::setModeCall { mode }).ok();
    mode(token::REVERTS);
    world.withdraw(&intent).reverts(Error { reason: "blocked".into() });
    assert_eq!(world.tokens(world.other_token, world.claimant), 0);
    assert_eq!(world.status(&intent), Status::Funded);
    mode(token::RETURNS_FALSE);
    world
        .withdraw(&intent)
        .reverts(protocol::abi::vault::SafeERC20FailedOperation { token: world.token });
}

/// [wd.15]
#[test]
fn a_proof_of_the_wrong_chain_is_challenged() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.prove_at(&intent, 1);
    world.withdraw(&intent).logs(Logs::none().then(
        world.prover,
        Prover::Challenged {
            destination: intent.destination,
            routeHash: intent.route_hash(),
            rewardHash: intent.reward_hash(),
        },
    ));
    assert_eq!(world.status(&intent), Status::Funded);
}

/// [wd.16] [wd.17] [rf.1]
#[test]
fn a_codeless_prover_proves_nothing_and_locks_nothing() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]).proven_by(world.stranger);
    world.publish_and_fund(&intent);
    world.withdraw(&intent).reverts_empty();
    let next = world.chain.timestamp() + 1;
    world.refund(&intent).reverts(InvalidStatusForRefund {
        status: 1,
        currentTime: U256::from(next),
        deadline: U256::from(intent.reward.deadline),
    });
    world.expire(&intent);
    world.refund(&intent).ok();
}

/// [batch.1] [batch.2] [batch.3] [batch.4] [batch.5]
#[test]
fn batches_are_all_or_nothing_but_skip_wrong_chains() {
    let world = World::new();
    let intents: Vec<_> = (1..=3).map(|salt| empty(&world, salt).rewarding(9, &[])).collect();
    for intent in &intents {
        world.publish_and_fund(intent);
    }
    let [proven, unproven, wrong] = &intents[..] else { panic!("three intents") };
    world.prove(proven);
    world.prove_at(wrong, 1);
    batch(&world, &[proven, unproven]).reverts(InvalidClaimant {});
    assert_eq!(world.status(proven), Status::Funded);

    let outcome = batch(&world, &[wrong, proven]).ok();
    assert_eq!(outcome.events::<Prover::Challenged>().len(), 1);
    assert_eq!(outcome.events::<IntentWithdrawn>().len(), 1);
    assert_eq!(world.status(wrong), Status::Funded);
    batch(&world, &[proven]).reverts(InvalidStatusForWithdrawal { status: 2 });
    batch(&world, &[]).ok();
    let uneven = batchWithdrawCall { destinations: vec![1], routeHashes: vec![], rewards: vec![] };
    world.send(world.stranger, world.source, &uneven).reverts(ArrayLengthMismatch {});
}

/// [rf.2] [rf.3] [rf.5] [rf.6] [rf.6b]
#[test]
fn refunds_from_the_deadline_on_and_repeat() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.chain.set_next_timestamp(intent.reward.deadline - 1).unwrap();
    world.refund(&intent).reverts(InvalidStatusForRefund {
        status: 1,
        currentTime: U256::from(intent.reward.deadline - 1),
        deadline: U256::from(intent.reward.deadline),
    });
    world.chain.set_next_timestamp(intent.reward.deadline).unwrap();
    world.refund(&intent).logs(Logs::none().then(world.source, refunded(&intent, world.creator)));
    assert_eq!(world.status(&intent), Status::Refunded);
    world.refund(&intent).logs(Logs::none().then(world.source, refunded(&intent, world.creator)));
    world.withdraw(&intent).reverts(InvalidStatusForWithdrawal { status: 3 });
    world.prove(&intent);
    world.withdraw(&intent).reverts(InvalidStatusForWithdrawal { status: 3 });
    world.refund(&intent).ok();
}

/// [rf.7]
#[test]
fn a_never_published_intent_refunds_after_its_deadline() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.expire(&intent);
    world.refund(&intent).ok();
    assert_eq!(world.status(&intent), Status::Refunded);
    // The reference's proxy has 75 bytes; ours takes less gas to deploy.
    assert_eq!(world.chain.code(world.vault(&intent)).len(), 50);
}

/// [rf.9] [rf.10] [rf.11]
#[test]
fn a_creator_that_cannot_take_ether_still_gets_tokens_and_may_name_another() {
    let world = World::new();
    let creator = refusing(&world);
    let intent = empty(&world, 1).rewarding(9, &[leg(world.token, 3)]).of(creator);
    world.give(world.creator, world.token, 3);
    world.publish_and_fund(&intent);
    world.expire(&intent);
    world.refund(&intent).logs(
        Logs::none()
            .then(
                world.token,
                Token::Transfer { from: world.vault(&intent), to: creator, value: U256::from(3) },
            )
            .then(world.source, refunded(&intent, creator)),
    );
    assert_eq!(world.native(world.vault(&intent)), U256::from(9));
    refund_to(&world, world.stranger, &intent, world.stranger)
        .reverts(NotCreatorCaller { caller: world.stranger });
    let before = world.native(world.solver);
    refund_to(&world, creator, &intent, world.solver)
        .logs(Logs::none().then(world.source, refunded(&intent, world.solver)));
    assert_eq!(world.native(world.solver) - before, U256::from(9));
    assert_eq!(world.native(world.vault(&intent)), U256::ZERO);
}

/// [rf.12] [rf.13] [rf.14]
#[test]
fn only_a_right_proof_stops_a_refund() {
    let world = World::new();
    let right = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&right);
    world.prove(&right);
    world.refund(&right).reverts(IntentNotClaimed { intentHash: right.id() });

    let wrong = empty(&world, 2).rewarding(9, &[]);
    world.publish_and_fund(&wrong);
    world.prove_at(&wrong, 1);
    let next = world.chain.timestamp() + 1;
    world.refund(&wrong).reverts(InvalidStatusForRefund {
        status: 1,
        currentTime: U256::from(next),
        deadline: U256::from(wrong.reward.deadline),
    });
    world.expire(&wrong);
    world.refund(&wrong).logs(Logs::none().then(world.source, refunded(&wrong, world.creator)));
    world.expire(&right);
    world.refund(&right).reverts(IntentNotClaimed { intentHash: right.id() });
}

/// [rf.15]
#[test]
fn a_creator_of_zero_is_refunded_to_zero() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]).of(Address::ZERO);
    world.publish_and_fund(&intent);
    world.expire(&intent);
    world.refund(&intent).ok();
    assert_eq!(world.native(Address::ZERO), U256::from(9));
    assert_eq!(world.native(world.vault(&intent)), U256::ZERO);
}

/// [rec.1] [rec.2] [rec.3] [rec.4] [rec.5]
#[test]
fn stray_tokens_go_to_the_creator() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[leg(world.token, 3), leg(world.stranger, 0)]);
    recover(&world, &intent, world.token).reverts(InvalidRecoverToken { token: world.token });
    recover(&world, &intent, world.stranger).reverts(InvalidRecoverToken { token: world.stranger });
    recover(&world, &intent, Address::ZERO).reverts(InvalidRecoverToken { token: Address::ZERO });
    recover(&world, &intent, world.other_token)
        .reverts(ZeroRecoverTokenBalance { token: world.other_token });
    recover(&world, &intent, world.solver).reverts_empty();

    let mint = Token::mintCall { to: world.vault(&intent), amount: U256::from(4) };
    world.send(world.owner, world.other_token, &mint).ok();
    recover(&world, &intent, world.other_token).logs(
        Logs::none()
            .then(
                world.other_token,
                Token::Transfer {
                    from: world.vault(&intent),
                    to: world.creator,
                    value: U256::from(4),
                },
            )
            .then(
                world.source,
                IntentTokenRecovered {
                    intentHash: intent.id(),
                    refundee: world.creator,
                    token: world.other_token,
                },
            ),
    );
    assert_eq!(world.status(&intent), Status::Initial);
}

/// [P0] [P1] [P2]
#[test]
fn a_prover_that_misbehaves_stops_both_ways_out() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.prove(&intent);
    world.expire(&intent);
    let mode = |mode| world.send(world.owner, world.prover, &Prover::setModeCall { mode }).ok();
    mode(prover::REVERTS);
    world.withdraw(&intent).reverts(Error { reason: "no".into() });
    world.refund(&intent).reverts(Error { reason: "no".into() });
    for garbage in
        [prover::RETURNS_NOTHING, prover::RETURNS_DIRTY_ADDRESS, prover::RETURNS_DIRTY_CHAIN]
    {
        mode(garbage);
        world.withdraw(&intent).reverts_empty();
        world.refund(&intent).reverts_empty();
    }
    assert_eq!(world.status(&intent), Status::Funded);
    mode(0);
    world.withdraw(&intent).ok();
}

/// [R4]
#[test]
fn a_claimant_that_reenters_is_refused() {
    let mut world = World::new();
    world.claimant = world.mock("Account");
    let intent = empty(&world, 1).rewarding(9, &[]);
    let other = empty(&world, 2).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.publish_and_fund(&other);
    world.prove(&intent);
    world.prove(&other);
    for call in [
        withdraw_call(&intent).abi_encode(),
        withdraw_call(&other).abi_encode(),
        refund_call(&other).abi_encode(),
    ] {
        let snapshot = world.chain.snapshot();
        let callback = Account::setCallbackCall { target: world.source, data: call.into() };
        world.send(world.owner, world.claimant, &callback).ok();
        world.withdraw(&intent).ok();
        assert!(!world.view(world.claimant, &Account::callbackOkCall {}));
        let refusal = alloy::sol_types::SolError::abi_encode(&ReentrancyGuardReentrantCall {});
        assert_eq!(world.view(world.claimant, &Account::callbackAnswerCall {}), refusal);
        assert_eq!(world.native(world.claimant), U256::from(9));
        assert_eq!(world.status(&other), Status::Funded);
        world.chain.revert(snapshot).unwrap();
    }
    assert_ne!(intent.id(), B256::ZERO);
}
