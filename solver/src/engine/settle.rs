//! Filled, attesting, proven: what the origin says of our proof, and what is to be done about it.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
};
use protocol::abi::{intent_source, prover};

use super::{Engine, Fault, Next, batching::BatchDraft};
use crate::{
    facts::ProofSeen,
    fill,
    order::{Order, State},
    policy::Settlement,
    store::{BatchKind, Books, Entry, EntryKind, Step},
};

/// `Status.Withdrawn` of the IntentSource.
const WITHDRAWN: u8 = 2;
/// `Status.Refunded` of the IntentSource.
const REFUNDED: u8 = 3;

/// What the origin says of a filled order.
#[derive(Debug, PartialEq, Eq)]
enum AtOrigin {
    /// No proof yet.
    Unproven,
    /// Proven for one of our wallets, and the reward is there.
    Ours,
    /// A proof with another destination stands in the way.
    WrongDestination {
        /// The chain it speaks of.
        given: u64,
    },
    /// Proven for a stranger although the Inbox named us.
    Stranger(Address),
    /// The reward was paid to whom the proof names.
    Withdrawn(Address),
    /// The reward went back to its creator.
    Refunded,
}

impl Engine {
    /// Filled and waiting for its proof batch: unless somebody proved it, or it is too late.
    pub(super) async fn check_filled(&self, order: &Order) -> Result<Next, Fault> {
        match self.at_origin(order).await? {
            AtOrigin::Unproven | AtOrigin::WrongDestination { .. } => {
                if self.filled_by_us(order).await? {
                    self.put_off(order, &order.reason, Duration::from_secs(10)).await;
                    Ok(Next::Wait)
                } else {
                    self.fill_reorganised(order).await
                }
            }
            other => self.follow(order, other).await,
        }
    }

    /// The proof is under way: look for it at the origin.
    pub(super) async fn check_proof(&self, order: &Order) -> Result<Next, Fault> {
        match self.at_origin(order).await? {
            AtOrigin::Unproven => self.still_unproven(order).await,
            other => self.follow(order, other).await,
        }
    }

    /// Proven and waiting for its withdrawal batch: unless somebody withdrew it, or it is gone.
    pub(super) async fn check_proven(&self, order: &Order) -> Result<Next, Fault> {
        match self.at_origin(order).await? {
            AtOrigin::Ours => {
                let reason = "proven, waiting for its withdrawal";
                self.put_off(order, reason, Duration::from_secs(5)).await;
                Ok(Next::Wait)
            }
            AtOrigin::Unproven | AtOrigin::WrongDestination { .. } => {
                self.go(order, State::Attesting, "a reorganisation removed the proof").await
            }
            other => self.follow(order, other).await,
        }
    }

    async fn follow(&self, order: &Order, seen: AtOrigin) -> Result<Next, Fault> {
        match seen {
            AtOrigin::Unproven => Ok(Next::Wait),
            AtOrigin::Ours => {
                let next = self.go(order, State::Proven, "the origin's prover names us").await?;
                self.note_latency(order).await?;
                Ok(next)
            }
            AtOrigin::WrongDestination { given } => self.challenge(order, given).await,
            AtOrigin::Stranger(claimant) => {
                self.forfeit(order, format!("the origin's prover names {claimant}")).await
            }
            AtOrigin::Refunded => self.forfeit(order, "the reward was refunded".into()).await,
            AtOrigin::Withdrawn(claimant) if self.is_ours(claimant) => {
                self.withdrawn_for_us(order, claimant).await
            }
            AtOrigin::Withdrawn(claimant) => {
                self.forfeit(order, format!("the reward was paid to {claimant}")).await
            }
        }
    }

    /// Takes note of how long the proof took from the fill, in the destination's time. Orders that an
    /// earlier process has seen say nothing: their proofs may have waited for this one.
    async fn note_latency(&self, order: &Order) -> Result<(), Fault> {
        let Some(filled_at) = order.filled_at else { return Ok(()) };
        if order.created_at < self.started {
            return Ok(());
        }
        let time = self.network.link(order.destination())?.head().block.timestamp;
        let took = Duration::from_secs(time.saturating_sub(filled_at));
        if let Some(measurement) = self.policy.measured(order, took, self.now()) {
            self.store.keep_measurement(&measurement).await?;
        }
        Ok(())
    }

    async fn at_origin(&self, order: &Order) -> Result<AtOrigin, Fault> {
        let link = self.network.link(order.origin)?;
        let source = self.policy.chain(order.origin).map(|c| c.intent_source).unwrap_or_default();
        let at = BlockNumberOrTag::Latest;
        let status = intent_source::getRewardStatusCall { intentHash: order.hash.0 };
        let proven = prover::provenIntentsCall { intentHash: order.hash.0 };
        let (status, proof) = tokio::try_join!(
            link.client.call(source, &status, at),
            link.client.call(order.reward().prover, &proven, at),
        )?;
        let proof = ProofSeen { claimant: proof.claimant, destination: proof.destination };
        Ok(classify(status, proof, order.destination().0, |address| self.is_ours(address)))
    }

    /// No proof yet: wait, or prove again when it has taken far too long.
    async fn still_unproven(&self, order: &Order) -> Result<Next, Fault> {
        let latency = match self.policy.settlement(order) {
            // Not as measured: proofs that took long, or were lost, must not put off the next one.
            Some(Settlement::Message(tier)) => self.policy.configured_tiers().latency(tier),
            Some(Settlement::Local) | None => self.policy.configured_tiers().fill,
        };
        if !self.filled_by_us(order).await? {
            return self.fill_reorganised(order).await;
        }
        let time = self.network.link(order.destination())?.head().block.timestamp;
        let waited = time.saturating_sub(order.filled_at.unwrap_or(time));
        let patience = latency * self.policy.batches().reprove_after;
        if waited > patience.as_secs() {
            metrics::counter!("solver_reproofs_total").increment(1);
            let reason = format!("no proof after {waited} s: proving again");
            return self.go(order, State::Filled, &reason).await;
        }
        // The proof's event wakes it; looking is for events that were missed, so seldom and ever less often: while no
        // proofs arrive, every order in flight is looked at, and fills must not wait for that.
        let left = patience.saturating_sub(Duration::from_secs(waited));
        let wait = latency.max(Duration::from_secs(waited / 4)).min(left);
        let wait = wait.clamp(Duration::from_millis(500), Duration::from_secs(300));
        self.put_off(order, &order.reason, wait).await;
        Ok(Next::Wait)
    }

    /// The Inbox does not name us any more: its chain took the fill back.
    async fn fill_reorganised(&self, order: &Order) -> Result<Next, Fault> {
        let now = self.now();
        metrics::counter!("solver_fills_reorganised_total").increment(1);
        let mut step =
            Step::new(order, State::Waiting, "a reorganisation removed the fill", now).give_back();
        step.order.filled_at = None;
        step.books = Books::StrikeFill;
        self.store.take(&[step], now).await?;
        Ok(Next::Again)
    }

    /// Removes a proof that names the wrong destination, so that the right one can arrive.
    async fn challenge(&self, order: &Order, given: u64) -> Result<Next, Fault> {
        let reason = format!("the origin's prover names destination {given}: challenging");
        metrics::counter!("solver_challenges_total").increment(1);
        self.form_batch(BatchDraft {
            kind: BatchKind::Challenge,
            chain: order.origin,
            to: order.reward().prover,
            value: U256::ZERO,
            data: fill::challenge(order),
            orders: vec![order.clone()],
            state: State::Challenging,
            reason,
        })
        .await?;
        Ok(Next::Wait)
    }

    /// Somebody else withdrew the reward, to us: book it.
    async fn withdrawn_for_us(&self, order: &Order, claimant: Address) -> Result<Next, Fault> {
        // Every way to here passes the proof.
        if order.state != State::Proven {
            return self.go(order, State::Proven, "the origin's prover names us").await;
        }
        let now = self.now();
        let entries = order.earns().into_iter().zip(0..).map(|(leg, position)| {
            let worth = self.income_worth(leg.asset, leg.amount);
            Entry {
                tx: order.hash.0,
                position,
                intent: order.hash,
                wallet: claimant,
                asset: leg.asset,
                kind: EntryKind::Reward,
                amount: leg.amount,
                usd: worth,
                at: now,
            }
        });
        let entries = entries.collect();
        let step = Step::new(order, State::Claimed, "somebody else withdrew it to us", now);
        self.store.take(&[step.book(entries)], now).await?;
        self.moved.notify_one();
        Ok(Next::Wait)
    }

    async fn forfeit(&self, order: &Order, reason: String) -> Result<Next, Fault> {
        metrics::counter!("solver_forfeits_total").increment(1);
        tracing::error!(intent_hash = %order.hash, reason, "a filled order's reward is gone");
        self.go(order, State::Forfeited, &reason).await
    }

    pub(super) async fn go(&self, order: &Order, to: State, reason: &str) -> Result<Next, Fault> {
        let now = self.now();
        self.store.take(&[Step::new(order, to, reason, now)], now).await?;
        Ok(if to.is_terminal() { Next::Wait } else { Next::Again })
    }
}

/// What status and proof mean together.
fn classify(
    status: u8,
    proof: ProofSeen,
    destination: u64,
    is_ours: impl Fn(Address) -> bool,
) -> AtOrigin {
    match (status, proof) {
        (REFUNDED, _) => AtOrigin::Refunded,
        (WITHDRAWN, proof) => AtOrigin::Withdrawn(proof.claimant),
        (_, proof) if proof.claimant.is_zero() => AtOrigin::Unproven,
        (_, proof) if proof.destination != destination => {
            AtOrigin::WrongDestination { given: proof.destination }
        }
        (_, proof) if is_ours(proof.claimant) => AtOrigin::Ours,
        (_, proof) => AtOrigin::Stranger(proof.claimant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_proof_decide_what_the_origin_says() {
        let us = Address::repeat_byte(1);
        let them = Address::repeat_byte(2);
        let proof = |claimant, destination| ProofSeen { claimant, destination };
        let none = ProofSeen::default();
        let cases = [
            (1, none, AtOrigin::Unproven),
            (0, none, AtOrigin::Unproven),
            (1, proof(us, 7), AtOrigin::Ours),
            (1, proof(them, 7), AtOrigin::Stranger(them)),
            (1, proof(us, 8), AtOrigin::WrongDestination { given: 8 }),
            (2, proof(us, 7), AtOrigin::Withdrawn(us)),
            (3, proof(us, 7), AtOrigin::Refunded),
            (3, none, AtOrigin::Refunded),
        ];
        for (status, proof, expected) in cases {
            assert_eq!(classify(status, proof, 7, |a| a == us), expected, "{status} {proof:?}");
        }
    }
}
