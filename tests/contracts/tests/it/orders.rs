//! ERC-7683 orders. Ids in brackets are those of the reference's behaviours.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolEvent, SolValue},
};
use contract_tests::{
    Outcome, World,
    intents::{IntentExt, empty, leg},
    mocks::{Account, Token, account},
};
use devnet::genesis::dev_signers;
use protocol::{
    abi::intent_source::{
        InsufficientFunds, IntentAlreadyExists, IntentFunded, IntentPublished,
        InvalidCreatorBinding, InvalidOriginChainId, InvalidOriginSettler, InvalidSignature, Open,
        OpenDeadlinePassed, TypeSignatureMismatch, domainSeparatorV4Call, eip712DomainCall,
        openCall, openForCall, resolveCall, resolveForCall,
    },
    erc7683::{
        self, GaslessCrossChainOrder, ORDER_DATA_TYPEHASH, OnchainCrossChainOrder, OrderData,
    },
    intent::{Intent, Status},
};

fn order_data(intent: &Intent) -> OrderData {
    OrderData {
        destination: intent.destination,
        route: intent.route.encode().into(),
        reward: intent.reward.clone(),
        routePortal: intent.route.portal.into_word(),
        routeDeadline: intent.route.deadline,
        maxSpent: vec![],
    }
}

fn onchain(intent: &Intent) -> OnchainCrossChainOrder {
    OnchainCrossChainOrder {
        fillDeadline: 0,
        orderDataType: ORDER_DATA_TYPEHASH,
        orderData: order_data(intent).abi_encode().into(),
    }
}

fn open(world: &World, from: Address, order: OnchainCrossChainOrder, value: u64) -> Outcome {
    world.send_value(from, world.source, U256::from(value), &openCall { order })
}

struct Gasless {
    world: World,
    user: PrivateKeySigner,
    intent: Intent,
    order: GaslessCrossChainOrder,
}

/// An order of 10 tokens by a user who approved them, open for 1,000 seconds.
fn gasless() -> Gasless {
    let world = World::new();
    let user = dev_signers().unwrap().remove(1);
    let intent = empty(&world, 1).rewarding(0, &[leg(world.token, 10)]);
    world.give(user.address(), world.token, 1_000);
    let order = GaslessCrossChainOrder {
        originSettler: world.source,
        user: user.address(),
        nonce: U256::from(1),
        originChainId: U256::from(world.chain.chain_id()),
        openDeadline: world.chain.timestamp() as u32 + 1_000,
        fillDeadline: 0,
        orderDataType: ORDER_DATA_TYPEHASH,
        orderData: order_data(&intent).abi_encode().into(),
    };
    Gasless { world, user, intent, order }
}

impl Gasless {
    fn digest(&self, order: &GaslessCrossChainOrder) -> B256 {
        erc7683::digest(order, self.world.chain.chain_id(), self.world.source)
    }

    fn signature(&self, order: &GaslessCrossChainOrder) -> Bytes {
        self.user.sign_hash_sync(&self.digest(order)).unwrap().as_bytes().into()
    }

    fn open_with(&self, order: &GaslessCrossChainOrder, signature: Bytes) -> Outcome {
        let call = openForCall {
            order: order.clone(),
            signature,
            originFillerData: Bytes::from_static(b"ignored"),
        };
        self.world.send(self.world.stranger, self.world.source, &call)
    }

    fn open(&self, order: &GaslessCrossChainOrder) -> Outcome {
        self.open_with(order, self.signature(order))
    }
}

/// [7683.1] [7683.2] [7683.3] [7683.4] [7683.5] [7683.6]
#[test]
fn anyone_opens_an_onchain_order_with_its_own_money() {
    let world = World::new();
    let intent = empty(&world, 1).rewarding(9, &[]);
    let order = onchain(&intent);
    let mut wrong = order.clone();
    wrong.orderDataType = B256::ZERO;
    open(&world, world.stranger, wrong.clone(), 9).reverts(TypeSignatureMismatch {});
    world.view(world.source, &resolveCall { order: wrong });
    let mut broken = order.clone();
    broken.orderData = Bytes::from_static(&[1, 2, 3]);
    open(&world, world.stranger, broken, 9).reverts_empty();
    open(&world, world.stranger, order.clone(), 8)
        .reverts(InsufficientFunds { intentHash: intent.id() });

    let resolved = world.view(world.source, &resolveCall { order: order.clone() });
    assert_eq!(resolved.user, world.creator);
    assert_eq!(resolved.orderId, intent.id());
    let opened = open(&world, world.stranger, order.clone(), 9).ok();
    assert_eq!(
        opened.topics(),
        [IntentPublished::SIGNATURE_HASH, IntentFunded::SIGNATURE_HASH, Open::SIGNATURE_HASH]
    );
    assert_eq!(world.status(&intent), Status::Funded);
    let again = open(&world, world.stranger, order, 0).ok();
    assert_eq!(again.topics(), [IntentPublished::SIGNATURE_HASH, Open::SIGNATURE_HASH]);
}

/// [7683.7 expired+all wrong] [7683.7 wrong settler + chain] [7683.7 wrong chain + type] [7683.7 wrong type]
#[test]
fn checks_of_a_gasless_order_come_in_order() {
    let it = gasless();
    let mut order = it.order.clone();
    order.openDeadline = it.world.chain.timestamp() as u32;
    order.originSettler = it.world.stranger;
    order.originChainId = U256::from(1);
    order.orderDataType = B256::ZERO;
    it.open_with(&order, Bytes::new()).reverts(OpenDeadlinePassed {});
    order.openDeadline = it.order.openDeadline;
    it.open_with(&order, Bytes::new())
        .reverts(InvalidOriginSettler { expected: it.world.stranger, actual: it.world.source });
    order.originSettler = it.world.source;
    it.open_with(&order, Bytes::new())
        .reverts(InvalidOriginChainId { expected: U256::from(1), actual: it.order.originChainId });
    order.originChainId = it.order.originChainId;
    it.open_with(&order, Bytes::new()).reverts(TypeSignatureMismatch {});
}

/// [7683.8] [7683.9] [7683.14] [7683.15] [7683.19]
#[test]
fn only_the_users_own_65_byte_low_s_signature_counts() {
    let it = gasless();
    it.open_with(&it.order, Bytes::new()).reverts(InvalidSignature {});
    let mut other = it.order.clone();
    other.nonce = U256::from(2);
    it.open_with(&it.order, it.signature(&other)).reverts(InvalidSignature {});

    let good = it.signature(&it.order);
    let order_of_curve: U256 =
        "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
    let mut high = good.to_vec();
    let s = order_of_curve - U256::from_be_slice(&good[32..64]);
    high[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    high[64] = 55 - high[64];
    it.open_with(&it.order, high.into()).reverts(InvalidSignature {});
    let mut compact = good[..64].to_vec();
    compact[32] |= (good[64] - 27) << 7;
    it.open_with(&it.order, compact.into()).reverts(InvalidSignature {});

    let mut nobody = it.order.clone();
    nobody.user = Address::ZERO;
    it.open_with(&nobody, Bytes::from(vec![0; 65])).reverts(InvalidSignature {});
    it.open_with(&it.order, good).ok();
}

/// [7683.10] [7683.11]
#[test]
fn a_user_only_escrows_for_itself() {
    let it = gasless();
    let foreign = it.intent.clone().of(it.world.solver);
    let mut order = it.order.clone();
    order.orderData = order_data(&foreign).abi_encode().into();
    it.open(&order)
        .reverts(InvalidCreatorBinding { user: it.user.address(), creator: it.world.solver });
    order.orderData = Bytes::from_static(&[1, 2, 3]);
    it.open(&order).reverts_empty();
}

/// [7683.12] [7683.13] [7683.16] [7683.17]
#[test]
fn a_gasless_order_takes_the_users_tokens_once() {
    let it = gasless();
    it.world.chain.set_next_timestamp(u64::from(it.order.openDeadline)).unwrap();
    let outcome = it.open(&it.order).ok();
    assert_eq!(
        outcome.topics(),
        [
            IntentPublished::SIGNATURE_HASH,
            Token::Transfer::SIGNATURE_HASH,
            IntentFunded::SIGNATURE_HASH,
            Open::SIGNATURE_HASH,
        ]
    );
    let user = it.user.address();
    assert_eq!(
        outcome.events::<IntentFunded>(),
        [IntentFunded { intentHash: it.intent.id(), funder: user, complete: true }]
    );
    let resolve = resolveForCall { order: it.order.clone(), originFillerData: Bytes::new() };
    let resolved = it.world.view(it.world.source, &resolve);
    assert_eq!(outcome.events::<Open>()[0].resolvedOrder, resolved);
    assert_eq!(resolved.openDeadline, it.order.openDeadline);

    let it2 = gasless();
    it2.open(&it2.order).ok();
    let replay = it2.open(&it2.order).ok();
    assert_eq!(replay.topics(), [IntentPublished::SIGNATURE_HASH, Open::SIGNATURE_HASH]);
    assert_eq!(it2.world.tokens(it2.world.token, user), 990);
    it2.world.prove(&it2.intent);
    it2.world.withdraw(&it2.intent).ok();
    it2.open(&it2.order).reverts(IntentAlreadyExists { intentHash: it2.intent.id() });
}

/// [7683.18]
#[test]
fn a_contract_account_signs_by_its_word() {
    let it = gasless();
    let wallet = it.world.mock("Account");
    let intent = it.intent.clone().of(wallet);
    it.world.give(wallet, it.world.token, 10);
    let mut order = it.order.clone();
    order.user = wallet;
    order.orderData = order_data(&intent).abi_encode().into();
    for opinion in
        [account::REFUSES_SIGNATURES, account::WRONG_MAGIC, account::REVERTS_ON_SIGNATURES]
    {
        let call = Account::setOpinionCall { opinion, settler: it.world.source };
        it.world.send(it.world.owner, wallet, &call).ok();
        it.open_with(&order, Bytes::from_static(b"any")).reverts(InvalidSignature {});
    }
    // The wallet reads the settler's domain while the settler is locked: views take no lock.
    let call = Account::setOpinionCall { opinion: account::ASKS_DOMAIN, settler: it.world.source };
    it.world.send(it.world.owner, wallet, &call).ok();
    it.open_with(&order, Bytes::from_static(b"any")).ok();
    assert_eq!(it.world.status(&intent), Status::Funded);
}

#[test]
fn the_domain_is_that_of_existing_signatures() {
    let world = World::new();
    let domain = world.view(world.source, &eip712DomainCall {});
    assert_eq!((domain.name.as_str(), domain.version.as_str()), ("EcoPortal", "1"));
    assert_eq!(domain.fields.0, [0x0f]);
    assert_eq!(domain.chainId, U256::from(world.chain.chain_id()));
    assert_eq!(domain.verifyingContract, world.source);
    assert!(domain.extensions.is_empty());
    assert_eq!(
        world.view(world.source, &domainSeparatorV4Call {}),
        erc7683::domain_separator(world.chain.chain_id(), world.source)
    );
}
