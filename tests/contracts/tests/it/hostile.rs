//! Attacks on IntentSource, MetaProver and the deployer. `docs/threat-model.md` names these tests.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolError},
};
use contract_tests::{
    Outcome, World,
    intents::{IntentExt, empty, leg},
    mocks::{self, Account, Prover, Router, Token, account},
    world::{refund_call, withdraw_call},
};
use devnet::init_code;
use protocol::{
    abi::{
        constructor::{Constructor, IntentSourceArguments, MetaProverArguments},
        deployer::{ContractInitializationError, EmptyBytecode, addressOfCall, deployCall},
        intent_source::{
            IntentWithdrawn, ReentrancyGuardReentrantCall, batchWithdrawCall, fundCall,
            fundForCall, publish_0Call, publishAndFund_0Call, recoverTokenCall,
        },
        prover::{
            self, FINALITYCall, InvalidFinality, RefundFailed, fetchFeeCall, getWhitelistCall,
            handleCall, isWhitelistedCall, proveCall, supportsInterfaceCall,
        },
        vault::NotPortalCaller,
    },
    intent::{Intent, Status},
};

/// Every function of IntentSource that changes state, as call data about `intent`.
fn entry_points(intent: &Intent) -> Vec<Bytes> {
    let (destination, route_hash, reward) =
        (intent.destination, intent.route_hash(), intent.reward.clone());
    vec![
        publish_0Call { intent: intent.clone() }.abi_encode().into(),
        publishAndFund_0Call { intent: intent.clone(), allowPartial: true }.abi_encode().into(),
        fundCall { destination, routeHash: route_hash, reward: reward.clone(), allowPartial: true }
            .abi_encode()
            .into(),
        fundForCall {
            destination,
            routeHash: route_hash,
            reward: reward.clone(),
            allowPartial: true,
            funder: reward.creator,
            permitContract: Address::ZERO,
        }
        .abi_encode()
        .into(),
        withdraw_call(intent).abi_encode().into(),
        batchWithdrawCall {
            destinations: vec![destination],
            routeHashes: vec![route_hash],
            rewards: vec![reward.clone()],
        }
        .abi_encode()
        .into(),
        refund_call(intent).abi_encode().into(),
        recoverTokenCall {
            destination,
            routeHash: route_hash,
            reward,
            token: intent.reward.prover,
        }
        .abi_encode()
        .into(),
    ]
}

/// A token that calls back into any entry point while it moves is refused by the lock, on every way in and out.
#[test]
fn a_token_that_calls_back_is_refused_at_every_entry_point() {
    let refusal = Bytes::from(ReentrancyGuardReentrantCall {}.abi_encode());
    let world = World::new();
    let victim = empty(&world, 99).rewarding(50, &[]);
    world.publish_and_fund(&victim);
    world.prove(&victim);
    world.give(world.creator, world.token, 1_000);
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    world.prove(&intent);
    for data in entry_points(&victim) {
        let snapshot = world.chain.snapshot();
        let callback = Token::setCallbackCall { target: world.source, data };
        world.send(world.owner, world.token, &callback).ok();
        let ways: [&dyn Fn() -> Outcome; 2] =
            [&|| world.publish_and_fund(&intent), &|| world.withdraw(&intent)];
        for way in ways {
            way().ok();
            assert!(world.view(world.token, &Token::calledBackCall {}));
            assert_eq!(world.view(world.token, &Token::callbackAnswerCall {}), refusal);
            assert_eq!(world.status(&victim), Status::Funded);
            assert_eq!(world.native(world.vault(&victim)), U256::from(50));
        }
        world.chain.revert(snapshot).unwrap();
    }
}

/// A prover that calls back while it is challenged is refused by the lock.
#[test]
fn a_prover_that_calls_back_is_refused() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.prove_at(&intent, 1);
    let data = refund_call(&intent).abi_encode().into();
    let callback = Prover::setCallbackCall { target: world.source, data };
    world.send(world.owner, world.prover, &callback).ok();
    world.withdraw(&intent).ok();
    assert_eq!(
        world.view(world.prover, &Token::callbackAnswerCall {}),
        ReentrancyGuardReentrantCall {}.abi_encode()
    );
    assert_eq!(world.status(&intent), Status::Funded);
}

/// IntentSource owns every vault. Naming another intent's vault as token, prover or permit never makes it obey.
#[test]
fn a_vault_named_as_token_prover_or_permit_does_not_obey() {
    let world = World::new();
    let victim = empty(&world, 99).rewarding(50, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 10);
    world.publish_and_fund(&victim);
    let vault = world.vault(&victim);
    // Deployed by a funding call for someone, as an attacker would.
    let deployed = empty(&world, 98).rewarding(50, &[]);
    let fund_for = |intent: &Intent, permit: Address| fundForCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        allowPartial: true,
        funder: world.stranger,
        permitContract: permit,
    };
    let call = fund_for(&deployed, Address::ZERO);
    world.send_value(world.creator, world.source, U256::from(50), &call).ok();
    let target = world.vault(&deployed);
    assert_eq!(world.chain.code(target).len(), 50);

    let as_token = empty(&world, 1).rewarding(0, &[leg(target, 10)]);
    assert!(!world.try_publish_and_fund(world.stranger, &as_token, U256::ZERO, true).success);
    let as_prover = empty(&world, 2).proven_by(target);
    assert!(!world.withdraw(&as_prover).success);
    world.expire(&as_prover);
    assert!(!world.refund(&as_prover).success);
    let as_permit = empty(&world, 3).rewarding(0, &[leg(world.token, 10)]);
    assert!(!world.send(world.stranger, world.source, &fund_for(&as_permit, target)).success);
    let stray = recoverTokenCall {
        destination: as_permit.destination,
        routeHash: as_permit.route_hash(),
        reward: as_permit.reward,
        token: target,
    };
    assert!(!world.send(world.stranger, world.source, &stray).success);
    assert_eq!(world.native(target), U256::from(50));
    assert_eq!((world.native(vault), world.tokens(world.token, vault)), (U256::from(50), 10));
}

/// Only IntentSource makes a vault do anything; anyone may pay it.
#[test]
fn a_vault_obeys_only_intent_source() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(50, &[]);
    let call = fundForCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        allowPartial: false,
        funder: world.creator,
        permitContract: Address::ZERO,
    };
    world.send_value(world.creator, world.source, U256::from(50), &call).ok();
    let vault = world.vault(&intent);
    let implementation = protocol::puppet::first_created(world.source);
    let request = protocol::puppet::request(world.stranger, U256::from(50), &[]);
    for account in [vault, implementation] {
        world
            .send_raw(world.stranger, account, U256::ZERO, request.clone())
            .reverts(NotPortalCaller { caller: world.stranger });
    }
    let withdraw =
        protocol::abi::vault::withdrawCall { reward: intent.reward, claimant: world.stranger };
    world
        .send(world.stranger, vault, &withdraw)
        .reverts(NotPortalCaller { caller: world.stranger });
    assert_eq!(world.native(vault), U256::from(50));
}

/// An ABI call can never be read as a request: its selector makes the value greater than any balance.
#[test]
fn a_puppet_reads_no_abi_call_as_a_request() {
    let world = World::new();
    world.chain.set_balance(world.executor, U256::MAX >> 64).unwrap();
    let transfer = Token::transferCall { to: world.stranger, amount: U256::from(1) }.abi_encode();
    for data in [transfer, vec![0; 4], vec![1; 36], vec![1; 100], vec![0; 63]] {
        let outcome = world.send_raw(world.inbox, world.executor, U256::ZERO, data);
        assert!(!outcome.success);
    }
    let request = protocol::puppet::request(world.stranger, U256::from(1), &[]);
    let before = world.native(world.stranger);
    world.send_raw(world.inbox, world.executor, U256::ZERO, request).ok();
    assert_eq!(world.native(world.stranger) - before, U256::from(1));
}

/// A claimant that burns gas only blocks itself while it does.
#[test]
fn a_recipient_that_burns_gas_blocks_only_itself() {
    let mut world = World::new();
    world.claimant = world.mock("Account");
    let burns = Account::setModeCall { mode: account::BURNS_GAS };
    world.send(world.owner, world.claimant, &burns).ok();
    let intent = empty(&world, 1).rewarding(9, &[]);
    let other = empty(&world, 2).rewarding(9, &[]);
    world.publish_and_fund(&intent);
    world.publish_and_fund(&other);
    world.prove(&intent);
    assert!(!world.withdraw(&intent).success);
    assert_eq!(world.status(&intent), Status::Funded);
    world.claimant = world.solver;
    world.prove(&other);
    assert_eq!(world.withdraw(&other).ok().events::<IntentWithdrawn>().len(), 1);
}

fn meta_prover(world: &World, router: Address, finality: u8) -> MetaProverArguments {
    MetaProverArguments {
        router,
        portal: world.inbox,
        provers: vec![],
        minGasLimit: U256::ZERO,
        domains: vec![],
        finality,
    }
}

/// The finalized prover has the router refuse weaker messages from its first moment; the instant one leaves it alone.
#[test]
fn a_finalized_prover_sets_its_policy_when_it_is_constructed() {
    let world = World::new();
    let router = world.mock("Router");
    let instant = world.meta_prover(&meta_prover(&world, router, 0));
    assert_eq!(world.view(router, &Router::policyOfCall {}), Address::ZERO);
    assert_eq!(world.view(instant, &FINALITYCall {}), 0);
    let finalized = meta_prover(&world, router, 1).calldata();
    let finalized =
        world.try_deploy("meta-prover", finalized, B256::with_last_byte(1)).answer::<deployCall>();
    assert_eq!(world.view(router, &Router::policyOfCall {}), finalized);
    assert_eq!(world.view(router, &Router::policyCall {}), 0b10);
    assert_eq!(world.view(finalized, &FINALITYCall {}), 1);

    for (router, finality, data) in [
        (router, 2, InvalidFinality { finality: 2 }.abi_encode()),
        (router, 3, InvalidFinality { finality: 3 }.abi_encode()),
        (world.stranger, 1, vec![]),
    ] {
        let arguments = meta_prover(&world, router, finality).calldata();
        let outcome = world.try_deploy("meta-prover", arguments, B256::with_last_byte(2));
        let error = ContractInitializationError::abi_decode(&outcome.output).unwrap();
        assert_eq!(error.data, Bytes::from(data));
    }
}

/// A prover believes its own address on other chains and what it was told, and nobody else.
#[test]
fn a_prover_believes_its_twins_and_its_list() {
    let world = World::new();
    let router = world.mock("Router");
    let listed = B256::repeat_byte(7);
    let mut arguments = meta_prover(&world, router, 0);
    arguments.provers = vec![listed, B256::ZERO];
    let prover = world.meta_prover(&arguments);
    let believes = |addr: B256| world.view(prover, &isWhitelistedCall { addr });
    assert!(believes(prover.into_word()) && believes(listed));
    assert!(!believes(B256::ZERO) && !believes(world.stranger.into_word()));
    assert_eq!(world.view(prover, &getWhitelistCall {}), [listed, B256::ZERO]);
    for (id, expected) in [(0x42c7_e0fe_u32, true), (0x01ff_c9a7, true), (u32::MAX, false)] {
        let call = supportsInterfaceCall { interfaceId: id.into() };
        assert_eq!(world.view(prover, &call), expected);
    }
    let handle = |sender: B256| handleCall {
        origin: 5,
        sender,
        message: Bytes::from(5_u64.to_be_bytes()),
        reads: vec![],
        readResults: vec![],
    };
    world.send(router, prover, &handle(listed)).ok();
    world.send(router, prover, &handle(prover.into_word())).ok();
    let stranger = world.stranger.into_word();
    world
        .send(router, prover, &handle(stranger))
        .reverts(prover::UnauthorizedIncomingProof { sender: stranger });
}

/// Overpayment goes back to the sender or the whole call reverts; an exact fee never calls it.
/// [prove.1] [prove.2] [prove.3] [prove.4]
#[test]
fn a_prover_returns_overpayment_or_reverts() {
    let world = World::new();
    let router = world.mock("Router");
    world.send(world.owner, router, &Router::setFeeCall { fee: U256::from(10) }).ok();
    let prover = world.meta_prover(&meta_prover(&world, router, 0));
    let refusing = world.mock("Account");
    world.send(world.owner, refusing, &Account::setModeCall { mode: account::REFUSES }).ok();
    world.chain.set_balance(world.inbox, U256::from(1_000)).unwrap();
    let prove = |sender: Address, domain: u64, value: u64| {
        let call = proveCall {
            sender,
            domainID: domain,
            encodedProofs: Bytes::from_static(&[0; 8]),
            data: Bytes::from(vec![0; 64]),
        };
        world.send_value(world.inbox, prover, U256::from(value), &call)
    };
    prove(refusing, 5, 25).reverts(RefundFailed { recipient: refusing, amount: U256::from(15) });
    prove(refusing, 5, 10).ok();
    prove(refusing, 5, 9).reverts(prover::InsufficientFee { requiredFee: U256::from(10) });
    prove(refusing, 1 << 32, 10).reverts(prover::DomainIdTooLarge { domainId: 1 << 32 });
    let fetch =
        fetchFeeCall { domainID: 5, encodedProofs: Bytes::new(), data: Bytes::from(vec![0; 70]) };
    assert_eq!(world.view(prover, &fetch), U256::from(10));
}

/// Nobody constructs a program a second time, and its address does not depend on what it was constructed with.
#[test]
fn programs_are_constructed_once_at_an_address_known_before() {
    let world = World::new();
    let again = IntentSourceArguments { nativeErc20: world.token }.calldata();
    world.send_raw(world.stranger, world.source, U256::ZERO, again.clone()).reverts_empty();
    let code = init_code(&contract_tests::world::program("intent-source").code);
    let predicted = world.view(
        world.deployer,
        &addressOfCall {
            caller: world.owner,
            salt: B256::ZERO,
            initCodeHash: alloy::primitives::keccak256(&code),
        },
    );
    assert_eq!(predicted, world.source);
    let empty = deployCall {
        bytecode: Bytes::new(),
        initData: Bytes::new(),
        initValue: U256::ZERO,
        salt: B256::ZERO,
    };
    world.send(world.owner, world.deployer, &empty).reverts(EmptyBytecode {});
    // What activation does not cost comes back.
    let before = world.native(world.owner);
    world.try_deploy("intent-source", again, B256::with_last_byte(9)).ok();
    assert_eq!(world.native(world.owner), before);
    assert_eq!(world.native(world.deployer), U256::ZERO);
    assert_ne!(mocks::creation_code("Token").len(), 0);
}
