//! One chain at one tier: follow the tree hook, check its root everywhere, record, sign, publish. How the
//! chain is read is in `reading`, what a reorg takes back in `reorg`.

mod reading;
mod reorg;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    primitives::Address,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use chain::{FinalityRule, client::BlockHeader};
use protocol::{
    checkpoint::Checkpoint, finality::Tier, ids::Domain, merkle::IncrementalTree,
    signable::Signable as _,
};
use service::{
    crash_point,
    health::{Component, patience},
    retry::Backoff,
};
use tokio_util::sync::CancellationToken;

use self::reading::{Ahead, CHUNK, Resume, Span};
use super::{
    endpoints::Endpoints,
    journal::{Block, Entry, Journal, JournalError},
    metrics::Metrics,
};
use crate::checkpoints::{Folder, FolderError, SignedCheckpoint};

/// Longest pause after a setback: what is waited for is a block, or an answer of another RPC.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
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
    #[error("the logs of blocks {from} to {to} could not be read: {source}")]
    Logs { from: u64, to: u64, source: chain::client::Error },
    #[error("{disagreeing} of {asked} RPCs show another root at block {block} than the own tree")]
    RootMismatch { disagreeing: usize, agreeing: usize, asked: usize, required: usize, block: u64 },
    #[error("{agreeing} of {asked} RPCs know block {block}, {required} required")]
    Behind { agreeing: usize, asked: usize, required: usize, block: u64 },
    #[error("the logs skip from leaf {expected} to {given}")]
    Gap { expected: u32, given: u32 },
    #[error("the logs show {known} leaves, the hook has {shown}")]
    Missing { known: u32, shown: u32 },
    #[error("a block of the answer is no longer on the chain")]
    Moved,
}

/// Every word of [`Setback::reason`].
pub(super) const SETBACKS: [&str; 8] =
    ["fatal", "rpc", "logs", "root", "behind", "gap", "missing", "moved"];

impl Setback {
    /// One word for a metric.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Fatal(_) => "fatal",
            Self::Chain(_) => "rpc",
            Self::Logs { .. } => "logs",
            Self::RootMismatch { .. } => "root",
            Self::Behind { .. } => "behind",
            Self::Gap { .. } => "gap",
            Self::Missing { .. } => "missing",
            Self::Moved => "moved",
        }
    }

    /// Whether what was read, or what is recorded, is not what the chain has. A majority that agrees with it
    /// leaves no doubt, whatever another RPC shows.
    const fn casts_doubt(&self) -> bool {
        match self {
            Self::Gap { .. } | Self::Missing { .. } => true,
            Self::RootMismatch { agreeing, required, .. } => *agreeing < *required,
            Self::Fatal(_)
            | Self::Chain(_)
            | Self::Logs { .. }
            | Self::Behind { .. }
            | Self::Moved => false,
        }
    }
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
    /// The tree of the record.
    tree: IncrementalTree,
    /// The last block of which every leaf is recorded.
    scanned: Option<Block>,
    /// Up to which block the journal says the chain was read.
    recorded: u64,
    /// What was read and is not compared with the chain yet: never signed, and lost without harm.
    ahead: Ahead,
    /// How much is asked for at once.
    span: Span,
    /// Whose logs are read: another RPC after each setback.
    turn: usize,
    /// How often in a row what was read was not what the chain has.
    doubts: u32,
    /// Whether `scanned` is not to be relied on: reading begins anew at the last entry that is still on the chain.
    is_cursor_doubted: bool,
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
        let (tree, scanned) = (journal.tree().await?, journal.scanned().await?);
        let last = match tree.latest_index() {
            Some(index) => journal.entry(index).await?,
            None => None,
        };
        // Entries above the cursor: the process died between two batches of the same blocks, which may have gone since.
        let above = |last: Entry| scanned.is_none_or(|scanned| scanned.number < last.block.number);
        let attester = Self {
            metrics: Metrics::new(&stream),
            ahead: Ahead::after(&tree),
            span: Span::default(),
            turn: 0,
            doubts: 0,
            is_cursor_doubted: last.is_some_and(above),
            scanned,
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
        let mut backoff = pauses();
        let mut stuck_since = None;
        while !shutdown.is_cancelled() {
            let scanned = self.scanned;
            match self.round(&shutdown).await {
                Ok(Round::Done) => {
                    backoff = pauses();
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
                    if self.scanned != scanned {
                        backoff = pauses();
                        stuck_since = None;
                    }
                    let since = *stuck_since.get_or_insert_with(Instant::now);
                    self.note(&setback, since.elapsed());
                    self.turn = self.turn.wrapping_add(1);
                    if setback.casts_doubt() {
                        self.doubt();
                    }
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
        self.metrics.setback(setback.reason());
        if let Setback::RootMismatch { .. } = setback {
            self.metrics.root_mismatch();
            tracing::error!(chain = chain_name, %tier, %setback, "refusing to sign");
            self.health.failing(setback.to_string());
            return;
        }
        let has_lasted = stuck >= patience(self.stream.interval);
        if has_lasted || matches!(setback, Setback::Logs { .. }) {
            tracing::warn!(chain = chain_name, %tier, %setback, "will try again");
        } else {
            tracing::debug!(chain = chain_name, %tier, %setback, "waiting for the chain");
        }
        if has_lasted {
            let seconds = stuck.as_secs();
            self.health.failing(format!("nothing signed for {seconds} s: {setback}"));
        }
    }

    /// Looks at the chain once and signs what became final, query by query: a setback loses the last one only.
    async fn round(&mut self, shutdown: &CancellationToken) -> Result<Round, Setback> {
        let Some(head) = self.chain.head(self.stream.rule).await? else {
            return Ok(Round::Done);
        };
        self.metrics.observed(head.number);
        let mut next = match self.resume(head).await? {
            Resume::At(next) => next,
            Resume::Wait => return Ok(Round::Done),
            Resume::Halt => return Ok(Round::Halted),
        };
        loop {
            let until = self.end_of_query(next, head).await?;
            if next <= until.number {
                self.read(next, until).await?;
            }
            next = until.number.saturating_add(1);
            match self.compare(until).await {
                Ok(()) => self.keep(until).await?,
                // Nodes keep little state: what cannot be compared at an old block is at a later one.
                Err(Setback::Behind { .. } | Setback::Chain(_)) if until.number < head.number => {}
                Err(setback) => return Err(setback),
            }
            if until.number >= head.number || shutdown.is_cancelled() {
                return Ok(Round::Done);
            }
        }
    }

    /// Records, signs and publishes what was read up to `until`, all of which was found to be true.
    async fn keep(&mut self, until: BlockHeader) -> Result<(), AttestError> {
        let scanned = Block { number: until.number, hash: until.hash };
        let entries = std::mem::take(&mut self.ahead.entries);
        let batches = entries.chunks(BATCH);
        let last = batches.len().saturating_sub(1);
        for (position, batch) in batches.enumerate() {
            // Only the last batch moves the cursor: a crash in between reads the same blocks again.
            self.sign(batch, (position == last).then_some(scanned)).await?;
        }
        let is_far = until.number >= self.recorded.saturating_add(CHUNK / 2);
        if entries.is_empty() && is_far {
            self.journal.append(&self.tree, &[], Some(scanned)).await?;
        }
        if !entries.is_empty() || is_far {
            self.recorded = until.number;
        }
        self.scanned = Some(scanned);
        self.ahead = Ahead::after(&self.tree);
        (self.doubts, self.is_cursor_doubted) = (0, false);
        Ok(())
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

/// The pauses after setbacks.
const fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(100), LONGEST_PAUSE)
}

/// The number of leaves; a tree holds at most 2^32 − 1.
fn count_of(tree: &IncrementalTree) -> u32 {
    tree.latest_index().map_or(0, |latest| latest.saturating_add(1))
}
