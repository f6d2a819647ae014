//! Answers that hold for a while, so that deciding need not wait for them each time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
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

/// How long the gas of a quoted fill counts for others like it.
const QUOTED_GAS: Duration = Duration::from_secs(10);

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
    /// Gas of quoted fills of one shape, which are not tried each.
    pub(super) quoted_gas: Recent<B256, u64>,
}

impl Default for Recents {
    fn default() -> Self {
        Self {
            proof_fees: Recent::new(FEES),
            data_fees: Recent::new(FEES),
            fill_gas: Recent::new(FILL_GAS),
            quoted_gas: Recent::new(QUOTED_GAS),
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

/// Questions that can be under way at a time.
const TURNS: usize = 64;

/// Answers by question, each for the same time.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    lifetime: Duration,
    known: Mutex<HashMap<K, (V, Instant)>>,
    /// One asks, the others wait for its answer. Questions share turns by their hash.
    turns: Vec<tokio::sync::Mutex<()>>,
}

impl<K: Eq + Hash, V: Copy> Recent<K, V> {
    fn new(lifetime: Duration) -> Self {
        let turns = std::iter::repeat_with(tokio::sync::Mutex::default).take(TURNS).collect();
        Self { lifetime, known: Mutex::default(), turns }
    }

    /// The answer, asked for unless it is known. Those who ask the same at the same time share one.
    pub(super) async fn get_or_ask<E>(
        &self,
        question: K,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        if let Some(answer) = self.get(&question) {
            return Ok(answer);
        }
        let _turn = self.turn(&question).await;
        if let Some(answer) = self.get(&question) {
            return Ok(answer);
        }
        let answer = ask.await?;
        self.put(question, answer);
        Ok(answer)
    }

    /// Held while a question of this hash is asked.
    pub(super) async fn turn(&self, question: &K) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let hash = self.known.lock().hasher().hash_one(question);
        let index = usize::try_from(hash % TURNS as u64).unwrap_or_default();
        Some(self.turns.get(index)?.lock().await)
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

    #[tokio::test]
    async fn those_who_ask_the_same_at_once_share_one_answer() {
        let recent = Recent::new(Duration::from_secs(3_600));
        let asked = std::sync::atomic::AtomicU32::new(0);
        let ask = async || {
            recent
                .get_or_ask(1, async {
                    tokio::task::yield_now().await;
                    asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok::<_, ()>(7)
                })
                .await
        };
        let answers = futures::future::join_all((0..10).map(|_| ask())).await;
        assert_eq!(answers, [Ok(7); 10]);
        assert_eq!(asked.into_inner(), 1);
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
