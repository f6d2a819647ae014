//! What messaging costs beyond a bare call of Hyperlane's mailbox, for the snapshots.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol,
    sol_types::SolValue,
};
use contract_tests::{
    Outcome,
    messaging::{DOMAINS, NOBODY, Network, OWNER, Order, Sent, USER, metadata, sign, validators},
};
use protocol::{
    abi::{
        hyperlane::Mailbox,
        messaging::{ReadAnchor, ReadOperation},
        router::{confirmCall, quoteConfirmCall},
    },
    finality::Tier,
    ids::Domain,
    multisig::aggregation,
    read::{MAX_RESULT_LEN, ReadDigest, answered, encode_metadata, wrap},
    signable::Signable,
};

/// Bytes of every body: a proof of one intent.
const BODY: usize = 72;
const GAS_LIMIT: u64 = 100_000;
/// Takes every call, and names a module when it is asked for one.
const IDLE: Address = Address::repeat_byte(0x1d);

/// Gas by operation.
pub(crate) type Rows = BTreeMap<String, u64>;

/// Runs everything once, with the programs of both sides in their chain's cache or not.
pub(crate) fn rows(cached: bool) -> Rows {
    sol! { function cacheProgram(address addr) external; }
    let net = Network::new();
    let cache = Address::with_last_byte(0x72);
    for side in [&net.a, &net.b].into_iter().filter(|_| cached) {
        for addr in [side.router, side.ism, side.read_ism] {
            side.send(OWNER, cache, &cacheProgramCall { addr }).ok();
        }
    }
    let module = net.b.multisig(&validators(Tier::Instant).map(|key| key.address()), 2);
    net.b.chain.set_code(IDLE, idle(module)).unwrap();
    let mut meter = Meter { net, rows: Rows::new() };
    meter.messages();
    meter.reads();
    meter.confirmations();
    meter.rows
}

/// Code that answers a call of four bytes with `module`, and any other with nothing.
fn idle(module: Address) -> Bytes {
    let mut code = vec![0x36, 0x60, 4, 0x14, 0x60, 8, 0x57, 0x00, 0x5b, 0x73];
    code.extend_from_slice(module.as_slice());
    code.extend_from_slice(&[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    code.into()
}

struct Meter {
    net: Network,
    rows: Rows,
}

impl Meter {
    #[track_caller]
    fn note(&mut self, name: &str, outcome: Outcome) -> Outcome {
        let outcome = outcome.ok();
        self.rows.insert(name.to_owned(), outcome.gas_used);
        outcome
    }

    fn order(&self, reads: usize) -> Order {
        let read = ReadOperation { domain: DOMAINS[1], target: NOBODY, callData: Bytes::new() };
        Order {
            recipient: IDLE.into_word(),
            reads: vec![read; reads],
            body: vec![7; BODY],
            tier: Tier::Instant.byte(),
            gas_limit: GAS_LIMIT,
        }
    }

    /// The same body through the mailbox alone, from the sender to the recipient, and through the router.
    fn messages(&mut self) {
        // The first of each side fills slots that all others find filled.
        let warm_up = self.bare();
        self.deliver_bare(&warm_up).ok();
        let warm_up = self.net.send(&self.order(0));
        self.net.deliver(&warm_up).ok();

        let sent = self.bare();
        let sent = Sent { outcome: self.note("mailbox: dispatch", sent.outcome.clone()), ..sent };
        let outcome = self.deliver_bare(&sent);
        self.note("mailbox: process", outcome);
        let sent = self.net.send(&self.order(0));
        self.note("router: dispatch", sent.outcome.clone());
        let outcome = self.net.deliver(&sent);
        self.note("router: delivery", outcome);
    }

    /// A message that knows nothing of the router.
    fn bare(&self) -> Sent {
        let side = &self.net.a;
        // Variant 1, no value, gas limit, refund address: what the router writes too.
        let hook_metadata = (1_u16, U256::ZERO, U256::from(GAS_LIMIT), USER).abi_encode_packed();
        let call = Mailbox::dispatch_1Call {
            destinationDomain: self.net.b.domain,
            recipientAddress: IDLE.into_word(),
            messageBody: vec![7; BODY].into(),
            hookMetadata: hook_metadata.into(),
        };
        let quote = Mailbox::quoteDispatch_1Call {
            destinationDomain: call.destinationDomain,
            recipientAddress: call.recipientAddress,
            messageBody: call.messageBody.clone(),
            defaultHookMetadata: call.hookMetadata.clone(),
        };
        let fee = side.view(side.mailbox, &quote);
        let outcome = side.send_value(USER, side.mailbox, fee, &call).ok();
        let envelope = outcome.events::<Mailbox::Dispatch>().pop().unwrap().message;
        Sent { id: B256::ZERO, envelope, outcome }
    }

    fn deliver_bare(&self, sent: &Sent) -> Outcome {
        let keys = validators(Tier::Instant);
        self.net.b.process(metadata(&self.net.a, &keys[..2], sent), &sent.envelope)
    }

    fn reads(&mut self) {
        for (count, length) in [(1, 32), (2, 32), (1, MAX_RESULT_LEN), (2, MAX_RESULT_LEN)] {
            let sent = self.net.send(&self.order(count));
            let name = |what: &str| format!("router: {what}, {count} reads of {length} bytes");
            if length == 32 {
                self.note(&format!("router: dispatch, {count} reads"), sent.outcome.clone());
            }
            let outcome = self.deliver_reads(&sent, count, length);
            self.note(&name("delivery"), outcome);
        }
    }

    fn deliver_reads(&self, sent: &Sent, count: usize, length: usize) -> Outcome {
        let keys = &validators(Tier::Instant)[..2];
        let anchors =
            [ReadAnchor { domain: DOMAINS[1], number: 7, blockHash: B256::repeat_byte(7) }];
        let wrapped = vec![wrap(&answered(vec![9; length].into())); count];
        let digest = ReadDigest {
            local_domain: Domain(self.net.b.domain),
            read_ism: self.net.b.read_ism,
            message: sent.message_id(),
            timestamp: 1_900_000_000,
            anchors: &anchors,
            wrapped: &wrapped,
        };
        let signatures: Vec<_> = keys.iter().map(|key| sign(key, digest.digest())).collect();
        let attestation = encode_metadata(&digest, &signatures);
        let checkpoint = metadata(&self.net.a, keys, sent);
        let metadata = aggregation::encode(&[Some(checkpoint), Some(attestation)]);
        self.net.b.process(metadata, &sent.envelope)
    }

    fn confirmations(&mut self) {
        for count in [1_usize, 10] {
            let ids: Vec<B256> = (0..count)
                .map(|_| {
                    let sent = self.net.send(&self.order(0));
                    self.net.deliver(&sent).ok();
                    sent.id
                })
                .collect();
            let (side, origin, finality) = (&self.net.b, self.net.a.domain, Tier::Instant.byte());
            let quote =
                quoteConfirmCall { originDomain: origin, count: U256::from(count), finality };
            let fee = side.view(side.router, &quote);
            let call = confirmCall { originDomain: origin, ids, finality };
            let outcome = side.send_value(USER, side.router, fee, &call);
            let outcome = self.note(&format!("router: confirm {count}"), outcome);
            let back = Sent::from(outcome);
            let outcome = self.net.deliver_back(&back);
            self.note(&format!("router: delivery of a confirmation of {count}"), outcome);
        }
    }
}
