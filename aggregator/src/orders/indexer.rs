use alloy::{primitives::B256, rpc::types::Log, sol_types::SolEvent};
use chain::{
    ChainClient,
    follower::{BlockLogs, Event, Follower, FollowerConfig},
    manifest::ChainManifest,
};
use protocol::{
    abi::{inbox, intent_source, prover},
    ids::{ChainId, IntentHash},
};
use service::health::Component;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{Fact, Orders, Published, Sighting, StoreError};

/// Follows our contracts on one chain and keeps what they say of orders.
#[derive(Debug)]
pub struct Indexer {
    chain: ChainId,
    manifest: ChainManifest,
    orders: Orders,
    follower: Follower,
    changes: Changes,
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

/// What one log says.
enum Said {
    Published(IntentHash, Published),
    Fact(IntentHash, Fact),
}

impl Indexer {
    /// Takes up where the cursor `instance` of this chain stands.
    ///
    /// # Errors
    /// [`IndexerError`].
    pub async fn start(
        instance: &str,
        manifest: ChainManifest,
        client: ChainClient,
        orders: Orders,
        changes: Changes,
    ) -> Result<Self, IndexerError> {
        let contracts = &manifest.contracts;
        let config = FollowerConfig {
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
            ws: manifest.ws.clone(),
            ..FollowerConfig::new(format!("aggregator-{instance}"), manifest.start_block)
        };
        let follower = Follower::start(orders.db().clone(), client, config).await?;
        Ok(Self { chain: manifest.chain_id, manifest, orders, follower, changes })
    }

    /// Indexes until `shutdown`.
    ///
    /// # Errors
    /// [`IndexerError`]; what was committed stays.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        health: Component,
    ) -> Result<(), IndexerError> {
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                batch = self.follower.next() => batch?,
            };
            let mut changed = Vec::new();
            let mut tx = self.orders.db().begin().await?;
            for event in &batch.events {
                match event {
                    Event::Added(added) => self.add(&mut tx, added, &mut changed).await?,
                    Event::Removed(block) => {
                        changed.extend(self.orders.unsee(&mut tx, self.chain, block.hash).await?);
                    }
                }
            }
            self.follower.acknowledge(&mut tx).await?;
            tx.commit().await.map_err(StoreError::from)?;
            health.ok();
            // Nobody listening is no error.
            changed.into_iter().for_each(|id| drop(self.changes.send(id)));
        }
    }

    async fn add(
        &self,
        tx: &mut chain::db::Tx,
        added: &BlockLogs,
        changed: &mut Vec<IntentHash>,
    ) -> Result<(), IndexerError> {
        for log in &added.logs {
            let Some(said) = self.decode(log) else { continue };
            let (id, fact) = match said {
                Said::Fact(id, fact) => (id, fact),
                Said::Published(id, order) => {
                    self.orders.publish(tx, id, &order, added.block.timestamp).await?;
                    (id, Fact::Published)
                }
            };
            let sighting = Sighting {
                id,
                fact,
                chain: self.chain,
                block_number: added.block.number,
                block_hash: added.block.hash,
                log_index: log.log_index.unwrap_or_default(),
                transaction: log.transaction_hash.unwrap_or_default(),
                at: added.block.timestamp,
            };
            self.orders.see(tx, &sighting).await?;
            changed.push(id);
        }
        Ok(self.orders.tick(tx, self.chain, added.block.timestamp).await?)
    }

    /// What a log says, by who wrote it: the two `IntentProven` events mean different things.
    fn decode(&self, log: &Log) -> Option<Said> {
        let contracts = &self.manifest.contracts;
        let (address, log) = (log.address(), &log.inner);
        let fact = |id: B256, fact| Some(Said::Fact(id.into(), fact));
        if address == contracts.intent_source {
            if let Ok(event) = intent_source::IntentPublished::decode_log(log) {
                let order = Published {
                    origin: self.chain,
                    destination: ChainId(event.destination),
                    creator: event.creator,
                    deadline: event.rewardDeadline,
                    reward_native: event.rewardNativeAmount,
                };
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
