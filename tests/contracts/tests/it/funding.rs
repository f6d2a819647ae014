//! Publishing and funding. Ids in brackets are those of the reference's behaviours.

use alloy::primitives::{Address, U256};
use contract_tests::{
    Logs, World,
    intents::{IntentExt, empty, leg},
    mocks::{self, Account, Error, Permit, Token, account, token},
};
use protocol::{
    abi::{
        intent_source::{
            InsufficientFunds, IntentFunded, IntentPublished, InvalidRecoverToken,
            InvalidStatusForFunding, ReentrancyGuardReentrantCall, RewardTokensNotUnique,
            fundForCall, isIntentFunded_0Call, publish_0Call, publishAndFund_0Call,
            publishAndFundFor_0Call, recoverTokenCall,
        },
        prover::RefundFailed,
    },
    intent::{Intent, Status},
};

fn funded(intent: &Intent, funder: Address, complete: bool) -> IntentFunded {
    IntentFunded { intentHash: intent.id(), funder, complete }
}

fn fund_for(intent: &Intent, funder: Address, permit: Address, allow_partial: bool) -> fundForCall {
    fundForCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        allowPartial: allow_partial,
        funder,
        permitContract: permit,
    }
}

fn is_funded(world: &World, intent: &Intent) -> bool {
    world.view(world.source, &isIntentFunded_0Call { intent: intent.clone() })
}

/// [fund.1] [fund.2] [fund.4] [fund.14]
#[test]
fn publishing_is_repeatable_and_funds_once() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 10);
    let first = world.publish_and_fund(&intent);
    assert_eq!(first.events::<IntentFunded>(), [funded(&intent, world.creator, true)]);
    assert_eq!(world.status(&intent), Status::Funded);

    let again = world.try_publish_and_fund(world.stranger, &intent, U256::from(5), false).ok();
    assert_eq!(again.events::<IntentPublished>().len(), 1);
    assert_eq!(again.logs.len(), 1);
    assert_eq!(world.native(world.source), U256::ZERO);
    assert_eq!(again.answer::<publishAndFund_0Call>().vault, world.vault(&intent));

    let senseless = empty(&world, 2).rewarding(0, &[leg(Address::ZERO, 10)]);
    world.send(world.stranger, world.source, &publish_0Call { intent: senseless }).ok();
}

/// [fund.3]
#[test]
fn publish_and_fund_for_answers_zero_vault_once_funded() {
    let world = World::new();
    let intent = empty(&world, 1);
    world.publish_and_fund(&intent);
    let call = publishAndFundFor_0Call {
        intent: intent.clone(),
        allowPartial: false,
        funder: world.creator,
        permitContract: Address::ZERO,
    };
    let answer =
        world.send(world.stranger, world.source, &call).answer::<publishAndFundFor_0Call>();
    assert_eq!((answer.intentHash, answer.vault), (intent.id(), Address::ZERO));
}

/// [fund.5] [fund.6] [fund.7]
#[test]
fn partial_funding_adds_up_and_returns_excess() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(100, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 10);
    let outcome = world.try_publish_and_fund(world.creator, &intent, U256::from(40), true).ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&intent, world.creator, false)]);
    assert_eq!(world.status(&intent), Status::Initial);
    assert!(!is_funded(&world, &intent));

    world
        .fund(world.stranger, &intent, 59, false)
        .reverts(InsufficientFunds { intentHash: intent.id() });
    let before = world.native(world.stranger);
    world
        .fund(world.stranger, &intent, 75, false)
        .logs(Logs::none().then(world.source, funded(&intent, world.stranger, true)));
    assert_eq!(before - world.native(world.stranger), U256::from(60));
    assert_eq!(world.native(world.vault(&intent)), U256::from(100));
    assert_eq!(world.native(world.source), U256::ZERO);
}

/// [fund.8] [fund.9] [fund.9b]
#[test]
fn what_the_vault_holds_already_counts_for_each_leg() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    let mint = Token::mintCall { to: world.vault(&intent), amount: U256::from(10) };
    world.send(world.owner, world.token, &mint).ok();
    assert!(is_funded(&world, &intent));
    assert_eq!(world.status(&intent), Status::Initial);
    world
        .fund(world.stranger, &intent, 0, false)
        .logs(Logs::none().then(world.source, funded(&intent, world.stranger, true)));
    assert_eq!(world.status(&intent), Status::Funded);

    let twice = empty(&world, 2).rewarding(0, &[leg(world.token, 10), leg(world.token, 10)]);
    let mint = Token::mintCall { to: world.vault(&twice), amount: U256::from(10) };
    world.send(world.owner, world.token, &mint).ok();
    world.fund(world.stranger, &twice, 0, false).ok();
    assert_eq!(world.status(&twice), Status::Funded);
    world.prove(&twice);
    world.withdraw(&twice).ok();
    assert_eq!(world.tokens(world.token, world.claimant), 10);
}

/// [fund.10]
#[test]
fn duplicate_legs_overlap() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10), leg(world.token, 25)]);
    world.give(world.creator, world.token, 100);
    world.publish_and_fund(&intent);
    assert_eq!(world.tokens(world.token, world.creator), 75);
}

/// [fund.11] [fund.12] [fund.12b]
#[test]
fn a_fee_on_transfer_token_counts_nominally_from_the_caller_and_really_for_someone() {
    let world = World::new();
    world.send(world.owner, world.token, &Token::setModeCall { mode: token::TAKES_FEE }).ok();
    world.give(world.creator, world.token, 10_000);
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 1_000)]);
    let outcome = world.publish_and_fund(&intent);
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&intent, world.creator, true)]);
    assert_eq!(world.tokens(world.token, world.vault(&intent)), 900);
    assert!(is_funded(&world, &intent));

    let other = empty(&world, 2).rewarding(0, &[leg(world.token, 1_000)]);
    world.approve(world.creator, world.token, world.vault(&other));
    world
        .send(world.solver, world.source, &fund_for(&other, world.creator, Address::ZERO, false))
        .reverts(InsufficientFunds { intentHash: other.id() });
    let outcome = world
        .send(world.solver, world.source, &fund_for(&other, world.creator, Address::ZERO, true))
        .ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&other, world.creator, false)]);
    assert_eq!(world.status(&other), Status::Initial);
}

/// [fund.13] [fund.13b]
#[test]
fn a_codeless_reward_token_reverts_funding_without_data() {
    let world = World::new();
    for amount in [10, 0] {
        let intent = empty(&world, amount).rewarding(0, &[leg(world.stranger, amount)]);
        world.try_publish_and_fund(world.creator, &intent, U256::ZERO, true).reverts_empty();
        world.fund(world.creator, &intent, 0, true).reverts_empty();
        world
            .send(
                world.solver,
                world.source,
                &fund_for(&intent, world.creator, Address::ZERO, true),
            )
            .reverts_empty();
    }
}

/// [fund.15] [fund.16]
#[test]
fn tokens_may_answer_nothing_but_not_false() {
    let world = World::new();
    world.give(world.creator, world.token, 1_000);
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    let mode = |mode| world.send(world.owner, world.token, &Token::setModeCall { mode }).ok();
    let fund = || world.try_publish_and_fund(world.creator, &intent, U256::ZERO, false);

    mode(token::RETURNS_FALSE);
    fund().reverts(protocol::abi::vault::SafeERC20FailedOperation { token: world.token });
    mode(token::REVERTS);
    fund().reverts(Error { reason: "blocked".into() });
    mode(token::REVERTS_SILENTLY);
    fund().reverts(protocol::abi::vault::FailedInnerCall {});
    mode(token::RETURNS_JUNK);
    fund().reverts_empty();
    assert_eq!(world.tokens(world.token, world.vault(&intent)), 0);
    mode(token::RETURNS_NOTHING);
    fund().ok();
    assert_eq!(world.status(&intent), Status::Funded);
}

/// [fund.17] [fund.18]: nothing is ever stranded for the next caller.
#[test]
fn a_caller_that_cannot_take_its_excess_back_is_refused() {
    let world = World::new();
    let caller = world.mock("Account");
    world.send(world.owner, caller, &Account::setModeCall { mode: account::REFUSES }).ok();
    world.chain.set_balance(caller, U256::from(100)).unwrap();
    let intent = empty(&world, 1).rewarding(5, &[]);
    world
        .try_publish_and_fund(caller, &intent, U256::from(12), false)
        .reverts(RefundFailed { recipient: caller, amount: U256::from(7) });
    assert_eq!(world.native(world.source), U256::ZERO);
    world.try_publish_and_fund(caller, &intent, U256::from(5), false).ok();
    let before = world.native(world.stranger);
    world.fund(world.stranger, &intent, 9, false).ok();
    assert_eq!(world.native(world.stranger), before);
}

/// [fund.19] [permit.8]
#[test]
fn native_funding_works_before_and_after_the_vault_is_deployed() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(100, &[]);
    let partly = fund_for(&intent, world.creator, Address::ZERO, true);
    world.send_value(world.solver, world.source, U256::from(30), &partly).ok();
    assert_eq!(world.chain.code(world.vault(&intent)).len(), 50);
    world
        .fund(world.creator, &intent, 70, false)
        .logs(Logs::none().then(world.source, funded(&intent, world.creator, true)));

    let other = empty(&world, 2).rewarding(50, &[]);
    let before = world.native(world.solver);
    let whole = fund_for(&other, world.creator, Address::ZERO, false);
    let outcome = world.send_value(world.solver, world.source, U256::from(80), &whole).ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&other, world.creator, true)]);
    assert_eq!(world.native(world.vault(&other)), U256::from(50));
    assert_eq!(before - world.native(world.solver), U256::from(50));
}

/// [fund.20]
#[test]
fn an_intent_without_reward_becomes_funded() {
    let world = World::new();
    let intent = empty(&world, 1);
    let outcome = world.publish_and_fund(&intent);
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&intent, world.creator, true)]);
    assert_eq!(world.status(&intent), Status::Funded);
}

/// [fund.21] [fund.22]
#[test]
fn value_where_none_is_taken_reverts_without_data() {
    let world = World::new();
    let publish = publish_0Call { intent: empty(&world, 1) };
    world.send_value(world.creator, world.source, U256::from(1), &publish).reverts_empty();
    world.send_raw(world.creator, world.source, U256::from(1), vec![]).reverts_empty();
    world.send_raw(world.creator, world.inbox, U256::from(1), vec![]).reverts_empty();
    world.send_raw(world.creator, world.source, U256::ZERO, vec![]).reverts_empty();
}

struct Permitted {
    world: World,
    intent: Intent,
    permit: Address,
}

/// An intent of 10 tokens, a permit contract that the creator lets take any amount, and the reward in the creator's hands.
fn permitted() -> Permitted {
    let world = World::new();
    let permit = world.mock("Permit");
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    world.give(world.creator, world.token, 1_000);
    world.approve(world.creator, world.token, permit);
    Permitted { world, intent, permit }
}

impl Permitted {
    fn allow(&self, amount: u64, expires_in: i64) {
        let expiration = self.world.chain.timestamp().saturating_add_signed(expires_in);
        let call = Permit::allowCall {
            amount: alloy::primitives::aliases::U160::from(amount),
            expiration: alloy::primitives::aliases::U48::from(expiration),
        };
        self.world.send(self.world.owner, self.permit, &call).ok();
    }

    fn fund(&self, allow_partial: bool) -> contract_tests::Outcome {
        let call = fund_for(&self.intent, self.world.creator, self.permit, allow_partial);
        self.world.send(self.world.solver, self.world.source, &call)
    }
}

/// [permit.1]
#[test]
fn a_live_permit_funds() {
    let it = permitted();
    it.allow(10, 1_000);
    let outcome = it.fund(false).ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&it.intent, it.world.creator, true)]);
    assert_eq!(it.world.tokens(it.world.token, it.world.vault(&it.intent)), 10);
}

/// [permit.2] [permit.3]
#[test]
fn an_expired_permit_falls_back_to_the_vaults_allowance() {
    let it = permitted();
    it.allow(10, -100);
    it.fund(false).reverts(InsufficientFunds { intentHash: it.intent.id() });
    it.world.approve(it.world.creator, it.world.token, it.world.vault(&it.intent));
    it.fund(false).ok();
    assert_eq!(it.world.status(&it.intent), Status::Funded);
}

/// [permit.4]
#[test]
fn a_permit_that_moves_too_much_panics() {
    let it = permitted();
    it.allow(10, 1_000);
    it.world.send(it.world.owner, it.permit, &Permit::setExtraCall { extra: U256::from(5) }).ok();
    it.fund(false).reverts(alloy::sol_types::Panic { code: U256::from(0x11) });
}

/// [permit.5] [permit.5b]
#[test]
fn a_permit_that_lies_does_not_fund() {
    let it = permitted();
    it.allow(10, 1_000);
    it.world.send(it.world.owner, it.permit, &Permit::setLiesCall { lies: true }).ok();
    it.fund(false).reverts(InsufficientFunds { intentHash: it.intent.id() });
    let outcome = it.fund(true).ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&it.intent, it.world.creator, false)]);
    assert_eq!(it.world.status(&it.intent), Status::Initial);
}

/// [permit.6]
#[test]
fn permit_and_allowance_together_cover_a_leg() {
    let it = permitted();
    it.allow(4, 1_000);
    it.world.approve(it.world.creator, it.world.token, it.world.vault(&it.intent));
    it.fund(false).ok();
    assert_eq!(it.world.tokens(it.world.token, it.world.vault(&it.intent)), 10);
}

/// [permit.7]
#[test]
fn a_codeless_permit_reverts_without_data() {
    let it = permitted();
    let call = fund_for(&it.intent, it.world.creator, it.world.stranger, true);
    it.world.send(it.world.solver, it.world.source, &call).reverts_empty();
}

/// [permit.9]: the lock refuses what the reference let through.
#[test]
fn a_permit_that_reenters_is_refused_by_the_lock() {
    let it = permitted();
    it.allow(10, 1_000);
    it.world.prove(&it.intent);
    let withdraw = contract_tests::world::withdraw_call(&it.intent);
    let data = alloy::sol_types::SolCall::abi_encode(&withdraw).into();
    let callback = Permit::setCallbackCall { target: it.world.source, data };
    it.world.send(it.world.owner, it.permit, &callback).ok();
    let outcome = it.fund(false).ok();
    assert_eq!(outcome.events::<IntentFunded>(), [funded(&it.intent, it.world.creator, true)]);
    assert_eq!(it.world.status(&it.intent), Status::Funded);
    let answer = it.world.view(it.permit, &mocks::Token::callbackAnswerCall {});
    let refusal = alloy::sol_types::SolError::abi_encode(&ReentrancyGuardReentrantCall {});
    assert_eq!(answer, refusal);
}

/// [wd.4.fund] [wd.4.fundFor] [wd.4.publish] [wd.4.publishAndFund] [wd.4.publishAndFundFor] [wd.8] [rf.4] [rf.8]
#[test]
fn terminal_intents_take_no_money() {
    for refunded in [false, true] {
        let world = World::new();
        let intent = empty(&world, 1).rewarding(5, &[]);
        world.publish_and_fund(&intent);
        if refunded {
            world.expire(&intent);
            world.refund(&intent).ok();
        } else {
            world.prove(&intent);
            world.withdraw(&intent).ok();
        }
        let status = if refunded { 3 } else { 2 };
        let exists = protocol::abi::intent_source::IntentAlreadyExists { intentHash: intent.id() };
        let publish = publish_0Call { intent: intent.clone() };
        world.send(world.creator, world.source, &publish).reverts(exists.clone());
        world
            .try_publish_and_fund(world.creator, &intent, U256::from(5), false)
            .reverts(exists.clone());
        let for_someone = publishAndFundFor_0Call {
            intent: intent.clone(),
            allowPartial: true,
            funder: world.creator,
            permitContract: Address::ZERO,
        };
        world.send(world.creator, world.source, &for_someone).reverts(exists);
        world.fund(world.creator, &intent, 5, true).reverts(InvalidStatusForFunding { status });
        world
            .send(
                world.solver,
                world.source,
                &fund_for(&intent, world.creator, Address::ZERO, true),
            )
            .reverts(InvalidStatusForFunding { status });
    }
}

/// [alias.1] [alias.2] [alias.3] [alias.4] [alias.5] [alias.6]
#[test]
fn a_mirror_of_the_native_balance_cannot_be_counted_twice() {
    // The mock's address does not depend on the constructor's argument: it is the same in both worlds.
    let mirror = World::new().token;
    let world = World::with(contract_tests::world::CHAIN_ID, mirror);
    assert_eq!(world.token, mirror);
    let refusal = || RewardTokensNotUnique { token: mirror };
    for amount in [10, 0] {
        let intent =
            empty(&world, amount).rewarding(1, &[leg(world.other_token, 3), leg(mirror, amount)]);
        let publish = publish_0Call { intent: intent.clone() };
        world.send(world.creator, world.source, &publish).reverts(refusal());
        world.fund(world.creator, &intent, 9, true).reverts(refusal());
        world
            .send(
                world.solver,
                world.source,
                &fund_for(&intent, world.creator, Address::ZERO, true),
            )
            .reverts(refusal());
    }
    let recover = |intent: &Intent| recoverTokenCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
        token: mirror,
    };
    let native = empty(&world, 3).rewarding(9, &[]);
    let mint = |intent: &Intent| {
        let to = world.vault(intent);
        world.send(world.owner, mirror, &Token::mintCall { to, amount: U256::from(4) }).ok();
    };
    mint(&native);
    world
        .send(world.stranger, world.source, &recover(&native))
        .reverts(InvalidRecoverToken { token: mirror });
    let without = empty(&world, 4).rewarding(0, &[leg(world.other_token, 1)]);
    mint(&without);
    world.send(world.stranger, world.source, &recover(&without)).ok();
    assert_eq!(world.tokens(mirror, world.creator), 4);
    let alone = empty(&world, 5).rewarding(0, &[leg(mirror, 1)]);
    world.send(world.creator, world.source, &publish_0Call { intent: alone }).ok();
}
