//! What both roles are to their surroundings: a process that checks its chains, takes its leases, serves,
//! and stops.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use chain::{
    ChainClient, Db,
    client::{self, ClientOptions},
    db,
    manifest::ChainManifest,
};
use service::{
    admin::{self, AdminError},
    clock::Clock,
    health::{Component, Health, patience},
    tasks::{StopError, Tasks},
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Why an agent cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Metrics cannot be served.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// A chain could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("chain {chain}: {source}")]
pub struct Unreachable {
    /// Name of the chain.
    pub chain: String,
    /// What went wrong.
    pub source: client::Error,
}

/// A running agent. Dropping it stops everything.
#[derive(Debug)]
pub struct Handle {
    tasks: Tasks,
    health: Health,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    stop_bound: Duration,
}

impl Handle {
    /// Where it serves others: a validator its files and `POST /read`, a relayer its status page and the
    /// gateway.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and health are served.
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The state of every part.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Resolves when the agent stops by itself, which is a failure.
    pub async fn ended(&self) {
        self.tasks.ended().await;
    }

    /// Stops; what is under way is taken up by the next start.
    ///
    /// # Errors
    /// What made a task fail, or that the stop took too long.
    pub async fn stop(self) -> Result<(), StopError> {
        self.tasks.stop(self.stop_bound).await
    }
}

/// An agent that is being started.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) tasks: Tasks,
    pub(crate) health: Health,
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    admin: Option<SocketAddr>,
    started: Component,
}

impl Agent {
    /// Takes the address it will serve on, and serves metrics and health at `admin`: what is measured
    /// before that is lost.
    pub(crate) async fn bind(
        address: SocketAddr,
        admin: Option<SocketAddr>,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (tasks, health) = (Tasks::new(), Health::default());
        let started = health.component("start");
        let admin = match admin {
            Some(address) => {
                let spawner = tasks.spawner();
                Some(admin::serve(address, health.clone(), Router::new(), &spawner).await?)
            }
            None => None,
        };
        Ok(Self { tasks, health, address, listener, admin, started })
    }

    /// Holds the leases as long as the agent lives: one key works in one process.
    pub(crate) async fn hold(&self, db: &Db, names: Vec<String>) -> Result<(), db::Error> {
        for name in names {
            db.lease(&name).await?.hold(&self.tasks);
        }
        Ok(())
    }

    /// Tells in health whether a chain answers, as long as the agent lives. Whoever works with a
    /// chain waits its failures out, and a chain without news looks like one that is gone.
    pub(crate) fn watch(&self, name: &str, chain: &ChainClient, interval: Duration) {
        let health = self.health.component(format!("chain {name}"));
        // It has just said which chain it is.
        health.ok();
        let pulse = pulse(chain.clone(), health, patience(interval), self.tasks.shutdown());
        self.tasks.spawn(format!("pulse of {name}"), pulse);
    }

    /// Serves `routes`: the start is over.
    pub(crate) fn serve(self, routes: Router, stop_bound: Duration) -> Handle {
        let Self { tasks, health, address, listener, admin, started } = self;
        let shutdown = tasks.shutdown();
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn("server", async move {
            axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
        });
        started.ok();
        Handle { tasks, health, address, admin, stop_bound }
    }
}

/// Reads the newest block now and then, and says in health when none could be read for `patience`.
async fn pulse(
    chain: ChainClient,
    health: Component,
    patience: Duration,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(patience / 6);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut since) = (Instant::now(), Clock::system().unix());
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let read = timeout(patience, chain.latest());
        let fault = match shutdown.run_until_cancelled(read).await {
            None => return,
            Some(Ok(Ok(_))) => {
                (last, since) = (Instant::now(), Clock::system().unix());
                health.ok();
                continue;
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => String::from("it does not answer"),
        };
        if last.elapsed() >= patience {
            health.failing(format!(
                "no block of chain {} could be read since {since} (unix time): {fault}",
                chain.chain_id()
            ));
        }
    }
}

/// A client for a chain of the manifest, at `urls` instead of the manifest's when there are any, checked to
/// be the chain it says.
pub(crate) async fn connect(
    name: &str,
    manifest: &ChainManifest,
    urls: &[Url],
) -> Result<ChainClient, Unreachable> {
    let failed = |source| Unreachable { chain: name.to_owned(), source };
    let urls = if urls.is_empty() { &manifest.rpc } else { urls };
    let chain =
        ChainClient::new(manifest.chain_id, urls, ClientOptions::default()).map_err(failed)?;
    chain.check_chain_id().await.map_err(failed)?;
    Ok(chain)
}
