use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::ids::IntentHash;
use service::{clock::Clock, health::Component};
use tokio_util::sync::CancellationToken;

use super::{Changes, Orders, StoreError, settle_outcomes};
use crate::reputation::Reputations;

/// How often is looked what time alone has changed, and which orders have finished.
const SWEEP: Duration = Duration::from_secs(1);
/// How often old orders of which nothing came are forgotten.
const PRUNE: Duration = Duration::from_secs(600);
/// How often is looked what other instances have changed.
const LOOK: Duration = Duration::from_millis(250);
/// How far back a look reaches: longer than a transaction takes from its time to its commit, and
/// than clocks differ.
const OVERLAP: Duration = Duration::from_secs(15);

/// Moves orders on whose time has come, and counts those that have finished.
#[derive(Debug)]
pub struct Sweep {
    /// The orders.
    pub orders: Orders,
    /// What their providers are worth.
    pub reputations: Arc<Reputations>,
    /// Told of every order that moves.
    pub changes: Changes,
    /// The time of day.
    pub clock: Clock,
}

impl Sweep {
    /// Sweeps until `shutdown`.
    ///
    /// # Errors
    /// Never: a database that fails is tried again, and health says so.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        health: Component,
    ) -> Result<(), StoreError> {
        let mut pruned = None;
        loop {
            match self.once(&mut pruned).await {
                Ok(()) => health.ok(),
                Err(error) => {
                    tracing::warn!(%error, "cannot sweep the orders");
                    health.failing(error.to_string());
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(SWEEP) => {}
            }
        }
    }

    async fn once(&self, pruned: &mut Option<Instant>) -> Result<(), StoreError> {
        let now = self.clock.since_epoch();
        let overdue = self.orders.overdue(now.as_secs()).await?;
        if !overdue.is_empty() {
            let mut tx = self.orders.db().begin().await?;
            let changed = self.orders.refresh(&mut tx, overdue, now).await?;
            tx.commit().await?;
            // Nobody listening is no error.
            changed.into_iter().for_each(|id| drop(self.changes.send(id)));
        }
        settle_outcomes(&self.orders, now.as_secs()).await?;
        if pruned.is_none_or(|at| at.elapsed() > PRUNE) {
            self.orders.prune(now).await?;
            *pruned = Some(Instant::now());
        }
        self.reputations.load(self.orders.db()).await
    }
}

/// Tells the listeners of this instance what the others have changed.
#[derive(Debug)]
pub struct Watch {
    orders: Orders,
    changes: Changes,
    clock: Clock,
    told: BTreeMap<IntentHash, u64>,
}

impl Watch {
    /// Watches a database that other instances write to.
    pub const fn new(orders: Orders, changes: Changes, clock: Clock) -> Self {
        Self { orders, changes, clock, told: BTreeMap::new() }
    }

    /// Watches until `shutdown`.
    ///
    /// # Errors
    /// Never: a database that fails is tried again.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), StoreError> {
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "cannot see what other instances change");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let since = self.clock.since_epoch().saturating_sub(OVERLAP);
        let seen: BTreeMap<_, _> = self.orders.changed_since(since).await?.into_iter().collect();
        for (id, at) in &seen {
            if self.told.get(id) != Some(at) {
                drop(self.changes.send(*id));
            }
        }
        self.told = seen;
        Ok(())
    }
}
