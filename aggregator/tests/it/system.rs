//! Chains that say what they are told to, and aggregators that listen to them.

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aggregator::{Config, Handle, quoting::QuoteIds};
use alloy::{
    primitives::{Address, B256, Bytes, LogData, U256},
    sol_types::SolEvent,
};
use api::{
    Client,
    aggregator::{
        Leg, Liquidity, Order, OrderState, Quote, Score, SecurityDescription, Simulation, Step,
        TimeBasis, TimeEstimate, TransactionStep,
    },
};
use chain::{
    finality::FinalityRule,
    manifest::{ChainManifest, Contracts, FORMAT, Manifest},
};
use devnet::{Chain, ChainConfig, Clock, Fault, FaultRule, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{inbox, intent_source, prover},
    ids::{ChainId, Domain},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::providers::{CHAIN_A, CHAIN_B};

pub(crate) const USER: Address = Address::repeat_byte(0x77);
pub(crate) const SOURCE: Address = Address::repeat_byte(0x51);
pub(crate) const INBOX: Address = Address::repeat_byte(0x52);
pub(crate) const PROVER: Address = Address::repeat_byte(0x53);
const INTEGRITY_KEY: &str = "a key of thirty-two characters!!";
const PATIENCE: Duration = Duration::from_secs(120);

/// Two chains without any contract of ours: what those would say is said by hand.
#[derive(Debug)]
pub(crate) struct Stage {
    chains: devnet::Handle,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let chain = |id| ChainConfig { clock: Clock::Wall, ..ChainConfig::new(id) };
        let chains = [CHAIN_A, CHAIN_B].map(chain).to_vec();
        let config = devnet::Config { chains, ..devnet::Config::default() };
        let chains = devnet::spawn(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stage = Self { chains, folder };
        stage.manifest().save(stage.path()).unwrap();
        stage
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("manifest.json")
    }

    fn manifest(&self) -> Manifest {
        let chains = self.chains.chains().iter().map(|chain| {
            let id = chain.chain().chain_id();
            (format!("chain-{id}"), manifest_of(id, chain.http_url().parse().unwrap()))
        });
        Manifest {
            format: FORMAT,
            metalayer: "test".into(),
            hyperlane: None,
            chains: chains.collect(),
        }
    }

    pub(crate) fn chain(&self, id: u64) -> Chain {
        self.chains.chain(id).unwrap().chain()
    }

    /// An aggregator on this database; `more` goes into its configuration.
    pub(crate) async fn aggregator(&self, database: &str, instance: &str, more: &str) -> Handle {
        self.aggregator_as(database, instance, |text| text + more).await
    }

    /// An aggregator on this database, with a configuration that is changed first.
    pub(crate) async fn aggregator_as(
        &self,
        database: &str,
        instance: &str,
        change: impl FnOnce(String) -> String,
    ) -> Handle {
        let mut text = format!(
            "listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nmanifest = {:?}\n\
             database = {database:?}\ninstance = {instance:?}\n\
             integrity_key = {INTEGRITY_KEY:?}\n\
             [webhooks]\nallow_private = true\ntimeout = \"2s\"\nfirst_retry = \"50ms\"\n\
             attempts = 4\n\
             [admission]\nanonymous_per_second = 0\n\
             [[admission.keys]]\nname = \"wallet\"\nsha256 = \"{}\"\n\
             scopes = [\"quotes\", \"orders\", \"webhooks\"]\n",
            self.path().display().to_string(),
            key_hash("wallet"),
        );
        for chain_id in [CHAIN_A, CHAIN_B] {
            text += &format!(
                "[[tokens]]\nchain_id = {chain_id}\nsymbol = \"ETH\"\ndecimals = 18\n\
                 micro_usd = 2000000000\n"
            );
        }
        let config: Config = service::config::parse(&change(text)).unwrap();
        aggregator::spawn(config).await.unwrap()
    }

    /// Has a chain answer every question so much later.
    pub(crate) fn slow_down(&self, chain: u64, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        let rule = FaultRule::new(&[], Fault::Latency { millis });
        self.chains.chain(chain).unwrap().set_fault(rule);
    }

    /// Has a contract say something, in a block of its own; the transaction.
    pub(crate) fn says(&self, chain: u64, contract: Address, event: &impl SolEvent) -> B256 {
        self.says_to(chain, contract, event, Bytes::new(), U256::ZERO)
    }

    /// As [`Self::says`], in answer to a call of this calldata and value.
    pub(crate) fn says_to(
        &self,
        chain: u64,
        contract: Address,
        event: &impl SolEvent,
        data: Bytes,
        value: U256,
    ) -> B256 {
        let chain = self.chain(chain);
        chain.set_code(contract, speaking(&event.encode_log_data())).unwrap();
        let call = Transact::call(DEV_ADDRESSES[0], contract, data).value(value);
        let receipt = chain.transact(call).unwrap();
        assert!(receipt.success);
        receipt.transaction_hash
    }

    pub(crate) fn publish(&self, id: B256, deadline: u64) -> B256 {
        self.says(CHAIN_A, SOURCE, &published(id, deadline))
    }

    pub(crate) fn fund(&self, id: B256) -> B256 {
        let event = intent_source::IntentFunded { intentHash: id, funder: USER, complete: true };
        self.says(CHAIN_A, SOURCE, &event)
    }

    pub(crate) fn fill(&self, id: B256) -> B256 {
        let event = inbox::IntentFulfilled { intentHash: id, claimant: B256::ZERO };
        self.says(CHAIN_B, INBOX, &event)
    }

    pub(crate) fn prove_and_pay(&self, id: B256) {
        let sent = inbox::IntentProven { intentHash: id, claimant: B256::ZERO };
        self.says(CHAIN_B, INBOX, &sent);
        let claimant = Address::ZERO;
        let proven = prover::IntentProven { intentHash: id, claimant, destination: CHAIN_B };
        self.says(CHAIN_A, PROVER, &proven);
        self.says(CHAIN_A, SOURCE, &intent_source::IntentWithdrawn { intentHash: id, claimant });
    }
}

pub(crate) fn published(id: B256, deadline: u64) -> intent_source::IntentPublished {
    intent_source::IntentPublished {
        intentHash: id,
        destination: CHAIN_B,
        route: Bytes::new(),
        creator: USER,
        prover: PROVER,
        rewardDeadline: deadline,
        rewardNativeAmount: U256::from(100),
        rewardTokens: Vec::new(),
    }
}

/// SHA-256 of an API key, as the configuration has it.
pub(crate) fn key_hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

pub(crate) fn client(aggregator: &Handle) -> Client {
    let url = format!("http://{}", aggregator.address()).parse().unwrap();
    Client::new(url).unwrap().with_key("wallet")
}

pub(crate) fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A quote of ours whose one transaction publishes the order with this id.
pub(crate) fn quote(id: B256, expires_at: u64) -> Quote {
    let quote = Quote {
        id: String::new(),
        provider: "metalayer".into(),
        solver: None,
        legs: vec![Leg {
            origin_chain_id: CHAIN_A,
            destination_chain_id: CHAIN_B,
            token_in: Address::ZERO,
            token_out: Address::ZERO,
            amount_in: 100.into(),
            amount_out: 99.into(),
        }],
        amount_in: 100.into(),
        amount_out: 99.into(),
        min_amount_out: 99.into(),
        fees: Vec::new(),
        time: TimeEstimate { seconds: 30, basis: TimeBasis::Provider, stated: 30 },
        security: SecurityDescription {
            tier: None,
            validators: None,
            threshold: None,
            trust: "nobody".into(),
        },
        liquidity: Liquidity { available: None },
        expires_at,
        order_id: Some(id),
        steps: vec![Step::Transaction(TransactionStep {
            id: "publish".into(),
            description: "Publish".into(),
            chain_id: CHAIN_A,
            to: SOURCE,
            data: id.0.to_vec().into(),
            value: 100.into(),
            gas_limit: None,
            simulation: Simulation::Succeeded,
            check: None,
        })],
        score: Score {
            total: 1.0,
            output: 1.0,
            time: 1.0,
            security: 1.0,
            liquidity: 1.0,
            reputation: 1.0,
        },
        cached: Vec::new(),
    };
    bound(quote)
}

/// The quote under an id of ours.
pub(crate) fn bound(mut quote: Quote) -> Quote {
    quote.id = QuoteIds::new(INTEGRITY_KEY).sign(&quote);
    quote
}

/// Looks until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until the order is in this state.
pub(crate) async fn reaches(client: &Client, id: B256, state: OrderState) -> Order {
    until(&format!("{id} to be {state:?}"), async || {
        client.order(id).await.unwrap().filter(|order| order.state == state)
    })
    .await
}

/// EVM code that emits one log and does nothing else.
fn speaking(log: &LogData) -> Vec<u8> {
    const PUSH1: u8 = 0x60;
    const PUSH2: u8 = 0x61;
    const PUSH32: u8 = 0x7f;
    const CODECOPY: u8 = 0x39;
    const LOG0: u8 = 0xa0;
    const STOP: u8 = 0x00;
    let topics = log.topics();
    let [high, low] = u16::try_from(log.data.len()).unwrap().to_be_bytes();
    // Three pushes, the copy, the topics, two pushes, the log and the stop come before the data.
    let begin = 3 + 3 + 2 + 1 + 33 * topics.len() + 3 + 2 + 1 + 1;
    let [begin_high, begin_low] = u16::try_from(begin).unwrap().to_be_bytes();
    let mut code = vec![PUSH2, high, low, PUSH2, begin_high, begin_low, PUSH1, 0, CODECOPY];
    for topic in topics.iter().rev() {
        code.push(PUSH32);
        code.extend_from_slice(topic.as_slice());
    }
    code.extend_from_slice(&[PUSH2, high, low, PUSH1, 0]);
    code.push(LOG0 + u8::try_from(topics.len()).unwrap());
    code.push(STOP);
    code.extend_from_slice(&log.data);
    code
}

fn manifest_of(id: u64, rpc: url::Url) -> ChainManifest {
    let other = Address::repeat_byte(0x99);
    ChainManifest {
        chain_id: ChainId(id),
        domain: Domain(u32::try_from(id).unwrap()),
        rpc: vec![rpc],
        ws: Vec::new(),
        stack: "evm".into(),
        data_availability: "none".into(),
        finality: FinalityRule::Instant,
        start_block: 0,
        contracts: Contracts {
            mailbox: other,
            proxy_admin: None,
            merkle_tree_hook: other,
            igp: other,
            gas_oracle: other,
            validator_announce: other,
            message_id_multisig_factory: other,
            aggregation_factory: other,
            deployer: other,
            router: other,
            ism: other,
            read_ism: other,
            intent_source: SOURCE,
            inbox: INBOX,
            executor: other,
            vault: other,
            meta_prover_instant: PROVER,
            meta_prover_finalized: Address::repeat_byte(0x54),
            local_prover: other,
            multicall: None,
            test_token: None,
            owner: other,
            guardian: other,
        },
        programs: BTreeMap::new(),
        validators: BTreeMap::new(),
        modules: BTreeMap::new(),
    }
}
