//! Transactions that wait for a block.
//!
//! A sender's transactions run in nonce order; one whose predecessors are missing stays *queued*
//! until the gap is filled. Among senders the earlier arrival goes first and tips buy nothing, as
//! with Arbitrum's sequencer.

mod refusal;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    primitives::{Address, B256, map::B256Map},
};
pub use refusal::Refusal;
pub(crate) use refusal::{Against, check};

/// How much more a replacement must offer than what it replaces, in percent, as in geth.
pub const REPLACEMENT_BUMP: u128 = 10;

/// Who vouches for a transaction's sender, and so which rules it runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// A valid signature.
    Signature,
    /// The node, for an impersonated account: the account pays as usual.
    Impersonation,
    /// The node, in-process: gas is free.
    Operator,
}

/// A transaction with the sender it acts for.
#[derive(Debug, Clone)]
pub(crate) struct Pooled {
    pub(crate) envelope: TxEnvelope,
    pub(crate) sender: Address,
    pub(crate) authority: Authority,
}

impl Pooled {
    pub(crate) fn hash(&self) -> B256 {
        *self.envelope.tx_hash()
    }
}

#[derive(Debug)]
struct Waiting {
    tx: Pooled,
    arrival: u64,
}

/// The pool of one chain.
#[derive(Debug, Default)]
pub(crate) struct Mempool {
    senders: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    by_hash: B256Map<(Address, u64)>,
    arrivals: u64,
}

impl Mempool {
    /// Adds a transaction, in place of one with its sender and nonce when it offers
    /// [`REPLACEMENT_BUMP`] percent more in both fee cap and tip.
    pub(crate) fn insert(&mut self, tx: Pooled) -> Result<(), Refusal> {
        let hash = tx.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(Refusal::AlreadyKnown);
        }
        let (sender, nonce) = (tx.sender, tx.envelope.nonce());
        let waiting = self.senders.entry(sender).or_default();
        if let Some(old) = waiting.get(&nonce) {
            if !outbids(&tx.envelope, &old.tx.envelope) {
                return Err(Refusal::ReplacementUnderpriced);
            }
            self.by_hash.remove(&old.tx.hash());
        }
        waiting.insert(nonce, Waiting { tx, arrival: self.arrivals });
        self.arrivals += 1;
        self.by_hash.insert(hash, (sender, nonce));
        Ok(())
    }

    /// The waiting transaction with this hash.
    pub(crate) fn get(&self, hash: B256) -> Option<&Pooled> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        Some(&self.senders.get(sender)?.get(nonce)?.tx)
    }

    /// Drops a transaction; false when it is not here.
    pub(crate) fn remove(&mut self, hash: B256) -> bool {
        let Some((sender, nonce)) = self.by_hash.remove(&hash) else { return false };
        if let Some(waiting) = self.senders.get_mut(&sender) {
            waiting.remove(&nonce);
            if waiting.is_empty() {
                self.senders.remove(&sender);
            }
        }
        true
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.senders.clear();
        self.by_hash.clear();
    }

    /// Drops what `sender` can no longer send because its nonce has reached `nonce`.
    pub(crate) fn forget_below(&mut self, sender: Address, nonce: u64) {
        let Some(waiting) = self.senders.get_mut(&sender) else { return };
        while let Some(entry) = waiting.first_entry()
            && *entry.key() < nonce
        {
            self.by_hash.remove(&entry.remove().tx.hash());
        }
        if waiting.is_empty() {
            self.senders.remove(&sender);
        }
    }

    /// The nonce after the unbroken run of waiting transactions that starts at `next`.
    pub(crate) fn next_nonce(&self, sender: Address, next: u64) -> u64 {
        let Some(waiting) = self.senders.get(&sender) else { return next };
        let run = waiting.range(next..).zip(next..).take_while(|((nonce, _), want)| *nonce == want);
        next + run.count() as u64
    }

    /// What can go into a block with this base fee, in order. `next_nonce` is each sender's nonce
    /// in the state.
    pub(crate) fn ready(&self, base_fee: u64, next_nonce: impl Fn(Address) -> u64) -> Vec<Pooled> {
        let mut heads = BinaryHeap::new();
        for (sender, waiting) in &self.senders {
            let nonce = next_nonce(*sender);
            if let Some(arrival) = turn(waiting, nonce, base_fee) {
                heads.push((arrival, *sender, nonce));
            }
        }
        let mut ready = Vec::new();
        while let Some((_, sender, nonce)) = heads.pop() {
            let Some(waiting) = self.senders.get(&sender) else { continue };
            let Some(entry) = waiting.get(&nonce) else { continue };
            ready.push(entry.tx.clone());
            if let Some(arrival) = turn(waiting, nonce + 1, base_fee) {
                heads.push((arrival, sender, nonce + 1));
            }
        }
        ready
    }

    /// Everything, by sender and nonce.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pooled> {
        self.senders.values().flat_map(|waiting| waiting.values().map(|entry| &entry.tx))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_hash.len()
    }
}

/// When a sender's transaction with `nonce` arrived; `None` when it is absent or cannot pay the base
/// fee.
fn turn(waiting: &BTreeMap<u64, Waiting>, nonce: u64, base_fee: u64) -> Option<Reverse<u64>> {
    let entry = waiting.get(&nonce)?;
    let pays = entry.tx.authority == Authority::Operator
        || entry.tx.envelope.max_fee_per_gas() >= u128::from(base_fee);
    pays.then_some(Reverse(entry.arrival))
}

fn outbids(new: &TxEnvelope, old: &TxEnvelope) -> bool {
    let enough = |new: u128, old: u128| new >= old + old * REPLACEMENT_BUMP / 100 && new > old;
    let tip = |tx: &TxEnvelope| tx.max_priority_fee_per_gas().unwrap_or(tx.max_fee_per_gas());
    let tips = (tip(new), tip(old));
    // On a chain where nobody tips, both tips are zero and only the fee cap can speak.
    enough(new.max_fee_per_gas(), old.max_fee_per_gas())
        && (tips == (0, 0) || enough(tips.0, tips.1))
}
