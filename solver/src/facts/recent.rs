//! Answers that hold for a while, so that deciding need not wait for them each time.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256, U256};
use parking_lot::Mutex;
use protocol::ids::ChainId;

use crate::{
    data_fee::GasSource,
    fill::{FillKind, ProofTarget},
};

/// How long a fee counts. One that has risen meanwhile fails in simulation and is asked anew; of one
/// that has fallen the prover gives back what was too much.
const FEES: Duration = Duration::from_secs(5);

/// How long the gas of a shape of fills counts. Each fill is still tried with it before it is sent.
const FILL_GAS: Duration = Duration::from_secs(60);

/// Most answers kept of one kind.
const MOST: usize = 4_096;

/// What is kept.
#[derive(Debug)]
pub(crate) struct Recents {
    /// What a prover asks for a proof of one order.
    pub(super) proof_fees: Recent<(ChainId, ProofTarget), U256>,
    /// Wei for posting so many bytes.
    pub(super) data_fees: Recent<(ChainId, GasSource, Address, usize), U256>,
    /// Gas of fills of one shape.
    pub(super) fill_gas: Recent<B256, u64>,
}

impl Default for Recents {
    fn default() -> Self {
        Self {
            proof_fees: Recent::new(FEES),
            data_fees: Recent::new(FEES),
            fill_gas: Recent::new(FILL_GAS),
        }
    }
}

impl Recents {
    /// Forgets what a fill that has failed relied on.
    pub(super) fn forget_fill(&self, destination: ChainId, kind: FillKind, shape: B256) {
        self.fill_gas.forget(&shape);
        if let FillKind::WithProof(target) = kind {
            self.proof_fees.forget(&(destination, target));
        }
    }
}

/// Answers by question, each for the same time.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    lifetime: Duration,
    known: Mutex<HashMap<K, (V, Instant)>>,
}

impl<K: Eq + Hash, V: Copy> Recent<K, V> {
    fn new(lifetime: Duration) -> Self {
        Self { lifetime, known: Mutex::default() }
    }

    pub(super) fn get(&self, question: &K) -> Option<V> {
        let known = self.known.lock();
        let (answer, at) = known.get(question)?;
        (at.elapsed() < self.lifetime).then_some(*answer)
    }

    pub(super) fn put(&self, question: K, answer: V) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.retain(|_, (_, at)| at.elapsed() < self.lifetime);
        }
        if known.len() < MOST {
            known.insert(question, (answer, Instant::now()));
        }
    }

    fn forget(&self, question: &K) {
        self.known.lock().remove(question);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_its_lifetime_and_until_it_is_forgotten() {
        let lasting = Recent::new(Duration::from_secs(3_600));
        lasting.put(1, 10);
        assert_eq!((lasting.get(&1), lasting.get(&2)), (Some(10), None));
        lasting.forget(&1);
        assert_eq!(lasting.get(&1), None);
        let fleeting = Recent::new(Duration::ZERO);
        fleeting.put(1, 10);
        assert_eq!(fleeting.get(&1), None);
    }

    #[test]
    fn there_is_room_for_so_many_answers_and_no_more() {
        let recent = Recent::new(Duration::from_secs(3_600));
        for question in 0..2 * MOST {
            recent.put(question, ());
        }
        assert_eq!(recent.known.lock().len(), MOST);
    }
}
