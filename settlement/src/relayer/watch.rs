//! Stage three: whether deliveries are still on their destination's chain, also those that were final.

use std::{collections::HashMap, sync::Arc};

use alloy::primitives::B256;
use chain::FinalityRule;
use protocol::ids::Domain;

use super::{
    delivery::{Key, Process, Stored},
    prepare::Preparer,
    store::Store,
    verdict::NotReady,
};

/// Blocks with deliveries that are compared with the chain at once when one that was final is gone.
const BLOCKS: usize = 64;

/// Watches one destination.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) preparer: Arc<Preparer>,
    pub(super) store: Store,
    pub(super) destination: Domain,
    pub(super) finality: FinalityRule,
}

/// A block by number and hash.
type Block = (u64, B256);

/// What one look at the destination shows.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) watched: Vec<(Key, Watched)>,
    /// Deliveries that had been final and are gone.
    pub(super) undone: Vec<Stored>,
    /// The newest final block.
    pub(super) head: Option<Block>,
}

impl Watch {
    /// Looks once. `known` is the final block of the look before. What cannot be asked now is asked next
    /// time.
    pub(super) async fn look(
        &self,
        known: Option<Block>,
        delivered: Vec<(Key, Process)>,
        lost: Vec<Key>,
    ) -> Look {
        let (preparer, finality) = (&self.preparer, self.finality);
        let Ok(Some(head)) = preparer.to.chain.safe_head(finality).await else {
            return Look { head: known, ..Look::default() };
        };
        let head = (head.number, head.hash);
        let undone = match self.undone(known).await {
            Ok(undone) => undone,
            Err(reason) => {
                tracing::debug!(reason = reason.reason, "deliveries are not looked at");
                return Look { head: known, ..Look::default() };
            }
        };
        let mut watched = deliveries(preparer, head, delivered).await;
        watched.extend(orphans(preparer, lost).await);
        Look { watched, undone, head: Some(head) }
    }

    /// Deliveries that had been final and are gone: the destination broke its finality. Looked for at the
    /// start and when the final block of the look before is gone.
    async fn undone(&self, known: Option<Block>) -> Result<Vec<Stored>, NotReady> {
        if let Some(block) = known
            && self.is_there(block).await?
        {
            return Ok(Vec::new());
        }
        let (mut below, mut oldest_gone) = (u64::MAX, None);
        loop {
            let blocks = self.store.blocks_of_done(self.destination, below, BLOCKS).await?;
            for block in &blocks {
                if self.is_there(*block).await? {
                    return self.done_since(oldest_gone).await;
                }
                oldest_gone = Some(block.0);
            }
            match blocks.last() {
                Some(last) => below = last.0,
                None => return self.done_since(oldest_gone).await,
            }
        }
    }

    async fn done_since(&self, block: Option<u64>) -> Result<Vec<Stored>, NotReady> {
        match block {
            Some(block) => Ok(self.store.done_since(self.destination, block).await?),
            None => Ok(Vec::new()),
        }
    }

    /// A node that has not got so far says nothing.
    async fn is_there(&self, (number, hash): Block) -> Result<bool, NotReady> {
        let found = self.preparer.block_hash(number).await?;
        found.map(|found| found == hash).ok_or_else(|| NotReady::soon("the node is behind"))
    }
}

/// What became of a delivered message, or of an orphan.
#[derive(Debug, Clone, Copy)]
pub(super) enum Watched {
    /// An orphan was delivered.
    Orphan(Process),
    Final,
    /// In another block than before.
    Moved(Process),
    Gone,
}

/// Looks at the block of each delivery. What cannot be asked now is asked next time.
async fn deliveries(
    preparer: &Preparer,
    head: Block,
    delivered: Vec<(Key, Process)>,
) -> Vec<(Key, Watched)> {
    let mut hashes = HashMap::new();
    let mut watched = Vec::new();
    for (key, process) in delivered {
        if let std::collections::hash_map::Entry::Vacant(entry) = hashes.entry(process.number) {
            let Ok(hash) = preparer.block_hash(process.number).await else { continue };
            entry.insert(hash);
        }
        let Some(Some(hash)) = hashes.get(&process.number) else { continue };
        if *hash == process.hash {
            if process.number <= head.0 {
                watched.push((key, Watched::Final));
            }
            continue;
        }
        match preparer.recheck(key.id).await {
            Ok(Some(process)) => watched.push((key, Watched::Moved(process))),
            Ok(None) => watched.push((key, Watched::Gone)),
            Err(_) => {}
        }
    }
    watched
}

/// Orphans that were delivered all the same.
async fn orphans(preparer: &Preparer, orphans: Vec<Key>) -> Vec<(Key, Watched)> {
    let mut found = Vec::new();
    for key in orphans {
        if let Ok(Some(process)) = preparer.recheck(key.id).await {
            found.push((key, Watched::Orphan(process)));
        }
    }
    found
}
