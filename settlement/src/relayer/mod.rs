//! The relayer carries messages: it finds them, collects what their security modules want to see, and
//! delivers them. Nobody has to trust it: the modules decide.
//!
//! * [`origin`] reads each chain: messages, tree leaves, payments, and what reorgs take back.
//! * `lane` serves each destination in three stages: `prepare` (metadata, gas policy), `submit`
//!   (alone or in batches), confirm (until the delivery's block is final).
//! * `metadata` builds for every module type, with `quorum` for signatures and [`ccip`] for servers.
//! * `confirmations` tells origins, `gateway` serves attested reads, `keepalive` extends programs' lives.
//! * [`status`] shows it all, and explains one message.

mod answers;
pub mod ccip;
mod config;
mod confirmations;
mod delivery;
pub mod gas;
mod gateway;
mod keepalive;
pub mod lane;
mod metadata;
mod metrics;
pub mod origin;
mod prepare;
mod quorum;
pub mod retry;
pub mod status;
mod store;
mod submit;
mod verdict;
mod watch;

use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy::signers::local::PrivateKeySigner;
use chain::{
    Db, Sender,
    sender::{FeePolicy, SenderConfig},
};
use futures::future::BoxFuture;
use protocol::ids::Domain;
use service::tasks::Tasks;
use tokio::sync::mpsc;

pub use self::config::{ChainOptions, Confirmations, RelayerConfig, UnknownConfirmations};
pub(crate) use self::store::Store as Memory;
use self::{
    confirmations::Confirmer,
    gateway::Gateway,
    keepalive::Keeper,
    lane::{Lane, LaneError, LaneOptions},
    metadata::Builder,
    metrics::Metrics,
    origin::{News, Origin, Reading},
    prepare::{Destination, Preparer},
    quorum::Validators,
    store::Store,
    submit::Submitter,
};
pub use crate::agent::{Handle, StartError, Unreachable};
use crate::{
    agent::{self, Agent},
    checkpoints::location,
};

/// How long a stop may take: what is under way is taken up by the next start.
const STOP_BOUND: Duration = Duration::from_secs(10);
/// A delivery that is in no block after this time is sent again with a higher fee.
const BUMP_AFTER: Duration = Duration::from_secs(10);

/// Why a relayer does not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayerError {
    /// A key cannot be loaded.
    #[error(transparent)]
    Key(#[from] chain::keys::Error),
    /// Without a key nothing can be delivered.
    #[error("no signer is configured")]
    NoSigner,
    /// A chain could not be asked.
    #[error(transparent)]
    Chain(#[from] Unreachable),
    /// A sender could not take up its journal.
    #[error(transparent)]
    Sender(#[from] chain::sender::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Db(#[from] chain::db::Error),
    /// A destination cannot be served.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// It cannot serve.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts a relayer between all chains of the manifest.
///
/// # Errors
/// [`RelayerError`].
pub fn spawn(config: RelayerConfig) -> BoxFuture<'static, Result<Handle, RelayerError>> {
    // Boxed: what it runs is compiled here, and not again in every program that starts one.
    Box::pin(start(config))
}

async fn start(config: RelayerConfig) -> Result<Handle, RelayerError> {
    let keys = config.signers.iter().map(chain::KeySource::load).collect::<Result<Vec<_>, _>>()?;
    let db = Db::open(&config.database).await?;
    let store = Store::open(db.clone()).await?;
    let origins = connect(&config).await?;
    let system = System { config: &config, db: &db, store: &store, origins: &origins, keys: &keys };

    let agent = Agent::bind(config.listen, config.admin).await?;
    let leases = keys.iter().map(|key| format!("relayer:{}", key.address())).collect();
    agent.hold(&db, leases).await?;
    let tasks = &agent.tasks;
    let validators = system.validators().await?;
    let (mut lanes, mut payers) = (HashMap::new(), HashMap::new());
    for origin in origins.values() {
        origin.begin_counters();
        agent.watch(&origin.name, &origin.chain, config.interval);
        let (news, inbox) = mpsc::unbounded_channel();
        let senders = system.senders(origin).await?;
        let payer = senders.first().cloned().ok_or(RelayerError::NoSigner)?;
        system.look_after(origin, &payer, tasks);
        let lane = system.lane(origin, &validators, senders, inbox).await?;
        tasks.spawn(format!("deliver to {}", origin.name), lane.run(tasks.shutdown()));
        lanes.insert(origin.domain, news);
        payers.insert(origin.domain, payer);
    }
    system.index(&lanes, &agent);
    let gateway = Gateway {
        origins: origins.clone(),
        validators: validators.clone(),
        senders: payers,
        http: location::http_client(config.fetch)?,
        waiting: parking_lot::Mutex::default(),
    };

    let routes = status::routes(store.clone()).merge(gateway::routes(gateway));
    Ok(agent.serve(routes, STOP_BOUND))
}

/// Every chain of the manifest, checked to be the chain it says.
async fn connect(config: &RelayerConfig) -> Result<HashMap<Domain, Arc<Origin>>, RelayerError> {
    let mut origins = HashMap::new();
    for (name, manifest) in config.manifest.iter() {
        let options = config.chains.get(&manifest.chain_id);
        let urls = options.map_or(&[][..], |options| &options.rpc);
        let chain = agent::connect(name, manifest, urls).await?;
        let domain = manifest.domain;
        let (name, manifest) = (name.to_owned(), manifest.clone());
        origins.insert(domain, Arc::new(Origin { name, domain, manifest, chain }));
    }
    Ok(origins)
}

/// What every part of a relayer is made of.
#[derive(Debug, Clone, Copy)]
struct System<'a> {
    config: &'a RelayerConfig,
    db: &'a Db,
    store: &'a Store,
    origins: &'a HashMap<Domain, Arc<Origin>>,
    keys: &'a [PrivateKeySigner],
}

impl System<'_> {
    /// Readers of the validators of every origin.
    async fn validators(self) -> Result<HashMap<Domain, Arc<Validators>>, RelayerError> {
        let http = location::http_client(self.config.fetch)?;
        let mut validators = HashMap::new();
        for origin in self.origins.values() {
            let memory = (self.store.clone(), self.store.prover(origin.domain).await?);
            let judging = (self.config.fetch, self.config.suspicion);
            let of = Validators::new(Arc::clone(origin), memory, judging, http.clone());
            validators.insert(origin.domain, Arc::new(of));
        }
        Ok(validators)
    }

    /// One sender for each key: its nonce stream on the destination.
    async fn senders(self, destination: &Origin) -> Result<Vec<Sender>, RelayerError> {
        let (chain, manifest) = (&destination.chain, &destination.manifest);
        let max_fee_cap =
            self.config.chains.get(&manifest.chain_id).and_then(|options| options.max_gas_price);
        let options = SenderConfig {
            fees: FeePolicy { max_fee_cap, ..FeePolicy::default() },
            confirm: manifest.finality,
            poll: self.config.interval,
            bump_after: BUMP_AFTER,
            ..SenderConfig::default()
        };
        let mut senders = Vec::new();
        for key in self.keys {
            let (db, options) = (self.db.clone(), options.clone());
            senders.push(Sender::start(db, chain.clone(), key.clone(), options).await?);
        }
        Ok(senders)
    }

    /// Confirms deliveries and keeps programs alive, as configured.
    fn look_after(self, chain: &Arc<Origin>, payer: &Sender, tasks: &Tasks) {
        if self.config.confirmations == Confirmations::Always {
            let confirmer = Confirmer {
                destination: Arc::clone(chain),
                store: self.store.clone(),
                sender: payer.clone(),
            };
            tasks.spawn(format!("confirm of {}", chain.name), confirmer.run(tasks.shutdown()));
        }
        if self.config.keep_alive && !chain.manifest.programs.is_empty() {
            let keeper = Keeper { chain: Arc::clone(chain), sender: payer.clone() };
            tasks.spawn(format!("keep alive on {}", chain.name), keeper.run(tasks.shutdown()));
        }
    }

    async fn lane(
        self,
        destination: &Origin,
        validators: &HashMap<Domain, Arc<Validators>>,
        senders: Vec<Sender>,
        inbox: mpsc::UnboundedReceiver<News>,
    ) -> Result<Lane, RelayerError> {
        let Self { config, .. } = self;
        let first = self.keys.first().ok_or(RelayerError::NoSigner)?;
        let (chain, manifest) = (&destination.chain, &destination.manifest);
        let http = location::http_client(config.fetch)?;
        let ccip = ccip::Fetcher { http, policy: config.fetch, signer: first.clone() };
        let mailbox = manifest.contracts.mailbox;
        let builder = Builder::new(chain.clone(), mailbox, validators.clone(), ccip);
        let policy = config
            .chains
            .get(&manifest.chain_id)
            .and_then(|options| options.gas_policy)
            .unwrap_or(config.gas_policy);
        let max_gas = config
            .chains
            .get(&manifest.chain_id)
            .and_then(|options| options.max_gas_per_transaction)
            .unwrap_or(config::MAX_GAS_PER_TRANSACTION);
        let to = Destination {
            chain: chain.clone(),
            domain: destination.domain,
            mailbox,
            start_block: manifest.start_block,
            router: manifest.contracts.router,
            store: self.store.clone(),
            from: first.address(),
            max_gas,
        };
        let preparer = Preparer::new(to, builder, policy);
        let multicall = manifest.contracts.multicall;
        let submitter = Submitter { chain: chain.clone(), mailbox, multicall };
        let names =
            self.origins.values().map(|origin| (origin.domain, origin.name.clone())).collect();
        let metrics = Metrics::new(destination.name.clone(), names);
        let options = LaneOptions { max_batch: config.max_batch, finality: manifest.finality };
        Ok(Lane::load(
            self.store.clone(),
            (preparer, submitter),
            senders,
            (options, metrics),
            (destination.domain, inbox),
        )
        .await?)
    }

    /// Starts to read every origin.
    fn index(self, lanes: &HashMap<Domain, mpsc::UnboundedSender<News>>, agent: &Agent) {
        for origin in self.origins.values() {
            let reading = Reading {
                origin: Arc::clone(origin),
                db: self.db.clone(),
                store: self.store.clone(),
                lanes: lanes.clone(),
                poll: self.config.interval,
            };
            let name = format!("read {}", origin.name);
            let health = agent.health.component(name.clone());
            agent.tasks.spawn(name, reading.run(health, agent.tasks.shutdown()));
        }
    }
}
