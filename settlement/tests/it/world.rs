//! Chains with Hyperlane's core on them, validators and a relayer.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol,
    sol_types::{SolCall, SolEvent as _, SolValue as _},
};
use chain::{
    FinalityRule, KeySource, Manifest,
    manifest::{ChainManifest, Contracts, TierName, ValidatorSet},
};
use deploy::hyperlane::{Artifacts, Contract};
use devnet::{Chain, ChainConfig, Config, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::hyperlane::{
        InterchainGasPaymaster, Mailbox, RemoteGasDataConfig, StaticThresholdAddressSetFactory,
        StorageGasOracle, ValidatorAnnounce,
    },
    ids::{ChainId, Domain},
};
use settlement::{
    checkpoints::FetchPolicy,
    relayer::{self, Confirmations, RelayerConfig, gas::GasPolicy},
    validator::{self, Announce, ValidatorConfig},
};

#[path = "../../../tests/src/needs.rs"]
#[expect(unreachable_pub, reason = "the file is a public module of another package")]
mod needs;

sol! {
    interface TestRecipient {
        function setInterchainSecurityModule(address ism) external;
        function lastData() external view returns (bytes memory);
    }
    interface RoutingFactory {
        event ModuleDeployed(address module);
        function deploy(address owner, uint32[] domains, address[] modules) external returns (address);
    }
    interface IsmSetter {
        function initialize(address owner, address beneficiary) external;
    }
}

/// How long anything in a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const OWNER: Address = DEV_ADDRESSES[0];
const MNEMONIC: &str = devnet::genesis::MNEMONIC;
/// The account that delivers.
pub(crate) const RELAYER: u32 = 7;

/// The key of a development account.
pub(crate) fn key(index: u32) -> KeySource {
    format!("mnemonic:{index}:{MNEMONIC}").parse().unwrap()
}

pub(crate) fn address_of(index: u32) -> Address {
    DEV_ADDRESSES[index as usize]
}

/// Waits until the condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Hyperlane's core on one chain.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) chain: Chain,
    pub(crate) domain: Domain,
    pub(crate) mailbox: Address,
    pub(crate) hook: Address,
    pub(crate) igp: Address,
    pub(crate) oracle: Address,
    pub(crate) announce: Address,
    pub(crate) message_id_factory: Address,
    pub(crate) merkle_root_factory: Address,
    pub(crate) aggregation_factory: Address,
    pub(crate) routing_factory: Address,
    pub(crate) recipient: Address,
}

pub(crate) fn send(chain: &Chain, to: Address, call: &impl SolCall) -> devnet::Receipt {
    pay(chain, to, call, U256::ZERO)
}

pub(crate) fn pay(chain: &Chain, to: Address, call: &impl SolCall, value: U256) -> devnet::Receipt {
    let tx = Transact::call(OWNER, to, call.abi_encode()).value(value).gas(10_000_000);
    let receipt = chain.transact(tx).unwrap();
    assert!(receipt.success, "reverted: {}", String::from_utf8_lossy(&receipt.output));
    receipt
}

pub(crate) fn view<C: SolCall>(chain: &Chain, to: Address, call: &C) -> C::Return {
    let outcome = chain.call(Transact::call(OWNER, to, call.abi_encode())).unwrap();
    assert!(outcome.success, "reverted: {}", outcome.output);
    C::abi_decode_returns(&outcome.output).unwrap()
}

fn create(chain: &Chain, code: &Bytes, arguments: Vec<u8>) -> Address {
    let init = [code.to_vec(), arguments].concat();
    let tx = Transact::create(OWNER, init).gas(30_000_000);
    let receipt = chain.transact(tx).unwrap();
    assert!(receipt.success, "creation failed: {:?} {}", receipt.halt, receipt.output);
    receipt.contract_address.unwrap()
}

impl Core {
    /// Deploys the core. Remote gas is sold at a price of 1 wei, exchange rate 1.
    pub(crate) fn deploy(chain: Chain, artifacts: &Artifacts, remotes: &[Domain]) -> Self {
        let domain = Domain(u32::try_from(chain.chain_id()).unwrap());
        let make =
            |contract, arguments| create(&chain, &artifacts.creation_code(contract), arguments);
        let placeholder = make(Contract::ProxyAdmin, Vec::new());
        let mailbox = make(Contract::Mailbox, (U256::from(domain.0),).abi_encode());
        let call = Mailbox::initializeCall {
            _owner: OWNER,
            _defaultIsm: placeholder,
            _defaultHook: placeholder,
            _requiredHook: placeholder,
        };
        send(&chain, mailbox, &call);
        let hook = make(Contract::MerkleTreeHook, mailbox.abi_encode());
        let igp = make(Contract::InterchainGasPaymaster, Vec::new());
        let initialize =
            InterchainGasPaymaster::initializeCall { _owner: OWNER, _beneficiary: OWNER };
        send(&chain, igp, &initialize);
        let oracle = make(Contract::StorageGasOracle, Vec::new());
        price(&chain, (igp, oracle), remotes, 1);
        let announce = make(Contract::ValidatorAnnounce, mailbox.abi_encode());
        let message_id_factory = make(Contract::StaticMessageIdMultisigIsmFactory, Vec::new());
        let merkle_root_factory = make(Contract::StaticMerkleRootMultisigIsmFactory, Vec::new());
        let aggregation_factory = make(Contract::StaticAggregationIsmFactory, Vec::new());
        let routing_factory = make(Contract::DomainRoutingIsmFactory, Vec::new());
        let recipient = make(Contract::TestRecipient, Vec::new());
        send(&chain, mailbox, &Mailbox::setRequiredHookCall { _hook: hook });
        send(&chain, mailbox, &Mailbox::setDefaultHookCall { _hook: igp });
        Self {
            chain,
            domain,
            mailbox,
            hook,
            igp,
            oracle,
            announce,
            message_id_factory,
            merkle_root_factory,
            aggregation_factory,
            routing_factory,
            recipient,
        }
    }

    /// A static set of a factory.
    pub(crate) fn set(&self, factory: Address, values: &[Address], threshold: u8) -> Address {
        let call = StaticThresholdAddressSetFactory::deployCall {
            _values: values.to_vec(),
            _threshold: threshold,
        };
        send(&self.chain, factory, &call);
        let call = StaticThresholdAddressSetFactory::getAddressCall {
            _values: values.to_vec(),
            _threshold: threshold,
        };
        view(&self.chain, factory, &call)
    }

    /// Hyperlane's own routing module: messages of `origin` go to `module`.
    pub(crate) fn routing(&self, origin: Domain, module: Address) -> Address {
        let call = RoutingFactory::deployCall {
            owner: OWNER,
            domains: vec![origin.0],
            modules: vec![module],
        };
        let receipt = send(&self.chain, self.routing_factory, &call);
        let deployed = receipt.logs.iter();
        deployed
            .filter_map(|log| RoutingFactory::ModuleDeployed::decode_log(log).ok())
            .next()
            .unwrap()
            .module
    }

    /// One of Hyperlane's contracts.
    pub(crate) fn make(&self, contract: Contract, arguments: Vec<u8>) -> Address {
        let artifacts = Artifacts::load_or_fetch(None).unwrap();
        create(&self.chain, &artifacts.creation_code(contract), arguments)
    }

    /// Sells gas of `remote` at another price.
    pub(crate) fn sell_gas(&self, remote: Domain, wei: u128) {
        price(&self.chain, (self.igp, self.oracle), &[remote], wei);
    }

    pub(crate) fn set_default_ism(&self, module: Address) {
        send(&self.chain, self.mailbox, &Mailbox::setDefaultIsmCall { _module: module });
    }

    /// Dispatches to the destination's recipient, paying what is quoted. Gives the mailbox id.
    pub(crate) fn dispatch(&self, destination: &Self, body: &[u8]) -> B256 {
        let body = Bytes::copy_from_slice(body);
        let recipient = destination.recipient.into_word();
        let quote = Mailbox::quoteDispatch_0Call {
            destinationDomain: destination.domain.0,
            recipientAddress: recipient,
            messageBody: body.clone(),
        };
        let fee = view(&self.chain, self.mailbox, &quote);
        let call = Mailbox::dispatch_0Call {
            destinationDomain: destination.domain.0,
            recipientAddress: recipient,
            messageBody: body,
        };
        let receipt = pay(&self.chain, self.mailbox, &call, fee);
        let id =
            receipt.logs.iter().find_map(|log| Mailbox::DispatchId::decode_log(log).ok()).unwrap();
        id.messageId
    }

    /// Reorganizes the chain so that the newest leaf of its tree goes.
    pub(crate) fn undo_last_dispatch(&self) {
        let filter = alloy::rpc::types::Filter::new().address(self.hook).from_block(0);
        let leaf = self.chain.logs(&filter).unwrap().pop().unwrap();
        let depth = self.chain.head().number() - leaf.block_number.unwrap() + 1;
        self.chain.reorg(depth, devnet::ReorgMode::Drop).unwrap();
    }

    /// Reorganizes the chain so that the delivery goes, by at least `depth` blocks.
    pub(crate) fn undo_delivery(&self, id: B256, depth: u64) {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.mailbox)
            .event_signature(Mailbox::ProcessId::SIGNATURE_HASH)
            .topic1(id)
            .from_block(0);
        let log = self.chain.logs(&filter).unwrap().pop().unwrap();
        let reaching = self.chain.head().number() - log.block_number.unwrap() + 1;
        self.chain.reorg(reaching.max(depth), devnet::ReorgMode::Drop).unwrap();
    }

    /// Whether the chain knows a storage location of the key's validator.
    pub(crate) fn is_announced(&self, key: u32) -> bool {
        let call = ValidatorAnnounce::getAnnouncedStorageLocationsCall {
            _validators: vec![address_of(key)],
        };
        view(&self.chain, self.announce, &call).iter().any(|locations| !locations.is_empty())
    }

    /// Reorganizes the chain so that every announcement goes.
    pub(crate) fn undo_announcements(&self) {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.announce)
            .event_signature(ValidatorAnnounce::ValidatorAnnouncement::SIGNATURE_HASH)
            .from_block(0);
        let first = self.chain.logs(&filter).unwrap().swap_remove(0);
        let depth = self.chain.head().number() - first.block_number.unwrap() + 1;
        self.chain.reorg(depth, devnet::ReorgMode::Drop).unwrap();
    }

    pub(crate) fn is_delivered(&self, id: B256) -> bool {
        view(&self.chain, self.mailbox, &Mailbox::deliveredCall { messageId: id })
    }

    /// How often the mailbox processed the message on the present branch.
    pub(crate) fn deliveries(&self, id: B256) -> usize {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.mailbox)
            .event_signature(Mailbox::ProcessId::SIGNATURE_HASH)
            .topic1(id)
            .from_block(0);
        self.chain.logs(&filter).unwrap().len()
    }

    fn manifest(&self, rpc: &str, finality: FinalityRule) -> ChainManifest {
        let nowhere = Address::ZERO;
        let set = |first: u32| ValidatorSet {
            validators: (first..first + 3).map(address_of).collect(),
            threshold: 2,
        };
        ChainManifest {
            chain_id: ChainId(self.chain.chain_id()),
            domain: self.domain,
            rpc: vec![rpc.parse().unwrap()],
            ws: Vec::new(),
            stack: "nitro".into(),
            data_availability: "none".into(),
            finality,
            start_block: 0,
            contracts: Contracts {
                mailbox: self.mailbox,
                proxy_admin: None,
                merkle_tree_hook: self.hook,
                igp: self.igp,
                gas_oracle: nowhere,
                validator_announce: self.announce,
                message_id_multisig_factory: self.message_id_factory,
                aggregation_factory: self.aggregation_factory,
                deployer: nowhere,
                router: nowhere,
                ism: nowhere,
                read_ism: nowhere,
                intent_source: nowhere,
                inbox: nowhere,
                executor: nowhere,
                vault: nowhere,
                meta_prover_instant: nowhere,
                meta_prover_finalized: nowhere,
                local_prover: nowhere,
                multicall: None,
                test_token: None,
                owner: OWNER,
                guardian: OWNER,
            },
            programs: BTreeMap::new(),
            validators: [(TierName::Instant, set(1)), (TierName::Finalized, set(4))].into(),
            modules: BTreeMap::new(),
        }
    }
}

/// Prices gas on the remotes: `price` wei a unit, exchange rate 1.
fn price(chain: &Chain, (igp, oracle): (Address, Address), remotes: &[Domain], price: u128) {
    use protocol::abi::hyperlane::{DomainGasConfig, GasParam};
    let data = remotes
        .iter()
        .map(|remote| RemoteGasDataConfig {
            remoteDomain: remote.0,
            tokenExchangeRate: 10_000_000_000,
            gasPrice: price,
        })
        .collect();
    send(chain, oracle, &StorageGasOracle::setRemoteGasDataConfigsCall { _configs: data });
    let config = |remote: &Domain| GasParam {
        remoteDomain: remote.0,
        config: DomainGasConfig { gasOracle: oracle, gasOverhead: alloy::primitives::Uint::ZERO },
    };
    let configs = remotes.iter().map(config).collect();
    send(chain, igp, &InterchainGasPaymaster::setDestinationGasConfigsCall { _configs: configs });
}

/// Two chains, wired with the core.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) devnet: devnet::Handle,
    pub(crate) cores: Vec<Core>,
    pub(crate) data: tempfile::TempDir,
    pub(crate) manifest: Manifest,
}

/// Blocks behind the head at which the worlds' chains are final.
pub(crate) const FINALITY: u64 = 4;

impl World {
    /// Two chains with a block every 100 ms. Default module: 2 of the instant keys 1, 2, 3.
    pub(crate) async fn new() -> Self {
        let block = Duration::from_millis(100);
        let chains =
            [700_001, 700_002].map(|id| ChainConfig::new(id).block_time(block).lags(2, FINALITY));
        let config = Config { chains: chains.to_vec(), ..Config::default() };
        let devnet = devnet::spawn(config).await.unwrap();
        let artifacts = Artifacts::load_or_fetch(None).unwrap();
        let domains = [Domain(700_001), Domain(700_002)];
        let cores: Vec<Core> = devnet
            .chains()
            .iter()
            .map(|handle| Core::deploy(handle.chain(), &artifacts, &domains))
            .collect();
        for core in &cores {
            let validators = [address_of(1), address_of(2), address_of(3)];
            core.set_default_ism(core.set(core.message_id_factory, &validators, 2));
        }
        let chains = cores
            .iter()
            .zip(devnet.chains())
            .map(|(core, handle)| {
                let finality = FinalityRule::Blocks(FINALITY);
                (format!("chain{}", core.domain), core.manifest(&handle.http_url(), finality))
            })
            .collect();
        let manifest = Manifest {
            format: chain::manifest::FORMAT,
            metalayer: "test".into(),
            hyperlane: Some(artifacts.version().into()),
            chains,
        };
        Self { devnet, cores, data: tempfile::tempdir().unwrap(), manifest }
    }

    pub(crate) fn origin(&self) -> &Core {
        &self.cores[0]
    }

    pub(crate) fn destination(&self) -> &Core {
        &self.cores[1]
    }

    /// Configuration of a validator with instant key `number` (1 to 3) and final key `number + 3`.
    pub(crate) fn validator_config(&self, number: u32) -> ValidatorConfig {
        validator_config(self.manifest.clone(), self.data.path(), number)
    }

    pub(crate) async fn validator(&self, number: u32) -> validator::Handle {
        validator::spawn(self.validator_config(number)).await.unwrap()
    }

    pub(crate) async fn validators(&self) -> Vec<validator::Handle> {
        vec![self.validator(1).await, self.validator(2).await, self.validator(3).await]
    }

    pub(crate) fn relayer_config(&self) -> RelayerConfig {
        relayer_config(self.manifest.clone(), self.data.path())
    }

    pub(crate) async fn relayer(&self) -> relayer::Handle {
        relayer::spawn(self.relayer_config()).await.unwrap()
    }

    /// The folder of an instant validator for messages of the first chain.
    pub(crate) fn folder(&self, number: u32, tier: &str) -> PathBuf {
        self.data.path().join(format!("validator{number}/checkpoints/700001/{tier}"))
    }
}

/// Configuration of a validator that keeps its things under `data`.
pub(crate) fn validator_config(manifest: Manifest, data: &Path, number: u32) -> ValidatorConfig {
    let folder = data.join(format!("validator{number}"));
    std::fs::create_dir_all(&folder).unwrap();
    ValidatorConfig {
        manifest,
        database: database(&folder.join("validator.db")),
        storage: folder.join("checkpoints"),
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: None,
        announce: Announce::File,
        interval: Duration::from_millis(50),
        keys: [(TierName::Instant, key(number)), (TierName::Finalized, key(number + 3))].into(),
        chains: BTreeMap::new(),
    }
}

/// Configuration of a relayer that keeps its things under `data`.
pub(crate) fn relayer_config(manifest: Manifest, data: &Path) -> RelayerConfig {
    RelayerConfig {
        manifest,
        database: database(&data.join("relayer.db")),
        listen: "127.0.0.1:0".parse().unwrap(),
        admin: None,
        signers: vec![key(RELAYER)],
        fetch: FetchPolicy { allow_file: true, allow_private: true },
        gas_policy: GasPolicy::None,
        confirmations: Confirmations::Never,
        interval: Duration::from_millis(50),
        max_batch: 1,
        suspicion: Duration::from_secs(30),
        keep_alive: false,
        chains: BTreeMap::new(),
    }
}

/// A database of its own for each path: SQLite there, unless the whole suite is to run on PostgreSQL.
fn database(path: &Path) -> String {
    match std::env::var("SETTLEMENT_TEST_DATABASE").as_deref() {
        Ok("postgres") => postgres(path).expect("METALAYER_TEST_POSTGRES names the server"),
        _ => format!("sqlite:{}", path.display()),
    }
}

/// A database named after the path on the server at `METALAYER_TEST_POSTGRES`, if that is set.
pub(crate) fn postgres(path: &Path) -> Option<String> {
    let server = needs::given("METALAYER_TEST_POSTGRES")?;
    let name = format!("settlement_{}", &hex::encode(keccak256(path.display().to_string()))[..24]);
    let created = std::process::Command::new("psql")
        .args([&server, "-qAtc", &format!("CREATE DATABASE {name}")])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&created.stderr).into_owned();
    assert!(created.status.success() || complaint.contains("already exists"), "{complaint}");
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    Some(url.into())
}

/// The sum of a metric over all labels, as the agent at this admin address tells it.
pub(crate) async fn metric(admin: std::net::SocketAddr, name: &str) -> f64 {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()));
    values.sum()
}

/// The relayer's word on a message.
pub(crate) async fn explain(
    relayer: &relayer::Handle,
    id: B256,
) -> Vec<relayer::status::Explanation> {
    let base = format!("http://{}/", relayer.address()).parse().unwrap();
    relayer::status::explain(&base, id).await.unwrap_or_default()
}
