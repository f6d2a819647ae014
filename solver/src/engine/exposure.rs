//! What is out and not yet home.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;
use prices::Usd;
use protocol::ids::IntentHash;

use super::{Engine, Fault};
use crate::{money::Rounding, order::Order};

/// How long a sum counts at least before it is taken anew, in milliseconds.
const FRESH: u64 = 1_000;

/// Summing takes at most one part in this many of the time.
const SHARE: u64 = 50;

/// The sum, kept for a moment: summing for every decision would read every open order each time.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    known: Mutex<Known>,
    /// What orders in flight were worth when their prices were last believed.
    worths: Mutex<HashMap<IntentHash, Usd>>,
    /// Whoever sums; the others wait for the outcome.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    dollars: Usd,
    /// Until when it counts (unix milliseconds).
    until: u64,
    /// Claimed since summing began, or before and not written by then: the sum may have passed it by.
    meanwhile: Usd,
    /// Claimed and not written yet.
    unwritten: Usd,
}

/// An order's worth that counts as out from now on; dropped once the order is written as reserved.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    exposure: &'a Exposure,
    worth: Usd,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut known = self.exposure.known.lock();
        known.unwritten = known.unwritten - self.worth;
    }
}

impl Engine {
    /// What every order in flight has cost or is about to cost, from the store. What ends is
    /// missed until the sum is taken anew, what begins never: the sum errs towards caution.
    pub(crate) async fn exposure(&self) -> Result<Usd, Fault> {
        if let Some(sum) = self.known_exposure() {
            return Ok(sum);
        }
        let _turn = self.exposure.turn.lock().await;
        if let Some(sum) = self.known_exposure() {
            return Ok(sum);
        }
        let begun = Instant::now();
        {
            let mut known = self.exposure.known.lock();
            known.meanwhile = known.unwritten;
        }
        let (mut dollars, mut worths) = (Usd::ZERO, HashMap::new());
        self.store
            .for_each_in_flight(|order| {
                let worth = self.worth_out(order);
                dollars += worth;
                worths.insert(order.hash, worth);
            })
            .await?;
        *self.exposure.worths.lock() = worths;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX / SHARE);
        let until = self.now() + FRESH.max(took.saturating_mul(SHARE));
        let mut known = self.exposure.known.lock();
        dollars += known.meanwhile;
        *known = Known { dollars, until, meanwhile: Usd::ZERO, ..*known };
        metrics::gauge!("solver_exposure_dollars").set(dollars.0 as f64 / 1e12);
        Ok(dollars)
    }

    fn known_exposure(&self) -> Option<Usd> {
        let known = *self.exposure.known.lock();
        (self.now() < known.until).then_some(known.dollars)
    }

    /// Counts an order that is about to be reserved, until the sum is taken anew. `None` when that
    /// would be too much: many are decided at once, and each was judged without the others.
    pub(super) fn claim_exposure(&self, order: &Order) -> Option<Claim<'_>> {
        let worth = self.worth_out(order);
        let mut known = self.exposure.known.lock();
        if known.dollars + worth > self.policy.limits().exposure {
            return None;
        }
        known.dollars += worth;
        known.meanwhile += worth;
        known.unwritten += worth;
        drop(known);
        self.exposure.worths.lock().insert(order.hash, worth);
        Some(Claim { exposure: &self.exposure, worth })
    }

    /// What an order costs us. While a price is not believed, as much as when it was: what is out does not become
    /// less by a source that fails.
    fn worth_out(&self, order: &Order) -> Usd {
        let worth = self.valuer.worth(&order.spends(), Rounding::Up);
        worth.unwrap_or_else(|_| {
            self.exposure.worths.lock().get(&order.hash).copied().unwrap_or_default()
        })
    }
}
