//! Reading one chain: dispatched messages, leaves of its tree, payments, what its mailbox processed, and
//! what reorgs take back. One that cannot be read stops none of the others.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256},
    rpc::types::Log,
    sol_types::SolEvent as _,
};
use chain::{
    ChainClient, Db, Follower, client,
    db::{self, Tx},
    follower::{self, Batch, BlockRef, Event, FollowerConfig},
    manifest::ChainManifest,
};
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, Mailbox, MerkleTreeHook},
    ids::{Domain, MailboxMessageId},
    merkle::{IncrementalTree, TreeFull},
    message::{Envelope, Message},
};
use service::{clock::Clock, crash_point, health::Component, retry::Backoff};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Key, Process, State, Stored},
    store::{self, Leaf, Payment, Store},
};
use crate::trunk::{Trunk, TrunkError};

/// When a chain that could not be read is read again, at first and at most.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));

/// Why an origin is not read any more.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The follower stopped.
    #[error(transparent)]
    Follow(#[from] follower::Error),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] client::Error),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A leaf is missing in front of another: a node hid it, or the start block lies after the first leaf.
    #[error("leaf {given} of domain {origin} follows {expected} leaves: is the start block right?")]
    Gap {
        /// The origin.
        origin: Domain,
        /// Index that had to come.
        expected: u64,
        /// Index that came.
        given: u32,
    },
    /// The tree holds 2^32 - 1 leaves.
    #[error(transparent)]
    TreeFull(#[from] TreeFull),
}

impl OriginError {
    /// Whether the database failed. One that gave up a transaction for another one has not.
    fn is_databases(&self) -> bool {
        match self {
            Self::Db(error) | Self::Follow(follower::Error::Db(error)) => !error.is_conflict(),
            Self::Follow(_) | Self::Chain(_) | Self::Gap { .. } | Self::TreeFull(_) => false,
        }
    }
}

impl From<TrunkError> for OriginError {
    fn from(error: TrunkError) -> Self {
        match error {
            TrunkError::Db(error) => error.into(),
            TrunkError::Full(full) => full.into(),
        }
    }
}

impl From<sqlx::Error> for OriginError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What an origin tells the lane of a destination.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// A message was dispatched.
    Added(Box<Stored>),
    /// Its block is gone.
    Orphaned(Key),
}

/// What is known of an origin.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) name: String,
    pub(super) domain: Domain,
    pub(super) manifest: ChainManifest,
    pub(super) chain: ChainClient,
}

impl Origin {
    /// The origin's tree hook, as checkpoints and metadata name it.
    pub(super) fn hook(&self) -> B256 {
        self.manifest.contracts.merkle_tree_hook.into_word()
    }

    /// Lets the counters of the alert rules begin at zero. One that comes into being with its first
    /// event has not risen by then, and the rule would miss the event.
    pub(super) fn begin_counters(&self) {
        metrics::counter!(
            "metalayer_relayer_delivered_orphans_total", "origin" => self.name.clone()
        )
        .increment(0);
        self.failures().increment(0);
    }

    /// Counts how often reading it failed.
    fn failures(&self) -> metrics::Counter {
        metrics::counter!(
            "metalayer_relayer_origin_failures_total", "origin" => self.name.clone()
        )
    }

    /// The cursor's name.
    fn cursor(&self) -> String {
        format!("relayer:{}", self.domain)
    }
}

/// What reading a chain needs, as often as it is begun.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) origin: Arc<Origin>,
    pub(super) db: Db,
    pub(super) store: Store,
    pub(super) lanes: HashMap<Domain, mpsc::UnboundedSender<News>>,
    /// How often it is asked for a new block.
    pub(super) poll: Duration,
}

impl Reading {
    /// Reads until `shutdown`, again and again: a failure is told in health and concerns this chain only.
    ///
    /// # Errors
    /// When the database fails, which concerns all of them.
    pub(super) async fn run(
        self,
        health: Component,
        shutdown: CancellationToken,
    ) -> Result<(), OriginError> {
        let fresh = || Backoff::new(RETRY_AFTER.0, RETRY_AFTER.1);
        let mut backoff = fresh();
        // One that failed is well again with its first batch.
        let mut is_well = true;
        loop {
            let since = Instant::now();
            let Err(error) = self.read(&health, &shutdown, is_well).await else { return Ok(()) };
            if error.is_databases() {
                return Err(error);
            }
            let is_gap = matches!(error, OriginError::Gap { .. });
            is_well = false;
            self.origin.failures().increment(1);
            health.failing(error.to_string());
            tracing::error!(origin = self.origin.name, %error, "cannot be read, will try again");
            if since.elapsed() > RETRY_AFTER.1 {
                backoff = fresh();
            }
            if !backoff.pause(&shutdown).await {
                return Ok(());
            }
            // Only now: a reorg during the pause is told of the blocks that the cursor has passed.
            if is_gap && let Err(error) = self.rewind().await {
                tracing::error!(origin = self.origin.name, %error, "cannot be read from further back");
            }
        }
    }

    /// Reads on from where the last try stopped.
    async fn read(
        &self,
        health: &Component,
        shutdown: &CancellationToken,
        mut is_well: bool,
    ) -> Result<(), OriginError> {
        let mut indexer = Indexer::start(self).await?;
        if is_well {
            health.ok();
        }
        while let Some(batch) = shutdown.run_until_cancelled(indexer.follower.next()).await {
            indexer.apply(batch?).await?;
            if !is_well {
                health.ok();
                is_well = true;
            }
        }
        Ok(())
    }

    /// Begins again at the block of the last leaf: what a node hid since then is read in the second try. A block
    /// that is not on the chain any more stays behind the cursor, so that the follower tells of its removal.
    async fn rewind(&self) -> Result<(), OriginError> {
        let origin = &self.origin;
        let below = match self.store.last_leaf_block(origin.domain).await? {
            Some(hash) => {
                let block = origin.chain.block(BlockId::hash(hash)).await?;
                let Some(block) = block else { return Ok(()) };
                let canonical = origin.chain.block(block.number).await?;
                if canonical.is_none_or(|now| now.hash != block.hash) {
                    return Ok(());
                }
                let below = block.number.checked_sub(1);
                below.map(|number| BlockRef { number, hash: block.parent_hash })
            }
            None => None,
        };
        let mut tx = self.store.begin().await?;
        let chain_id = origin.chain.chain_id();
        Follower::rewind(&mut tx, &origin.cursor(), chain_id, below).await?;
        Ok(tx.commit().await?)
    }
}

/// Follows one origin and writes down what it finds.
#[derive(Debug)]
struct Indexer {
    origin: Arc<Origin>,
    follower: Follower,
    store: Store,
    trunk: Trunk,
    tree: IncrementalTree,
    lanes: HashMap<Domain, mpsc::UnboundedSender<News>>,
}

impl Indexer {
    async fn start(reading: &Reading) -> Result<Self, OriginError> {
        let (origin, store) = (Arc::clone(&reading.origin), reading.store.clone());
        let contracts = &origin.manifest.contracts;
        let config = FollowerConfig {
            addresses: vec![contracts.mailbox, contracts.merkle_tree_hook, contracts.igp],
            events: vec![
                Mailbox::Dispatch::SIGNATURE_HASH,
                Mailbox::ProcessId::SIGNATURE_HASH,
                MerkleTreeHook::InsertedIntoTree::SIGNATURE_HASH,
                InterchainGasPaymaster::GasPayment::SIGNATURE_HASH,
            ],
            poll: reading.poll,
            ws: origin.manifest.ws.clone(),
            ..FollowerConfig::new(origin.cursor(), origin.manifest.start_block)
        };
        let db = reading.db.clone();
        let follower = Follower::start(db, origin.chain.clone(), config).await?;
        let trunk = store.trunk(origin.domain).await?;
        let mut tx = store.begin().await?;
        let tree = trunk.restore(&mut tx).await?;
        tx.commit().await?;
        Ok(Self { origin, follower, store, trunk, tree, lanes: reading.lanes.clone() })
    }

    /// Writes a batch and the follower's cursor in one transaction, then tells the lanes.
    async fn apply(&mut self, batch: Batch) -> Result<(), OriginError> {
        let mut tx = self.store.begin().await?;
        let mut news = Vec::new();
        for event in &batch.events {
            match event {
                Event::Added(found) => {
                    let block = BlockRef { number: found.block.number, hash: found.block.hash };
                    for log in &found.logs {
                        self.add(&mut tx, block, log, &mut news).await?;
                    }
                }
                Event::Removed(block) => self.remove(&mut tx, *block, &mut news).await?,
            }
        }
        self.follower.acknowledge(&mut tx).await?;
        crash_point!("relayer.index.before");
        tx.commit().await?;
        crash_point!("relayer.index.after");
        self.report(batch.through);
        for (destination, item) in news {
            if let Some(lane) = self.lanes.get(&destination) {
                // A lane that is gone has failed, and its failure stops the process.
                lane.send(item).ok();
            }
        }
        Ok(())
    }

    async fn add(
        &mut self,
        tx: &mut Tx,
        block: BlockRef,
        log: &Log,
        news: &mut Vec<(Domain, News)>,
    ) -> Result<(), OriginError> {
        let contracts = &self.origin.manifest.contracts;
        let of = |address: Address, signature: B256| {
            log.address() == address && log.topic0() == Some(&signature)
        };
        if of(contracts.mailbox, Mailbox::Dispatch::SIGNATURE_HASH) {
            let Ok(dispatch) = Mailbox::Dispatch::decode_log(&log.inner) else { return Ok(()) };
            if let Some(message) = self.message(block, log, dispatch.data.message)
                && store::add_message(tx, &message).await?
            {
                news.push((message.destination, News::Added(Box::new(message))));
            }
        } else if of(contracts.mailbox, Mailbox::ProcessId::SIGNATURE_HASH) {
            let Ok(processed) = Mailbox::ProcessId::decode_log(&log.inner) else { return Ok(()) };
            let tx_hash = log.transaction_hash.unwrap_or_default();
            let process = Process { tx: tx_hash, number: block.number, hash: block.hash };
            let id = MailboxMessageId(processed.messageId);
            store::add_process(tx, self.origin.domain, id, process).await?;
        } else if of(contracts.merkle_tree_hook, MerkleTreeHook::InsertedIntoTree::SIGNATURE_HASH) {
            let Ok(leaf) = MerkleTreeHook::InsertedIntoTree::decode_log(&log.inner) else {
                return Ok(());
            };
            self.add_leaf(tx, block, leaf.index, leaf.messageId).await?;
        } else if of(contracts.igp, InterchainGasPaymaster::GasPayment::SIGNATURE_HASH) {
            let Ok(paid) = InterchainGasPaymaster::GasPayment::decode_log(&log.inner) else {
                return Ok(());
            };
            let payment = Payment {
                id: MailboxMessageId(paid.messageId),
                destination: Domain(paid.destinationDomain),
                payment: paid.payment,
                log_index: log.log_index.unwrap_or_default(),
            };
            store::add_payment(tx, self.origin.domain, block, payment).await?;
        }
        Ok(())
    }

    /// The message of a dispatch. One that goes where this relayer does not deliver is kept too: once its
    /// destination is configured, the lane there takes it up.
    fn message(
        &self,
        block: BlockRef,
        log: &Log,
        bytes: alloy::primitives::Bytes,
    ) -> Option<Stored> {
        let envelope = Envelope::parse(&bytes).ok()?;
        let reason = match self.lanes.contains_key(&envelope.destination) {
            true => String::from("dispatched"),
            false => format!("destination {} is not configured", envelope.destination),
        };
        let message_id = Message::parse(envelope.body).ok().map(|message| message.id());
        Some(Stored {
            key: Key { id: envelope.id(), block: block.hash },
            block_number: block.number,
            tx: log.transaction_hash.unwrap_or_default(),
            origin: envelope.origin,
            destination: envelope.destination,
            nonce: envelope.nonce,
            message_id,
            seen_at: now_millis(),
            state: State::Pending,
            attempts: 0,
            next_at: 0,
            reason,
            alone: false,
            process: None,
            delivered_at: None,
            confirmed: false,
            envelope: bytes,
        })
    }

    async fn add_leaf(
        &mut self,
        tx: &mut Tx,
        block: BlockRef,
        index: u32,
        id: B256,
    ) -> Result<(), OriginError> {
        let (origin, expected) = (self.origin.domain, self.tree.count());
        let is_read_again = u64::from(index) < expected
            && store::is_leaf(tx, origin, (index, MailboxMessageId(id))).await?;
        if is_read_again {
            return Ok(());
        }
        if u64::from(index) != expected {
            return Err(OriginError::Gap { origin, expected, given: index });
        }
        self.trunk.grow(tx, &mut self.tree, id).await?;
        let leaf = Leaf { index, id: MailboxMessageId(id), root: self.tree.root() };
        Ok(store::add_leaf(tx, origin, block, leaf).await?)
    }

    async fn remove(
        &mut self,
        tx: &mut Tx,
        block: BlockRef,
        news: &mut Vec<(Domain, News)>,
    ) -> Result<(), OriginError> {
        let removed = store::remove_block(tx, self.origin.domain, block).await?;
        if let Some(first) = removed.first_leaf {
            self.tree = self.trunk.cut(tx, first).await?;
        }
        for message in &removed.messages {
            let delivered = matches!(message.state, State::Delivered | State::Done);
            tracing::warn!(
                origin = %message.origin, mailbox_id = %message.key.id, delivered,
                "a message's origin block was reorganized away"
            );
            if delivered {
                metrics::counter!(
                    "metalayer_relayer_delivered_orphans_total",
                    "origin" => self.origin.name.clone()
                )
                .increment(1);
            }
        }
        let orphaned = removed.messages.iter();
        news.extend(orphaned.map(|message| (message.destination, News::Orphaned(message.key))));
        Ok(())
    }

    fn report(&self, through: Option<BlockRef>) {
        let origin = self.origin.name.clone();
        if let Some(block) = through {
            metrics::gauge!("hyperlane_block_height", "chain" => origin.clone())
                .set(block.number as f64);
        }
        if let Some(index) = self.tree.latest_index() {
            metrics::gauge!("hyperlane_latest_tree_insertion_index", "origin" => origin)
                .set(f64::from(index));
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_millis() -> u64 {
    u64::try_from(Clock::system().since_epoch().as_millis()).unwrap_or(u64::MAX)
}
