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
    health::{Component, Health},
    tasks::{StopError, Tasks},
};
use tokio::net::TcpListener;
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
            let lease = db.lease(&name).await?;
            let shutdown = self.tasks.shutdown();
            self.tasks.spawn(format!("lease {name}"), async move {
                let lost = shutdown.run_until_cancelled(lease.lost()).await;
                lost.map_or(Ok(()), Err)
            });
        }
        Ok(())
    }

    /// Serves `routes`: the start is over.
    pub(crate) fn serve(self, routes: Router, stop_bound: Duration) -> Handle {
        let Self { tasks, health, address, listener, admin, started } = self;
        let shutdown = tasks.shutdown();
        tasks.spawn("server", async move {
            axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
        });
        started.ok();
        Handle { tasks, health, address, admin, stop_bound }
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
