//! Reading the leaves of a chain, and making sure that they are the chain's.
//!
//! One RPC gives the logs, all of them give the root: whoever hides a leaf or invents one cannot make it
//! fit. What does not fit is read again, from another RPC; when that does not help, from the last recorded leaf that
//! is still on the chain, for then the record or its cursor is what does not fit.

use std::time::Duration;

use alloy::{eips::BlockId, rpc::types::Filter, sol_types::SolEvent as _};
use chain::client::BlockHeader;
use futures::FutureExt as _;
use protocol::{abi::hyperlane::MerkleTreeHook, ids::MailboxMessageId, merkle::IncrementalTree};

use super::{Attester, Setback, count_of};
use crate::validator::journal::{Block, Entry, JournalError};

/// Most blocks asked for in one query of logs.
pub(super) const CHUNK: u64 = 2_000;
/// How many queries have to be answered before twice as much is asked for again.
const ANSWERS_TO_GROW: u32 = 16;
/// How much longer than a majority an RPC may take to show its root.
const ROOT_GRACE: Duration = Duration::from_secs(1);
/// How often leaves that do not fit are read again before the cursor is doubted.
const DOUBTS: u32 = 4;

/// How many blocks one query of logs asks for. Nodes limit it by blocks, by results or by time, each in
/// its own words, so half as much is asked for after any failure.
#[derive(Debug)]
pub(super) struct Span {
    blocks: u64,
    answers: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self { blocks: CHUNK, answers: 0 }
    }
}

impl Span {
    const fn refused(&mut self, asked: u64) {
        self.answers = 0;
        self.blocks = if asked > 1 { asked / 2 } else { 1 };
    }

    fn answered(&mut self) {
        self.answers += 1;
        if self.answers >= ANSWERS_TO_GROW {
            self.answers = 0;
            self.blocks = self.blocks.saturating_mul(2).min(CHUNK);
        }
    }
}

/// What was read after the last block that is kept.
#[derive(Debug)]
pub(super) struct Ahead {
    /// The tree with those leaves.
    pub(super) tree: IncrementalTree,
    pub(super) entries: Vec<Entry>,
    /// The last block read; `None` before the first.
    pub(super) through: Option<Block>,
}

impl Ahead {
    /// Nothing yet after a tree.
    pub(super) fn after(tree: &IncrementalTree) -> Self {
        Self { tree: tree.clone(), entries: Vec::new(), through: None }
    }
}

/// Where a look at the chain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// At this block; past the head when only the comparison at the head is missing.
    At(u64),
    /// There is nothing new.
    Wait,
    /// A reorg took what the final tier had signed.
    Halt,
}

impl Attester {
    /// Where to go on, after the fast tier has taken back what is gone.
    pub(super) async fn resume(&mut self, head: BlockHeader) -> Result<Resume, Setback> {
        if let Some(read) = self.ahead.through {
            if read.hash == head.hash {
                return Ok(Resume::At(head.number.saturating_add(1)));
            }
            if read.number > head.number {
                return Ok(Resume::Wait);
            }
            if self.is_canonical(read).await? {
                return Ok(from(read.number.saturating_add(1), head));
            }
            // Nothing of it was signed.
            self.ahead = Ahead::after(&self.tree);
        }
        match self.scanned {
            _ if self.is_cursor_doubted => {}
            None => return Ok(from(self.stream.start_block, head)),
            // A node behind the one that answered before, or a shorter branch that will grow.
            Some(scanned) if scanned.hash == head.hash || scanned.number > head.number => {
                return Ok(Resume::Wait);
            }
            Some(scanned) if self.is_canonical(scanned).await? => {
                return Ok(from(scanned.number.saturating_add(1), head));
            }
            Some(_) => {}
        }
        let fork = self.take_back(head).await?;
        self.ahead = Ahead::after(&self.tree);
        Ok(fork.map_or(Resume::Halt, |fork| from(fork, head)))
    }

    /// The last block of the next query of logs.
    pub(super) async fn end_of_query(
        &self,
        next: u64,
        head: BlockHeader,
    ) -> Result<BlockHeader, Setback> {
        let last = next.saturating_add(self.span.blocks).saturating_sub(1);
        if last >= head.number {
            return Ok(head);
        }
        self.chain.majority().block(last).await?.ok_or(Setback::Moved)
    }

    /// Reads the leaves of the blocks from `first` to `until`. Those that are recorded already are passed over:
    /// after a crash or a reorg the same blocks are read again.
    pub(super) async fn read(&mut self, first: u64, until: BlockHeader) -> Result<(), Setback> {
        let filter = Filter::new()
            .address(self.stream.hook)
            .event_signature(MerkleTreeHook::InsertedIntoTree::SIGNATURE_HASH)
            .from_block(first)
            .to_block(until.number);
        let logs = match self.chain.by_turns(self.turn).logs(&filter).await {
            Ok(logs) => logs,
            Err(source) => {
                self.span.refused(until.number.saturating_sub(first).saturating_add(1));
                return Err(Setback::Logs { from: first, to: until.number, source });
            }
        };
        self.span.answered();
        let (mut tree, mut entries) = (self.ahead.tree.clone(), Vec::new());
        for log in logs {
            let (Some(number), Some(hash)) = (log.block_number, log.block_hash) else {
                return Err(Setback::Moved);
            };
            let Ok(inserted) = MerkleTreeHook::InsertedIntoTree::decode_log(&log.inner) else {
                continue;
            };
            let (expected, given) = (count_of(&tree), inserted.index);
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
        self.ahead.tree = tree;
        self.ahead.entries.append(&mut entries);
        self.ahead.through = Some(Block { number: until.number, hash: until.hash });
        Ok(())
    }

    /// Whether the hook has, at this block, the leaves that were read, and no others.
    pub(super) async fn compare(&self, at: BlockHeader) -> Result<(), Setback> {
        match self.ahead.tree.latest_index() {
            Some(index) => self.compare_roots(index, at).await,
            // A hook without a leaf has no root to show.
            None => {
                let (call, id) = (MerkleTreeHook::countCall {}, BlockId::hash(at.hash));
                match self.chain.majority().call(self.stream.hook, &call, id).await? {
                    0 => Ok(()),
                    shown => Err(Setback::Missing { known: 0, shown }),
                }
            }
        }
    }

    /// Compares the root with the hook's, at the block by hash, on every endpoint: one that shows another
    /// root stops the signing, one that does not know the block yet is merely behind.
    async fn compare_roots(&self, index: u32, at: BlockHeader) -> Result<(), Setback> {
        let (hook, id) = (self.stream.hook, BlockId::hash(at.hash));
        let call = MerkleTreeHook::latestCheckpointCall {};
        let answers = self.chain.ask(ROOT_GRACE, |rpc| rpc.call(hook, &call, id).boxed()).await;
        let expected = (self.ahead.tree.root(), index);
        let (mut agreeing, mut disagreeing, mut longest) = (0, 0, None);
        for answer in answers {
            match answer {
                Ok(shown) if (shown.root, shown.index) == expected => agreeing += 1,
                Ok(shown) => {
                    disagreeing += 1;
                    longest = longest.max(Some(shown.index));
                }
                Err(error) if error.revert().is_some() => disagreeing += 1,
                Err(_) => {}
            }
        }
        let (asked, required, block) = (self.chain.count(), self.chain.required(), at.number);
        match longest {
            // Nobody contradicts: the logs came from a node that lags.
            Some(longest) if agreeing == 0 && longest > index => {
                let (known, shown) = (index.saturating_add(1), longest.saturating_add(1));
                Err(Setback::Missing { known, shown })
            }
            _ if disagreeing > 0 => {
                Err(Setback::RootMismatch { disagreeing, agreeing, asked, required, block })
            }
            _ if agreeing < required => Err(Setback::Behind { agreeing, asked, required, block }),
            _ => Ok(()),
        }
    }

    /// What was read does not fit. It is read again; when that has not helped for some time, from the last recorded
    /// leaf that is still on the chain, seldom enough not to read a long chain all the time.
    pub(super) fn doubt(&mut self) {
        self.ahead = Ahead::after(&self.tree);
        self.doubts = self.doubts.saturating_add(1);
        if self.doubts >= DOUBTS && self.doubts.is_power_of_two() {
            self.is_cursor_doubted = true;
        }
    }
}

/// From `next` on, once the head is there.
const fn from(next: u64, head: BlockHeader) -> Resume {
    if next > head.number { Resume::Wait } else { Resume::At(next) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_query_is_halved_down_to_one_block_and_grows_again_while_nodes_answer() {
        let mut span = Span::default();
        for _ in 0..20 {
            span.refused(span.blocks);
        }
        assert_eq!(span.blocks, 1);
        for expected in [2, 4, 8] {
            (0..ANSWERS_TO_GROW).for_each(|_| span.answered());
            assert_eq!(span.blocks, expected);
        }
        (0..ANSWERS_TO_GROW * 16).for_each(|_| span.answered());
        assert_eq!(span.blocks, CHUNK);
    }

    #[test]
    fn a_query_near_the_tip_that_is_refused_asks_for_half_of_what_it_asked_for() {
        let mut span = Span::default();
        span.refused(7);
        assert_eq!(span.blocks, 3);
    }
}
