//! Several calls in one transaction.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::{SolCall, SolError},
};
use contract_tests::{
    messaging::{NOBODY, Network, OWNER, STRANGER, Side},
    world::program,
};
use protocol::abi::{
    batch::{Call3, Call3Gas, Call3Value},
    multicall::*,
    router::{OwnableUnauthorizedAccount, nonceCall, unpauseCall},
};

fn multicall(side: &Side) -> Address {
    side.chain.deploy_program(&program("multicall").code).unwrap()
}

#[test]
fn calls_run_in_order_and_failures_are_reported_or_undo_all() {
    let net = Network::new();
    let at = multicall(&net.a);
    let good = Call3 {
        target: net.a.router,
        allowFailure: false,
        callData: nonceCall {}.abi_encode().into(),
    };
    let bad = Call3 {
        target: net.a.router,
        allowFailure: true,
        callData: unpauseCall {}.abi_encode().into(),
    };
    let call = aggregate3Call { calls: vec![good.clone(), bad.clone()] };
    let answers = net.a.send(STRANGER, at, &call).answer::<aggregate3Call>();
    let reason = OwnableUnauthorizedAccount { account: at }.abi_encode();
    assert_eq!((answers[0].success, answers[0].returnData.len()), (true, 32));
    assert_eq!((answers[1].success, &answers[1].returnData[..]), (false, &reason[..]));

    let strict = Call3 { allowFailure: false, ..bad };
    let call = aggregate3Call { calls: vec![good, strict] };
    let index = U256::from(1);
    net.a.send(STRANGER, at, &call).reverts(CallFailed { index, reason: reason.into() });
}

#[test]
fn value_is_what_the_calls_carry_no_more_and_no_less() {
    let net = Network::new();
    let at = multicall(&net.a);
    let pay = |value: u64| Call3Value {
        target: NOBODY,
        allowFailure: false,
        value: U256::from(value),
        callData: Bytes::new(),
    };
    let call = aggregate3ValueCall { calls: vec![pay(3), pay(4)] };
    for given in [6, 8].map(U256::from) {
        let expected = U256::from(7);
        net.a.send_value(STRANGER, at, given, &call).reverts(ValueMismatch { expected, given });
    }
    net.a.send_value(STRANGER, at, U256::from(7), &call).ok();
    assert_eq!(net.a.chain.balance(NOBODY), U256::from(7));
    let overflow =
        aggregate3ValueCall { calls: vec![Call3Value { value: U256::MAX, ..pay(0) }, pay(1)] };
    net.a.send(STRANGER, at, &overflow).reverts(alloy::sol_types::Panic { code: U256::from(0x11) });
}

#[test]
fn a_limit_bounds_its_call_and_a_batch_with_too_little_gas_for_it_fails_as_a_whole() {
    let net = Network::new();
    let at = multicall(&net.a);
    let burner = net.a.mock("Account");
    contract_tests::messaging::Side::own(
        &net.a,
        burner,
        &contract_tests::mocks::Account::setModeCall { mode: 3 },
    );
    let burn = Call3Gas {
        target: burner,
        allowFailure: true,
        value: U256::ZERO,
        gasLimit: 100_000,
        callData: Bytes::new(),
    };
    let read = Call3Gas {
        target: net.a.router,
        gasLimit: 0,
        callData: nonceCall {}.abi_encode().into(),
        ..burn
    };
    let call = aggregate3GasCall { calls: vec![burn.clone(), read] };
    let outcome = net.a.send(STRANGER, at, &call).ok();
    assert!(outcome.gas_used < 400_000, "{}", outcome.gas_used);
    let answers = outcome.answer::<aggregate3GasCall>();
    assert_eq!(answers.iter().map(|answer| answer.success).collect::<Vec<_>>(), [false, true]);

    let greedy = Call3Gas { gasLimit: 50_000_000, ..burn };
    let call = aggregate3GasCall { calls: vec![greedy] };
    let index = U256::ZERO;
    net.a.send(STRANGER, at, &call).reverts(GasTooLow { index, gasLimit: 50_000_000 });
}

#[test]
fn it_answers_what_multicall3_answers() {
    let net = Network::new();
    let at = multicall(&net.a);
    let balance = net.a.view(at, &getEthBalanceCall { account: OWNER });
    assert_eq!(balance, net.a.chain.balance(OWNER));
    assert_eq!(net.a.view(at, &getChainIdCall {}), U256::from(net.a.chain.chain_id()));
    assert!(
        net.a.view(at, &getCurrentBlockTimestampCall {}) >= U256::from(net.a.chain.timestamp())
    );
    alloy::sol! { function unknown() external; }
    net.a.send(STRANGER, at, &unknownCall {}).reverts_empty();
}
