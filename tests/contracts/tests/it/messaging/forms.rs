//! The forms of `dispatch` and `quoteDispatch` that integrators know.

use alloy::primitives::{Address, Bytes, U256};
use contract_tests::messaging::{DOMAINS, Network, Sent, USER};
use protocol::abi::router::*;

/// Hook metadata of the standard variant with this gas limit, and anything else in the other fields.
fn metadata(gas_limit: u64) -> Vec<u8> {
    [
        &[0, 1][..],
        &[0xff; 32],
        &U256::from(gas_limit).to_be_bytes::<32>(),
        Address::repeat_byte(9).as_slice(),
    ]
    .concat()
}

#[test]
fn the_address_form_sends_what_the_bytes_form_sends() {
    let net = Network::new();
    let order = net.order();
    let quote = quoteDispatch_0Call {
        destinationDomain: DOMAINS[1],
        recipient: net.b.recipient,
        reads: vec![],
        writeCallData: order.body.clone().into(),
        finalityState: order.tier,
        gasLimit: U256::from(order.gas_limit),
    };
    let fee = net.a.ask(USER, net.a.router, &quote).answer::<quoteDispatch_0Call>();
    assert_eq!(fee, net.a.quote(DOMAINS[1], &order));
    let dispatch = dispatch_0Call {
        destinationDomain: DOMAINS[1],
        recipient: net.b.recipient,
        reads: vec![],
        writeCallData: order.body.into(),
        finalityState: order.tier,
        gasLimit: U256::from(order.gas_limit),
    };
    let outcome = net.a.send_value(USER, net.a.router, fee, &dispatch).ok();
    let returned = outcome.clone().answer::<dispatch_0Call>();
    let sent = Sent::from(outcome);
    assert_eq!(sent.id, returned);
    assert_eq!(sent.message().header.recipient, net.b.recipient.into_word());
    net.deliver(&sent).ok();
}

#[test]
fn a_quote_by_hook_metadata_is_the_fee_of_a_dispatch_with_its_gas_limit() {
    let net = Network::new();
    let mut order = net.order();
    let quote = |hook_metadata: Vec<u8>| {
        let call = quoteDispatch_2Call {
            destinationDomain: DOMAINS[1],
            recipient: order.recipient,
            messageBody: Bytes::copy_from_slice(b"hello"),
            defaultHookMetadata: hook_metadata.into(),
        };
        net.a.ask(USER, net.a.router, &call)
    };
    let fee = |outcome: contract_tests::Outcome| outcome.answer::<quoteDispatch_2Call>();
    assert_eq!(fee(quote(metadata(200_000))), net.a.quote(DOMAINS[1], &order));
    quote(metadata(0)).reverts(InvalidGasLimit {});
    quote(vec![0, 2]).reverts(InvalidHookMetadata {});
    quote(vec![1]).reverts(InvalidHookMetadata {});

    order.gas_limit = 100_000;
    let expected = net.a.quote(DOMAINS[1], &order);
    let short = metadata(7)[..40].to_vec();
    let quoted = [vec![], short].map(|hook_metadata| {
        let call = quoteDispatch_2Call {
            destinationDomain: DOMAINS[1],
            recipient: order.recipient,
            messageBody: Bytes::copy_from_slice(b"hello"),
            defaultHookMetadata: hook_metadata.into(),
        };
        net.a.ask(USER, net.a.router, &call).answer::<quoteDispatch_2Call>()
    });
    assert_eq!(quoted, [expected; 2]);
    let plain = quoteDispatch_3Call {
        destinationDomain: DOMAINS[1],
        recipient: order.recipient,
        messageBody: Bytes::copy_from_slice(b"hello"),
    };
    assert_eq!(net.a.ask(USER, net.a.router, &plain).answer::<quoteDispatch_3Call>(), expected);
}

#[test]
fn functions_that_are_not_payable_refuse_value_and_unknown_ones_revert_empty() {
    let net = Network::new();
    let one = U256::from(1);
    net.a.send_value(USER, net.a.router, one, &nonceCall {}).reverts_empty();
    net.a
        .send_value(USER, net.a.router, one, &setFinalityPolicyCall { acceptedTiers: 1 })
        .reverts_empty();
    alloy::sol! { function unknown() external; }
    net.a.send(USER, net.a.router, &unknownCall {}).reverts_empty();
    net.a.send(USER, net.a.ism, &unknownCall {}).reverts_empty();
    net.a.send(USER, net.a.read_ism, &unknownCall {}).reverts_empty();
}
