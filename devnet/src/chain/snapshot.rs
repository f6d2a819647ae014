//! Going back to an earlier moment, as tests do between cases.

use alloy::primitives::B256;

use super::{Chain, Error, Event, time::ChainTime};
use crate::{persist::Record, state::Version};

/// A moment to go back to.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    number: u64,
    hash: B256,
    state: Version,
    time: ChainTime,
    base_fee: u64,
}

impl Snapshot {
    /// The block that was the head.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Chain {
    /// Remembers this moment; the id is for [`Self::revert`].
    #[must_use]
    pub fn snapshot(&self) -> u64 {
        let mut inner = self.shared.inner.write();
        let id = inner.next_snapshot;
        inner.next_snapshot += 1;
        let head = inner.ledger.head();
        let snapshot = Snapshot {
            number: head.number(),
            hash: head.hash,
            state: inner.state.latest(),
            time: inner.time.clone(),
            base_fee: inner.base_fee,
        };
        inner.snapshots.insert(id, snapshot);
        id
    }

    /// Goes back to a snapshot: blocks, state, clock and base fee. The snapshot and all taken after
    /// it are used up, and the pool is emptied.
    ///
    /// # Errors
    /// [`Error::UnknownSnapshot`] when it does not exist, or a reorganization has removed its
    /// block.
    pub fn revert(&self, id: u64) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        let snapshot = inner.snapshots.get(&id).cloned().ok_or(Error::UnknownSnapshot(id))?;
        let on_chain = inner.ledger.block(snapshot.number).is_some_and(|b| b.hash == snapshot.hash);
        inner.snapshots.retain(|other, _| *other < id);
        if !on_chain {
            return Err(Error::UnknownSnapshot(id));
        }
        while inner.ledger.head().number() > snapshot.number {
            let Some(block) = inner.ledger.pop() else { break };
            self.publish(Event::Removed(block));
        }
        inner.state.rollback(snapshot.state);
        inner.ledger.edited(snapshot.state);
        inner.time = snapshot.time;
        inner.base_fee = snapshot.base_fee;
        inner.pool.clear();
        let forks = inner.forks;
        inner.record(&Record::rollback(snapshot.number, snapshot.state, forks))
    }
}
