//! Which tiers an application accepts: the finality byte is its sender's word.

use alloy::primitives::Bytes;
use alloy::sol_types::SolCall;
use contract_tests::messaging::{
    NOBODY, Network, OWNER, Recipient, STRANGER, Sent, metadata, validators,
};
use protocol::{
    abi::router::*,
    finality::Tier,
    ids::Domain,
    message::{Envelope, Header, encode},
};

/// Has b's recipient set its own policy.
fn own_policy(net: &Network, mask: u8) {
    let data = setFinalityPolicyCall { acceptedTiers: mask }.abi_encode().into();
    let act = Recipient::actCall { to: net.b.router, value: alloy::primitives::U256::ZERO, data };
    net.b.own(net.b.recipient, &act);
}

const INSTANT: u8 = Tier::Instant.mask().bits();
const FINALIZED: u8 = Tier::Finalized.mask().bits();

#[test]
fn a_message_below_the_recipients_policy_is_refused_whatever_module_verified_it() {
    let net = Network::new();
    let mut order = net.order();
    let instant = net.send(&order);
    order.tier = Tier::Finalized.byte();
    let finalized = net.send(&order);
    own_policy(&net, FINALIZED);
    let refused = TierRefused { requiredMask: FINALIZED, given: Tier::Instant.byte() };
    net.deliver(&instant).reverts(refused);
    net.deliver(&finalized).ok();
    own_policy(&net, FINALIZED | INSTANT);
    net.deliver(&instant).ok();
}

#[test]
fn the_whole_fast_set_cannot_fabricate_a_message_for_a_finalized_application() {
    let net = Network::new();
    own_policy(&net, FINALIZED);
    let real = net.send(&net.order());
    for (tier, signers) in [(Tier::Instant, Tier::Instant), (Tier::Finalized, Tier::Instant)] {
        // Never dispatched: the fast validators sign it all the same.
        let header = Header {
            tier,
            nonce: 999,
            origin: Domain(net.a.domain),
            sender: net.a.recipient.into_word(),
            destination: Domain(net.b.domain),
            recipient: net.b.recipient.into_word(),
        };
        let body = encode(&header, &[], b"pay me");
        let envelope = Envelope { nonce: 999, body: &body, ..real.envelope() };
        let forged = Sent { envelope: Bytes::from(envelope.encode()), ..real.clone() };
        let outcome =
            net.b.process(metadata(&net.a, &validators(signers), &forged), &forged.envelope);
        assert!(!outcome.success);
        if tier == Tier::Instant {
            outcome.reverts(TierRefused { requiredMask: FINALIZED, given: 0 });
        }
    }
}

#[test]
fn the_owner_narrows_and_never_widens_and_never_overrides_an_application() {
    let net = Network::new();
    let router = net.b.router;
    let application = NOBODY;
    let policy = || net.b.view(router, &finalityPolicyCall { application });
    let narrow = |mask| {
        net.b.send(OWNER, router, &narrowFinalityPolicyCall { application, acceptedTiers: mask })
    };
    assert_eq!(policy(), 0b111);
    narrow(INSTANT | FINALIZED).ok();
    narrow(FINALIZED).ok();
    assert_eq!(policy(), FINALIZED);
    narrow(FINALIZED | INSTANT)
        .reverts(PolicyWidened { current: FINALIZED, given: FINALIZED | INSTANT });
    narrow(INSTANT).reverts(PolicyWidened { current: FINALIZED, given: INSTANT });

    net.b.send(application, router, &setFinalityPolicyCall { acceptedTiers: 0b111 }).ok();
    assert_eq!(policy(), 0b111);
    narrow(FINALIZED).reverts(PolicyAlreadySet { application });
    net.b
        .send(STRANGER, router, &narrowFinalityPolicyCall { application, acceptedTiers: 1 })
        .reverts(OwnableUnauthorizedAccount { account: STRANGER });
}

#[test]
fn a_policy_names_at_least_one_tier_and_no_unknown_one() {
    let net = Network::new();
    for mask in [0, 0b1000, 0b1001, 0x80, 0x81] {
        net.b
            .send(STRANGER, net.b.router, &setFinalityPolicyCall { acceptedTiers: mask })
            .reverts(InvalidTierMask { mask });
    }
    let outcome =
        net.b.send(STRANGER, net.b.router, &setFinalityPolicyCall { acceptedTiers: 2 }).ok();
    let event = outcome.events::<FinalityPolicySet>().pop().unwrap();
    assert_eq!((event.application, event.acceptedTiers, event.setBy), (STRANGER, 2, STRANGER));
}
