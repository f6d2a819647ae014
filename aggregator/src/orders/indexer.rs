use std::{pin::pin, time::Duration};

use alloy::{primitives::B256, rpc::types::Log, sol_types::SolEvent};
use api::aggregator::RewardToken;
use chain::{
    ChainClient,
    follower::{Batch, BlockLogs, Event, Follower, FollowerConfig},
    manifest::ChainManifest,
};
use protocol::{
    abi::{inbox, intent::TokenAmount, intent_source, prover},
    ids::{ChainId, IntentHash},
};
use service::{clock::Clock, health::Component, retry::Backoff};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Fact, Lease, Leases, Orders, Published, Sighting, StoreError, lease::LENGTH};

/// Pause between two tries for the lease of a chain that another instance indexes.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Keeps what our contracts on one chain say of orders. Of several instances on one database, one
/// at a time does so for each chain.
#[derive(Debug)]
pub struct Indexer {
    manifest: ChainManifest,
    client: ChainClient,
    orders: Orders,
    leases: Leases,
    changes: Changes,
    clock: Clock,
}

/// An indexer at work.
struct Indexing<'a> {
    indexer: &'a Indexer,
    lease: Lease,
    follower: Follower,
}

/// Tells who listens which orders changed. Whoever lags behind reads the order anew.
pub type Changes = broadcast::Sender<IntentHash>;

/// The indexer cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IndexerError {
    /// The chain or the cursor.
    #[error(transparent)]
    Follower(#[from] chain::follower::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<chain::db::Error> for IndexerError {
    fn from(error: chain::db::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<sqlx::Error> for IndexerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl IndexerError {
    /// Whether beginning anew may help.
    const fn passes(&self) -> bool {
        match self {
            Self::Follower(chain::follower::Error::ReorgTooDeep { .. }) => false,
            Self::Follower(_) | Self::Store(_) => true,
        }
    }

    /// Says so in health. A chain concerns the orders of that chain, a database all of them.
    fn tell(&self, health: &Component) {
        match self {
            Self::Follower(chain::follower::Error::Chain(_)) => health.degraded(self.to_string()),
            Self::Follower(_) | Self::Store(_) => health.failing(self.to_string()),
        }
    }
}

/// What one log says.
enum Said {
    Published(IntentHash, Published),
    Fact(IntentHash, Fact),
}

impl Indexer {
    /// An indexer of this chain.
    pub fn new(
        manifest: ChainManifest,
        client: ChainClient,
        orders: Orders,
        leases: Leases,
        (changes, clock): (Changes, Clock),
    ) -> Self {
        Self { manifest, client, orders, leases, changes, clock }
    }

    /// Indexes whenever this instance holds the chain's lease, until `shutdown`. A database or chain
    /// that fails is waited out; what was committed stays.
    ///
    /// # Errors
    /// [`IndexerError::Follower`] for what does not pass: a reorganization deeper than is remembered.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        health: Component,
    ) -> Result<(), IndexerError> {
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            match self.take_turn(&shutdown, &health).await {
                Ok(()) => backoff = Backoff::default(),
                Err(error) if error.passes() => {
                    tracing::warn!(chain = self.manifest.chain_id.0, %error, "indexing begins anew");
                    error.tell(&health);
                    backoff.pause(&shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Indexes for as long as the lease is held, or waits a little when another instance holds it.
    async fn take_turn(
        &self,
        shutdown: &CancellationToken,
        health: &Component,
    ) -> Result<(), IndexerError> {
        let name = format!("index {}", self.manifest.chain_id.0);
        let Some(lease) = self.leases.acquire(&name, self.clock.since_epoch()).await? else {
            health.ok();
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
            return Ok(());
        };
        let (db, client) = (self.orders.db().clone(), self.client.clone());
        let follower = Follower::start(db, client, self.follows()).await?;
        Indexing { indexer: self, lease, follower }.run(shutdown, health).await
    }

    /// `false` when the lease was lost.
    async fn renew(&self, lease: &Lease) -> Result<bool, IndexerError> {
        let mut tx = self.orders.db().begin().await?;
        let held = lease.renew(&mut tx, self.clock.since_epoch()).await?;
        tx.commit().await?;
        Ok(held)
    }

    fn follows(&self) -> FollowerConfig {
        let contracts = &self.manifest.contracts;
        FollowerConfig {
            addresses: vec![
                contracts.intent_source,
                contracts.inbox,
                contracts.meta_prover_instant,
                contracts.meta_prover_finalized,
            ],
            events: vec![
                intent_source::IntentPublished::SIGNATURE_HASH,
                intent_source::IntentFunded::SIGNATURE_HASH,
                intent_source::IntentWithdrawn::SIGNATURE_HASH,
                intent_source::IntentRefunded::SIGNATURE_HASH,
                inbox::IntentFulfilled::SIGNATURE_HASH,
                inbox::IntentProven::SIGNATURE_HASH,
                prover::IntentProven::SIGNATURE_HASH,
                prover::IntentProofInvalidated::SIGNATURE_HASH,
            ],
            ws: self.manifest.ws.clone(),
            ..FollowerConfig::new("aggregator", self.manifest.start_block)
        }
    }

    async fn add(
        &self,
        tx: &mut chain::db::Tx,
        added: &BlockLogs,
        now: Duration,
        changed: &mut Vec<IntentHash>,
    ) -> Result<(), IndexerError> {
        for log in &added.logs {
            let Some(said) = self.decode(log) else { continue };
            let (id, fact) = match said {
                Said::Fact(id, fact) => (id, fact),
                Said::Published(id, order) => {
                    // What is read at once stays in the order in which the chain has it.
                    let place = u64::try_from(changed.len()).unwrap_or(u64::MAX);
                    let seen = now.saturating_add(Duration::from_micros(place));
                    self.orders.publish(tx, id, &order, added.block.timestamp, seen).await?;
                    (id, Fact::Published)
                }
            };
            let sighting = Sighting {
                id,
                fact,
                chain: self.manifest.chain_id,
                block_number: added.block.number,
                block_hash: added.block.hash,
                log_index: log.log_index.unwrap_or_default(),
                transaction: log.transaction_hash.unwrap_or_default(),
                at: added.block.timestamp,
            };
            self.orders.see(tx, &sighting).await?;
            changed.push(id);
        }
        Ok(self.orders.tick(tx, self.manifest.chain_id, added.block.timestamp).await?)
    }

    /// What a log says, by who wrote it: the two `IntentProven` events mean different things.
    fn decode(&self, log: &Log) -> Option<Said> {
        let contracts = &self.manifest.contracts;
        let (address, log) = (log.address(), &log.inner);
        let fact = |id: B256, fact| Some(Said::Fact(id.into(), fact));
        if address == contracts.intent_source {
            if let Ok(event) = intent_source::IntentPublished::decode_log(log) {
                let order = published(self.manifest.chain_id, &event);
                return Some(Said::Published(event.intentHash.into(), order));
            }
            if let Ok(event) = intent_source::IntentFunded::decode_log(log) {
                return event.complete.then(|| Said::Fact(event.intentHash.into(), Fact::Funded));
            }
            if let Ok(event) = intent_source::IntentWithdrawn::decode_log(log) {
                return fact(event.intentHash, Fact::Withdrawn);
            }
            let event = intent_source::IntentRefunded::decode_log(log).ok()?;
            return fact(event.intentHash, Fact::Refunded);
        }
        if address == contracts.inbox {
            if let Ok(event) = inbox::IntentFulfilled::decode_log(log) {
                return fact(event.intentHash, Fact::Filled);
            }
            let event = inbox::IntentProven::decode_log(log).ok()?;
            return fact(event.intentHash, Fact::ProofSent);
        }
        if let Ok(event) = prover::IntentProven::decode_log(log) {
            return fact(event.intentHash, Fact::Proven);
        }
        let event = prover::IntentProofInvalidated::decode_log(log).ok()?;
        fact(event.intentHash, Fact::ProofRemoved)
    }
}

fn published(origin: ChainId, event: &intent_source::IntentPublished) -> Published {
    let token = |leg: &TokenAmount| RewardToken { token: leg.token, amount: leg.amount.into() };
    Published {
        origin,
        destination: ChainId(event.destination),
        creator: event.creator,
        deadline: event.rewardDeadline,
        reward_native: event.rewardNativeAmount,
        reward_tokens: event.rewardTokens.iter().map(token).collect(),
    }
}

/// What an indexer waits for.
enum Next {
    Batch(Batch),
    Shutdown,
    /// Another instance has the lease.
    Lost,
}

impl Indexing<'_> {
    async fn run(
        mut self,
        shutdown: &CancellationToken,
        health: &Component,
    ) -> Result<(), IndexerError> {
        loop {
            let held = match self.next(shutdown).await? {
                Next::Batch(batch) => self.take_in(batch, health).await?,
                Next::Shutdown => return self.give_back().await,
                Next::Lost => false,
            };
            if !held {
                tracing::info!(
                    chain = self.indexer.manifest.chain_id.0,
                    "another instance indexes"
                );
                return Ok(());
            }
        }
    }

    /// Waits for news, and keeps the lease meanwhile. One look at a slow chain may take longer than
    /// the lease lasts: it goes on while the lease is renewed.
    async fn next(&mut self, shutdown: &CancellationToken) -> Result<Next, IndexerError> {
        let Self { indexer, lease, follower } = self;
        let mut looking = pin!(follower.next());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(Next::Shutdown),
                batch = &mut looking => return Ok(Next::Batch(batch?)),
                () = tokio::time::sleep(LENGTH / 3) => {
                    if !indexer.renew(lease).await? {
                        return Ok(Next::Lost);
                    }
                }
            }
        }
    }

    /// `false` when the lease was lost: nothing was written then.
    async fn take_in(&mut self, batch: Batch, health: &Component) -> Result<bool, IndexerError> {
        let Indexer { manifest, orders, changes, clock, .. } = self.indexer;
        let (mut changed, now) = (Vec::new(), clock.since_epoch());
        let mut tx = orders.db().begin().await?;
        if !self.lease.renew(&mut tx, clock.since_epoch()).await? {
            return Ok(false);
        }
        for event in &batch.events {
            match event {
                Event::Added(added) => self.indexer.add(&mut tx, added, now, &mut changed).await?,
                Event::Removed(block) => {
                    changed.extend(orders.unsee(&mut tx, manifest.chain_id, block.hash).await?);
                }
            }
        }
        let changed = orders.refresh(&mut tx, changed, clock.since_epoch()).await?;
        self.follower.acknowledge(&mut tx).await?;
        tx.commit().await?;
        health.ok();
        // Nobody listening is no error.
        changed.into_iter().for_each(|id| drop(changes.send(id)));
        Ok(true)
    }

    async fn give_back(&self) -> Result<(), IndexerError> {
        let mut tx = self.indexer.orders.db().begin().await?;
        self.lease.release(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}
