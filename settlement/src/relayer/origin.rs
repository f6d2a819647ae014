//! Reading one origin: dispatched messages, leaves of its tree, payments, and what reorgs take back.

use std::{collections::HashMap, sync::Arc};

use alloy::{
    primitives::{Address, B256},
    rpc::types::Log,
    sol_types::SolEvent as _,
};
use chain::{
    ChainClient, Follower,
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
use service::{clock::Clock, crash_point};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Key, State, Stored},
    store::{self, Leaf, Payment, Store},
};
use crate::trunk::{Trunk, TrunkError};

/// Why an origin is not read any more.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The follower stopped.
    #[error(transparent)]
    Follow(#[from] follower::Error),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A leaf is missing in front of another: the start block lies after the first leaf.
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
    }
}

/// Follows one origin and writes down what it finds.
#[derive(Debug)]
pub(super) struct Indexer {
    origin: Arc<Origin>,
    follower: Follower,
    store: Store,
    trunk: Trunk,
    tree: IncrementalTree,
    lanes: HashMap<Domain, mpsc::UnboundedSender<News>>,
}

impl Indexer {
    pub(super) async fn start(
        origin: Arc<Origin>,
        db: chain::Db,
        store: Store,
        lanes: HashMap<Domain, mpsc::UnboundedSender<News>>,
        poll: std::time::Duration,
    ) -> Result<Self, OriginError> {
        let contracts = &origin.manifest.contracts;
        let name = format!("relayer:{}", origin.domain);
        let config = FollowerConfig {
            addresses: vec![contracts.mailbox, contracts.merkle_tree_hook, contracts.igp],
            events: vec![
                Mailbox::Dispatch::SIGNATURE_HASH,
                MerkleTreeHook::InsertedIntoTree::SIGNATURE_HASH,
                InterchainGasPaymaster::GasPayment::SIGNATURE_HASH,
            ],
            poll,
            ws: origin.manifest.ws.clone(),
            ..FollowerConfig::new(name, origin.manifest.start_block)
        };
        let follower = Follower::start(db, origin.chain.clone(), config).await?;
        let trunk = store.trunk(origin.domain).await?;
        let mut tx = store.begin().await?;
        let tree = trunk.restore(&mut tx).await?;
        tx.commit().await?;
        Ok(Self { origin, follower, store, trunk, tree, lanes })
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), OriginError> {
        while let Some(batch) = shutdown.run_until_cancelled(self.follower.next()).await {
            self.apply(batch?).await?;
        }
        Ok(())
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
            if let Some(message) = self.message(block, log, dispatch.data.message) {
                store::add_message(tx, &message).await?;
                news.push((message.destination, News::Added(Box::new(message))));
            }
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

    /// The message of a dispatch, when it goes where this relayer delivers.
    fn message(
        &self,
        block: BlockRef,
        log: &Log,
        bytes: alloy::primitives::Bytes,
    ) -> Option<Stored> {
        let envelope = Envelope::parse(&bytes).ok()?;
        self.lanes.get(&envelope.destination)?;
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
            reason: String::from("dispatched"),
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
