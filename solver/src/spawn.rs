//! Starting and stopping: pre-flight checks first, then the tasks, then the doors.

use std::{net::SocketAddr, sync::Arc};

use chain::{Db, Follower, Manifest, manifest};
use futures::future::BoxFuture;
use service::{
    admin::{self, AdminError},
    clock::Clock,
    health::Health,
    tasks::{StopError, TaskFailure, Tasks},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    admin as operator,
    clock::millis,
    config::Config,
    counters,
    engine::{Engine, Parts},
    http,
    intake::{self, Intake},
    inventory::{self, Inventory},
    latency,
    network::{self, Network},
    policy::{NotDeployed, Policy},
    preflight,
    quote::Quoter,
    rebalance::{AlertOnly, ByIntents, Rebalancer},
    store::{self, Store},
    valuer::Valuer,
};

/// How often transfers between our wallets are looked at.
const TRANSFERS_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Why the solver does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The manifest lacks a chain.
    #[error(transparent)]
    NotDeployed(#[from] NotDeployed),
    /// The database cannot be opened.
    #[error(transparent)]
    Db(#[from] chain::db::Error),
    /// The books cannot be opened.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A chain cannot be used.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// Something on a chain is not as the manifest says.
    #[error(transparent)]
    Preflight(#[from] preflight::Faults),
    /// Balances cannot be read, or the Inbox not approved.
    #[error(transparent)]
    Inventory(#[from] inventory::Error),
    /// A chain cannot be followed.
    #[error(transparent)]
    Follower(#[from] chain::follower::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operator's endpoint cannot be served.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// A running solver. Dropping it stops everything at once.
#[derive(Debug)]
pub struct Handle {
    api: SocketAddr,
    admin: SocketAddr,
    store: Store,
    stop_bound: std::time::Duration,
    tasks: Tasks,
}

impl Handle {
    /// Where quotes and intents are taken.
    pub const fn api_addr(&self) -> SocketAddr {
        self.api
    }

    /// Where metrics, health and the operator's API are served.
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The books, for reports and tests.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Completes when the solver has stopped by itself, because a task failed.
    pub async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// What ended it, if something did.
    pub fn failure(&self) -> Option<TaskFailure> {
        self.tasks.failure()
    }

    /// Stops taking intents, lets the looks under way end, and closes the doors.
    ///
    /// # Errors
    /// When a task had failed, or did not end in time.
    pub async fn stop(self) -> Result<(), StopError> {
        self.tasks.stop(self.stop_bound).await
    }
}

/// Starts a solver.
///
/// # Errors
/// [`Error`]: everything that can be known to be wrong before money is at stake.
pub fn spawn(config: Config) -> BoxFuture<'static, Result<Handle, Error>> {
    // Boxed: what it runs is compiled here, and not again in every program that starts one.
    Box::pin(start(config))
}

async fn start(config: Config) -> Result<Handle, Error> {
    admin::record()?;
    counters::begin(&config);
    let clock = Clock::system();
    let tasks = Tasks::new();
    let spawner = tasks.spawner();
    let manifest = Manifest::load(&config.manifest)?;
    let policy = Arc::new(Policy::new(&config, &manifest)?);
    let db = Db::open(&config.database).await?;
    // Two solvers with the same books and wallets would both fill.
    db.lease("solver").await?.hold(&tasks);
    let store = Store::open(db.clone()).await?;
    restore_latencies(&policy, &store, millis(&clock)).await?;
    let health = Health::default();
    let network = Network::connect(&config, &manifest, &db, &spawner, &health).await?;
    preflight::check(&policy, &network).await?;
    let client = |chain| network.link(chain).map(|link| link.client.clone());
    let board = config.prices.board(client, &clock, counters::PRICE_FAULTS)?;
    board.refresh().await;
    let valuer = Valuer::new(Arc::clone(&policy), board.clone(), clock.clone());
    let moved = Arc::new(Notify::new());
    let engine = Arc::new(Engine::new(Parts {
        network: network.clone(),
        policy: Arc::clone(&policy),
        store: store.clone(),
        valuer: valuer.clone(),
        clock: clock.clone(),
        run: config.run,
        moved: Arc::clone(&moved),
        parallel: config.parallel,
        tick: config.tick,
        patience: config.stop_bound / 2,
    }));
    let rebalancer = rebalancer(&config, &engine);
    let inventory = Inventory {
        network: network.clone(),
        policy: Arc::clone(&policy),
        store: store.clone(),
        valuer: valuer.clone(),
        clock: clock.clone(),
        moved,
        rebalancer: Arc::clone(&rebalancer),
    };
    inventory.read_all().await?;
    if config.run == crate::Run::Live {
        inventory.approve_all().await?;
    }
    let (wake, woken) = mpsc::unbounded_channel();
    for served in policy.chains() {
        let link = network.link(served.id)?;
        let poll = config.chains.get(&served.id).map_or(config.tick, |chain| chain.poll);
        let following = intake::following(served, poll);
        let follower = Follower::start(db.clone(), link.client.clone(), following).await?;
        let intake = Arc::new(Intake {
            chain: served.id,
            store: store.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
        });
        let name = format!("intake of {}", served.id);
        spawner.spawn(name, intake.run(follower, spawner.shutdown()));
    }
    spawner.spawn("engine", Arc::clone(&engine).run(woken, spawner.shutdown()));
    spawner.spawn("inventory", inventory.run(spawner.shutdown()));
    spawner.spawn("rebalancing", pursue_transfers(rebalancer, spawner.shutdown()));
    let keep_fresh = board.keep_fresh(config.prices.refresh, spawner.shutdown(), || ());
    spawner.spawn("prices", keep_fresh);
    let quoter = Arc::new(Quoter::new(&config, Arc::clone(&engine)));
    spawner.spawn("quotes", Arc::clone(&quoter).expire(spawner.shutdown()));
    let api = http::serve(&config, quoter, Arc::clone(&engine), wake, &spawner).await?;
    health.component("solver").ok();
    let routes = operator::routes(&config, engine);
    let admin = admin::serve(config.admin_listen, health, routes, &spawner).await?;
    tracing::info!(%api, %admin, chains = config.chains.len(), "solver runs");
    Ok(Handle { api, admin, store, stop_bound: config.stop_bound, tasks })
}

/// Begins with the times from fill to proof that were measured before, as far as they still count.
async fn restore_latencies(policy: &Policy, store: &Store, now: u64) -> Result<(), store::Error> {
    let life = u64::try_from(latency::LIFE.as_millis()).unwrap_or(u64::MAX);
    policy.restore(&store.measurements(now.saturating_sub(life)).await?, now);
    Ok(())
}

/// Who moves inventory to where it is short.
fn rebalancer(config: &Config, engine: &Arc<Engine>) -> Arc<dyn Rebalancer> {
    match config.rebalancing {
        Some(bounds) if config.run == crate::Run::Live => {
            Arc::new(ByIntents::new(Arc::clone(engine), bounds))
        }
        Some(_) | None => Arc::new(AlertOnly),
    }
}

/// Goes on with transfers between our wallets until shutdown.
async fn pursue_transfers(rebalancer: Arc<dyn Rebalancer>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(TRANSFERS_EVERY);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        // What is being sent is in the journal: stopping in the middle loses nothing.
        let _ = shutdown.run_until_cancelled(rebalancer.pursue()).await;
    }
}
