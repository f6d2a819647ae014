//! What the owner and the guardian may do, and nobody else.

use alloy::{
    primitives::{Address, B256},
    sol_types::SolCall,
};
use contract_tests::{
    Outcome,
    messaging::{DOMAINS, GUARDIAN, NOBODY, Network, OWNER, STRANGER, Side, USER, dispatch_call},
};
use protocol::abi::{ism, read_ism, router::*};

const HOUR: u64 = 3600;

fn pause(side: &Side) -> Outcome {
    side.send(GUARDIAN, side.router, &pauseCall {})
}

/// Moves the chain's clock and closes the block that shows it.
fn wait(side: &Side, seconds: u64) {
    side.chain.increase_time(seconds);
    side.chain.mine(1).unwrap();
}

#[test]
fn only_the_owner_administers_router_and_modules() {
    let net = Network::new();
    let (domain, remote, module) = (5, B256::repeat_byte(1), net.a.ism);
    let refused = OwnableUnauthorizedAccount { account: STRANGER };
    let calls = [
        enrollRemoteRouterCall { domain, remote }.abi_encode(),
        enrollRemoteRoutersCall { domains: vec![], remotes: vec![] }.abi_encode(),
        unenrollRemoteRouterCall { domain: DOMAINS[1] }.abi_encode(),
        retireRouterCall { domain: DOMAINS[1], remote }.abi_encode(),
        setSupportedTiersCall { domain, tiers: 1 }.abi_encode(),
        setReadDomainCall { domain, readable: true }.abi_encode(),
        setInterchainSecurityModuleCall { module }.abi_encode(),
        setReadIsmCall { module: net.a.read_ism }.abi_encode(),
        setIgpCall { paymaster: net.a.igp }.abi_encode(),
        setGuardianCall { newGuardian: STRANGER }.abi_encode(),
        transferOwnershipCall { newOwner: STRANGER }.abi_encode(),
        unpauseCall {}.abi_encode(),
    ];
    let send = |to: Address, data: Vec<u8>| -> Outcome {
        net.a.chain.transact(devnet::Transact::call(STRANGER, to, data)).unwrap().into()
    };
    for call in calls {
        send(net.a.router, call).reverts(refused.clone());
    }
    for call in [
        ism::setModuleCall { origin: 1, tier: 0, newModule: module }.abi_encode(),
        ism::setReadModuleCall { origin: 1, tier: 0, newModule: module }.abi_encode(),
        ism::resumeCall { origin: 1, tier: 0 }.abi_encode(),
        ism::setGuardianCall { newGuardian: STRANGER }.abi_encode(),
    ] {
        send(net.a.ism, call).reverts(refused.clone());
    }
    for call in [
        read_ism::setSignersCall { origin: 1, tier: 0, module }.abi_encode(),
        read_ism::setUrlsCall { newUrls: vec![] }.abi_encode(),
    ] {
        send(net.a.read_ism, call).reverts(refused.clone());
    }
}

#[test]
fn ownership_changes_hands_in_two_steps() {
    let net = Network::new();
    let router = net.a.router;
    net.a.own(router, &transferOwnershipCall { newOwner: USER });
    assert_eq!(net.a.view(router, &ownerCall {}), OWNER);
    assert_eq!(net.a.view(router, &pendingOwnerCall {}), USER);
    net.a
        .send(STRANGER, router, &acceptOwnershipCall {})
        .reverts(OwnableUnauthorizedAccount { account: STRANGER });
    net.a.send(USER, router, &acceptOwnershipCall {}).ok();
    assert_eq!(net.a.view(router, &ownerCall {}), USER);
    net.a
        .send(OWNER, router, &unpauseCall {})
        .reverts(OwnableUnauthorizedAccount { account: OWNER });
}

#[test]
fn the_module_of_the_router_is_a_routing_module_with_code() {
    let net = Network::new();
    let multisig = net.a.multisig(&[USER], 1);
    for module in [Address::ZERO, NOBODY, multisig, net.a.read_ism, net.a.mailbox] {
        net.a
            .send(OWNER, net.a.router, &setInterchainSecurityModuleCall { module })
            .reverts(InvalidModule { module });
    }
    for module in [NOBODY, net.a.ism] {
        net.a
            .send(OWNER, net.a.router, &setReadIsmCall { module })
            .reverts(InvalidModule { module });
    }
    net.a.own(net.a.router, &setInterchainSecurityModuleCall { module: net.a.ism });
    assert_eq!(net.a.view(net.a.router, &interchainSecurityModuleCall {}), net.a.ism);
    assert_eq!(net.a.view(net.a.router, &igpCall {}), net.a.igp);
}

#[test]
fn domains_come_and_go() {
    let net = Network::new();
    let router = net.a.router;
    let remotes = vec![B256::repeat_byte(1), B256::repeat_byte(2)];
    net.a.own(router, &enrollRemoteRoutersCall { domains: vec![5, 6], remotes: remotes.clone() });
    assert_eq!(net.a.view(router, &domainsCall {}), [DOMAINS[1], 5, 6]);
    net.a.own(router, &unenrollRemoteRouterCall { domain: 5 });
    assert_eq!(net.a.view(router, &domainsCall {}), [DOMAINS[1], 6]);
    assert_eq!(net.a.view(router, &acceptedRoutersCall { domain: 5 }), remotes[..1]);
    net.a
        .send(OWNER, router, &unenrollRemoteRouterCall { domain: 5 })
        .reverts(RouterNotEnrolled { domain: 5 });
    net.a.own(router, &retireRouterCall { domain: 6, remote: remotes[1] });
    assert_eq!(net.a.view(router, &domainsCall {}), [DOMAINS[1]]);
    net.a
        .send(OWNER, router, &enrollRemoteRoutersCall { domains: vec![1], remotes: vec![] })
        .reverts(ArrayLengthMismatch {});
    net.a
        .send(OWNER, router, &enrollRemoteRouterCall { domain: 0, remote: remotes[0] })
        .reverts(InvalidDomain { domain: 0 });
    net.a
        .send(OWNER, router, &enrollRemoteRouterCall { domain: 1, remote: B256::ZERO })
        .reverts(ZeroAddress {});
    net.a
        .send(OWNER, router, &setSupportedTiersCall { domain: 5, tiers: 8 })
        .reverts(InvalidTierMask { mask: 8 });
}

#[test]
fn a_pause_stops_dispatch_only_for_six_hours_and_not_again_for_forty_eight() {
    let net = Network::new();
    let order = net.order();
    let sent = net.send(&order);
    let arriving = net.b.dispatch(DOMAINS[0], &{
        let mut back = order.clone();
        back.recipient = net.a.recipient.into_word();
        back
    });
    net.a.send(STRANGER, net.a.router, &pauseCall {}).reverts(NotAuthorized { caller: STRANGER });
    pause(&net.a).ok();
    let started = net.a.view(net.a.router, &pausedAtCall {});
    let fee = net.a.quote(DOMAINS[1], &order);
    net.a
        .send_value(USER, net.a.router, fee, &dispatch_call(DOMAINS[1], &order))
        .reverts(Paused {});
    net.deliver_back(&arriving).ok();
    net.deliver(&sent).ok();

    wait(&net.a, 6 * HOUR);
    assert!(!net.a.view(net.a.router, &pausedCall {}));
    net.send(&order);
    let earliest = started + 48 * HOUR;
    pause(&net.a).reverts(PauseTooSoon { earliest });
    wait(&net.a, 42 * HOUR);
    pause(&net.a).ok();
}

#[test]
fn only_the_owner_lifts_a_pause_and_it_still_counts() {
    let net = Network::new();
    pause(&net.a).ok();
    net.a
        .send(GUARDIAN, net.a.router, &unpauseCall {})
        .reverts(OwnableUnauthorizedAccount { account: GUARDIAN });
    net.a.own(net.a.router, &unpauseCall {});
    net.send(&net.order());
    let earliest = net.a.view(net.a.router, &pausedAtCall {}) + 48 * HOUR;
    pause(&net.a).reverts(PauseTooSoon { earliest });
}
