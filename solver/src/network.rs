//! The chains as this solver reaches them: clients, wallets, and the newest head of each.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use chain::{
    ChainClient, Db, Sender,
    client::{self, BlockHeader, ClientOptions, Fees},
    manifest::Manifest,
    sender::{FeePolicy, SenderConfig},
};
use protocol::ids::ChainId;
use service::{
    clock::Clock,
    health::{Component, Health, patience},
    tasks::Spawner,
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::config::{ChainConfig, Config};

/// One chain.
#[derive(Debug, Clone)]
pub struct Link {
    /// Reads.
    pub client: ChainClient,
    /// Every wallet that sends here; at least one.
    pub wallets: Vec<Sender>,
    head: watch::Receiver<Head>,
}

/// The newest block and what gas costs on top of it.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The block.
    pub block: BlockHeader,
    /// Prices per gas.
    pub fees: Fees,
}

impl Head {
    /// Wei per gas that a transaction of ours is expected to pay.
    pub const fn gas_price(&self) -> u128 {
        self.fees.base.saturating_add(self.fees.priority)
    }
}

impl Link {
    /// The newest head.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Waits for the next head; `false` when the service stops.
    pub async fn next_head(&mut self) -> bool {
        self.head.changed().await.is_ok()
    }

    /// The wallet with this address.
    pub fn wallet(&self, address: Address) -> Option<&Sender> {
        self.wallets.iter().find(|wallet| wallet.address() == address)
    }

    /// The wallet for work that any can do. Spread by what the work is about.
    pub fn wallet_for(&self, seed: u8) -> Option<&Sender> {
        self.wallets.get(usize::from(seed) % self.wallets.len().max(1))
    }
}

/// Why a chain cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chain cannot be reached, or is another one.
    #[error("chain {chain}: {source}")]
    Client {
        /// The chain.
        chain: ChainId,
        /// What the client says.
        source: client::Error,
    },
    /// A wallet's key cannot be had.
    #[error("chain {chain}: {source}")]
    Key {
        /// The chain.
        chain: ChainId,
        /// What is wrong with the key.
        source: chain::keys::Error,
    },
    /// A wallet's journal cannot be taken up.
    #[error("chain {chain}: {source}")]
    Sender {
        /// The chain.
        chain: ChainId,
        /// What the sender says.
        source: chain::sender::Error,
    },
    /// The configuration names a chain without a manifest entry.
    #[error("chain {chain} is not served")]
    NotServed {
        /// The chain.
        chain: ChainId,
    },
}

/// Every chain that is served.
#[derive(Debug, Clone)]
pub struct Network {
    links: Arc<BTreeMap<ChainId, Link>>,
}

impl Network {
    /// Connects to every chain, checks that it is the right one, and starts its wallets. Whether a
    /// chain answers from then on is a part of `health`.
    ///
    /// # Errors
    /// The first chain that cannot be used.
    pub async fn connect(
        config: &Config,
        manifest: &Manifest,
        db: &Db,
        tasks: &Spawner,
        health: &Health,
    ) -> Result<Self, Error> {
        let mut links = BTreeMap::new();
        for (id, chain) in &config.chains {
            links.insert(*id, link(*id, chain, manifest, db, tasks, health).await?);
        }
        Ok(Self { links: Arc::new(links) })
    }

    /// One chain.
    ///
    /// # Errors
    /// [`Error::NotServed`].
    pub fn link(&self, chain: ChainId) -> Result<&Link, Error> {
        self.links.get(&chain).ok_or(Error::NotServed { chain })
    }

    /// Every chain.
    pub fn links(&self) -> impl Iterator<Item = (ChainId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }
}

async fn link(
    id: ChainId,
    config: &ChainConfig,
    manifest: &Manifest,
    db: &Db,
    tasks: &Spawner,
    health: &Health,
) -> Result<Link, Error> {
    let deployed = manifest.by_chain_id(id).ok_or(Error::NotServed { chain: id })?.1;
    let urls = if config.rpc.is_empty() { &deployed.rpc } else { &config.rpc };
    let fault = |source| Error::Client { chain: id, source };
    let client = ChainClient::new(id, urls, ClientOptions::default()).map_err(fault)?;
    client.check_chain_id().await.map_err(fault)?;
    let mut wallets = Vec::new();
    for key in &config.wallets {
        let signer = key.load().map_err(|source| Error::Key { chain: id, source })?;
        let fees = FeePolicy { max_fee_cap: Some(config.max_gas_price), ..FeePolicy::default() };
        let sending = SenderConfig {
            confirm: config.confirm,
            poll: config.poll,
            fees,
            ..SenderConfig::default()
        };
        let sender = Sender::start(db.clone(), client.clone(), signer, sending)
            .await
            .map_err(|source| Error::Sender { chain: id, source })?;
        wallets.push(sender);
    }
    let first = read_head(&client).await.map_err(fault)?;
    let (sender, head) = watch::channel(first);
    let pulse = Pulse::new(id, config.poll, health);
    tasks.spawn(
        format!("head of {id}"),
        watch_head(client.clone(), config.poll, sender, pulse, tasks.shutdown()),
    );
    Ok(Link { client, wallets, head })
}

async fn read_head(client: &ChainClient) -> Result<Head, client::Error> {
    let (block, fees) = tokio::try_join!(client.latest(), client.fees())?;
    Ok(Head { block, fees })
}

/// Keeps the head fresh. A chain that does not answer leaves the old one, and health says so.
async fn watch_head(
    client: ChainClient,
    poll: Duration,
    head: watch::Sender<Head>,
    mut pulse: Pulse,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(poll);
    // A chain that answers again is not asked for every poll that it has missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let chain = client.chain_id().to_string();
        let read = pulse.during(read_head(&client));
        let Some(read) = shutdown.run_until_cancelled(read).await else { return };
        match read {
            Ok(new) => {
                pulse.beat();
                head.send_if_modified(|old| {
                    let moved = old.block.hash != new.block.hash;
                    *old = new;
                    moved
                });
                metrics::gauge!("solver_head_time_seconds", "chain" => chain.clone())
                    .set(new.block.timestamp as f64);
                metrics::gauge!("solver_gas_price_wei", "chain" => chain)
                    .set(new.gas_price() as f64);
            }
            Err(error) => {
                pulse.missed(&error);
                metrics::counter!("solver_head_faults_total", "chain" => chain).increment(1);
                tracing::warn!(chain = %client.chain_id(), %error, "no head");
            }
        }
    }
}

/// Whether a chain answers: a part of health, and a gauge for alerts.
///
/// It asks when reads succeed, not when blocks come: some chains make them only on demand.
#[derive(Debug)]
struct Pulse {
    chain: ChainId,
    health: Component,
    patience: Duration,
    /// The last read that succeeded: to measure by, and as unix time to tell.
    last: (Instant, u64),
    /// Why the last read failed.
    fault: Option<String>,
}

impl Pulse {
    /// The pulse of a chain that has just answered.
    fn new(chain: ChainId, poll: Duration, health: &Health) -> Self {
        let mut pulse = Self {
            chain,
            health: health.component(format!("chain {chain}")),
            patience: patience(poll),
            last: (Instant::now(), 0),
            fault: None,
        };
        pulse.beat();
        pulse
    }

    /// A read has succeeded.
    fn beat(&mut self) {
        let now = Clock::system().unix();
        self.last = (Instant::now(), now);
        self.fault = None;
        metrics::gauge!("solver_head_read_time_seconds", "chain" => self.chain.to_string())
            .set(now as f64);
        self.health.ok();
    }

    /// A read has failed.
    fn missed(&mut self, error: &client::Error) {
        self.fault = Some(error.to_string());
        self.tell_if_silent();
    }

    /// Waits for a read. One that takes too long is told before it ends.
    async fn during<T>(&self, read: impl Future<Output = T>) -> T {
        let mut read = std::pin::pin!(read);
        tokio::select! {
            outcome = &mut read => return outcome,
            () = tokio::time::sleep_until(self.last.0 + self.patience) => {}
        }
        self.tell_if_silent();
        read.await
    }

    fn tell_if_silent(&self) {
        let (last, since) = self.last;
        if last.elapsed() < self.patience {
            return;
        }
        let fault = self.fault.as_deref().unwrap_or("it does not answer");
        let chain = self.chain;
        self.health.failing(format!(
            "no read of the head of chain {chain} has succeeded since {since} (unix time): {fault}"
        ));
    }
}
