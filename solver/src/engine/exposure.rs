//! What is out and not yet home.

use parking_lot::Mutex;

use super::{Engine, Fault};
use crate::{
    money::{Rounding, Usd},
    order::Order,
};

/// How long a sum counts before it is taken anew, in milliseconds.
const FRESH: u64 = 1_000;

/// The sum, kept for a moment: summing for every decision would read every open order each time.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    /// The sum, and when it was taken.
    sum: Mutex<Option<(Usd, u64)>>,
}

impl Engine {
    /// What every order in flight has cost or is about to cost, from the store.
    pub(crate) async fn exposure(&self) -> Result<Usd, Fault> {
        let now = self.now();
        let known = *self.exposure.sum.lock();
        if let Some((sum, _)) = known.filter(|(_, at)| now.saturating_sub(*at) < FRESH) {
            return Ok(sum);
        }
        let in_flight = self.store.in_flight().await?;
        let sum = in_flight.iter().map(|order| self.worth_out(order)).sum();
        *self.exposure.sum.lock() = Some((sum, now));
        metrics::gauge!("solver_exposure_dollars").set(sum.0 as f64 / 1e12);
        Ok(sum)
    }

    /// Counts an order that has just been reserved, until the sum is taken anew.
    pub(super) fn add_exposure(&self, order: &Order) {
        if let Some((sum, _)) = self.exposure.sum.lock().as_mut() {
            *sum += self.worth_out(order);
        }
    }

    fn worth_out(&self, order: &Order) -> Usd {
        self.valuer.worth(&order.spends(), Rounding::Up).unwrap_or_default()
    }
}
