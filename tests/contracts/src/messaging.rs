//! Two chains that exchange messages: Hyperlane's published core, our router and modules on both, and validators whose
//! signatures the tests make.

use std::sync::OnceLock;

use alloy::{
    primitives::{Address, B256, Bytes, U256, address},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolValue},
};
use deploy::hyperlane::{Artifacts, Contract};
use devnet::{Chain, ChainConfig, Transact, genesis::DEV_ADDRESSES, init_code};
use protocol::{
    abi::{
        constructor::{Constructor, IsmArguments, ReadIsmArguments, RouterArguments},
        deployer::deployCall,
        hyperlane::{
            DomainGasConfig, GasParam, InterchainGasPaymaster, Mailbox, MerkleTreeHook,
            RemoteGasDataConfig, StaticThresholdAddressSetFactory, StorageGasOracle,
        },
        ism,
        messaging::ReadOperation,
        read_ism, router,
    },
    checkpoint::Checkpoint,
    finality::Tier,
    ids::{Domain, MessageId},
    message::{Envelope, Message},
    multisig::{MessageIdMetadata, Signature},
    signable::Signable,
};

use crate::{Outcome, mocks, world::program};

sol! {
    #![sol(all_derives = true)]

    struct Read { uint32 domain; address target; bytes callData; }

    interface Recipient {
        event Handled(uint32 origin, bytes32 sender, bytes message, Read[] reads, bytes[] results, uint256 value);
        event During(bytes32 id, uint8 finality, uint64 timestamp, uint256 failedReads);
        event CalledBack(bool ok, bytes answer);
        error Refused(uint256 why);
        function setMode(uint8 mode) external;
        function setRefusesEther(bool refuses) external;
        function setReadsOnRefund(address router) external;
        function setCallback(address target, uint256 carried, bytes calldata data) external payable;
        function act(address to, uint256 value, bytes calldata data) external payable returns (bytes memory);
    }
}

/// Domain and chain id of the two sides.
pub const DOMAINS: [u32; 2] = [700_001, 700_002];

pub const OWNER: Address = DEV_ADDRESSES[0];
pub const GUARDIAN: Address = DEV_ADDRESSES[1];
pub const RELAYER: Address = DEV_ADDRESSES[7];
pub const USER: Address = DEV_ADDRESSES[10];
pub const STRANGER: Address = DEV_ADDRESSES[9];

/// The modes of the mock recipient.
pub mod mode {
    pub const TAKES: u8 = 0;
    pub const REFUSES: u8 = 1;
    pub const BOMBS: u8 = 2;
    pub const ANSWERS_MUCH: u8 = 4;
}

const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// A price so that fees are never zero: one gas unit of the other chain costs one gwei here.
const GAS_PRICE: u128 = 1_000_000_000;
const EXCHANGE_RATE: u128 = 10_000_000_000;
const GAS_OVERHEAD: u64 = 100_000;

/// One chain with everything on it.
#[derive(Debug, Clone)]
pub struct Side {
    pub chain: Chain,
    pub domain: u32,
    pub mailbox: Address,
    pub hook: Address,
    pub igp: Address,
    pub oracle: Address,
    pub message_id_factory: Address,
    pub merkle_root_factory: Address,
    pub aggregation_factory: Address,
    pub deployer: Address,
    pub router: Address,
    pub ism: Address,
    pub read_ism: Address,
    pub recipient: Address,
}

/// Two of them, connected both ways at both tiers.
#[derive(Debug, Clone)]
pub struct Network {
    pub a: Side,
    pub b: Side,
}

/// A message that was dispatched.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: B256,
    pub envelope: Bytes,
    pub outcome: Outcome,
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Order {
    pub recipient: B256,
    pub reads: Vec<ReadOperation>,
    pub body: Vec<u8>,
    pub tier: u8,
    pub gas_limit: u64,
}

fn creation_code(contract: Contract) -> Bytes {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS
        .get_or_init(|| Artifacts::load_or_fetch(None).expect("Hyperlane's package"))
        .creation_code(contract)
}

/// The validators of a tier: three keys, two of which suffice. No key serves both tiers.
pub fn validators(tier: Tier) -> [PrivateKeySigner; 3] {
    let first = 1 + 16 * tier.byte();
    [0, 1, 2].map(|index| PrivateKeySigner::from_bytes(&B256::repeat_byte(first + index)).unwrap())
}

/// The signature of a digest, as validators publish it.
pub fn sign(key: &PrivateKeySigner, digest: B256) -> Signature {
    key.sign_hash_sync(&digest).unwrap().as_bytes()
}

impl Side {
    fn new(domain: u32) -> Self {
        let chain = Chain::new(ChainConfig::new(domain.into()));
        let deployer = chain.deploy_program(&program("deployer").code).unwrap();
        let mut side = Self {
            chain,
            domain,
            deployer,
            mailbox: Address::ZERO,
            hook: Address::ZERO,
            igp: Address::ZERO,
            oracle: Address::ZERO,
            message_id_factory: Address::ZERO,
            merkle_root_factory: Address::ZERO,
            aggregation_factory: Address::ZERO,
            router: Address::ZERO,
            ism: Address::ZERO,
            read_ism: Address::ZERO,
            recipient: Address::ZERO,
        };
        side.deploy_core();
        side.deploy_ours();
        side.recipient = side.mock("Recipient");
        side
    }

    /// Hyperlane's core: the tree is the required hook, so that every message is provable; the paymaster the default one.
    fn deploy_core(&mut self) {
        let admin = self.create(Contract::ProxyAdmin, &[]);
        let initialize = Mailbox::initializeCall {
            _owner: OWNER,
            _defaultIsm: admin,
            _defaultHook: admin,
            _requiredHook: admin,
        };
        self.mailbox = self.create_proxy(
            Contract::Mailbox,
            U256::from(self.domain).abi_encode(),
            admin,
            &initialize,
        );
        self.hook = self.create(Contract::MerkleTreeHook, &self.mailbox.abi_encode());
        self.oracle = self.create(Contract::StorageGasOracle, &[]);
        let initialize =
            InterchainGasPaymaster::initializeCall { _owner: OWNER, _beneficiary: OWNER };
        self.igp =
            self.create_proxy(Contract::InterchainGasPaymaster, Vec::new(), admin, &initialize);
        self.message_id_factory = self.create(Contract::StaticMessageIdMultisigIsmFactory, &[]);
        self.merkle_root_factory = self.create(Contract::StaticMerkleRootMultisigIsmFactory, &[]);
        self.aggregation_factory = self.create(Contract::StaticAggregationIsmFactory, &[]);
        let mailbox = self.mailbox;
        self.own(mailbox, &Mailbox::setRequiredHookCall { _hook: self.hook });
        self.own(mailbox, &Mailbox::setDefaultHookCall { _hook: self.igp });
    }

    fn deploy_ours(&mut self) {
        let (mailbox, domain) = (self.mailbox, self.domain);
        let (owner, guardian) = (OWNER, GUARDIAN);
        self.router =
            self.deploy("router", &RouterArguments { mailbox, owner, guardian, initialNonce: 0 });
        let router = self.router;
        let previous = Address::ZERO;
        self.ism = self.deploy(
            "ism",
            &IsmArguments { router, localDomain: domain, owner, guardian, previous },
        );
        self.read_ism =
            self.deploy("read-ism", &ReadIsmArguments { router, localDomain: domain, owner });
        self.own(mailbox, &Mailbox::setDefaultIsmCall { _module: self.ism });
        self.own(router, &router::setInterchainSecurityModuleCall { module: self.ism });
        self.own(router, &router::setReadIsmCall { module: self.read_ism });
        self.own(router, &router::setIgpCall { paymaster: self.igp });
        let urls = vec!["http://one.example/".to_owned(), "http://two.example/".to_owned()];
        self.own(self.read_ism, &read_ism::setUrlsCall { newUrls: urls });
    }

    /// Lets messages come from and go to the other side, at the two tiers that have validators.
    pub fn connect(&self, other: &Self) {
        let domain = other.domain;
        let remote = other.router.into_word();
        self.own(self.router, &router::enrollRemoteRouterCall { domain, remote });
        let tiers = Tier::Instant.mask().union(Tier::Finalized.mask()).bits();
        self.own(self.router, &router::setSupportedTiersCall { domain, tiers });
        for domain in [self.domain, domain] {
            self.own(self.router, &router::setReadDomainCall { domain, readable: true });
        }
        for tier in [Tier::Instant, Tier::Finalized] {
            let multisig = self.multisig(&validators(tier).map(|key| key.address()), 2);
            let (origin, tier) = (domain, tier.byte());
            self.own(self.ism, &ism::setModuleCall { origin, tier, newModule: multisig });
            let aggregation = self.aggregation(&[multisig, self.read_ism], 2);
            let call = ism::setReadModuleCall { origin, tier, newModule: aggregation };
            self.own(self.ism, &call);
            let signers = read_ism::setSignersCall { origin, tier, module: multisig };
            self.own(self.read_ism, &signers);
        }
        let config = RemoteGasDataConfig {
            remoteDomain: domain,
            tokenExchangeRate: EXCHANGE_RATE,
            gasPrice: GAS_PRICE,
        };
        self.own(self.oracle, &StorageGasOracle::setRemoteGasDataCall { _config: config });
        let config = DomainGasConfig {
            gasOracle: self.oracle,
            gasOverhead: alloy::primitives::aliases::U96::from(GAS_OVERHEAD),
        };
        let configs = vec![GasParam { remoteDomain: domain, config }];
        self.own(
            self.igp,
            &InterchainGasPaymaster::setDestinationGasConfigsCall { _configs: configs },
        );
    }

    /// A MESSAGE_ID module.
    pub fn multisig(&self, validators: &[Address], threshold: u8) -> Address {
        self.static_set(self.message_id_factory, validators, threshold)
    }

    /// An AGGREGATION module.
    pub fn aggregation(&self, modules: &[Address], threshold: u8) -> Address {
        self.static_set(self.aggregation_factory, modules, threshold)
    }

    /// A set that a factory makes.
    pub fn static_set(&self, factory: Address, values: &[Address], threshold: u8) -> Address {
        let call = StaticThresholdAddressSetFactory::deployCall {
            _values: values.to_vec(),
            _threshold: threshold,
        };
        self.send(OWNER, factory, &call).answer::<StaticThresholdAddressSetFactory::deployCall>()
    }

    /// Deploys a program of ours.
    #[track_caller]
    pub fn deploy(&self, name: &str, arguments: &impl Constructor) -> Address {
        let order = deployCall {
            bytecode: init_code(&program(name).code),
            initData: arguments.calldata().into(),
            initValue: U256::ZERO,
            salt: B256::from(U256::from(self.chain.head().number())),
        };
        self.send_value(OWNER, self.deployer, ETHER, &order).answer::<deployCall>()
    }

    /// Deploys a mock.
    #[track_caller]
    pub fn mock(&self, name: &str) -> Address {
        self.create_code(mocks::creation_code(name))
    }

    /// Creates a contract of Hyperlane's package.
    #[track_caller]
    pub fn create(&self, contract: Contract, arguments: &[u8]) -> Address {
        self.create_code([&creation_code(contract)[..], arguments].concat().into())
    }

    /// Creates a contract of the package behind a proxy.
    #[track_caller]
    pub fn create_proxy(
        &self,
        contract: Contract,
        arguments: Vec<u8>,
        admin: Address,
        initialize: &impl SolCall,
    ) -> Address {
        let logic = self.create(contract, &arguments);
        let data = Bytes::from(initialize.abi_encode());
        let arguments = (logic, admin, data).abi_encode_params();
        self.create(Contract::TransparentUpgradeableProxy, &arguments)
    }

    #[track_caller]
    fn create_code(&self, code: Bytes) -> Address {
        let receipt = self.chain.transact(Transact::create(OWNER, code)).unwrap();
        assert!(receipt.success, "{}", receipt.output);
        receipt.contract_address.unwrap()
    }

    /// A transaction of the owner that succeeds.
    #[track_caller]
    pub fn own<C: SolCall>(&self, to: Address, call: &C) -> Outcome {
        self.send(OWNER, to, call).ok()
    }

    pub fn send<C: SolCall>(&self, from: Address, to: Address, call: &C) -> Outcome {
        self.send_value(from, to, U256::ZERO, call)
    }

    pub fn send_value<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Outcome {
        let data = call.abi_encode();
        self.chain.transact(Transact::call(from, to, data).value(value)).unwrap().into()
    }

    #[track_caller]
    pub fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        self.ask(STRANGER, to, call).answer::<C>()
    }

    pub fn ask<C: SolCall>(&self, from: Address, to: Address, call: &C) -> Outcome {
        self.chain.call(Transact::call(from, to, call.abi_encode())).unwrap().into()
    }

    /// The price of an order.
    #[track_caller]
    pub fn quote(&self, to: u32, order: &Order) -> U256 {
        let call = router::quoteDispatch_1Call {
            destinationDomain: to,
            recipient: order.recipient,
            reads: order.reads.clone(),
            writeCallData: order.body.clone().into(),
            finalityState: order.tier,
            gasLimit: U256::from(order.gas_limit),
        };
        self.ask(USER, self.router, &call).answer::<router::quoteDispatch_1Call>()
    }

    /// Dispatches an order with this value.
    pub fn try_dispatch(&self, from: Address, to: u32, order: &Order, value: U256) -> Outcome {
        self.send_value(from, self.router, value, &dispatch_call(to, order))
    }

    /// Dispatches an order by the user, with the exact fee.
    #[track_caller]
    pub fn dispatch(&self, to: u32, order: &Order) -> Sent {
        let fee = self.quote(to, order);
        Sent::from(self.try_dispatch(USER, to, order, fee).ok())
    }

    /// Has the mailbox process an envelope.
    pub fn process(&self, metadata: impl Into<Bytes>, envelope: &Bytes) -> Outcome {
        let call = Mailbox::processCall { metadata: metadata.into(), message: envelope.clone() };
        self.send(RELAYER, self.mailbox, &call)
    }

    /// Calls `handle` of the router as the mailbox would, without a module's word.
    pub fn handle(&self, origin: u32, sender: B256, message: &[u8]) -> Outcome {
        self.handle_with(origin, sender, message, U256::ZERO)
    }

    pub fn handle_with(&self, origin: u32, sender: B256, message: &[u8], value: U256) -> Outcome {
        self.chain.set_balance(self.mailbox, ETHER).unwrap();
        let message = Bytes::copy_from_slice(message);
        let call = router::handleCall { origin, sender, message };
        self.send_value(self.mailbox, self.router, value, &call)
    }
}

/// The call that dispatches an order.
pub fn dispatch_call(to: u32, order: &Order) -> router::dispatch_1Call {
    router::dispatch_1Call {
        destinationDomain: to,
        recipient: order.recipient,
        reads: order.reads.clone(),
        writeCallData: order.body.clone().into(),
        finalityState: order.tier,
        gasLimit: U256::from(order.gas_limit),
    }
}

impl From<Outcome> for Sent {
    /// The message of a transaction that dispatched one.
    fn from(outcome: Outcome) -> Self {
        let dispatch = outcome.events::<Mailbox::Dispatch>().pop().expect("a dispatch");
        let event = outcome.events::<router::MetalayerDispatch>().pop().expect("a message");
        Self { id: event.messageId, envelope: dispatch.message, outcome }
    }
}

impl Sent {
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope::parse(&self.envelope).unwrap()
    }

    pub fn message(&self) -> Message<'_> {
        Message::parse(self.envelope().body).unwrap()
    }

    pub fn message_id(&self) -> MessageId {
        MessageId(self.id)
    }
}

impl Network {
    pub fn new() -> Self {
        let [a, b] = DOMAINS.map(Side::new);
        a.connect(&b);
        b.connect(&a);
        Self { a, b }
    }

    /// An order for the recipient on side b.
    pub fn order(&self) -> Order {
        Order {
            recipient: self.b.recipient.into_word(),
            reads: Vec::new(),
            body: b"hello".to_vec(),
            tier: Tier::Instant.byte(),
            gas_limit: 200_000,
        }
    }

    /// Dispatches from a to b.
    #[track_caller]
    pub fn send(&self, order: &Order) -> Sent {
        self.a.dispatch(self.b.domain, order)
    }

    /// Delivers on b what was dispatched on a, with the signatures of its own tier.
    pub fn deliver(&self, sent: &Sent) -> Outcome {
        let tier = sent.message().header.tier;
        self.b.process(metadata(&self.a, &validators(tier)[..2], sent), &sent.envelope)
    }

    /// Delivers on a what was dispatched on b.
    pub fn deliver_back(&self, sent: &Sent) -> Outcome {
        let tier = sent.message().header.tier;
        self.a.process(metadata(&self.b, &validators(tier)[..2], sent), &sent.envelope)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// Metadata of a MESSAGE_ID module: these keys vouch for the newest leaf of the origin's tree.
pub fn metadata(origin: &Side, keys: &[PrivateKeySigner], sent: &Sent) -> Vec<u8> {
    let latest = origin.view(origin.hook, &MerkleTreeHook::latestCheckpointCall {});
    let checkpoint = Checkpoint {
        origin: Domain(origin.domain),
        merkle_tree_hook: origin.hook.into_word(),
        root: latest.root,
        index: latest.index,
        message_id: sent.envelope().id(),
    };
    MessageIdMetadata {
        merkle_tree_hook: checkpoint.merkle_tree_hook,
        root: checkpoint.root,
        index: checkpoint.index,
        signatures: keys.iter().map(|key| sign(key, checkpoint.digest())).collect(),
    }
    .encode()
}

/// An account that nobody has put code at.
pub const NOBODY: Address = address!("0x000000000000000000000000000000000000dEaD");
