//! Where everything will be: computed from the configuration and the codes, before anything is sent.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, keccak256},
    sol_types::{SolCall, SolValue},
};
use chain::manifest::{Modules, TierName};
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, Mailbox},
    create2,
    ids::Domain,
    puppet,
};
use stylus_program::{Program, Programs, ProgramsError};

use crate::{
    config::{ChainConfig, Config},
    creation::{Creation, program_init_code},
    hyperlane::{Artifacts, Contract},
};

/// Every program of ours that is deployed, in an order in which each finds what its constructor calls.
pub const PROGRAMS: [&str; 9] = [
    "router",
    "ism",
    "read-ism",
    "inbox",
    "intent-source",
    "meta-prover",
    "local-prover",
    "multicall",
    "test-token",
];

/// The codes that are deployed.
#[derive(Clone, Debug)]
pub struct Codes {
    /// Hyperlane's creation codes.
    pub hyperlane: Artifacts,
    /// Our programs, by name.
    programs: BTreeMap<String, Program>,
}

impl Codes {
    /// The programs that a deployment needs, and Hyperlane's codes.
    pub fn new(programs: &Programs, hyperlane: Artifacts) -> Result<Self, ProgramsError> {
        let names = PROGRAMS.into_iter().chain(["deployer"]);
        let programs = names
            .map(|name| Ok((name.to_owned(), programs.get(name)?.clone())))
            .collect::<Result<_, ProgramsError>>()?;
        Ok(Self { hyperlane, programs })
    }

    /// A program's deployed code.
    pub fn program(&self, name: &str) -> Bytes {
        self.programs.get(name).map(|program| program.code.clone().into()).unwrap_or_default()
    }

    /// keccak256 of a program's deployed code.
    pub fn code_hash(&self, name: &str) -> B256 {
        self.programs.get(name).map(|program| program.code_hash).unwrap_or_default()
    }
}

/// Hyperlane's contracts on one chain. `None` where an existing deployment is used.
#[derive(Clone, Debug)]
pub struct Core {
    /// What is deployed anew.
    pub fresh: Option<FreshCore>,
    /// Mailbox (the proxy).
    pub mailbox: Address,
    /// MerkleTreeHook.
    pub merkle_tree_hook: Address,
    /// InterchainGasPaymaster (the proxy).
    pub igp: Address,
    /// StorageGasOracle.
    pub gas_oracle: Address,
    /// ValidatorAnnounce.
    pub validator_announce: Address,
    /// StaticMessageIdMultisigIsmFactory.
    pub message_id_multisig_factory: Address,
    /// StaticAggregationIsmFactory.
    pub aggregation_factory: Address,
}

/// The creations of a new core, in the order in which each finds what its constructor asks for.
#[derive(Clone, Debug)]
pub struct FreshCore {
    /// Admin of both proxies.
    pub proxy_admin: Address,
    /// Name and creation of each contract.
    pub creations: Vec<(&'static str, Creation)>,
}

/// Everything of ours on one chain.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Hyperlane's part.
    pub core: Core,
    /// Our StylusDeployer's creation.
    pub deployer: Creation,
    /// Addresses of our programs by instance: `router`, `meta-prover/instant`, ….
    programs: BTreeMap<String, Address>,
}

impl Layout {
    /// The addresses on one chain when `deployer` deploys.
    pub fn new(config: &Config, chain: &ChainConfig, codes: &Codes, deployer: Address) -> Self {
        let contract = Creation::new(
            config.salt_of("deployer"),
            &program_init_code(&codes.program("deployer")),
        );
        let address_of = |name: &str, instance: &str| {
            let salt = create2::deployer_salt(deployer, config.salt_of(instance));
            let init_code = program_init_code(&codes.program(name));
            create2::address(contract.address, salt, keccak256(init_code))
        };
        let programs = instances(config)
            .map(|(name, instance)| (instance.to_owned(), address_of(name, instance)))
            .collect();
        Self { core: core(config, chain, codes, deployer), deployer: contract, programs }
    }

    /// The address of one instance of a program; zero for one that is not part of the deployment.
    pub fn program(&self, instance: &str) -> Address {
        self.programs.get(instance).copied().unwrap_or_default()
    }

    /// The implementation behind every vault: the first contract that IntentSource creates.
    pub fn vault(&self) -> Address {
        puppet::first_created(self.program("intent-source"))
    }

    /// The executor of the inbox: the first contract that it creates.
    pub fn executor(&self) -> Address {
        puppet::first_created(self.program("inbox"))
    }

    /// The modules for messages of `origin`, by tier.
    pub fn modules(&self, origin: &ChainConfig) -> BTreeMap<TierName, Modules> {
        let modules = |(tier, set): (&TierName, &chain::manifest::ValidatorSet)| {
            let factory = self.core.message_id_multisig_factory;
            let module =
                create2::static_set(factory, factory.create(1), &set.validators, set.threshold);
            let factory = self.core.aggregation_factory;
            let members = [module, self.program("read-ism")];
            let read_module = create2::static_set(factory, factory.create(1), &members, 2);
            (*tier, Modules { module, read_module })
        };
        origin.validators.iter().map(modules).collect()
    }
}

/// Programs and their instances: a name may be deployed more than once under different salts.
pub fn instances(config: &Config) -> impl Iterator<Item = (&'static str, &'static str)> {
    let optional = [
        config.multicall.then_some(("multicall", "multicall")),
        config.test_token.then_some(("test-token", "test-token")),
    ];
    [
        ("router", "router"),
        ("ism", "ism"),
        ("read-ism", "read-ism"),
        ("inbox", "inbox"),
        ("intent-source", "intent-source"),
        ("meta-prover", "meta-prover/instant"),
        ("meta-prover", "meta-prover/finalized"),
        ("local-prover", "local-prover"),
    ]
    .into_iter()
    .chain(optional.into_iter().flatten())
}

fn core(config: &Config, chain: &ChainConfig, codes: &Codes, owner: Address) -> Core {
    if let Some(core) = &chain.hyperlane {
        return Core {
            fresh: None,
            mailbox: core.mailbox,
            merkle_tree_hook: core.merkle_tree_hook,
            igp: core.igp,
            gas_oracle: core.gas_oracle,
            validator_announce: core.validator_announce,
            message_id_multisig_factory: core.message_id_multisig_factory,
            aggregation_factory: core.aggregation_factory,
        };
    }
    let create = |contract: Contract, arguments: Vec<u8>| {
        let code = [codes.hyperlane.creation_code(contract).to_vec(), arguments].concat();
        Creation::new(config.salt_of(contract.name()), &code)
    };
    let create_owned = |contract: Contract| {
        let code = codes.hyperlane.creation_code(contract);
        Creation::owned(config.salt_of(contract.name()), &code, owner)
    };
    let proxy = |salt: &str, implementation: Address, admin: Address, initialize: Vec<u8>| {
        let code = codes.hyperlane.creation_code(Contract::TransparentUpgradeableProxy);
        let arguments = (implementation, admin, Bytes::from(initialize)).abi_encode_params();
        Creation::new(config.salt_of(salt), &[code.to_vec(), arguments].concat())
    };
    let multisig = create(Contract::StaticMessageIdMultisigIsmFactory, Vec::new());
    let aggregation = create(Contract::StaticAggregationIsmFactory, Vec::new());
    let admin = create_owned(Contract::ProxyAdmin);
    let mailbox_code = create(Contract::Mailbox, chain.domain.0.abi_encode());
    // The proxy's admin stands in for hooks and module: it has code, as they must, and refuses every call, so that the
    // mailbox is closed until it is wired.
    let initialize = Mailbox::initializeCall {
        _owner: owner,
        _defaultIsm: admin.address,
        _defaultHook: admin.address,
        _requiredHook: admin.address,
    };
    let mailbox =
        proxy("MailboxProxy", mailbox_code.address, admin.address, initialize.abi_encode());
    let hook = create(Contract::MerkleTreeHook, mailbox.address.abi_encode());
    let announce = create(Contract::ValidatorAnnounce, mailbox.address.abi_encode());
    let oracle = create_owned(Contract::StorageGasOracle);
    let igp_code = create(Contract::InterchainGasPaymaster, Vec::new());
    let beneficiary = config.owner.unwrap_or(owner);
    let initialize =
        InterchainGasPaymaster::initializeCall { _owner: owner, _beneficiary: beneficiary };
    let igp = proxy("IgpProxy", igp_code.address, admin.address, initialize.abi_encode());
    Core {
        mailbox: mailbox.address,
        merkle_tree_hook: hook.address,
        igp: igp.address,
        gas_oracle: oracle.address,
        validator_announce: announce.address,
        message_id_multisig_factory: multisig.address,
        aggregation_factory: aggregation.address,
        fresh: Some(FreshCore {
            proxy_admin: admin.address,
            creations: vec![
                ("multisig module factory", multisig),
                ("aggregation module factory", aggregation),
                ("proxy admin", admin),
                ("mailbox implementation", mailbox_code),
                ("mailbox", mailbox),
                ("merkle tree hook", hook),
                ("validator announce", announce),
                ("gas oracle", oracle),
                ("gas paymaster implementation", igp_code),
                ("gas paymaster", igp),
            ],
        }),
    }
}

/// Every other chain of the deployment, with its name.
pub fn remotes(config: &Config, domain: Domain) -> impl Iterator<Item = (&String, &ChainConfig)> {
    config.chains.iter().filter(move |(_, chain)| chain.domain != domain)
}
