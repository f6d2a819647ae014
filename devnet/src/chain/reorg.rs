//! Reorganizations on request.

use super::{Chain, Error, Event};
use crate::{
    mempool::{Authority, Pooled},
    persist::Record,
};

/// What becomes of the transactions of removed blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReorgMode {
    /// They are in the new blocks again, as they lay before, as far as they are still valid.
    Keep,
    /// They are gone: the new blocks are empty.
    Drop,
}

impl Chain {
    /// Replaces the last `depth` blocks with as many others and adds one more, so that the new
    /// branch is the longer one.
    ///
    /// Edits made between the removed blocks are lost with them. `safe` and `finalized` are not
    /// spared: a reorganization deeper than their lag is a case that clients have to survive.
    ///
    /// # Errors
    /// [`Error::ReorgTooDeep`] when not as many blocks are kept.
    pub fn reorg(&self, depth: u64, mode: ReorgMode) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        let head = inner.ledger.head().number();
        let most = head - inner.ledger.oldest();
        if depth > most {
            return Err(Error::ReorgTooDeep { depth, most });
        }
        let parent = head - depth;
        let state = inner.state_at(parent)?;
        let mut removed = Vec::new();
        while inner.ledger.head().number() > parent {
            let Some(block) = inner.ledger.pop() else { break };
            self.publish(Event::Removed(block.clone()));
            removed.push(block);
        }
        inner.state.rollback(state);
        inner.forks += 1;
        let forks = inner.forks;
        inner.record(&Record::rollback(parent, state, forks))?;
        for block in removed.iter().rev() {
            let again: Vec<Pooled> = match mode {
                ReorgMode::Keep => block.transactions.iter().map(pooled).collect(),
                ReorgMode::Drop => Vec::new(),
            };
            self.mine_these(&mut inner, &again)?;
        }
        self.mine_these(&mut inner, &[])?;
        Ok(())
    }
}

fn pooled(tx: &crate::block::Transaction) -> Pooled {
    // Whether it was signed shows in its signature; a free one was priced at nothing.
    let signed = tx.envelope.signature() != &super::transact::unsigned_signature(tx.sender);
    let authority = if signed {
        Authority::Signature
    } else if tx.receipt.effective_gas_price == 0 {
        Authority::Operator
    } else {
        Authority::Impersonation
    };
    Pooled { envelope: tx.envelope.clone(), sender: tx.sender, authority }
}
