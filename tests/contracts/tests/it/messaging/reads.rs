//! Attested reads: from the question in the message to the answers in the recipient's hands.

use alloy::{
    primitives::{B256, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::{
    Outcome,
    messaging::{
        DOMAINS, NOBODY, Network, OWNER, Recipient, STRANGER, Sent, metadata, sign, validators,
    },
};
use protocol::{
    abi::{
        hyperlane::CcipReadIsm::OffchainLookup,
        messaging::{ReadAnchor, ReadOperation, ReadResult},
        multicall, read_ism,
        read_ism::*,
        router::{self, currentDeliveryCall},
    },
    finality::Tier,
    ids::Domain,
    multisig::aggregation,
    read::{ReadDigest, answered, encode_metadata, failed, wrap},
    signable::Signable,
};

const T: u64 = 1_900_000_000;

/// A message with a read of each chain, the second of which failed.
fn asked(net: &Network) -> Sent {
    let read = |domain| ReadOperation {
        domain,
        target: NOBODY,
        callData: Bytes::from_static(&[1, 2, 3, 4]),
    };
    let mut order = net.order();
    order.reads = vec![read(DOMAINS[1]), read(DOMAINS[0])];
    net.send(&order)
}

fn anchors() -> Vec<ReadAnchor> {
    DOMAINS
        .iter()
        .map(|domain| ReadAnchor {
            domain: *domain,
            number: 7,
            blockHash: B256::from(U256::from(*domain)),
        })
        .collect()
}

fn results() -> Vec<ReadResult> {
    vec![answered(Bytes::from_static(&[0xaa; 40])), failed()]
}

/// What a gateway answers for these anchors and results, signed by two of a tier's validators.
fn attested(
    net: &Network,
    sent: &Sent,
    tier: Tier,
    anchors: &[ReadAnchor],
    results: &[ReadResult],
) -> Vec<u8> {
    let wrapped: Vec<_> = results.iter().map(wrap).collect();
    let digest = ReadDigest {
        local_domain: Domain(net.b.domain),
        read_ism: net.b.read_ism,
        message: sent.message_id(),
        timestamp: T,
        anchors,
        wrapped: &wrapped,
    };
    let [first, second, _] = validators(tier);
    let signatures = [first, second].map(|key| sign(&key, digest.digest()));
    encode_metadata(&digest, &signatures)
}

/// Delivers with both modules' metadata.
fn deliver(net: &Network, sent: &Sent, attestation: Vec<u8>) -> Outcome {
    let checkpoint = metadata(&net.a, &validators(Tier::Instant)[..2], sent);
    let metadata = aggregation::encode(&[Some(checkpoint), Some(attestation)]);
    net.b.process(metadata, &sent.envelope)
}

fn verify(net: &Network, sent: &Sent, metadata: Vec<u8>) -> Outcome {
    let call = verifyCall { metadata: metadata.into(), envelope: sent.envelope.clone() };
    net.b.send(STRANGER, net.b.read_ism, &call)
}

#[test]
fn answers_of_one_instant_reach_the_recipient_in_order_with_failures_marked() {
    let net = Network::new();
    let sent = asked(&net);
    let attestation = attested(&net, &sent, Tier::Instant, &anchors(), &results());
    let outcome = deliver(&net, &sent, attestation).ok();
    let handled = outcome.events::<Recipient::Handled>().pop().unwrap();
    let reads: Vec<_> = handled.reads.iter().map(|read| read.domain).collect();
    assert_eq!(reads, [DOMAINS[1], DOMAINS[0]]);
    assert_eq!(handled.reads[0].callData[..], [1, 2, 3, 4]);
    assert_eq!(handled.results, [Bytes::from_static(&[0xaa; 40]), Bytes::new()]);
    let during = outcome.events::<Recipient::During>().pop().unwrap();
    assert_eq!((during.timestamp, during.failedReads), (T, U256::from(0b10)));
    let after = net.b.view(net.b.router, &currentDeliveryCall {});
    assert_eq!((after.timestamp, after.failedReads), (0, U256::ZERO));
}

#[test]
fn sixteen_answers_of_full_length_fit() {
    let net = Network::new();
    let mut order = net.order();
    let read = ReadOperation { domain: DOMAINS[1], target: NOBODY, callData: Bytes::new() };
    order.reads = vec![read; 16];
    let sent = net.send(&order);
    let results = vec![answered(vec![9; 4096].into()); 16];
    let attestation = attested(&net, &sent, Tier::Instant, &anchors()[1..], &results);
    let outcome = deliver(&net, &sent, attestation).ok();
    let handled = outcome.events::<Recipient::Handled>().pop().unwrap();
    assert!(handled.results.len() == 16 && handled.results.iter().all(|data| data.len() == 4096));
}

#[test]
fn a_message_with_reads_does_not_arrive_without_their_results() {
    let net = Network::new();
    let sent = asked(&net);
    let (origin, sender) = (net.a.domain, net.a.router.into_word());
    let missing = router::ReadResultsMissing { messageId: sent.id };
    net.b.handle(origin, sender, sent.message().bytes()).reverts(missing.clone());
    // Verified by anyone, earlier: nothing persists.
    verify(&net, &sent, attested(&net, &sent, Tier::Instant, &anchors(), &results())).ok();
    net.b.handle(origin, sender, sent.message().bytes()).reverts(missing);
}

#[test]
fn signers_of_the_messages_tier_attest_in_the_order_of_the_set() {
    let net = Network::new();
    let sent = asked(&net);
    let other = attested(&net, &sent, Tier::Finalized, &anchors(), &results());
    verify(&net, &sent, other).reverts(ThresholdNotMet {});
    let good = attested(&net, &sent, Tier::Instant, &anchors(), &results());
    // The last word-aligned part: the length, two signatures, and padding to five words.
    let at = good.len() - 192;
    assert_eq!(good[at + 31], 130, "two signatures");
    let mut swapped = good.clone();
    swapped[at + 32..at + 97].copy_from_slice(&good[at + 97..at + 162]);
    verify(&net, &sent, swapped).reverts(ThresholdNotMet {});
    let unset = setSignersCall { origin: net.a.domain, tier: 0, module: Default::default() };
    net.b.own(net.b.read_ism, &unset);
    verify(&net, &sent, good).reverts(NoSigners { origin: net.a.domain, tier: 0 });
}

#[test]
fn anchors_name_each_domain_once_and_results_each_read() {
    let net = Network::new();
    let sent = asked(&net);
    let good = anchors();
    let extra = [&good[..], &[ReadAnchor { domain: 900_000, ..good[0].clone() }]].concat();
    let descending = vec![good[1].clone(), good[0].clone()];
    let twice = vec![good[0].clone(), good[0].clone(), good[1].clone()];
    for anchors in [good[..1].to_vec(), extra, descending, twice] {
        let metadata = attested(&net, &sent, Tier::Instant, &anchors, &results());
        verify(&net, &sent, metadata).reverts(MalformedReadMetadata {});
    }
    let long = ReadResult { ok: true, data: vec![0; 4097].into() };
    let telling = ReadResult { ok: false, data: vec![1].into() };
    for results in
        [vec![failed()], vec![failed(); 3], vec![failed(), long], vec![failed(), telling]]
    {
        let metadata = attested(&net, &sent, Tier::Instant, &good, &results);
        verify(&net, &sent, metadata).reverts(MalformedReadMetadata {});
    }
    verify(&net, &sent, vec![]).reverts(MalformedReadMetadata {});
}

#[test]
fn a_different_second_answer_in_one_transaction_is_refused_and_the_same_is_not() {
    let net = Network::new();
    let sent = asked(&net);
    let batch =
        net.b.chain.deploy_program(&contract_tests::world::program("multicall").code).unwrap();
    let first = attested(&net, &sent, Tier::Instant, &anchors(), &results());
    let second = attested(&net, &sent, Tier::Instant, &anchors(), &[failed(), failed()]);
    let item = |metadata: &[u8]| protocol::abi::batch::Call3 {
        target: net.b.read_ism,
        allowFailure: true,
        callData: verifyCall {
            metadata: Bytes::copy_from_slice(metadata),
            envelope: sent.envelope.clone(),
        }
        .abi_encode()
        .into(),
    };
    let call = multicall::aggregate3Call { calls: vec![item(&first), item(&first), item(&second)] };
    let answers = net.b.send(STRANGER, batch, &call).answer::<multicall::aggregate3Call>();
    assert_eq!(
        answers.iter().map(|answer| answer.success).collect::<Vec<_>>(),
        [true, true, false]
    );
    let conflict = ResultsConflict { messageId: sent.id };
    assert_eq!(answers[2].returnData[..], alloy::sol_types::SolError::abi_encode(&conflict)[..]);
}

#[test]
fn only_the_router_takes_results() {
    let net = Network::new();
    let call = takeCall { messageId: B256::repeat_byte(1) };
    net.b.send(STRANGER, net.b.read_ism, &call).reverts(OnlyRouter { caller: STRANGER });
    net.b
        .send(net.b.router, net.b.read_ism, &call)
        .reverts(read_ism::ReadResultsMissing { messageId: call.messageId });
}

#[test]
fn relayers_are_told_where_to_ask() {
    let net = Network::new();
    let sent = asked(&net);
    let call = getOffchainVerifyInfoCall { envelope: sent.envelope.clone() };
    let lookup = OffchainLookup {
        sender: net.b.read_ism,
        urls: vec!["http://one.example/".to_owned(), "http://two.example/".to_owned()],
        callData: sent.envelope.clone(),
        callbackFunction: verifyCall::SELECTOR.into(),
        extraData: sent.envelope,
    };
    net.b.ask(STRANGER, net.b.read_ism, &call).reverts(lookup);
    assert_eq!(net.b.view(net.b.read_ism, &moduleTypeCall {}), 7);
    let one = setUrlsCall { newUrls: vec!["http://one.example/".to_owned()] };
    let (count, minimum) = (U256::from(1), U256::from(2));
    net.b.send(OWNER, net.b.read_ism, &one).reverts(TooFewUrls { count, minimum });
    let urls = vec!["https://a.example/{sender}".to_owned(), "b".repeat(70), String::new()];
    net.b.own(net.b.read_ism, &setUrlsCall { newUrls: urls.clone() });
    assert_eq!(net.b.view(net.b.read_ism, &urlsCall {}), urls);
}

#[test]
fn attesting_sets_are_multisig_modules() {
    let net = Network::new();
    for module in [NOBODY, net.b.ism, net.b.aggregation(&[net.b.ism], 1)] {
        let call = setSignersCall { origin: 1, tier: 0, module };
        net.b.send(OWNER, net.b.read_ism, &call).reverts(InvalidModule { module });
    }
    let merkle = net.b.static_set(net.b.merkle_root_factory, &[OWNER], 1);
    net.b.own(net.b.read_ism, &setSignersCall { origin: 1, tier: 0, module: merkle });
    assert_eq!(net.b.view(net.b.read_ism, &signersCall { origin: 1, tier: 0 }), merkle);
}

#[test]
fn envelopes_are_checked_as_by_the_routing_module() {
    let net = Network::new();
    let sent = asked(&net);
    let envelope = protocol::message::Envelope { origin: Domain(5), ..sent.envelope() };
    let call = getOffchainVerifyInfoCall { envelope: envelope.encode().into() };
    net.b.ask(STRANGER, net.b.read_ism, &call).reverts(EnvelopeMismatch {});
    let call = verifyCall { metadata: Bytes::new(), envelope: envelope.encode().into() };
    net.b.send(STRANGER, net.b.read_ism, &call).reverts(EnvelopeMismatch {});
}
