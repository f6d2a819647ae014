//! One chain at one tier: follow the tree hook, check its root everywhere, record, sign, publish.

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256},
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
use service::{clock::Clock, crash_point, health::Component, retry::Backoff};
use tokio_util::sync::CancellationToken;

use super::{
    endpoints::Endpoints,
    journal::{Block, Entry, Journal, JournalError},
    metrics::Metrics,
};
use crate::checkpoints::{
    Folder, FolderError, SignedCheckpoint,
    format::{ReorgFlag, ReorgPeriod},
};

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
    /// The tree is full.
    #[error("the tree of domain {0} holds 2^32 - 1 leaves")]
    TreeFull(Domain),
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
        let mut tree = IncrementalTree::default();
        for leaf in journal.leaves().await? {
            tree.insert(leaf).map_err(|_| AttestError::TreeFull(stream.domain))?;
        }
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
        while !shutdown.is_cancelled() {
            match self.round().await {
                Ok(Round::Done) => {
                    backoff = Backoff::default();
                    self.health.ok();
                    let pause = tokio::time::sleep(self.stream.interval);
                    shutdown.run_until_cancelled(pause).await;
                }
                Ok(Round::Halted) => {
                    return self.halt(shutdown, "the chain was reorganized below finality").await;
                }
                Err(Setback::Fatal(error)) => return Err(error),
                Err(setback) => {
                    self.note(&setback);
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

    fn note(&self, setback: &Setback) {
        let Stream { chain_name, tier, .. } = &self.stream;
        match setback {
            Setback::RootMismatch { .. } | Setback::Gap { .. } => {
                self.metrics.root_mismatch();
                tracing::error!(chain = chain_name, %tier, %setback, "refusing to sign");
                self.health.failing(setback.to_string());
            }
            Setback::Chain(_) | Setback::Behind { .. } | Setback::Moved | Setback::Fatal(_) => {
                tracing::debug!(chain = chain_name, %tier, %setback, "waiting for the chain");
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
        if !entries.is_empty() {
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
            self.journal.append(&[], Some(scanned)).await?;
        }
        if !entries.is_empty() || head.number >= self.recorded.saturating_add(CHUNK / 2) {
            self.recorded = head.number;
        }
        (self.tree, self.scanned) = (tree, Some(scanned));
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
                    .map_err(|_| AttestError::TreeFull(self.stream.domain))?;
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

    /// Records, signs and publishes `entries`, in this order.
    async fn sign(&self, entries: &[Entry], scanned: Option<Block>) -> Result<(), AttestError> {
        crash_point!("validator.journal.before");
        self.journal.append(entries, scanned).await?;
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

    async fn is_canonical(&self, block: Block) -> Result<bool, Setback> {
        let header = self.chain.majority().block(block.number).await?.ok_or(Setback::Moved)?;
        Ok(header.hash == block.hash)
    }

    /// The last block read is gone. Finds the fork: the block from which to read again, after the fast
    /// tier has taken back what it signed above it. `None`: the final tier had signed above it, keeps
    /// the evidence and stops.
    async fn take_back(&mut self, head: BlockHeader) -> Result<Option<u64>, Setback> {
        let (mut kept, mut gone) = (0, count_of(&self.tree));
        while kept < gone {
            let middle = kept + (gone - kept) / 2;
            match self.journal.entry(middle).await? {
                Some(entry) if self.is_canonical(entry.block).await? => kept = middle + 1,
                _ => gone = middle,
            }
        }
        let fork = match kept.checked_sub(1) {
            Some(index) => self.journal.entry(index).await?.map(|entry| entry.block),
            None => None,
        };
        if kept < count_of(&self.tree) {
            match self.stream.tier {
                Tier::Instant => self.replace_above(kept).await?,
                Tier::Finalized | Tier::Espresso => {
                    self.keep_flag(kept, head).await?;
                    return Ok(None);
                }
            }
        }
        // The fork's own block is read again: a crash may have left only some of its leaves recorded.
        Ok(Some(fork.map_or(self.stream.start_block, |block| block.number)))
    }

    /// The fast tier signed a branch that is gone: evidence first, then the files, then the record. A
    /// crash in between finds the reorg again.
    async fn replace_above(&mut self, kept: u32) -> Result<(), Setback> {
        let Stream { chain_name, tier, .. } = &self.stream;
        let gone = self.journal.entries(kept, u32::MAX).await?;
        tracing::warn!(
            chain = chain_name, %tier, from = kept, count = gone.len(),
            "reorg: signed checkpoints are taken back"
        );
        self.metrics.reorged(gone.len());
        let (folder, evidence) = (Arc::clone(&self.folder), self.evidence(&gone)?);
        tokio::task::spawn_blocking(move || {
            for (index, evidence) in evidence {
                folder.keep_evidence(index, evidence)?;
            }
            crash_point!("validator.reorg.evidence");
            folder.truncate(kept.checked_sub(1))
        })
        .await
        .map_err(AttestError::from)?
        .map_err(AttestError::from)?;
        crash_point!("validator.reorg.truncated");
        self.journal.orphan(kept).await?;
        crash_point!("validator.reorg.recorded");
        let mut tree = IncrementalTree::default();
        for leaf in self.journal.leaves().await? {
            tree.insert(leaf).map_err(|_| AttestError::TreeFull(self.stream.domain))?;
        }
        self.tree = tree;
        Ok(())
    }

    /// What was signed for each entry, with the block it was seen in.
    fn evidence(&self, gone: &[Entry]) -> Result<Vec<(u32, serde_json::Value)>, AttestError> {
        gone.iter()
            .map(|entry| {
                let signature = self.signer.sign_hash_sync(&self.checkpoint(entry).digest())?;
                let evidence = serde_json::json!({
                    "merkle_tree_hook_address": self.stream.hook.into_word(),
                    "mailbox_domain": self.stream.domain,
                    "root": entry.root,
                    "index": entry.index,
                    "message_id": entry.message_id.0,
                    "block_number": entry.block.number,
                    "block_hash": entry.block.hash,
                    "serialized_signature": alloy::hex::encode_prefixed(signature.as_bytes()),
                });
                Ok((entry.index, evidence))
            })
            .collect()
    }

    /// The final tier signed what is no longer there: the flag halts everyone who reads the folder.
    async fn keep_flag(&self, kept: u32, head: BlockHeader) -> Result<(), Setback> {
        let at = BlockId::hash(head.hash);
        let call = MerkleTreeHook::rootCall {};
        let canonical = match self.chain.majority().call(self.stream.hook, &call, at).await {
            Ok(root) => root,
            Err(error) if error.is_retryable() => return Err(error.into()),
            // The hook itself is gone: no less a reason to stop.
            Err(_) => B256::ZERO,
        };
        let local = self.journal.entry(kept).await?.map_or(B256::ZERO, |entry| entry.root);
        let flag = ReorgFlag {
            local_merkle_root: local,
            canonical_merkle_root: canonical,
            checkpoint_index: kept,
            unix_timestamp: Clock::system().unix(),
            reorg_period: match self.stream.rule {
                FinalityRule::Blocks(depth) => ReorgPeriod::Blocks(depth),
                rule @ (FinalityRule::Tag(_) | FinalityRule::Instant) => {
                    ReorgPeriod::Tag(rule.to_string())
                }
            },
        };
        let folder = Arc::clone(&self.folder);
        tokio::task::spawn_blocking(move || folder.raise_reorg_flag(&flag))
            .await
            .map_err(AttestError::from)?
            .map_err(AttestError::from)?;
        self.metrics.reorged(1);
        Ok(())
    }
}

/// The number of leaves; a tree holds at most 2^32 − 1.
fn count_of(tree: &IncrementalTree) -> u32 {
    tree.latest_index().map_or(0, |latest| latest.saturating_add(1))
}
