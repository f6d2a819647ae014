//! A network of chains that speak JSON-RPC over HTTP and WebSocket.

mod frame;
mod http;
mod produce;
mod websocket;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use std::sync::Arc;

use axum::{
    Router,
    serve::{Listener, ListenerExt},
};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{Chain, Error as ChainError},
    config::{ChainConfig, Config},
    faults::{FaultRule, Faults},
    rpc::Node,
};

/// Why a network could not start.
#[derive(Debug, Error)]
pub enum Error {
    /// The port is taken, or not allowed.
    #[error("chain {chain_id} cannot listen on {address}: {source}")]
    Listen {
        /// The chain.
        chain_id: u64,
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Two chains have one id.
    #[error("chain id {0} is given twice")]
    DuplicateChain(u64),
    /// The log on disk could not be used.
    #[error("chain {chain_id}: {source}")]
    Chain {
        /// The chain.
        chain_id: u64,
        /// What is wrong.
        source: Box<ChainError>,
    },
}

/// A running network; dropping it stops every chain and frees the ports.
#[derive(Debug)]
pub struct Handle {
    chains: Vec<ChainHandle>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// One running chain.
#[derive(Debug, Clone)]
pub struct ChainHandle {
    node: Arc<Node>,
    address: SocketAddr,
}

/// Starts the chains of `config` and their servers.
///
/// # Errors
/// When a port cannot be used, a chain id comes twice, or a log on disk does not fit.
pub async fn spawn(config: Config) -> Result<Handle, Error> {
    let mut handle =
        Handle { chains: Vec::new(), stop: CancellationToken::new(), tasks: JoinSet::new() };
    for chain_config in config.chains {
        let chain_id = chain_config.chain_id;
        if handle.chain(chain_id).is_some() {
            return Err(Error::DuplicateChain(chain_id));
        }
        let (listener, address) = listen(config.host, &chain_config).await?;
        let chain = open(chain_config, config.seed, config.data_dir.as_ref())?;
        let node = Arc::new(Node::new(chain, Faults::new(config.seed ^ chain_id)));
        handle.start(node, listener, address);
    }
    Ok(handle)
}

impl Handle {
    /// The chains in the order of the configuration.
    #[must_use]
    pub fn chains(&self) -> &[ChainHandle] {
        &self.chains
    }

    /// The chain with this id.
    #[must_use]
    pub fn chain(&self, chain_id: u64) -> Option<&ChainHandle> {
        self.chains.iter().find(|chain| chain.node.chain.chain_id() == chain_id)
    }

    /// Stops everything and waits until the ports are free.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, node: Arc<Node>, listener: TcpListener, address: SocketAddr) {
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY refused");
            }
        });
        let (router, stop) = (router(Arc::clone(&node), self.stop.clone()), self.stop.clone());
        self.tasks.spawn(serve(listener, router, stop.clone()));
        self.tasks.spawn(produce::blocks(node.chain.clone(), stop));
        self.chains.push(ChainHandle { node, address });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
        // Connections end by the token; the listener goes with its task.
        self.tasks.abort_all();
    }
}

impl ChainHandle {
    /// The chain itself.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.node.chain.clone()
    }

    /// EIP-155 chain id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.node.chain.chain_id()
    }

    /// Where the server listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// URL for JSON-RPC over HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// URL for JSON-RPC over WebSocket, on the same port.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Lets something go wrong from now on.
    pub fn set_fault(&self, rule: FaultRule) {
        self.node.faults.set(rule);
    }

    /// Lets nothing go wrong any more.
    pub fn clear_faults(&self) {
        self.node.faults.clear();
    }
}

async fn listen(host: IpAddr, config: &ChainConfig) -> Result<(TcpListener, SocketAddr), Error> {
    let wanted = SocketAddr::new(host, config.port);
    let failed = |source| Error::Listen { chain_id: config.chain_id, address: wanted, source };
    let listener = TcpListener::bind(wanted).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn open(config: ChainConfig, seed: u64, data_dir: Option<&PathBuf>) -> Result<Chain, Error> {
    let Some(folder) = data_dir else { return Ok(Chain::with_seed(config, seed)) };
    let chain_id = config.chain_id;
    let path = folder.join(format!("chain-{chain_id}.jsonl"));
    Chain::open(config, seed, &path)
        .map_err(|source| Error::Chain { chain_id, source: Box::new(source) })
}

fn router(node: Arc<Node>, stop: CancellationToken) -> Router {
    Router::new().fallback(http::answer).with_state(Served { node, stop })
}

async fn serve<L>(listener: L, router: Router, stop: CancellationToken)
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "JSON-RPC server stopped");
    }
}

/// What every connection shares.
#[derive(Debug, Clone)]
struct Served {
    node: Arc<Node>,
    stop: CancellationToken,
}
