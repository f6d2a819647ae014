//! `handle`: who may deliver what to whom.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::{
    Outcome,
    messaging::{
        DOMAINS, NOBODY, Network, OWNER, Recipient, STRANGER, Sent, dispatch_call, metadata, mode,
        validators,
    },
};
use protocol::{
    abi::{hyperlane::Mailbox, router::*},
    finality::Tier,
    ids::Domain,
    message::{Header, encode},
};

/// A message from a to b's recipient, as its router would have encoded it.
fn header(net: &Network) -> Header {
    Header {
        tier: Tier::Instant,
        nonce: 77,
        origin: Domain(net.a.domain),
        sender: STRANGER.into_word(),
        destination: Domain(net.b.domain),
        recipient: net.b.recipient.into_word(),
    }
}

fn handle(net: &Network, header: &Header) -> Outcome {
    net.b.handle(net.a.domain, net.a.router.into_word(), &encode(header, &[], b"body"))
}

#[test]
fn only_the_mailbox_delivers() {
    let net = Network::new();
    let call = handleCall {
        origin: net.a.domain,
        sender: net.a.router.into_word(),
        message: encode(&header(&net), &[], b"").into(),
    };
    net.b.send(STRANGER, net.b.router, &call).reverts(OnlyMailbox { caller: STRANGER });
}

#[test]
fn only_accepted_routers_of_the_origin_are_believed() {
    let net = Network::new();
    let message = encode(&header(&net), &[], b"");
    for (origin, sender) in [
        (net.a.domain, STRANGER.into_word()),
        (5, net.a.router.into_word()),
        (net.b.domain, net.a.router.into_word()),
    ] {
        net.b.handle(origin, sender, &message).reverts(UnauthorizedRouter { origin, sender });
    }
}

#[test]
fn message_and_envelope_agree_on_origin_and_destination() {
    let net = Network::new();
    let good = header(&net);
    handle(&net, &Header { origin: Domain(5), ..good }).reverts(EnvelopeMismatch {});
    handle(&net, &Header { destination: Domain(5), ..good }).reverts(EnvelopeMismatch {});
    handle(&net, &good).ok();
}

#[test]
fn malformed_messages_are_refused() {
    let net = Network::new();
    let (origin, sender) = (net.a.domain, net.a.router.into_word());
    let message = encode(&header(&net), &[], b"");
    net.b.handle(origin, sender, &message[..81]).reverts(InvalidMessage {});
    net.b.handle(origin, sender, &[]).reverts(InvalidMessage {});
    let mut other = message.clone();
    other[0] = 2;
    net.b.handle(origin, sender, &other).reverts(InvalidMessage {});
    other.clone_from(&message);
    other[1] = 3;
    net.b.handle(origin, sender, &other).reverts(InvalidFinality { finality: 3 });
    other.clone_from(&message);
    other[81] = 1;
    net.b.handle(origin, sender, &other).reverts(InvalidMessage {});
}

#[test]
fn a_message_is_delivered_once_whatever_envelope_carries_it() {
    let net = Network::new();
    let header = header(&net);
    let id = protocol::message::Message::parse(&encode(&header, &[], b"body")).unwrap().id().0;
    handle(&net, &header).ok();
    handle(&net, &header).reverts(AlreadyDelivered { messageId: id });
}

#[test]
fn recipients_are_contracts_of_this_chain() {
    let net = Network::new();
    let good = header(&net);
    let foreign = B256::repeat_byte(1);
    handle(&net, &Header { recipient: foreign, ..good }).reverts(InvalidRecipient {});
    handle(&net, &Header { recipient: NOBODY.into_word(), ..good })
        .reverts(RecipientNotContract { recipient: NOBODY });
    handle(&net, &Header { recipient: B256::ZERO, ..good })
        .reverts(RecipientNotContract { recipient: Address::ZERO });
}

#[test]
fn limits_of_sending_do_not_apply_to_receiving() {
    let net = Network::new();
    let body = vec![7; 70_000];
    let message = encode(&header(&net), &[], &body);
    let outcome = net.b.handle(net.a.domain, net.a.router.into_word(), &message).ok();
    let handled = outcome.events::<Recipient::Handled>().pop().unwrap();
    assert_eq!(handled.message, Bytes::from(body));
}

#[test]
fn value_of_the_delivery_reaches_the_recipient() {
    let net = Network::new();
    let message = encode(&header(&net), &[], b"");
    let value = U256::from(5);
    let outcome = net.b.handle_with(net.a.domain, net.a.router.into_word(), &message, value).ok();
    assert_eq!(outcome.events::<Recipient::Handled>().pop().unwrap().value, value);
    assert_eq!(net.b.chain.balance(net.b.recipient), value);
}

#[test]
fn a_recipients_error_is_passed_on_up_to_a_limit_and_nothing_is_recorded() {
    let net = Network::new();
    let sent = net.send(&net.order());
    net.b.own(net.b.recipient, &Recipient::setModeCall { mode: mode::REFUSES });
    net.deliver(&sent).reverts(Recipient::Refused { why: U256::from(7) });
    net.b.own(net.b.recipient, &Recipient::setModeCall { mode: mode::BOMBS });
    let outcome = handle(&net, &header(&net));
    assert!(!outcome.success);
    assert_eq!(outcome.output.len(), 4096);
    let record = net.b.view(net.b.router, &deliveredCall { messageId: sent.id });
    assert!(!record.isDelivered);

    // Once the recipient takes it, the same message arrives; what it answers is nobody's concern.
    net.b.own(net.b.recipient, &Recipient::setModeCall { mode: mode::ANSWERS_MUCH });
    let outcome = net.deliver(&sent).ok();
    assert!(outcome.output.is_empty());
}

#[test]
fn a_replaced_router_is_heard_until_it_is_retired() {
    let net = Network::new();
    let (domain, old) = (net.a.domain, net.a.router.into_word());
    let remote = STRANGER.into_word();
    let sent = net.send(&net.order());
    let late = net.send(&net.order());
    net.b.own(net.b.router, &enrollRemoteRouterCall { domain, remote });
    assert_eq!(net.b.view(net.b.router, &routersCall { domain }), remote);
    assert_eq!(net.b.view(net.b.router, &acceptedRoutersCall { domain }), [old, remote]);
    net.deliver(&sent).ok();
    net.b.own(net.b.router, &retireRouterCall { domain, remote: old });
    assert_eq!(net.b.view(net.b.router, &acceptedRoutersCall { domain }), [remote]);
    net.deliver(&late).reverts(UnauthorizedRouter { origin: domain, sender: old });
    net.b
        .send(OWNER, net.b.router, &retireRouterCall { domain, remote: old })
        .reverts(RouterNotAccepted { domain, remote: old });
}

#[test]
fn a_recipient_dispatches_while_it_is_delivered_to() {
    let net = Network::new();
    let mut back = net.order();
    back.recipient = net.a.recipient.into_word();
    let fee = net.b.quote(net.a.domain, &back);
    let callback = Recipient::setCallbackCall {
        target: net.b.router,
        carried: fee,
        data: dispatch_call(net.a.domain, &back).abi_encode().into(),
    };
    net.b.send_value(OWNER, net.b.recipient, fee, &callback).ok();
    let outcome = net.deliver(&net.send(&net.order())).ok();
    let called = outcome.events::<Recipient::CalledBack>().pop().unwrap();
    assert!(called.ok, "{}", called.answer);
    let answer = Sent::from(outcome);
    assert_eq!(answer.message().header.sender, net.b.recipient.into_word());
    assert_eq!(net.b.view(net.b.router, &nonceCall {}), 1);
    net.deliver_back(&answer).ok();
}

#[test]
fn a_recipient_processes_another_message_and_each_sees_its_own_delivery() {
    let net = Network::new();
    let outer = net.send(&net.order());
    let mut to_other = net.order();
    to_other.recipient = net.b.mock("Recipient").into_word();
    let nested = net.send(&to_other);
    let keys = validators(Tier::Instant);
    let process = Mailbox::processCall {
        metadata: metadata(&net.a, &keys[..2], &nested).into(),
        message: nested.envelope.clone(),
    };
    let callback = Recipient::setCallbackCall {
        target: net.b.mailbox,
        carried: U256::ZERO,
        data: process.abi_encode().into(),
    };
    net.b.own(net.b.recipient, &callback);
    let outcome = net.deliver(&outer).ok();
    let during: Vec<_> =
        outcome.events::<Recipient::During>().into_iter().map(|during| during.id).collect();
    assert_eq!(during, [outer.id, nested.id, outer.id]);
    for id in [outer.id, nested.id] {
        assert!(net.b.view(net.b.router, &deliveredCall { messageId: id }).isDelivered);
    }
    let after = net.b.view(net.b.router, &currentDeliveryCall {});
    assert!(after.messageId.is_zero() && after.finality == 0);
}

#[test]
fn a_message_cannot_be_delivered_again_from_within_its_own_delivery() {
    let net = Network::new();
    let sent = net.send(&net.order());
    let process = Mailbox::processCall {
        metadata: metadata(&net.a, &validators(Tier::Instant)[..2], &sent).into(),
        message: sent.envelope.clone(),
    };
    let callback = Recipient::setCallbackCall {
        target: net.b.mailbox,
        carried: U256::ZERO,
        data: process.abi_encode().into(),
    };
    net.b.own(net.b.recipient, &callback);
    let outcome = net.deliver(&sent).ok();
    assert!(!outcome.events::<Recipient::CalledBack>().pop().unwrap().ok);
    assert_eq!(outcome.events::<Recipient::Handled>().len(), 1);
}

#[test]
fn the_constructor_runs_once() {
    let net = Network::new();
    let again = protocol::abi::constructor::Constructor::calldata(
        &protocol::abi::constructor::RouterArguments {
            mailbox: net.a.mailbox,
            owner: STRANGER,
            guardian: STRANGER,
            initialNonce: 0,
        },
    );
    let outcome: Outcome =
        net.a.chain.transact(devnet::Transact::call(STRANGER, net.a.router, again)).unwrap().into();
    outcome.reverts_empty();
    assert_eq!(net.a.view(net.a.router, &localDomainCall {}), DOMAINS[0]);
}
