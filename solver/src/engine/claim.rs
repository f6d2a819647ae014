//! Withdrawals, and what follows when a batch's transaction has ended.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    rpc::types::TransactionRequest,
};
use chain::sender::{self, Inclusion};
use futures::future::join_all;
use protocol::{
    abi::{intent_source, prover},
    ids::ChainId,
};

use super::{
    Engine, Fault,
    batching::{BatchDraft, report, within},
};
use crate::{
    fill,
    order::{Order, State},
    store::{Batch, BatchKind, Entry, Step},
};

/// Most proven orders considered in one go.
const CONSIDERED: u32 = 2_000;

/// `Status.Withdrawn` of the IntentSource.
const WITHDRAWN: u8 = 2;

impl Engine {
    /// Forms withdrawal batches that are full or have waited long enough.
    pub(super) async fn form_withdrawals(&self) -> Result<(), Fault> {
        let mut by_origin: BTreeMap<ChainId, Vec<Order>> = BTreeMap::new();
        let now = self.now();
        for order in self.store.in_state(State::Proven, CONSIDERED).await? {
            by_origin.entry(order.origin).or_default().push(order);
        }
        // A chain that does not answer holds up no rewards but its own.
        let formed = by_origin.into_iter().map(|(origin, orders)| async move {
            report("withdrawals", within(self.form_withdrawals_at(origin, orders, now)).await);
        });
        join_all(formed).await;
        Ok(())
    }

    async fn form_withdrawals_at(
        &self,
        origin: ChainId,
        orders: Vec<Order>,
        now: u64,
    ) -> Result<(), Fault> {
        let batches = self.policy.batches();
        let wait = u64::try_from(batches.withdrawal_wait.as_millis()).unwrap_or(u64::MAX);
        let orders: Vec<Order> =
            orders.into_iter().filter(|order| !is_set_aside(order, now)).collect();
        for members in orders.chunks(batches.withdrawals.max(1)) {
            let full = members.len() >= batches.withdrawals;
            let since = self.proven_since(members).await?;
            if full || now.saturating_sub(since) >= wait {
                self.form_withdrawal(origin, members.to_vec()).await?;
            }
        }
        Ok(())
    }

    /// When the first of these was proven.
    async fn proven_since(&self, orders: &[Order]) -> Result<u64, Fault> {
        let Some(first) = orders.first() else { return Ok(u64::MAX) };
        let history = self.store.history(first.hash).await?;
        let proven = history.iter().rev().find(|entry| entry.state == State::Proven);
        Ok(proven.map_or(0, |entry| entry.at))
    }

    /// Withdraws together what works together; a reward that fails is set aside, not the others.
    async fn form_withdrawal(&self, origin: ChainId, orders: Vec<Order>) -> Result<(), Fault> {
        let mut members = Vec::new();
        if orders.len() > 1 && self.withdrawal_works(origin, &orders).await?.is_ok() {
            members = orders;
        } else {
            // All at once: one bad reward must not delay the good ones by fifty calls.
            let tried = join_all(orders.into_iter().map(|order| async move {
                let works = self.withdrawal_works(origin, std::slice::from_ref(&order)).await;
                (order, works)
            }));
            for (order, works) in tried.await {
                match works {
                    Ok(Ok(())) => members.push(order),
                    Ok(Err(reason)) => self.set_aside(&order, &reason).await,
                    Err(fault) => report("withdrawal", Err(fault)),
                }
            }
        }
        if members.is_empty() {
            return Ok(());
        }
        let source = self.policy.chain(origin).map(|c| c.intent_source).unwrap_or_default();
        self.form_batch(BatchDraft {
            kind: BatchKind::Withdrawal,
            chain: origin,
            to: source,
            value: U256::ZERO,
            data: fill::withdraw(&members),
            reason: format!("withdrawing {} rewards in one transaction", members.len()),
            orders: members,
            state: State::Claiming,
        })
        .await
    }

    async fn set_aside(&self, order: &Order, reason: &str) {
        metrics::counter!("solver_withdrawals_failing_total").increment(1);
        let reason: String = format!("{SET_ASIDE}: {reason}").chars().take(400).collect();
        tracing::warn!(intent_hash = %order.hash, reason, "a reward cannot be withdrawn now");
        self.put_off(order, &reason, self.policy.batches().withdrawal_retry).await;
    }

    async fn withdrawal_works(
        &self,
        origin: ChainId,
        orders: &[Order],
    ) -> Result<Result<(), String>, Fault> {
        let link = self.network.link(origin)?;
        let source = self.policy.chain(origin).map(|c| c.intent_source).unwrap_or_default();
        let from = link.wallet_for(0).map(sender::Sender::address).unwrap_or_default();
        let request = TransactionRequest::default()
            .from(from)
            .to(source)
            .input(fill::withdraw(orders).into());
        match link.client.simulate(&request, BlockNumberOrTag::Latest).await {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.is_retryable() => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Sends a batch's transaction and writes down what it came to. Nobody else may work on it meanwhile.
    pub(super) async fn pursue_batch(&self, id: B256) -> Result<(), Fault> {
        let Some(batch) = self.store.open_batch(id).await? else { return Ok(()) };
        let batch = &batch;
        let link = self.network.link(batch.outgoing.chain)?;
        let wallet = link.wallet(batch.outgoing.wallet).ok_or_else(|| {
            Fault::Inconsistent(format!("wallet {} is not configured", batch.outgoing.wallet))
        })?;
        service::crash_point!(&format!("solver.{}.send", batch.kind.name()));
        let mut ticket = wallet.submit(batch.outgoing.request.clone()).await?;
        service::crash_point!(&format!("solver.{}.sent", batch.kind.name()));
        match self.mined(ticket.confirmed()).await {
            Ok(inclusion) => self.batch_mined(batch, &inclusion).await,
            Err(sender::Error::Refused { reason, .. }) => {
                self.batch_failed(batch, &format!("not sent: {reason}"), Vec::new()).await
            }
            Err(sender::Error::Canceled { .. }) => {
                self.batch_failed(batch, "cancelled", Vec::new()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn batch_mined(&self, batch: &Batch, inclusion: &Inclusion) -> Result<(), Fault> {
        let (outgoing, orders) = (&batch.outgoing, &batch.orders);
        self.moved.notify_one();
        if !inclusion.success {
            let entries = match batch.kind {
                BatchKind::Proof => self.book_proof(outgoing, inclusion, orders).await?,
                BatchKind::Withdrawal | BatchKind::Challenge => {
                    self.book_withdrawal(outgoing, inclusion, orders, &[]).await?
                }
            };
            return self.batch_failed(batch, "reverted", entries).await;
        }
        let now = self.now();
        let done = |order: &Order, to, reason: &str| {
            Step::new(order, to, format!("{reason} ({})", inclusion.hash), now).in_batch(None)
        };
        let mut steps = Vec::with_capacity(orders.len());
        let entries = match batch.kind {
            BatchKind::Proof => {
                // From now on this proof is waited for: one that is late is not sent again at every look.
                let head = self.network.link(batch.outgoing.chain)?.head();
                steps.extend(orders.iter().map(|order| {
                    let mut step = done(order, State::Attesting, "proof sent");
                    step.order.filled_at = Some(head.block.timestamp);
                    step
                }));
                self.book_proof(outgoing, inclusion, orders).await?
            }
            BatchKind::Challenge => {
                steps.extend(orders.iter().map(|o| done(o, State::Filled, "wrong proof removed")));
                self.book_withdrawal(outgoing, inclusion, orders, &[]).await?
            }
            BatchKind::Withdrawal => {
                let mut paid = Vec::new();
                for order in orders {
                    if let Some(claimant) = self.paid_to(order).await? {
                        steps.push(done(order, State::Claimed, "paid"));
                        paid.push((order.clone(), claimant));
                    } else {
                        steps.push(done(order, State::Proven, "skipped: its proof was wrong"));
                    }
                }
                let ours: Vec<_> =
                    paid.into_iter().filter(|(_, claimant)| self.is_ours(*claimant)).collect();
                self.book_withdrawal(outgoing, inclusion, orders, &ours).await?
            }
        };
        attach(&mut steps, entries);
        Ok(self.store.end_batch(batch.id, &steps, now).await?)
    }

    /// Whom the reward was paid to, if it was.
    async fn paid_to(&self, order: &Order) -> Result<Option<Address>, Fault> {
        let link = self.network.link(order.origin)?;
        let source = self.policy.chain(order.origin).map(|c| c.intent_source).unwrap_or_default();
        let at = BlockNumberOrTag::Latest;
        let status = intent_source::getRewardStatusCall { intentHash: order.hash.0 };
        let proven = prover::provenIntentsCall { intentHash: order.hash.0 };
        let (status, proof) = tokio::try_join!(
            link.client.call(source, &status, at),
            link.client.call(order.reward().prover, &proven, at),
        )?;
        Ok((status == WITHDRAWN).then_some(proof.claimant))
    }

    async fn batch_failed(
        &self,
        batch: &Batch,
        reason: &str,
        entries: Vec<Entry>,
    ) -> Result<(), Fault> {
        metrics::counter!("solver_batches_failed_total", "kind" => batch.kind.name()).increment(1);
        let now = self.now();
        let back = match batch.kind {
            BatchKind::Proof => State::Filled,
            BatchKind::Withdrawal => State::Proven,
            BatchKind::Challenge => State::Attesting,
        };
        let mut steps: Vec<Step> = (batch.orders.iter())
            .map(|order| {
                let reason = format!("{} {reason}", batch.kind.name());
                Step::new(order, back, reason, now).in_batch(None)
            })
            .collect();
        attach(&mut steps, entries);
        Ok(self.store.end_batch(batch.id, &steps, now).await?)
    }
}

/// Whether a withdrawal of this reward failed a short time ago.
fn is_set_aside(order: &Order, now: u64) -> bool {
    order.reason.starts_with(SET_ASIDE) && order.retry_at > now
}

/// How the reason of a reward whose withdrawal fails begins.
const SET_ASIDE: &str = "withdrawal fails";

/// A batch's entries are written with its first step: all steps are one transaction.
fn attach(steps: &mut [Step], entries: Vec<Entry>) {
    if let Some(first) = steps.first_mut() {
        first.entries = entries;
    }
}
