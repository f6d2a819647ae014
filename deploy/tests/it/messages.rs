//! A message with a read, its confirmation, and a forgery, on what a deployment has made; signed by hand.

#[path = "../../../tests/src/tools.rs"]
#[expect(unreachable_pub, dead_code, reason = "the file is a public module of another package")]
mod npm;

use alloy::{
    primitives::{Address, B256, Bytes, U256, bytes},
    rpc::types::Log,
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolCall, SolError, SolEvent, SolValue},
};
use chain::{
    Manifest,
    manifest::{Contracts, TierName},
};
use deploy::apply;
use devnet::{Receipt, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{
        hyperlane::{Mailbox, MerkleTreeHook},
        messaging::{ReadAnchor, ReadOperation},
        recipient, router,
    },
    checkpoint::Checkpoint,
    finality::Tier,
    ids::{Domain, MessageId},
    message::{self, Envelope, Header, Message},
    multisig::{MessageIdMetadata, aggregation},
    read::{self, ReadDigest},
    signable::Signable,
};

use crate::world::{FIRST, World, name};

const USER: Address = DEV_ADDRESSES[12];
/// Logs what it is called with.
const RECORDER: Address = Address::repeat_byte(0x1e);
/// Answers 42 to everything.
const ORACLE: Address = Address::repeat_byte(0x42);
const GAS: u64 = 300_000;

/// Two deployed chains, and the keys of their validators.
struct Network {
    world: World,
    manifest: Manifest,
    keys: Vec<PrivateKeySigner>,
}

/// An envelope on its way, and where it stands in its origin's tree.
struct Dispatched {
    envelope: Bytes,
    message: MessageId,
    /// Timestamp of the block that dispatched it.
    at: u64,
    origin: u32,
}

impl Network {
    async fn new() -> Self {
        let world = World::new(2).await;
        let manifest = apply(world.config(2)).await.unwrap();
        for index in 0..2 {
            // CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, CALLDATASIZE, PUSH0, LOG0
            world.chain(index).set_code(RECORDER, bytes!("365f5f37365fa0")).unwrap();
            world.chain(index).set_code(ORACLE, bytes!("602a5f5260205ff3")).unwrap();
        }
        Self { world, manifest, keys: devnet::genesis::dev_signers().unwrap() }
    }

    fn contracts(&self, index: u32) -> &Contracts {
        &self.manifest.chains[&name(index)].contracts
    }

    fn view<C: SolCall>(&self, index: u32, to: Address, call: &C) -> C::Return {
        let outcome =
            self.world.chain(index).call(Transact::call(USER, to, call.abi_encode())).unwrap();
        C::abi_decode_returns(&outcome.output).unwrap()
    }

    fn pay<C: SolCall>(&self, index: u32, to: Address, call: &C, fee: U256) -> Receipt {
        let transaction = Transact::call(USER, to, call.abi_encode()).value(fee);
        let receipt = self.world.chain(index).transact(transaction).unwrap();
        assert!(receipt.success, "{} reverted", C::SIGNATURE);
        receipt
    }

    /// Dispatches from alpha to the recorder on beta.
    fn dispatch(&self, reads: Vec<ReadOperation>, tier: Tier) -> Dispatched {
        let router = self.contracts(0).router;
        let (body, gas) = (Bytes::from_static(b"hello"), U256::from(GAS));
        let quote = router::quoteDispatch_0Call {
            destinationDomain: FIRST + 1,
            recipient: RECORDER,
            reads: reads.clone(),
            writeCallData: body.clone(),
            finalityState: tier.byte(),
            gasLimit: gas,
        };
        let fee = self.view(0, router, &quote);
        let call = router::dispatch_0Call {
            destinationDomain: FIRST + 1,
            recipient: RECORDER,
            reads,
            writeCallData: body,
            finalityState: tier.byte(),
            gasLimit: gas,
        };
        self.dispatched(0, &self.pay(0, router, &call, fee))
    }

    fn dispatched(&self, origin: u32, receipt: &Receipt) -> Dispatched {
        let find = |log: &alloy::primitives::Log| {
            Mailbox::Dispatch::decode_log(log).ok().map(|event| event.message.clone())
        };
        let envelope = receipt.logs.iter().find_map(find).unwrap();
        let message = Message::parse(Envelope::parse(&envelope).unwrap().body).unwrap().id();
        Dispatched { message, envelope, at: self.world.chain(origin).timestamp(), origin }
    }

    /// Signatures of the first two validators of a tier.
    fn sign(&self, tier: TierName, digest: B256) -> Vec<[u8; 65]> {
        let first = match tier {
            TierName::Instant => 1,
            TierName::Finalized => 4,
            TierName::Espresso => panic!("nobody signs for espresso"),
        };
        self.keys[first..first + 2]
            .iter()
            .map(|key| key.sign_hash_sync(&digest).unwrap().as_bytes())
            .collect()
    }

    /// What the multisig module reads: the newest leaf of the origin's tree, signed by a tier.
    fn multisig(&self, sent: &Dispatched, tier: TierName) -> Vec<u8> {
        let hook = self.contracts(sent.origin).merkle_tree_hook;
        let tip = self.view(sent.origin, hook, &MerkleTreeHook::latestCheckpointCall {});
        let checkpoint = Checkpoint {
            origin: Domain(FIRST + sent.origin),
            merkle_tree_hook: hook.into_word(),
            root: tip.root,
            index: tip.index,
            message_id: Envelope::parse(&sent.envelope).unwrap().id(),
        };
        MessageIdMetadata {
            merkle_tree_hook: hook.into_word(),
            root: tip.root,
            index: tip.index,
            signatures: self.sign(tier, checkpoint.digest()),
        }
        .encode()
    }

    /// Reads of ORACLE on the destination, executed and attested.
    fn attested(&self, sent: &Dispatched, tier: TierName) -> Vec<u8> {
        let chain = self.world.chain(1);
        let block = (0..=chain.head().number())
            .rev()
            .filter_map(|number| chain.block(number))
            .find(|block| block.header.timestamp <= sent.at)
            .unwrap();
        let anchors =
            [ReadAnchor { domain: FIRST + 1, number: block.number(), blockHash: block.hash }];
        let answer = Bytes::from(U256::from(42).abi_encode());
        let wrapped = [read::wrap(&read::answered(answer)), read::wrap(&read::failed())];
        let digest = ReadDigest {
            local_domain: Domain(FIRST + 1),
            read_ism: self.contracts(1).read_ism,
            message: sent.message,
            timestamp: sent.at,
            anchors: &anchors,
            wrapped: &wrapped,
        };
        read::encode_metadata(&digest, &self.sign(tier, digest.digest()))
    }

    fn process(&self, index: u32, metadata: Vec<u8>, envelope: &Bytes) -> Receipt {
        let call = Mailbox::processCall { metadata: metadata.into(), message: envelope.clone() };
        let mailbox = self.contracts(index).mailbox;
        self.world.chain(index).transact(Transact::call(USER, mailbox, call.abi_encode())).unwrap()
    }

    /// The revert of a `process` that must fail.
    fn refusal(&self, index: u32, metadata: Vec<u8>, envelope: &Bytes) -> Bytes {
        let call = Mailbox::processCall { metadata: metadata.into(), message: envelope.clone() };
        let mailbox = self.contracts(index).mailbox;
        let transaction = Transact::call(USER, mailbox, call.abi_encode());
        let outcome = self.world.chain(index).call(transaction).unwrap();
        assert!(!outcome.success, "accepted");
        outcome.output
    }
}

#[tokio::test]
async fn a_message_with_a_read_arrives_and_is_confirmed() {
    let network = Network::new().await;
    let domain = FIRST + 1;
    let reads = vec![
        ReadOperation { domain, target: ORACLE, callData: Bytes::from_static(&[1, 2, 3, 4]) },
        ReadOperation { domain, target: Address::repeat_byte(9), callData: Bytes::new() },
    ];
    let sent = network.dispatch(reads.clone(), Tier::Finalized);
    let tier = TierName::Finalized;
    let metadata = aggregation::encode(&[
        Some(network.multisig(&sent, tier)),
        Some(network.attested(&sent, tier)),
    ]);
    let receipt = network.process(1, metadata, &sent.envelope);
    assert!(receipt.success, "{}", receipt.output);
    let recorded = receipt.logs.iter().find(|log| log.address == RECORDER).unwrap();
    let call = recipient::handleCall::abi_decode(&recorded.data.data).unwrap();
    assert_eq!((call.origin, call.sender), (FIRST, USER.into_word()));
    assert_eq!(call.message, Bytes::from_static(b"hello"));
    assert_eq!(call.reads, reads);
    let answers = [Bytes::from(U256::from(42).abi_encode()), Bytes::new()];
    assert_eq!(call.readResults, answers, "in order, and nothing for the failed one");

    let router = network.contracts(1).router;
    let (count, finality) = (U256::from(1), Tier::Finalized.byte());
    let quote = router::quoteConfirmCall { originDomain: FIRST, count, finality };
    let fee = network.view(1, router, &quote);
    let ids = vec![sent.message.0];
    let confirm = router::confirmCall { originDomain: FIRST, ids, finality };
    let back = network.dispatched(1, &network.pay(1, router, &confirm, fee));
    let receipt = network.process(0, network.multisig(&back, tier), &back.envelope);
    assert!(receipt.success, "{}", receipt.output);
    let confirmed = router::confirmedCall { messageId: sent.message.0 };
    assert!(network.view(0, network.contracts(0).router, &confirmed));
}

#[tokio::test]
async fn the_whole_fast_set_cannot_speak_for_a_finalized_prover() {
    let network = Network::new().await;
    let prover = network.contracts(0).meta_prover_finalized.into_word();
    let forged = |tier| {
        let header = Header {
            tier,
            nonce: 77,
            origin: Domain(FIRST),
            sender: prover,
            destination: Domain(FIRST + 1),
            recipient: prover,
        };
        let router = network.contracts(0).router.into_word();
        let body = message::encode(&header, &[], &[0; 72]);
        let envelope = Envelope {
            nonce: 99,
            origin: Domain(FIRST),
            sender: router,
            destination: Domain(FIRST + 1),
            recipient: router,
            body: &body,
        };
        let (envelope, message) =
            (Bytes::from(envelope.encode()), Message::parse(&body).unwrap().id());
        Dispatched { envelope, message, at: 0, origin: 0 }
    };
    // A tree must exist for a checkpoint to be made up.
    network.dispatch(Vec::new(), Tier::Instant);

    // Under its own tier the signatures are good, and the router stands before the prover.
    let fast = forged(Tier::Instant);
    let refusal = network.refusal(1, network.multisig(&fast, TierName::Instant), &fast.envelope);
    let refused = router::TierRefused::abi_decode(&refusal).unwrap();
    assert_eq!((refused.requiredMask, refused.given), (Tier::Finalized.mask().bits(), 0));
    // Under the tier of the prover the keys are the wrong ones.
    let slow = forged(Tier::Finalized);
    network.refusal(1, network.multisig(&slow, TierName::Instant), &slow.envelope);
    let delivered = router::deliveredCall { messageId: slow.message.0 };
    assert!(!network.view(1, network.contracts(1).router, &delivered).isDelivered);
}

#[tokio::test]
async fn cast_reads_and_sends_through_a_deployed_router() {
    let network = Network::new().await;
    let (url, router) = (network.world.url(0), network.contracts(0).router.to_string());
    let cast = async |arguments: Vec<String>| {
        tokio::task::spawn_blocking(move || {
            let output = npm::foundry("cast").unwrap().args(&arguments).output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            printed
        })
        .await
        .unwrap()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let domain = FIRST + 1;
    let known = cast(words(&format!("call --rpc-url {url} {router} domains()(uint32[])"))).await;
    assert!(known.starts_with(&format!("[{domain}")), "{known}");
    let recipient = RECORDER.into_word();
    let quote = format!(
        "call --rpc-url {url} {router} quoteDispatch(uint32,bytes32,bytes)(uint256) {domain} {recipient} 0xcafe"
    );
    let fee = cast(words(&quote)).await;
    let fee = fee.split(' ').next().unwrap().to_owned();
    let key = network.keys[12].to_bytes();
    let send = format!(
        "send --rpc-url {url} --private-key {key} --value {fee} --json {router} \
         dispatch(uint32,address,(uint32,address,bytes)[],bytes,uint8,uint256) {domain} {RECORDER} [] 0xcafe 0 100000"
    );
    let receipt: serde_json::Value = serde_json::from_str(&cast(words(&send)).await).unwrap();
    assert_eq!(receipt["status"], "0x1");
    let logs: Vec<Log> = serde_json::from_value(receipt["logs"].clone()).unwrap();
    let event = logs.iter().find_map(|log| router::MetalayerDispatch::decode_log(&log.inner).ok());
    assert_eq!(event.unwrap().sender, USER);
}
