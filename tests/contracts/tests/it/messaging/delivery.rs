//! Messages that arrive, from `dispatch` to the recipient.

use alloy::primitives::U256;
use contract_tests::messaging::{Network, Recipient, USER};
use protocol::{
    abi::{hyperlane::Mailbox, router},
    finality::Tier,
};

#[test]
fn a_message_travels_from_dispatch_to_the_recipient() {
    let net = Network::new();
    for tier in [Tier::Instant, Tier::Finalized] {
        let mut order = net.order();
        order.tier = tier.byte();
        let sent = net.send(&order);
        let message = sent.message();
        assert_eq!(message.id().0, sent.id);
        assert_eq!(message.header.sender, USER.into_word());
        assert_eq!(message.body, b"hello");

        let outcome = net.deliver(&sent).ok();
        let delivered = outcome.events::<router::MetalayerDelivered>().pop().unwrap();
        assert_eq!(delivered.messageId, sent.id);
        let handled = outcome.events::<Recipient::Handled>().pop().unwrap();
        assert_eq!((handled.origin, handled.sender), (net.a.domain, USER.into_word()));
        assert_eq!(handled.message[..], b"hello"[..]);
        assert_eq!(handled.value, U256::ZERO);
        let during = outcome.events::<Recipient::During>().pop().unwrap();
        assert_eq!((during.id, during.finality), (sent.id, tier.byte()));
        assert_eq!(outcome.events::<Mailbox::ProcessId>().len(), 1);

        let after = net.b.view(net.b.router, &router::currentDeliveryCall {});
        assert!(after.messageId.is_zero());
        let delivered = net.b.view(net.b.router, &router::deliveredCall { messageId: sent.id });
        assert!(delivered.isDelivered);
        assert_eq!((delivered.origin, delivered.finality), (net.a.domain, tier.byte()));
    }
}
