//! The thin path: publish, fund, fulfill, prove, withdraw, refund.

use alloy::{
    primitives::{B256, Bytes, U256},
    sol_types::SolValue,
};
use contract_tests::{
    Logs, World,
    intents::{IntentExt, call, empty, leg},
    mocks::{Router, Target, Token},
    world::CHAIN_ID,
};
use protocol::{
    abi::{
        constructor::MetaProverArguments,
        inbox::{IntentFulfilled, IntentProven, fulfillAndProveCall},
        intent_source::{
            IntentFunded, IntentPublished, IntentRefunded, IntentWithdrawn, publishAndFund_0Call,
        },
        prover::{self, handleCall, provenIntentsCall},
    },
    intent::Status,
    proof::ProverData,
};

#[test]
fn publish_and_fund_then_withdraw() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(7, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 10);
    let vault = world.vault(&intent);

    let outcome = world.publish_and_fund(&intent).logs(
        Logs::none()
            .then(
                world.source,
                IntentPublished {
                    intentHash: intent.id(),
                    destination: CHAIN_ID,
                    route: intent.route.abi_encode().into(),
                    creator: world.creator,
                    prover: world.prover,
                    rewardDeadline: intent.reward.deadline,
                    rewardNativeAmount: U256::from(7),
                    rewardTokens: intent.reward.tokens.clone(),
                },
            )
            .then(
                world.token,
                Token::Transfer { from: world.creator, to: vault, value: U256::from(10) },
            )
            .then(
                world.source,
                IntentFunded { intentHash: intent.id(), funder: world.creator, complete: true },
            ),
    );
    let answer = outcome.answer::<publishAndFund_0Call>();
    assert_eq!((answer.intentHash, answer.vault), (intent.id(), vault));
    assert_eq!(world.status(&intent), Status::Funded);
    assert_eq!((world.native(vault), world.tokens(world.token, vault)), (U256::from(7), 10));

    world.prove(&intent);
    let before = world.native(world.claimant);
    world.withdraw(&intent).logs(
        Logs::none()
            .then(
                world.token,
                Token::Transfer { from: vault, to: world.claimant, value: U256::from(10) },
            )
            .then(
                world.source,
                IntentWithdrawn { intentHash: intent.id(), claimant: world.claimant },
            ),
    );
    assert_eq!(world.status(&intent), Status::Withdrawn);
    assert_eq!(world.native(world.claimant) - before, U256::from(7));
    assert_eq!(world.tokens(world.token, world.claimant), 10);
}

#[test]
fn refund_after_the_deadline() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(7, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 10);
    world.publish_and_fund(&intent);
    world.expire(&intent);
    let outcome = world.refund(&intent).ok();
    assert_eq!(
        outcome.events::<IntentRefunded>(),
        [IntentRefunded { intentHash: intent.id(), refundee: world.creator }]
    );
    assert_eq!(world.status(&intent), Status::Refunded);
    assert_eq!(world.tokens(world.token, world.creator), 10);
    assert_eq!(world.native(world.vault(&intent)), U256::ZERO);
}

#[test]
fn fulfill_and_prove_then_handle() {
    let world = World::new();
    let router = world.mock("Router");
    world.send(world.owner, router, &Router::setFeeCall { fee: U256::from(100) }).ok();
    let target = world.mock("Target");
    let prover = world.meta_prover(&MetaProverArguments {
        router,
        portal: world.inbox,
        provers: vec![],
        minGasLimit: U256::ZERO,
        domains: vec![],
        finality: 0,
    });
    let hit = Target::hitCall { data: Bytes::from_static(b"hello") };
    let intent = empty(&world, 1)
        .asking(
            5,
            &[leg(world.token, 10)],
            &[call(target, 5, alloy::sol_types::SolCall::abi_encode(&hit))],
        )
        .proven_by(prover);
    world.give(world.solver, world.token, 10);

    let data = ProverData { sourceChainProver: prover.into_word(), gasLimit: U256::ZERO };
    let fulfill = fulfillAndProveCall {
        intentHash: intent.id(),
        route: intent.route.clone(),
        rewardHash: intent.reward_hash(),
        claimant: world.claimant.into_word(),
        prover,
        sourceChainDomainID: CHAIN_ID,
        data: data.abi_encode().into(),
    };
    let outcome = world.send_value(world.solver, world.inbox, U256::from(130), &fulfill).ok();
    let claimant = world.claimant.into_word();
    assert_eq!(
        outcome.events::<IntentFulfilled>(),
        [IntentFulfilled { intentHash: intent.id(), claimant }]
    );
    assert_eq!(
        outcome.events::<IntentProven>(),
        [IntentProven { intentHash: intent.id(), claimant }]
    );
    assert_eq!(
        outcome.events::<Target::Hit>(),
        [Target::Hit { sender: world.executor, value: U256::from(5), data: hit.data }]
    );
    assert_eq!(world.tokens(world.token, world.executor), 10);
    assert_eq!(world.native(router), U256::from(100));
    assert_eq!(world.native(world.inbox), U256::ZERO);

    let mut message = CHAIN_ID.to_be_bytes().to_vec();
    message.extend_from_slice(intent.id().as_slice());
    message.extend_from_slice(claimant.as_slice());
    let handle = handleCall {
        origin: CHAIN_ID as u32,
        sender: prover.into_word(),
        message: message.into(),
        reads: vec![],
        readResults: vec![],
    };
    let outcome = world.send(router, prover, &handle).ok();
    assert_eq!(
        outcome.events::<prover::IntentProven>(),
        [prover::IntentProven {
            intentHash: intent.id(),
            claimant: world.claimant,
            destination: CHAIN_ID
        }]
    );
    let proof = world.view(prover, &provenIntentsCall { intentHash: intent.id() });
    assert_eq!((proof.claimant, proof.destination), (world.claimant, CHAIN_ID));
    world.withdraw(&intent).ok();
    assert_eq!(world.status(&intent), Status::Withdrawn);
    assert_ne!(intent.id(), B256::ZERO);
}
