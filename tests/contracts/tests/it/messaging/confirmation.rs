//! Confirmations: the origin learns, on chain, that its messages arrived, and how sure that is.

use alloy::primitives::{B256, U256};
use contract_tests::{
    Outcome,
    messaging::{GUARDIAN, Network, STRANGER, Sent, USER},
};
use protocol::{
    abi::router::*,
    finality::Tier,
    ids::Domain,
    message::{Header, encode},
};

const INSTANT: u8 = Tier::Instant.byte();
const FINALIZED: u8 = Tier::Finalized.byte();

/// Confirms on b what came from a, by anyone, with the exact fee.
fn confirm(net: &Network, ids: &[B256], finality: u8) -> Outcome {
    let origin_domain = net.a.domain;
    let quote =
        quoteConfirmCall { originDomain: origin_domain, count: U256::from(ids.len()), finality };
    let fee = net.b.ask(STRANGER, net.b.router, &quote);
    let fee = if fee.success { fee.answer::<quoteConfirmCall>() } else { U256::ZERO };
    let call = confirmCall { originDomain: origin_domain, ids: ids.to_vec(), finality };
    net.b.send_value(STRANGER, net.b.router, fee, &call)
}

fn delivered(net: &Network, tier: u8) -> B256 {
    let mut order = net.order();
    order.tier = tier;
    let sent = net.send(&order);
    net.deliver(&sent).ok();
    sent.id
}

fn tier_of(net: &Network, id: B256) -> Option<u8> {
    let tier = net.a.view(net.a.router, &confirmationTierCall { messageId: id });
    tier.isConfirmed.then_some(tier.finality)
}

fn is_confirmed(net: &Network, id: B256) -> bool {
    net.a.view(net.a.router, &confirmedCall { messageId: id })
}

#[test]
fn one_message_back_confirms_many() {
    let net = Network::new();
    let ids = [delivered(&net, INSTANT), delivered(&net, FINALIZED)];
    let sent = Sent::from(confirm(&net, &[ids[0], ids[1], ids[0]], INSTANT).ok());
    assert_eq!(sent.message().body.len(), 64, "the duplicate is skipped");
    let outcome = net.deliver_back(&sent).ok();
    let events: Vec<_> = outcome
        .events::<MetalayerConfirmed>()
        .into_iter()
        .map(|event| (event.messageId, event.destinationDomain, event.tier))
        .collect();
    assert_eq!(events, ids.map(|id| (id, net.b.domain, INSTANT)));
    // An instant word about a finalized message is known, and not enough.
    assert_eq!(ids.map(|id| tier_of(&net, id)), [Some(INSTANT); 2]);
    assert_eq!(ids.map(|id| is_confirmed(&net, id)), [true, false]);
}

#[test]
fn a_confirmation_is_upgraded_and_never_downgraded() {
    let net = Network::new();
    let id = delivered(&net, FINALIZED);
    let weak = Sent::from(confirm(&net, &[id], INSTANT).ok());
    let late = Sent::from(confirm(&net, &[id], INSTANT).ok());
    let strong = Sent::from(confirm(&net, &[id], FINALIZED).ok());
    net.deliver_back(&weak).ok();
    net.deliver_back(&strong).ok();
    assert!(is_confirmed(&net, id));
    let outcome = net.deliver_back(&late).ok();
    assert!(outcome.events::<MetalayerConfirmed>().is_empty());
    assert_eq!(tier_of(&net, id), Some(FINALIZED));
}

#[test]
fn a_router_speaks_only_of_what_was_sent_to_it() {
    let net = Network::new();
    // On its way to b, and to a third chain: neither has arrived anywhere.
    let to_b = net.send(&net.order()).id;
    let third = 700_003;
    let remote = STRANGER.into_word();
    net.a.own(net.a.router, &enrollRemoteRouterCall { domain: third, remote });
    let header = Header {
        tier: Tier::Finalized,
        nonce: 1,
        origin: Domain(third),
        sender: remote,
        destination: Domain(net.a.domain),
        recipient: net.a.router.into_word(),
    };
    let unknown = B256::repeat_byte(7);
    let body = [to_b, unknown].map(|id| id.0).concat();
    let outcome = net.a.handle(third, remote, &encode(&header, &[], &body)).ok();
    assert!(outcome.events::<MetalayerConfirmed>().is_empty());
    assert_eq!(tier_of(&net, to_b), None);
}

#[test]
fn only_the_enrolled_router_itself_controls_and_anything_else_to_the_router_reverts() {
    let net = Network::new();
    let id = net.send(&net.order()).id;
    let (domain, remote) = (net.b.domain, net.b.router.into_word());
    let good = Header {
        tier: Tier::Instant,
        nonce: 1,
        origin: Domain(domain),
        sender: remote,
        destination: Domain(net.a.domain),
        recipient: net.a.router.into_word(),
    };
    let handle = |sender, header: &Header, body: &[u8], value: u64| {
        net.a.handle_with(domain, sender, &encode(header, &[], body), U256::from(value))
    };
    // An application on b names our router as its recipient.
    let by_user = Header { sender: USER.into_word(), ..good };
    handle(remote, &by_user, &id.0, 0).reverts(MalformedControlMessage {});
    handle(remote, &good, &id.0, 1).reverts(MalformedControlMessage {});
    handle(remote, &good, &id.0[1..], 0).reverts(MalformedControlMessage {});
    // A router that was replaced still delivers, but controls nothing.
    let replacement = STRANGER.into_word();
    net.a.own(net.a.router, &enrollRemoteRouterCall { domain, remote: replacement });
    handle(remote, &good, &id.0, 0).reverts(MalformedControlMessage {});
    let forged = Header { sender: replacement, ..good };
    handle(remote, &forged, &id.0, 0).reverts(MalformedControlMessage {});
    assert_eq!(tier_of(&net, id), None);
    handle(replacement, &forged, &id.0, 0).ok();
    assert_eq!(tier_of(&net, id), Some(INSTANT));
}

#[test]
fn only_what_arrived_from_that_origin_can_be_confirmed() {
    let net = Network::new();
    let id = net.send(&net.order()).id;
    confirm(&net, &[id], INSTANT).reverts(NotConfirmable { messageId: id });
    let (domain, remote) = (700_003, STRANGER.into_word());
    net.b.own(net.b.router, &enrollRemoteRouterCall { domain, remote });
    let arrived = delivered(&net, INSTANT);
    let call = confirmCall { originDomain: domain, ids: vec![arrived], finality: INSTANT };
    net.b.send(STRANGER, net.b.router, &call).reverts(NotConfirmable { messageId: arrived });
}

#[test]
fn a_confirmation_is_not_confirmable_so_that_it_ends() {
    let net = Network::new();
    let id = delivered(&net, INSTANT);
    let control = Sent::from(confirm(&net, &[id], INSTANT).ok());
    net.deliver_back(&control).ok();
    let message_id = control.id;
    let record = net.a.view(net.a.router, &deliveredCall { messageId: message_id });
    assert!(record.isDelivered);
    let call = confirmCall { originDomain: net.b.domain, ids: vec![message_id], finality: INSTANT };
    net.a.send(STRANGER, net.a.router, &call).reverts(NotConfirmable { messageId: message_id });
}

#[test]
fn one_to_256_ids_fit_and_the_domain_is_enrolled() {
    let net = Network::new();
    for count in [0, 257] {
        let ids = vec![B256::ZERO; count];
        let (count, limit) = (U256::from(count), U256::from(256));
        confirm(&net, &ids, INSTANT).reverts(InvalidIdCount { count, limit });
    }
    let id = delivered(&net, INSTANT);
    confirm(&net, &[id; 256], INSTANT).ok();
    confirm(&net, &[id], 3).reverts(InvalidFinality { finality: 3 });
    let call = confirmCall { originDomain: 5, ids: vec![id], finality: INSTANT };
    net.b.send(STRANGER, net.b.router, &call).reverts(RouterNotEnrolled { domain: 5 });
}

#[test]
fn a_pause_does_not_stop_confirmations_and_the_change_is_returned() {
    let net = Network::new();
    let id = delivered(&net, INSTANT);
    net.b.send(GUARDIAN, net.b.router, &pauseCall {}).ok();
    let count = U256::from(1);
    let quote = quoteConfirmCall { originDomain: net.a.domain, count, finality: INSTANT };
    let fee = net.b.view(net.b.router, &quote);
    // 100,000 of the paymaster's own, 60,000 to start, 30,000 for the id; at one gwei.
    assert_eq!(fee, U256::from(190_000_000_000_000_u64));
    let call = confirmCall { originDomain: net.a.domain, ids: vec![id], finality: INSTANT };
    let before = net.b.chain.balance(STRANGER);
    net.b.send_value(STRANGER, net.b.router, fee * U256::from(2), &call).ok();
    assert_eq!(before - net.b.chain.balance(STRANGER), fee);
    let given = fee - U256::from(1);
    let outcome = net.b.send_value(STRANGER, net.b.router, given, &call);
    outcome.reverts(InsufficientFee { required: fee, given });
}
