use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use chain::{
    ChainClient, Db,
    client::ClientOptions,
    db::Kind,
    manifest::{self, Manifest},
};
use futures::future::BoxFuture;
use protocol::ids::ChainId;
use service::{
    admin,
    clock::Clock,
    health::Health,
    tasks::{StopError, Tasks},
};
use tokio::sync::broadcast;

use crate::{
    Config,
    book::{Pricing, Token, TokenBook},
    config::TokenPrice,
    http::{self, App, AppParts, HttpConfig, Threads},
    market::{self, Market},
    orders::{Indexer, Leases, Orders, StoreError, Sweep, Watch},
    provider::{
        Asking, DuplicateProvider, HttpQuotes, Provider, Providers, SolverEndpoint, SolverNetwork,
        SolverNetworkError, SolverTerms,
    },
    pulse::{pulse, silence},
    quoting::{Assembly, Engine, EngineConfig, QuoteIds, RouteLimits, Sanity},
    reputation::Reputations,
    webhooks::{Hooks, Secrets, Sender},
};

/// Name of our own solvers among the providers.
const SOLVER_NETWORK: &str = "metalayer";
/// Changes that a slow listener may fall behind before it looks at its order anew.
const CHANGES: usize = 1_024;
/// How long requests in flight may take when the service stops: twice the longest quote.
const STOP: Duration = Duration::from_secs(5);

/// A running aggregator. Dropping it stops everything it started.
#[derive(Debug)]
pub struct Handle {
    admin: SocketAddr,
    tasks: Tasks,
    // Goes last: tasks that stop may hold what was opened on these threads.
    threads: Threads,
}

/// The aggregator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The deployment cannot be read.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// A chain cannot be used.
    #[error("chain {name}: {cause}")]
    Chain {
        /// Its name.
        name: String,
        /// Why.
        cause: chain::client::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A price is read from a chain that the deployment does not have.
    #[error("prices: chain {chain} is not in the manifest")]
    PriceChain {
        /// The chain.
        chain: ChainId,
    },
    /// No HTTP client for webhooks.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// A provider cannot be set up.
    #[error("provider: {0}")]
    Provider(#[from] SolverNetworkError),
    /// Two providers have one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateProvider),
    /// The operator's endpoint cannot start.
    #[error(transparent)]
    Admin(#[from] admin::AdminError),
    /// The API's address cannot be bound.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's word.
        cause: io::Error,
    },
}

impl Handle {
    /// Where the API listens.
    pub const fn address(&self) -> SocketAddr {
        self.threads.address()
    }

    /// Where the operator's endpoint listens.
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Completes when a part failed.
    pub async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// Finishes what is in flight and stops.
    ///
    /// # Errors
    /// [`StopError`] when a part had failed or did not end in time.
    pub async fn stop(self) -> Result<(), StopError> {
        self.tasks.stop(STOP).await
    }
}

/// Starts an aggregator.
///
/// # Errors
/// [`SpawnError`] for the first thing that is missing; nothing is left running then.
pub fn spawn(config: Config) -> BoxFuture<'static, Result<Handle, SpawnError>> {
    // Boxed: what it runs is compiled here, and not again in every program that starts one.
    Box::pin(start(config))
}

async fn start(config: Config) -> Result<Handle, SpawnError> {
    admin::record()?;
    begin_counters(&config);
    let manifest = Manifest::load(&config.manifest)?;
    let clients = clients(&manifest).await?;
    let db = Db::open(&config.database).await.map_err(StoreError::from)?;
    let shared = db.kind() == Kind::Postgres;
    let orders = Orders::open(db.clone()).await?;
    let (changes, _) = broadcast::channel(CHANGES);
    let (tasks, health, clock) = (Tasks::new(), Health::default(), Clock::system());

    for (name, chain) in manifest.iter() {
        let Some(client) = clients.get(&chain.chain_id) else { continue };
        let indexer = Indexer::new(
            chain.clone(),
            client.clone(),
            orders.clone(),
            Leases::new(db.clone(), &config.instance),
            (changes.clone(), clock.clone()),
        );
        let component = health.component(format!("index {name}"));
        tasks.spawn(format!("index {name}"), indexer.run(tasks.shutdown(), component));
        let component = health.component(format!("chain {name}"));
        let pulse = pulse(client.clone(), silence(), component, tasks.shutdown());
        tasks.spawn(format!("pulse of {name}"), pulse);
    }

    let reputations = Arc::new(Reputations::default());
    reputations.load(&db).await?;
    let sweeping = Sweep {
        orders: orders.clone(),
        reputations: Arc::clone(&reputations),
        changes: changes.clone(),
        clock: clock.clone(),
    };
    tasks.spawn("orders", sweeping.run(tasks.shutdown(), health.component("orders")));
    if shared {
        let watch = Watch::new(orders.clone(), changes.clone(), clock.clone());
        tasks.spawn("other instances", watch.run(tasks.shutdown()));
    }
    let (hooks, secrets) = (Hooks::new(db), Secrets::new(config.integrity_key.expose()));
    let sender = Sender::new(hooks.clone(), secrets.clone(), config.webhooks, clock.clone())?;
    tasks.spawn("webhooks", sender.run(tasks.shutdown(), health.component("webhooks")));

    let market = Market::open(&config, &clients, &clock).await?;
    let book = Arc::new(book(&config, market.as_ref()));
    if let Some(market) = market {
        let keep_fresh = market.keep_fresh(tasks.shutdown(), health.component("prices"));
        tasks.spawn("prices", keep_fresh);
    }
    let engine = engine(&config, &manifest, clients, &book, Arc::clone(&reputations), &clock)?;
    tasks.spawn("providers", engine.providers().clone().watch(tasks.shutdown()));
    let app = App::new(AppParts {
        engine,
        book,
        manifest,
        orders,
        changes,
        hooks,
        secrets,
        gasless: config.gasless,
        allow_private_webhooks: config.webhooks.allow_private,
        reputations,
        health: health.clone(),
        clock,
    });
    let http = HttpConfig {
        admission: config.admission.clone(),
        max_body: config.max_body,
        cors_origins: config.cors_origins.clone(),
    };
    let spawner = tasks.spawner();
    let admin = admin::serve(config.admin, health, Router::new(), &spawner).await?;
    let router = http::router(app, &http, &spawner);
    let threads = Threads::serve(config.listen, &router, &spawner)
        .await
        .map_err(|cause| SpawnError::Listen { address: config.listen, cause })?;
    tracing::info!(address = %threads.address(), %admin, "aggregator is up");
    Ok(Handle { admin, tasks, threads })
}

/// Lets the counters that alert rules watch begin at zero: one that comes into being with its first
/// event has not risen by then.
fn begin_counters(config: &Config) {
    for outcome in ["delivered", "failed", "dead"] {
        metrics::counter!("metalayer_aggregator_webhook_attempts_total", "outcome" => outcome)
            .increment(0);
    }
    let others = config.providers.iter().map(|provider| provider.name.as_str());
    for provider in others.chain([SOLVER_NETWORK]) {
        let label = provider.to_owned();
        metrics::counter!("metalayer_aggregator_offers_refused_total", "provider" => label)
            .increment(0);
    }
    for source in config.prices.iter().flat_map(|prices| &prices.sources) {
        metrics::counter!(market::FAULTS, "source" => source.name().to_owned()).increment(0);
    }
}

async fn clients(manifest: &Manifest) -> Result<BTreeMap<ChainId, ChainClient>, SpawnError> {
    let mut clients = BTreeMap::new();
    for (name, chain) in manifest.iter() {
        let cannot = |cause| SpawnError::Chain { name: name.to_owned(), cause };
        let client = ChainClient::new(chain.chain_id, &chain.rpc, ClientOptions::default())
            .map_err(cannot)?;
        client.check_chain_id().await.map_err(cannot)?;
        clients.insert(chain.chain_id, client);
    }
    Ok(clients)
}

fn book(config: &Config, market: Option<&Market>) -> TokenBook {
    let pricing = |price: &TokenPrice| match price {
        TokenPrice::Unknown => None,
        TokenPrice::Fixed(price) => Some(Pricing::Fixed(*price)),
        TokenPrice::Market(symbol) => market?.ticker(symbol).map(Pricing::Market),
    };
    TokenBook::new(config.tokens.iter().map(|token| Token {
        chain_id: token.chain_id,
        address: token.address,
        symbol: token.symbol.clone(),
        decimals: token.decimals,
        pricing: pricing(&token.price).unwrap_or(Pricing::Unknown),
    }))
}

fn engine(
    config: &Config,
    manifest: &Manifest,
    clients: BTreeMap<ChainId, ChainClient>,
    book: &Arc<TokenBook>,
    reputations: Arc<Reputations>,
    clock: &Clock,
) -> Result<Engine, SpawnError> {
    let endpoints: Vec<_> = config
        .solvers
        .iter()
        .map(|solver| SolverEndpoint { name: solver.name.clone(), url: solver.url.clone() })
        .collect();
    let mut sanity = Sanity { limits: config.limits, ..Sanity::default() };
    let terms = SolverTerms {
        breaker: config.breaker,
        patience: config.patience,
        sanity: sanity.clone(),
        clock: clock.clone(),
    };
    let solvers = SolverNetwork::new(SOLVER_NETWORK, &endpoints, manifest, terms)?;
    let mut providers: Vec<Arc<dyn Provider>> = vec![Arc::new(solvers)];
    for provider in &config.providers {
        let quotes =
            HttpQuotes::new(&provider.name, &provider.url).map_err(SolverNetworkError::from)?;
        providers.push(Arc::new(quotes.paying(provider.recipients.clone())));
        for contract in &provider.contracts {
            let targets = sanity.allowed_targets.entry(provider.name.clone()).or_default();
            targets.insert((contract.chain_id, contract.address));
        }
    }
    let reset = config.tokens.iter().filter(|token| token.reset_approval);
    let engine = EngineConfig {
        patience: config.patience,
        sanity,
        route_limits: RouteLimits::new(config.routes.clone()),
        simulations: config.simulations,
        assembly: Assembly {
            intent_sources: manifest
                .iter()
                .map(|(_, chain)| (chain.chain_id, chain.contracts.intent_source))
                .collect(),
            reset_approvals: reset.map(|token| (ChainId(token.chain_id), token.address)).collect(),
        },
        lifetimes: config.cache,
        book: Arc::clone(book),
    };
    let ids = QuoteIds::new(config.integrity_key.expose());
    let asking = Asking {
        breaker: config.breaker,
        at_once: config.provider_concurrency,
        keep: config.cache.offers,
    };
    let providers = Providers::new(providers, asking)?;
    Ok(Engine::new(engine, providers, reputations, clients, ids, clock.clone()))
}
