//! Gasless orders: opened at the origin at our expense, once filling them pays for that too.

use std::sync::Arc;

use alloy::primitives::{Bytes, U256, keccak256};
use chain::sender::{self, Inclusion};
use prices::Usd;
use protocol::ids::ChainId;

use super::{Engine, Fault, Next};
use crate::{
    data_fee::GasSource,
    facts::Facts,
    filter::{self, Case, Verdict},
    money::Asset,
    order::{Order, State},
    store::{Entry, EntryKind, Outgoing, Step},
};

/// Gas that opening an order takes, with room for programs that cost more than the reference.
const OPEN_GAS: u64 = 500_000;

/// Bytes of an opening's call data beside the route: the order, the reward and the signature, with room.
const OPEN_DATA: usize = 1_800;

/// Rules that an order which is not opened yet cannot meet.
const AFTER_OPENING: [&str; 3] = ["vault", "confirmations", "payout"];

/// The idempotency key of opening an order.
pub(crate) fn open_key(order: &Order) -> String {
    format!("open:{}", order.hash)
}

impl Engine {
    /// The opening of an unfunded order, when we have its signature and all else is well.
    pub(super) async fn opening(
        &self,
        order: &Order,
        facts: &Facts,
    ) -> Result<Option<Outgoing>, Fault> {
        let Some(outgoing) = self.store.outgoing(&open_key(order)).await? else { return Ok(None) };
        let case = Case { order, policy: &self.policy, facts };
        let objection = filter::every_ruling(&case)
            .into_iter()
            .find(|r| !AFTER_OPENING.contains(&r.rule) && r.verdict != Verdict::Accept);
        if objection.is_some() {
            return Ok(None);
        }
        let promised = facts.promise.is_some_and(|promise| promise.opening);
        let pays = promised || self.pays_for_opening(order, facts, &outgoing.request.data).await?;
        Ok(pays.then_some(outgoing))
    }

    async fn pays_for_opening(
        &self,
        order: &Order,
        facts: &Facts,
        data: &Bytes,
    ) -> Result<bool, Fault> {
        let Ok(estimate) = &facts.estimate else { return Ok(false) };
        let lane = self.policy.lane(order.origin, order.destination());
        let cost = self.cost_of_opening(order.origin, data).await?;
        let Some((lane, cost)) = lane.zip(cost) else { return Ok(false) };
        Ok(estimate.profit() - cost >= lane.margin.required(estimate))
    }

    /// What opening an order that nobody has signed yet may cost on its origin; `None` without a price.
    pub(crate) async fn cost_of_opening_unsigned(
        &self,
        order: &Order,
    ) -> Result<Option<Usd>, Fault> {
        // Bytes that nothing makes smaller: who compresses them asks no less for the real ones.
        let length = OPEN_DATA + order.route().encode().len();
        let mut data = Vec::with_capacity(length + 32);
        let mut word = order.route().salt;
        while data.len() < length {
            word = keccak256(word);
            data.extend(word);
        }
        self.cost_of_opening(order.origin, &data.into()).await
    }

    /// What opening an order with this call data costs on its origin now, gas and the fee for posting it; `None`
    /// without a price.
    async fn cost_of_opening(&self, origin: ChainId, data: &Bytes) -> Result<Option<Usd>, Fault> {
        let gas_price = self.network.link(origin)?.head().gas_price();
        let source = self.policy.chain(origin).map(|c| c.intent_source).unwrap_or_default();
        let posting = self.gatherer.data_fee(origin, GasSource::Assumed, source, data).await?;
        let wei =
            U256::from(OPEN_GAS).saturating_mul(U256::from(gas_price)).saturating_add(posting);
        let valued = self.valuer.valued(Asset::native(origin), wei);
        Ok(valued.ok().and_then(|valued| valued.as_cost().ok()))
    }

    /// The opening of an order that the journal has already: a process that died, or a look that failed, did not
    /// see its end.
    pub(super) async fn sent_opening(&self, order: &Order) -> Result<Option<Outgoing>, Fault> {
        let Some(outgoing) = self.store.outgoing(&open_key(order)).await? else { return Ok(None) };
        // A chain or wallet that was taken out of the configuration keeps its entry.
        let Ok(link) = self.network.link(outgoing.chain) else { return Ok(None) };
        let Some(wallet) = link.wallet(outgoing.wallet) else { return Ok(None) };
        let ticket = wallet.find(outgoing.request.key.as_str()).await?;
        Ok(ticket.map(|_| outgoing))
    }

    /// Drops the oldest opening that is not sent, so that a newer order may wait in its place: one that never pays
    /// would wait for ever. The order stays, and opens when it is handed in again. Whether there was one.
    pub(crate) async fn displace_unopened(self: &Arc<Self>) -> Result<bool, Fault> {
        for hash in self.store.oldest_unopened(self.clock.unix()).await? {
            // Whoever looks at it may be about to send its opening.
            let Some(_work) = self.claim_work(hash.0) else { continue };
            let Some(order) = self.store.order(hash).await? else { continue };
            if order.state.is_undecided() && self.sent_opening(&order).await?.is_none() {
                self.store.forget_outgoing(&open_key(&order)).await?;
                metrics::counter!("solver_openings_displaced_total").increment(1);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens an order. Its request was written when the order came in. Doing it again sends and books nothing
    /// twice: the journal knows the key, and the books the transaction.
    pub(super) async fn open(&self, order: &Order, outgoing: &Outgoing) -> Result<Next, Fault> {
        let link = self.network.link(outgoing.chain)?;
        let wallet = link.wallet(outgoing.wallet).ok_or_else(|| {
            Fault::Inconsistent(format!("wallet {} is not configured", outgoing.wallet))
        })?;
        let mut ticket = wallet.submit(outgoing.request.clone()).await?;
        service::crash_point!("solver.open.sent");
        let inclusion = match self.mined(ticket.included()).await {
            Ok(inclusion) => inclusion,
            Err(sender::Error::Refused { reason, .. }) => {
                return self.refuse(order, format!("opening fails: {reason}"), Vec::new()).await;
            }
            Err(sender::Error::Canceled { empty, .. }) => {
                let mut entries = Vec::new();
                if let Some(empty) = &empty {
                    entries.push(self.opening_gas(order, outgoing, empty).await?);
                }
                return self.refuse(order, "opening came too late".into(), entries).await;
            }
            Err(error) => return Err(error.into()),
        };
        let entry = self.opening_gas(order, outgoing, &inclusion).await?;
        if inclusion.success {
            self.store.book(&[entry]).await?;
            self.store.forget_outgoing(&outgoing.request.key).await?;
            return Ok(Next::Again);
        }
        self.refuse(order, "opening reverted".into(), vec![entry]).await
    }

    async fn opening_gas(
        &self,
        order: &Order,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
    ) -> Result<Entry, Fault> {
        let native = Asset::native(outgoing.chain);
        let amount = self.gas_of(outgoing.chain, inclusion).await?;
        Ok(Entry {
            tx: inclusion.hash,
            position: 0,
            intent: order.hash,
            wallet: outgoing.wallet,
            asset: native,
            kind: EntryKind::OpenGas,
            amount,
            usd: -self.cost_worth(native, amount),
            at: self.now(),
        })
    }

    async fn refuse(
        &self,
        order: &Order,
        reason: String,
        entries: Vec<Entry>,
    ) -> Result<Next, Fault> {
        let now = self.now();
        let step = Step::new(order, State::Refused, reason, now).book(entries);
        self.store.take(&[step], now).await?;
        Ok(Next::Wait)
    }
}
