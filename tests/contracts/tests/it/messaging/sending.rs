//! `dispatch`: what is refused, what it costs, what is returned.

use alloy::{
    primitives::{B256, U256},
    sol_types::SolCall,
};
use contract_tests::messaging::{
    DOMAINS, GUARDIAN, NOBODY, Network, Order, Recipient, Sent, USER, dispatch_call,
};
use protocol::abi::{
    constructor::RouterArguments,
    hyperlane::{InterchainGasPaymaster::GasPayment, MerkleTreeHook::InsertedIntoTree},
    messaging::ReadOperation,
    router::{self, *},
};

/// Every order that is refused, is refused by the quote and by the dispatch, with the same error.
#[track_caller]
fn refused<E: alloy::sol_types::SolError + Clone>(net: &Network, order: &Order, error: E) {
    let dispatch = dispatch_call(DOMAINS[1], order);
    let quote = quoteDispatch_1Call::abi_decode(
        &[&quoteDispatch_1Call::SELECTOR, &dispatch.abi_encode()[4..]].concat(),
    )
    .unwrap();
    net.a.ask(USER, net.a.router, &quote).reverts(error.clone());
    net.a.send(USER, net.a.router, &dispatch).reverts(error);
}

fn read(domain: u32, len: usize) -> ReadOperation {
    ReadOperation { domain, target: NOBODY, callData: vec![1; len].into() }
}

#[test]
fn orders_out_of_bounds_are_refused_by_quote_and_dispatch() {
    let net = Network::new();
    let order = net.order();
    let with = |change: fn(&mut Order)| {
        let mut order = order.clone();
        change(&mut order);
        order
    };
    refused(&net, &with(|o| o.tier = 3), InvalidFinality { finality: 3 });
    let unsupported = TierUnsupported { domain: DOMAINS[1], finality: 2 };
    refused(&net, &with(|o| o.tier = 2), unsupported);
    refused(&net, &with(|o| o.gas_limit = 0), InvalidGasLimit {});
    refused(&net, &with(|o| o.recipient = B256::ZERO), InvalidRecipient {});
    let mut to_router = order.clone();
    to_router.recipient = net.b.router.into_word();
    refused(&net, &to_router, InvalidRecipient {});

    let (limit, given) = (U256::from(65_536), U256::from(65_537));
    refused(&net, &with(|o| o.body = vec![0; 65_537]), BodyTooLarge { length: given, limit });
    let (limit, given) = (U256::from(16), U256::from(17));
    let many = with(|o| o.reads = vec![read(DOMAINS[0], 0); 17]);
    refused(&net, &many, TooManyReads { count: given, limit });
    let (limit, given) = (U256::from(4096), U256::from(4097));
    let large = with(|o| o.reads = vec![read(DOMAINS[0], 4097)]);
    refused(&net, &large, ReadTooLarge { length: given, limit });
    let elsewhere = with(|o| o.reads = vec![read(DOMAINS[1], 1), read(5, 1)]);
    refused(&net, &elsewhere, ReadDomainUnsupported { domain: 5 });

    let mut fits = order.clone();
    fits.body = vec![0; 65_536];
    fits.reads = vec![read(DOMAINS[1], 4096); 16];
    net.send(&fits);
}

#[test]
fn a_domain_that_is_not_enrolled_is_refused() {
    let net = Network::new();
    let call = dispatch_call(5, &net.order());
    net.a.send(USER, net.a.router, &call).reverts(RouterNotEnrolled { domain: 5 });
}

#[test]
fn exactly_the_quote_is_forwarded_and_the_rest_returned() {
    let net = Network::new();
    let order = net.order();
    let fee = net.a.quote(DOMAINS[1], &order);
    // 100,000 of the paymaster's own and 200,000 of the order, at one gwei.
    assert_eq!(fee, U256::from(300_000_000_000_000_u64));
    let (before, paid_before) = (net.a.chain.balance(USER), net.a.chain.balance(net.a.igp));
    let excess = U256::from(12_345);
    let outcome = net.a.try_dispatch(USER, DOMAINS[1], &order, fee + excess).ok();
    assert_eq!(before - net.a.chain.balance(USER), fee);
    assert_eq!(net.a.chain.balance(net.a.igp) - paid_before, fee);
    assert!(net.a.chain.balance(net.a.router).is_zero());
    let payment = outcome.events::<GasPayment>().pop().unwrap();
    assert_eq!((payment.payment, payment.gasAmount), (fee, U256::from(300_000)));
    assert_eq!(outcome.events::<InsertedIntoTree>().len(), 1);
}

#[test]
fn less_than_the_quote_is_refused() {
    let net = Network::new();
    let order = net.order();
    let required = net.a.quote(DOMAINS[1], &order);
    let given = required - U256::from(1);
    let outcome = net.a.try_dispatch(USER, DOMAINS[1], &order, given);
    outcome.reverts(InsufficientFee { required, given });
}

#[test]
fn a_caller_that_cannot_take_its_change_gets_an_error_not_a_loss() {
    let net = Network::new();
    let caller = net.a.recipient;
    net.a.own(caller, &Recipient::setRefusesEtherCall { refuses: true });
    let order = net.order();
    let fee = net.a.quote(DOMAINS[1], &order);
    let act = |value: U256| Recipient::actCall {
        to: net.a.router,
        value,
        data: dispatch_call(DOMAINS[1], &order).abi_encode().into(),
    };
    let excess = U256::from(1);
    let outcome = net.a.send_value(USER, caller, fee + excess, &act(fee + excess));
    outcome.reverts(RefundFailed { caller, amount: excess });
    // The exact fee needs no change.
    net.a.send_value(USER, caller, fee, &act(fee)).ok();
}

#[test]
fn the_change_comes_last_and_the_callback_sees_the_message_as_sent() {
    let net = Network::new();
    let caller = net.a.recipient;
    net.a.own(caller, &Recipient::setReadsOnRefundCall { router: net.a.router });
    let order = net.order();
    let value = net.a.quote(DOMAINS[1], &order) + U256::from(1);
    let act = Recipient::actCall {
        to: net.a.router,
        value,
        data: dispatch_call(DOMAINS[1], &order).abi_encode().into(),
    };
    let outcome = net.a.send_value(USER, caller, value, &act).ok();
    let seen = outcome.events::<Recipient::CalledBack>().pop().unwrap();
    assert_eq!(seen.answer[31], 1, "the nonce after this message");
    assert!(outcome.logs.last().unwrap().address == caller, "nothing is logged after the refund");
}

#[test]
fn every_message_has_its_own_nonce_and_record() {
    let net = Network::new();
    let order = net.order();
    let (first, second) = (net.send(&order), net.send(&order));
    assert_ne!(first.id, second.id);
    assert_eq!((first.message().header.nonce, second.message().header.nonce), (0, 1));
    let record = net.a.view(net.a.router, &dispatchedCall { messageId: first.id });
    assert_eq!((record.destination, record.finality), (DOMAINS[1], order.tier));
    let event = first.outcome.events::<MetalayerDispatch>().pop().unwrap();
    assert_eq!(event.sender, USER);
    assert_eq!(event.mailboxMessageId, first.envelope().id().0);
    assert_eq!(event.message[..], *first.message().bytes());
    assert_eq!(event.recipient, order.recipient);
}

#[test]
fn the_nonce_starts_where_the_constructor_says_and_never_wraps() {
    let net = Network::new();
    let arguments = RouterArguments {
        mailbox: net.a.mailbox,
        owner: contract_tests::messaging::OWNER,
        guardian: GUARDIAN,
        initialNonce: u32::MAX - 1,
    };
    let mut side = net.a.clone();
    side.router = net.a.deploy("router", &arguments);
    let domain = DOMAINS[1];
    let remote = net.b.router.into_word();
    side.own(side.router, &enrollRemoteRouterCall { domain, remote });
    side.own(side.router, &setSupportedTiersCall { domain, tiers: 1 });
    let order = net.order();
    let sent = side.dispatch(domain, &order);
    assert_eq!(sent.message().header.nonce, u32::MAX - 1);
    let fee = side.quote(domain, &order);
    side.try_dispatch(USER, domain, &order, fee).reverts(NonceExhausted {});
}

#[test]
fn reads_make_delivery_dearer() {
    let net = Network::new();
    let mut order = net.order();
    let plain = net.a.quote(DOMAINS[1], &order);
    order.reads = vec![read(DOMAINS[1], 4)];
    let one = net.a.quote(DOMAINS[1], &order);
    order.reads.push(read(DOMAINS[0], 4));
    let two = net.a.quote(DOMAINS[1], &order);
    assert!(plain < one && two - one < one - plain);
    let _sent = Sent::from(net.a.try_dispatch(USER, DOMAINS[1], &order, two).ok());
    let outcome = net.a.try_dispatch(USER, DOMAINS[1], &order, one);
    outcome.reverts(router::InsufficientFee { required: two, given: one });
}
