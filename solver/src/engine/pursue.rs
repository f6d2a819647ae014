//! Filling: the fill is sent under its key until it is mined for good, or can no longer be.

use std::sync::atomic::Ordering;

use alloy::{eips::BlockNumberOrTag, primitives::Address};
use chain::sender::{self, Inclusion};
use protocol::{abi::inbox, ids::Claimant};

use super::{Engine, Fault, Next};
use crate::{
    money::Rounding,
    order::{Order, State},
    policy::Settlement,
    store::{Books, Outgoing, Release, Step},
};

impl Engine {
    /// Sends the fill that was written down, and waits for its end.
    pub(super) async fn pursue_fill(&self, order: &Order) -> Result<Next, Fault> {
        let key = order.fill_key();
        let outgoing = self.store.outgoing(&key).await?;
        let outgoing =
            outgoing.ok_or_else(|| Fault::Inconsistent(format!("{key} is not in the outbox")))?;
        let link = self.network.link(outgoing.chain)?;
        let wallet = link.wallet(outgoing.wallet).ok_or_else(|| {
            Fault::Inconsistent(format!("wallet {} is not configured", outgoing.wallet))
        })?;
        service::crash_point!("solver.fill.send");
        let mut ticket = wallet.submit(outgoing.request.clone()).await?;
        metrics::histogram!("solver_fill_sent_milliseconds")
            .record(self.now().saturating_sub(order.created_at) as f64);
        service::crash_point!("solver.fill.sent");
        match self.mined(ticket.confirmed()).await {
            Ok(inclusion) => self.fill_ended(order, &outgoing, &inclusion).await,
            Err(sender::Error::Refused { reason, .. }) => {
                self.fill_failed(order, format!("not sent: {reason}"), Vec::new()).await
            }
            Err(sender::Error::Canceled { empty, .. }) => {
                let entries = match empty {
                    Some(empty) => self.book_empty(order, &outgoing, &empty).await?,
                    None => Vec::new(),
                };
                self.moved.notify_one();
                self.fill_failed(order, "cancelled at the route's deadline".into(), entries).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The fill is in a block for good.
    async fn fill_ended(
        &self,
        order: &Order,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
    ) -> Result<Next, Fault> {
        let entries = self.book_fill(order, outgoing, inclusion).await?;
        self.moved.notify_one();
        if !inclusion.success {
            metrics::counter!("solver_fills_reverted_total").increment(1);
            return self.fill_failed(order, "the fill reverted".into(), entries).await;
        }
        let now = self.now();
        let with_proof = outgoing.request.value > order.route().nativeAmount
            || is_with_proof(&outgoing.request.data);
        let (to, reason) = match (self.policy.settlement(order), with_proof) {
            (Some(Settlement::Local), _) => (State::Proven, "filled, proven by the Inbox itself"),
            (_, true) => (State::Attesting, "filled, the proof is under way"),
            (_, false) => (State::Filled, "filled, to be proven"),
        };
        let mut step = Step::new(order, to, format!("{reason} ({})", inclusion.hash), now);
        step.order.filled_at = Some(self.network.link(order.destination())?.head().block.timestamp);
        step.release = Release::Spent { block: inclusion.block_number };
        self.store.take(&[step.book(entries)], now).await?;
        let worth = self.valuer.worth(&order.spends(), Rounding::Up).unwrap_or_default();
        self.lanes.record(order, now, worth);
        let before = self.fill_time.load(Ordering::Relaxed);
        let took = now.saturating_sub(order.created_at);
        let smoothed = if before == 0 { took } else { (before * 7 + took) / 8 };
        self.fill_time.store(smoothed, Ordering::Relaxed);
        metrics::counter!("solver_fills_total").increment(1);
        Ok(Next::Again)
    }

    /// The fill did not happen. Who has filled it decides what follows.
    async fn fill_failed(
        &self,
        order: &Order,
        reason: String,
        entries: Vec<crate::store::Entry>,
    ) -> Result<Next, Fault> {
        let now = self.now();
        let filler = self.filler(order).await?;
        if self.filled_by_us(order).await? {
            return self.found_filled(order, entries).await;
        }
        let to = if filler.is_zero() { State::Waiting } else { State::Lost };
        let reason =
            if filler.is_zero() { reason } else { format!("{reason}: fulfilled for {filler}") };
        let step = Step::new(order, to, reason, now).give_back().book(entries);
        self.store.take(&[step], now).await?;
        Ok(Next::Again)
    }

    /// The Inbox names us although no fill of ours is known to have been mined: an earlier attempt
    /// was, or the books are younger than the fill.
    pub(super) async fn found_filled(
        &self,
        order: &Order,
        mut entries: Vec<crate::store::Entry>,
    ) -> Result<Next, Fault> {
        let now = self.now();
        let found = self.find_fill(order).await?;
        let mut step = Step::new(order, State::Filled, "fulfilled in our name already", now);
        step.release = Release::Spent { block: found.inclusion.block_number };
        step.order.filled_at = Some(found.time);
        step.books = Books::StrikeFill;
        // Somebody may have filled it at their own expense and named us.
        if self.is_ours(found.wallet) {
            step.order.wallet = Some(found.wallet);
            let outgoing = found.outgoing(order);
            entries.extend(self.book_fill(order, &outgoing, &found.inclusion).await?);
        }
        self.store.take(&[step.book(entries)], now).await?;
        self.moved.notify_one();
        Ok(Next::Again)
    }

    /// Whom the Inbox names as claimant; zero while nobody has filled.
    pub(super) async fn filler(&self, order: &Order) -> Result<alloy::primitives::B256, Fault> {
        let link = self.network.link(order.destination())?;
        let inbox = self.policy.chain(order.destination()).map(|c| c.inbox).unwrap_or_default();
        let call = inbox::claimantsCall { intentHash: order.hash.0 };
        Ok(link.client.call(inbox, &call, BlockNumberOrTag::Latest).await?)
    }

    /// Whether the Inbox names one of our wallets.
    pub(super) async fn filled_by_us(&self, order: &Order) -> Result<bool, Fault> {
        let filler = self.filler(order).await?;
        Ok(Address::try_from(Claimant(filler)).is_ok_and(|address| self.is_ours(address)))
    }
}

/// Whether call data is `fulfillAndProve`.
fn is_with_proof(data: &[u8]) -> bool {
    use alloy::sol_types::SolCall;
    data.starts_with(&inbox::fulfillAndProveCall::SELECTOR)
}
