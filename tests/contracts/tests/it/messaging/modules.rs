//! MetalayerIsm: which module answers for an envelope.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use contract_tests::{
    Outcome,
    messaging::{
        GUARDIAN, NOBODY, Network, OWNER, Recipient, STRANGER, Sent, metadata, validators,
    },
};
use protocol::{
    abi::{
        constructor::IsmArguments,
        hyperlane::{Mailbox, RoutingIsm},
        ism::*,
    },
    finality::Tier,
    ids::Domain,
    message::Envelope,
};

const INSTANT: u8 = Tier::Instant.byte();
const FINALIZED: u8 = Tier::Finalized.byte();

fn route(net: &Network, envelope: &[u8]) -> Outcome {
    let call = routeCall { envelope: Bytes::copy_from_slice(envelope) };
    net.b.ask(STRANGER, net.b.ism, &call)
}

fn module(net: &Network, tier: u8) -> Address {
    net.b.view(net.b.ism, &moduleCall { origin: net.a.domain, tier })
}

#[test]
fn an_envelope_goes_to_the_module_of_its_origin_and_tier() {
    let net = Network::new();
    assert_eq!(net.b.view(net.b.ism, &moduleTypeCall {}), 1);
    for tier in [INSTANT, FINALIZED] {
        let mut order = net.order();
        order.tier = tier;
        let sent = net.send(&order);
        let answer = route(&net, &sent.envelope).answer::<RoutingIsm::routeCall>();
        assert_eq!(answer, module(&net, tier));
        // The other tier's validators do not open this door.
        let other = Tier::try_from(1 - tier).unwrap();
        let keys = validators(other);
        let outcome = net.b.process(metadata(&net.a, &keys[..2], &sent), &sent.envelope);
        assert!(!outcome.success);
    }
}

#[test]
fn envelopes_that_are_not_to_this_router_or_disagree_with_their_message_are_refused() {
    let net = Network::new();
    let sent = net.send(&net.order());
    let good = sent.envelope();
    let elsewhere = Domain(5);
    for envelope in [
        Envelope { recipient: net.b.recipient.into_word(), ..good },
        Envelope { origin: elsewhere, ..good },
        Envelope { destination: elsewhere, ..good },
    ] {
        route(&net, &envelope.encode()).reverts(EnvelopeMismatch {});
    }
    let mut version = sent.envelope.to_vec();
    version[0] = 2;
    route(&net, &version).reverts(EnvelopeMismatch {});
    route(&net, &sent.envelope[..76]).reverts(EnvelopeMismatch {});
    let truncated = Envelope { body: &good.body[..81], ..good };
    route(&net, &truncated.encode()).reverts(InvalidMessage {});
    let mut tier = good.body.to_vec();
    tier[1] = 3;
    let unknown = Envelope { body: &tier, ..good };
    route(&net, &unknown.encode()).reverts(InvalidFinality { finality: 3 });
}

#[test]
fn a_recipient_without_a_module_of_its_own_gets_nothing_past_the_default() {
    let net = Network::new();
    // An application sends straight through the mailbox, to a recipient that names no module.
    let call = Mailbox::dispatch_0Call {
        destinationDomain: net.b.domain,
        recipientAddress: net.b.recipient.into_word(),
        messageBody: net.send(&net.order()).message().bytes().to_vec().into(),
    };
    let fee = U256::from(10_u64.pow(18));
    let outcome = net.a.send_value(STRANGER, net.a.mailbox, fee, &call).ok();
    let envelope = outcome.events::<Mailbox::Dispatch>().pop().unwrap().message;
    let sent = Sent { envelope: envelope.clone(), ..net.send(&net.order()) };
    let keys = validators(Tier::Instant);
    net.b.process(metadata(&net.a, &keys[..2], &sent), &envelope).reverts(EnvelopeMismatch {});
}

#[test]
fn tiers_never_share_a_key_not_even_through_an_aggregation() {
    let net = Network::new();
    let instant = validators(Tier::Instant).map(|key| key.address());
    let mixed = net.b.multisig(&[NOBODY, instant[2]], 1);
    let hidden = net.b.aggregation(&[net.b.aggregation(&[mixed], 1), net.b.read_ism], 2);
    let origin = net.a.domain;
    let shared = TierKeyShared { validator: instant[2] };
    for module in [mixed, hidden] {
        let call = setModuleCall { origin, tier: FINALIZED, newModule: module };
        net.b.send(OWNER, net.b.ism, &call).reverts(shared.clone());
        let call = setReadModuleCall { origin, tier: FINALIZED, newModule: module };
        net.b.send(OWNER, net.b.ism, &call).reverts(shared.clone());
    }
    // The same set for another origin, or again for its own tier, is another matter.
    net.b.own(net.b.ism, &setModuleCall { origin: 5, tier: FINALIZED, newModule: mixed });
    net.b.own(net.b.ism, &setModuleCall { origin, tier: INSTANT, newModule: mixed });
    let call = setModuleCall { origin, tier: FINALIZED, newModule: NOBODY };
    net.b.send(OWNER, net.b.ism, &call).reverts(InvalidModule { module: NOBODY });
    let call = setModuleCall { origin, tier: 3, newModule: mixed };
    net.b.send(OWNER, net.b.ism, &call).reverts(InvalidFinality { finality: 3 });
}

#[test]
fn a_tier_without_module_lets_nothing_pass() {
    let net = Network::new();
    let sent = net.send(&net.order());
    let (origin, tier) = (net.a.domain, INSTANT);
    net.b.own(net.b.ism, &setModuleCall { origin, tier, newModule: Address::ZERO });
    net.deliver(&sent).reverts(NoModule { origin, tier });
}

#[test]
fn the_guardian_suspends_one_tier_of_one_origin_and_only_the_owner_resumes() {
    let net = Network::new();
    let instant = net.send(&net.order());
    let mut order = net.order();
    order.tier = FINALIZED;
    let finalized = net.send(&order);
    let (origin, tier) = (net.a.domain, INSTANT);
    net.b
        .send(STRANGER, net.b.ism, &suspendCall { origin, tier })
        .reverts(NotAuthorized { caller: STRANGER });
    net.b.send(GUARDIAN, net.b.ism, &suspendCall { origin, tier }).ok();
    assert!(net.b.view(net.b.ism, &suspendedCall { origin, tier }));
    net.deliver(&instant).reverts(Suspended { origin, tier });
    net.deliver(&finalized).ok();
    net.b
        .send(GUARDIAN, net.b.ism, &resumeCall { origin, tier })
        .reverts(OwnableUnauthorizedAccount { account: GUARDIAN });
    net.b.own(net.b.ism, &resumeCall { origin, tier });
    net.deliver(&instant).ok();
}

/// Has b's recipient choose its own module at one of the two modules.
fn choose(net: &Network, ism: Address, module: Address) -> Outcome {
    let data = setApplicationIsmCall { module }.abi_encode().into();
    net.b.send(OWNER, net.b.recipient, &Recipient::actCall { to: ism, value: U256::ZERO, data })
}

#[test]
fn an_application_chooses_its_own_module_and_a_new_ism_remembers() {
    let net = Network::new();
    let sent = net.send(&net.order());
    let own = net.b.multisig(&[validators(Tier::Finalized)[0].address()], 1);
    choose(&net, net.b.ism, NOBODY).reverts(InvalidModule { module: NOBODY });
    choose(&net, net.b.ism, own).ok();
    assert_eq!(route(&net, &sent.envelope).answer::<RoutingIsm::routeCall>(), own);

    let arguments = IsmArguments {
        router: net.b.router,
        localDomain: net.b.domain,
        owner: OWNER,
        guardian: GUARDIAN,
        previous: net.b.ism,
    };
    let next = net.b.deploy("ism", &arguments);
    let application = net.b.recipient;
    let chosen = || net.b.view(next, &applicationIsmCall { application });
    assert_eq!(chosen(), own);
    // Having none is a choice too: it is not overridden by what was said to the predecessor.
    choose(&net, next, Address::ZERO).ok();
    assert_eq!(chosen(), Address::ZERO);
    assert_eq!(net.b.view(next, &applicationIsmCall { application: STRANGER }), Address::ZERO);

    // Its own module vouches; the tier's validators do not have to.
    let keys = &validators(Tier::Finalized)[..1];
    net.b.process(metadata(&net.a, keys, &sent), &sent.envelope).ok();
}

#[test]
fn a_module_that_answers_nothing_vouches_for_nothing() {
    let net = Network::new();
    let sent = net.send(&net.order());
    // It has code, and answers `verify` with something else than 32 bytes of true.
    choose(&net, net.b.ism, net.b.hook).ok();
    let outcome = net.b.process(Vec::new(), &sent.envelope);
    assert!(!outcome.success);
    let reverting = net.b.mock("Router");
    choose(&net, net.b.ism, reverting).ok();
    assert!(!net.b.process(Vec::new(), &sent.envelope).success);
}
