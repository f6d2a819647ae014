//! One chain at one tier: follow the tree hook, check its root everywhere, record, sign, publish. What a
//! reorg takes back is in `reorg`.

mod reorg;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockId,
    primitives::Address,
    rpc::types::Filter,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolEvent as _,
};
use chain::{FinalityRule, client::BlockHeader};
use futures::future::join_all;
use protocol::{
    abi::hyperlane::MerkleTreeHook,
    checkpoint::Checkpoint,
    finality::Tier,
    ids::{Domain, MailboxMessageId},
    merkle::IncrementalTree,
    signable::Signable as _,
};
use service::{
    crash_point,
    health::{Component, patience},
    retry::Backoff,
};
use tokio_util::sync::CancellationToken;

use super::{
    endpoints::Endpoints,
    journal::{Block, Entry, Journal, JournalError},
    metrics::Metrics,
};
use crate::checkpoints::{Folder, FolderError, SignedCheckpoint};

/// Blocks asked for in one query of logs.
const CHUNK: u64 = 2_000;
/// Checkpoints recorded and published at once.
const BATCH: usize = 200;

/// Why a stream of checkpoints stopped.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The folder failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The key did not sign.
    #[error("signing failed: {0}")]
    Sign(#[from] alloy::signers::Error),
    /// A blocking task did not end well.
    #[error("publication ended abnormally: {0}")]
    Join(#[from] tokio::task::JoinError),
    /// The folder holds what the journal does not: another process signed with this key, or the journal
    /// was lost. Signing on could give two roots to one index.
    #[error(
        "{folder} is published up to index {published}, the journal ends at {recorded:?}: \
         restore the journal, or take a new key and a new folder"
    )]
    FolderAhead {
        /// The folder.
        folder: String,
        /// Highest index in the folder.
        published: u32,
        /// Highest index in the journal.
        recorded: Option<u32>,
    },
}

/// What a round of looking at the chain could not do, and may be able to do next time.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error(transparent)]
    Fatal(#[from] AttestError),
    #[error(transparent)]
    Chain(#[from] chain::client::Error),
    #[error("{disagreeing} of {asked} RPCs show another root at block {block} than the own tree")]
    RootMismatch { disagreeing: usize, asked: usize, block: u64 },
    #[error("{agreeing} of {asked} RPCs know block {block}, {required} required")]
    Behind { agreeing: usize, asked: usize, required: usize, block: u64 },
    #[error("the logs skip from leaf {expected} to {given}")]
    Gap { expected: u32, given: u32 },
    #[error("the logs show {known} leaves, the hook has {shown}")]
    Missing { known: u32, shown: u32 },
    #[error("a block of the answer is no longer on the chain")]
    Moved,
}

impl From<JournalError> for Setback {
    fn from(error: JournalError) -> Self {
        Self::Fatal(error.into())
    }
}

/// Whether the stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Done,
    Halted,
}

/// What is signed: one hook of one chain, at one tier, by one key.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) chain_name: String,
    pub(super) domain: Domain,
    pub(super) tier: Tier,
    pub(super) rule: FinalityRule,
    pub(super) hook: Address,
    pub(super) start_block: u64,
    pub(super) interval: Duration,
}

/// Signs one [`Stream`].
#[derive(Debug)]
pub(super) struct Attester {
    stream: Stream,
    chain: Endpoints,
    journal: Journal,
    folder: Arc<Folder>,
    signer: PrivateKeySigner,
    tree: IncrementalTree,
    scanned: Option<Block>,
    /// Up to which block the journal says the chain was read.
    recorded: u64,
    metrics: Metrics,
    health: Component,
}

impl Attester {
    /// Loads the record and checks that the folder is not ahead of it.
    pub(super) async fn load(
        stream: Stream,
        chain: Endpoints,
        (journal, folder): (Journal, Arc<Folder>),
        signer: PrivateKeySigner,
        health: Component,
    ) -> Result<Self, AttestError> {
        let tree = journal.tree().await?;
        let attester = Self {
            metrics: Metrics::new(&stream),
            scanned: journal.scanned().await?,
            recorded: 0,
            chain,
            stream,
            journal,
            folder,
            signer,
            tree,
            health,
        };
        attester.refuse_folder_ahead().await?;
        Ok(attester)
    }

    async fn refuse_folder_ahead(&self) -> Result<(), AttestError> {
        let Some(published) = self.folder.latest_index()? else { return Ok(()) };
        let recorded = self.journal.entry(published).await?;
        let shown = self.folder.checkpoint(published)?;
        let same = match (&recorded, &shown) {
            (Some(entry), Some(signed)) => {
                entry.root == signed.checkpoint.root
                    && entry.message_id == signed.checkpoint.message_id
            }
            (Some(_), None) => true,
            (None, _) => false,
        };
        if same {
            return Ok(());
        }
        Err(AttestError::FolderAhead {
            folder: self.folder.path().display().to_string(),
            published,
            recorded: self.tree.latest_index(),
        })
    }

    /// Signs until `shutdown`, or until an operator has to act.
    ///
    /// # Errors
    /// What no waiting mends: the journal, the folder or the key failed.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), AttestError> {
        if self.folder.has_reorg_flag() {
            return self.halt(shutdown, "the reorg flag is up").await;
        }
        self.publish_recorded().await?;
        let mut backoff = Backoff::default();
        let mut stuck_since = None;
        while !shutdown.is_cancelled() {
            match self.round().await {
                Ok(Round::Done) => {
                    backoff = Backoff::default();
                    stuck_since = None;
                    self.health.ok();
                    let pause = tokio::time::sleep(self.stream.interval);
                    shutdown.run_until_cancelled(pause).await;
                }
                Ok(Round::Halted) => {
                    return self.halt(shutdown, "the chain was reorganized below finality").await;
                }
                Err(Setback::Fatal(error)) => return Err(error),
                Err(setback) => {
                    let since = *stuck_since.get_or_insert_with(Instant::now);
                    self.note(&setback, since.elapsed());
                    backoff.pause(&shutdown).await;
                }
            }
        }
        Ok(())
    }

    /// Nothing is signed until an operator removes the flag and starts the validator again.
    async fn halt(self, shutdown: CancellationToken, reason: &str) -> Result<(), AttestError> {
        let Stream { chain_name, tier, .. } = &self.stream;
        tracing::error!(chain = chain_name, %tier, reason, "validator halted: operator must act");
        self.metrics.halted();
        self.health.failing(reason);
        shutdown.cancelled().await;
        Ok(())
    }

    /// Says why the round ended early. What passes by itself is told in health once it has lasted.
    fn note(&self, setback: &Setback, stuck: Duration) {
        let Stream { chain_name, tier, .. } = &self.stream;
        match setback {
            Setback::RootMismatch { .. } | Setback::Gap { .. } => {
                self.metrics.root_mismatch();
                tracing::error!(chain = chain_name, %tier, %setback, "refusing to sign");
                self.health.failing(setback.to_string());
            }
            Setback::Chain(_)
            | Setback::Behind { .. }
            | Setback::Missing { .. }
            | Setback::Moved
            | Setback::Fatal(_) => {
                tracing::debug!(chain = chain_name, %tier, %setback, "waiting for the chain");
                if stuck >= patience(self.stream.interval) {
                    let seconds = stuck.as_secs();
                    self.health.failing(format!("nothing signed for {seconds} s: {setback}"));
                }
            }
        }
    }

    /// Looks at the chain once and signs what became final.
    async fn round(&mut self) -> Result<Round, Setback> {
        let Some(head) = self.chain.head(self.stream.rule).await? else {
            return Ok(Round::Done);
        };
        self.metrics.observed(head.number);
        if self.scanned.is_some_and(|scanned| scanned.hash == head.hash) {
            return Ok(Round::Done);
        }
        let from = match self.scanned {
            None => self.stream.start_block,
            // A node behind the one that answered before, or a shorter branch that will grow.
            Some(scanned) if scanned.number > head.number => return Ok(Round::Done),
            Some(scanned) if self.is_canonical(scanned).await? => scanned.number + 1,
            Some(_) => match self.take_back(head).await? {
                Some(fork) => fork,
                None => return Ok(Round::Halted),
            },
        };
        if from > head.number {
            return Ok(Round::Done);
        }
        let mut tree = self.tree.clone();
        let entries = self.new_entries(&mut tree, from, head.number).await?;
        if entries.is_empty() {
            self.check_nothing_is_missing(&tree, head).await?;
        } else {
            self.check_roots(&tree, head).await?;
        }
        let scanned = Block { number: head.number, hash: head.hash };
        let batches = entries.chunks(BATCH);
        let last = batches.len().saturating_sub(1);
        for (position, batch) in batches.enumerate() {
            // Only the last batch moves the cursor: a crash in between reads the same blocks again.
            self.sign(batch, (position == last).then_some(scanned)).await?;
        }
        if entries.is_empty() && head.number >= self.recorded.saturating_add(CHUNK / 2) {
            self.journal.append(&tree, &[], Some(scanned)).await?;
        }
        if !entries.is_empty() || head.number >= self.recorded.saturating_add(CHUNK / 2) {
            self.recorded = head.number;
        }
        self.scanned = Some(scanned);
        Ok(Round::Done)
    }

    /// Reads the leaves of blocks `from..=to` into `tree`. Leaves that are recorded already are passed
    /// over: after a crash or a reorg the same blocks are read again.
    async fn new_entries(
        &self,
        tree: &mut IncrementalTree,
        from: u64,
        to: u64,
    ) -> Result<Vec<Entry>, Setback> {
        let mut entries = Vec::new();
        let mut first = from;
        while first <= to {
            let last = to.min(first + CHUNK - 1);
            let filter = Filter::new()
                .address(self.stream.hook)
                .event_signature(MerkleTreeHook::InsertedIntoTree::SIGNATURE_HASH)
                .from_block(first)
                .to_block(last);
            for log in self.chain.any().logs(&filter).await? {
                let (Some(number), Some(hash)) = (log.block_number, log.block_hash) else {
                    return Err(Setback::Moved);
                };
                let Ok(inserted) = MerkleTreeHook::InsertedIntoTree::decode_log(&log.inner) else {
                    continue;
                };
                let (expected, given) = (count_of(tree), inserted.index);
                if given < expected {
                    continue;
                }
                if given > expected {
                    return Err(Setback::Gap { expected, given });
                }
                tree.insert(inserted.messageId)
                    .map_err(|_| JournalError::TreeFull(self.stream.domain))?;
                entries.push(Entry {
                    index: given,
                    root: tree.root(),
                    message_id: MailboxMessageId(inserted.messageId),
                    block: Block { number, hash },
                });
            }
            first = last + 1;
        }
        Ok(entries)
    }

    /// Compares the own tree with the hook's at `head`, by hash, on every endpoint: one that shows
    /// another root stops the signing, one that does not know the block yet is merely behind.
    async fn check_roots(&self, tree: &IncrementalTree, head: BlockHeader) -> Result<(), Setback> {
        let at = BlockId::hash(head.hash);
        let call = MerkleTreeHook::latestCheckpointCall {};
        let answers = join_all(
            self.chain.each().iter().map(|endpoint| endpoint.call(self.stream.hook, &call, at)),
        )
        .await;
        let (asked, required) = (answers.len(), self.chain.required());
        let expected = (tree.root(), count_of(tree).saturating_sub(1));
        let (mut agreeing, mut disagreeing) = (0, 0);
        for answer in answers {
            match answer {
                Ok(shown) if (shown.root, shown.index) == expected => agreeing += 1,
                Ok(_) => disagreeing += 1,
                Err(error) if error.revert().is_some() => disagreeing += 1,
                Err(_) => {}
            }
        }
        let block = head.number;
        if disagreeing > 0 {
            return Err(Setback::RootMismatch { disagreeing, asked, block });
        }
        if agreeing < required {
            return Err(Setback::Behind { agreeing, asked, required, block });
        }
        Ok(())
    }

    /// A node that lags answers a query of logs with those that it has: a leaf that it has not seen would be passed over for
    /// ever.
    async fn check_nothing_is_missing(
        &self,
        tree: &IncrementalTree,
        head: BlockHeader,
    ) -> Result<(), Setback> {
        let (call, at) = (MerkleTreeHook::countCall {}, BlockId::hash(head.hash));
        let (known, shown) =
            (count_of(tree), self.chain.any().call(self.stream.hook, &call, at).await?);
        if shown == known { Ok(()) } else { Err(Setback::Missing { known, shown }) }
    }

    /// Records, signs and publishes `entries`, in this order.
    async fn sign(&mut self, entries: &[Entry], scanned: Option<Block>) -> Result<(), AttestError> {
        crash_point!("validator.journal.before");
        self.tree = self.journal.append(&self.tree, entries, scanned).await?;
        crash_point!("validator.journal.after");
        self.publish(entries).await
    }

    /// Signs and publishes what is recorded but not published: a crash came between the two.
    async fn publish_recorded(&self) -> Result<(), AttestError> {
        let Some(last) = self.tree.latest_index() else { return Ok(()) };
        let mut first = self.folder.latest_index()?.map_or(0, |published| published + 1);
        while first <= last {
            let until = last.min(first.saturating_add(BATCH as u32 - 1));
            self.publish(&self.journal.entries(first, until).await?).await?;
            first = until + 1;
        }
        self.metrics.published(last);
        Ok(())
    }

    async fn publish(&self, entries: &[Entry]) -> Result<(), AttestError> {
        let signed = entries
            .iter()
            .map(|entry| {
                let checkpoint = self.checkpoint(entry);
                let signature = self.signer.sign_hash_sync(&checkpoint.digest())?;
                Ok(SignedCheckpoint { checkpoint, signature })
            })
            .collect::<Result<Vec<_>, AttestError>>()?;
        let folder = Arc::clone(&self.folder);
        tokio::task::spawn_blocking(move || folder.publish(&signed)).await??;
        crash_point!("validator.publish.after");
        if let Some(last) = entries.last() {
            self.metrics.published(last.index);
        }
        Ok(())
    }

    fn checkpoint(&self, entry: &Entry) -> Checkpoint {
        Checkpoint {
            origin: self.stream.domain,
            merkle_tree_hook: self.stream.hook.into_word(),
            root: entry.root,
            index: entry.index,
            message_id: entry.message_id,
        }
    }
}

/// The number of leaves; a tree holds at most 2^32 − 1.
fn count_of(tree: &IncrementalTree) -> u32 {
    tree.latest_index().map_or(0, |latest| latest.saturating_add(1))
}
