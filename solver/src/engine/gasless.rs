//! Gasless orders: opened at the origin at our expense, once filling them pays for that too.

use alloy::primitives::U256;
use chain::sender::{self, Inclusion};
use protocol::ids::ChainId;

use super::{Engine, Fault, Next};
use crate::{
    facts::Facts,
    filter::{self, Case, Verdict},
    money::{Asset, Usd},
    order::{Order, State},
    store::{Entry, EntryKind, Outgoing, Step},
};

/// Gas that opening an order takes, with room for programs that cost more than the reference.
const OPEN_GAS: u64 = 500_000;

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
        let promised = facts.promise.is_some_and(|promise| promise.opening);
        if objection.is_some() || !(promised || self.pays_for_opening(order, facts)) {
            return Ok(None);
        }
        Ok(Some(outgoing))
    }

    fn pays_for_opening(&self, order: &Order, facts: &Facts) -> bool {
        let Ok(estimate) = &facts.estimate else { return false };
        let Some(lane) = self.policy.lane(order.origin, order.destination()) else { return false };
        let Ok(Some(cost)) = self.cost_of_opening(order.origin) else { return false };
        estimate.profit() - cost >= lane.margin.required(estimate)
    }

    /// What opening a gasless order costs on its origin now; `None` without a price.
    pub(crate) fn cost_of_opening(&self, origin: ChainId) -> Result<Option<Usd>, Fault> {
        let gas_price = self.network.link(origin)?.head().gas_price();
        let wei = U256::from(OPEN_GAS) * U256::from(gas_price);
        let valued = self.valuer.valued(Asset::native(origin), wei);
        Ok(valued.ok().and_then(|valued| valued.as_cost().ok()))
    }

    /// Opens an order. Its request was written when the order came in.
    pub(super) async fn open(&self, order: &Order, outgoing: &Outgoing) -> Result<Next, Fault> {
        let link = self.network.link(outgoing.chain)?;
        let wallet = link.wallet(outgoing.wallet).ok_or_else(|| {
            Fault::Inconsistent(format!("wallet {} is not configured", outgoing.wallet))
        })?;
        let mut ticket = wallet.submit(outgoing.request.clone()).await?;
        service::crash_point!("solver.open.sent");
        let included = {
            let _mining = self.wait_for_block();
            ticket.included().await
        };
        let inclusion = match included {
            Ok(inclusion) => inclusion,
            Err(sender::Error::Refused { reason, .. }) => {
                return self.refuse(order, format!("opening fails: {reason}"), Vec::new()).await;
            }
            Err(sender::Error::Canceled { empty, .. }) => {
                let entries = empty.iter().map(|empty| self.opening_gas(order, outgoing, empty));
                let entries = entries.collect();
                return self.refuse(order, "opening came too late".into(), entries).await;
            }
            Err(error) => return Err(error.into()),
        };
        let entry = self.opening_gas(order, outgoing, &inclusion);
        if inclusion.success {
            self.store.book(&[entry]).await?;
            self.store.forget_outgoing(&outgoing.request.key).await?;
            return Ok(Next::Again);
        }
        self.refuse(order, "opening reverted".into(), vec![entry]).await
    }

    fn opening_gas(&self, order: &Order, outgoing: &Outgoing, inclusion: &Inclusion) -> Entry {
        let native = Asset::native(outgoing.chain);
        let amount = U256::from(inclusion.gas_used) * U256::from(inclusion.gas_price);
        Entry {
            tx: inclusion.hash,
            position: 0,
            intent: order.hash,
            wallet: outgoing.wallet,
            asset: native,
            kind: EntryKind::OpenGas,
            amount,
            usd: -self.cost_worth(native, amount),
            at: self.now(),
        }
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
