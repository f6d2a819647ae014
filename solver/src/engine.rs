//! Moves orders on: one dispatch over the states.
//!
//! An order is looked at when an event concerns it or its retry time has come, by one task at a
//! time. Each look takes steps until the order has to wait for something: a step is written first,
//! then what it allows is done. So a crash anywhere leaves a state from which the same dispatch
//! goes on: a fill that may be out is sent again under the same idempotency key with the same
//! bytes, never anew.

mod batching;
mod books;
mod claim;
mod decide;
mod exposure;
mod gasless;
mod pursue;
mod settle;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::primitives::Address;
use parking_lot::Mutex;
use protocol::ids::IntentHash;
use service::clock::Clock;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use batching::Lanes;
pub(crate) use gasless::open_key;

use crate::{
    clock::millis,
    config::Run,
    facts::{self, Gatherer},
    network::{self, Network},
    order::{Order, State},
    policy::Policy,
    store::{self, Store},
    valuer::Valuer,
};

/// Looks at a time that are not waiting for a transaction, at most. Each holds its order and what it has asked.
const LOOKS: usize = 512;

/// Wait after a fault that may pass.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Longest wait after faults.
const LONGEST_AFTER_FAULT: Duration = Duration::from_secs(30);

/// Why a look at an order ended without a step. Each may pass; the order is looked at again.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Facts could not be had.
    #[error(transparent)]
    Facts(#[from] facts::Fault),
    /// A chain did not answer.
    #[error(transparent)]
    Chain(#[from] chain::client::Error),
    /// A chain or wallet is not configured any more.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// A wallet could not take the transaction.
    #[error(transparent)]
    Sender(#[from] chain::sender::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A chain took too long to answer.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// Something that was written is missing.
    #[error("{0}")]
    Inconsistent(String),
}

/// Whether an order can be moved on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Look again now.
    Again,
    /// It waits for an event, a time, or its batch.
    Wait,
}

/// Why an order is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Something has happened on a chain.
    Event,
    /// Its retry time has come.
    Time,
}

/// Everything that moving orders needs.
#[derive(Debug)]
pub struct Engine {
    pub(crate) network: Network,
    pub(crate) policy: Arc<Policy>,
    pub(crate) store: Store,
    pub(crate) valuer: Valuer,
    pub(crate) gatherer: Gatherer,
    pub(crate) clock: Clock,
    /// When this engine was made (unix milliseconds).
    started: u64,
    pub(crate) run: Run,
    pub(crate) lanes: Lanes,
    exposure: exposure::Exposure,
    /// Milliseconds from seeing an intent to its fill in a block, smoothed.
    pub(crate) fill_time: AtomicU64,
    /// Told when money has moved, so that balances are read again.
    pub(crate) moved: Arc<Notify>,
    /// Deciding at the same time.
    permits: Semaphore,
    /// Orders and batches that a task is looking at, and whether an event has come meanwhile.
    working: Mutex<HashMap<alloy::primitives::B256, bool>>,
    /// How many of them wait for a transaction to be mined.
    mining: AtomicUsize,
    /// Whoever reserves: two orders that each fit below a limit may not fit together.
    reserving: tokio::sync::Mutex<()>,
    tick: Duration,
    /// How long stopping waits for looks under way.
    patience: Duration,
}

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The chains.
    pub network: Network,
    /// What is served.
    pub policy: Arc<Policy>,
    /// The books.
    pub store: Store,
    /// Prices.
    pub valuer: Valuer,
    /// The time of day.
    pub clock: Clock,
    /// Live or dry.
    pub run: Run,
    /// Told when money has moved.
    pub moved: Arc<Notify>,
    /// Deciding at the same time.
    pub parallel: usize,
    /// How often open orders are looked for.
    pub tick: Duration,
    /// How long stopping waits for looks under way.
    pub patience: Duration,
}

impl Engine {
    /// An engine at rest; see [`Engine::run`].
    pub fn new(parts: Parts) -> Self {
        let Parts { network, policy, store, valuer, clock, run, moved, .. } = parts;
        let gatherer = Gatherer {
            network: network.clone(),
            policy: Arc::clone(&policy),
            store: store.clone(),
            valuer: valuer.clone(),
            recents: Arc::default(),
        };
        Self {
            network,
            policy,
            store,
            valuer,
            gatherer,
            started: millis(&clock),
            clock,
            run,
            lanes: Lanes::default(),
            exposure: exposure::Exposure::default(),
            fill_time: AtomicU64::new(0),
            moved,
            permits: Semaphore::new(parts.parallel),
            working: Mutex::default(),
            mining: AtomicUsize::new(0),
            reserving: tokio::sync::Mutex::default(),
            tick: parts.tick,
            patience: parts.patience,
        }
    }

    /// Looks at orders until shutdown; then finishes the looks under way.
    ///
    /// # Errors
    /// When the store fails: nothing may happen that cannot be written down.
    pub async fn run(
        self: Arc<Self>,
        mut woken: mpsc::UnboundedReceiver<IntentHash>,
        shutdown: CancellationToken,
    ) -> Result<(), store::Error> {
        self.store.wake_filling(self.now()).await?;
        let mut looks = JoinSet::new();
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(hash) = woken.recv() => self.start(&mut looks, hash, Cause::Event),
                _ = ticks.tick() => {
                    self.start_due(&mut looks).await?;
                    self.start_batches(&mut looks).await?;
                }
                Some(ended) = looks.join_next(), if !looks.is_empty() => {
                    if let Err(panic) = ended {
                        std::panic::resume_unwind(panic.into_panic());
                    }
                }
            }
        }
        // What is in flight may end. What waits longer is dropped: the journal and the store carry
        // it over to the next start.
        let rest = async { while looks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, rest).await.is_err() {
            tracing::info!(left = looks.len(), "stopping with orders in flight");
        }
        Ok(())
    }

    /// Whether as many decisions are being made as may be at a time.
    pub(crate) fn is_saturated(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        millis(&self.clock)
    }

    /// Starts looks at orders whose time has come, as many as may be.
    async fn start_due(self: &Arc<Self>, looks: &mut JoinSet<()>) -> Result<(), store::Error> {
        // Under load, seldom and many at a time: those under way are read too, only to be passed over.
        let free = self.free_looks();
        if free < LOOKS / 2 {
            return Ok(());
        }
        // An order that a task is waiting for stays due: it must not hide others.
        let working = self.working.lock().len();
        let limit = u32::try_from(working.saturating_add(free)).unwrap_or(u32::MAX);
        for hash in self.store.due(self.now(), limit).await? {
            self.start(looks, hash, Cause::Time);
        }
        Ok(())
    }

    /// How many more looks may begin.
    fn free_looks(&self) -> usize {
        let working = self.working.lock().len();
        let busy = working.saturating_sub(self.mining.load(Ordering::Relaxed));
        LOOKS.saturating_sub(busy)
    }

    fn start(self: &Arc<Self>, looks: &mut JoinSet<()>, hash: IntentHash, cause: Cause) {
        // With that many at work the order waits for a tick: what woke it has made it due.
        let is_free = self.free_looks() > 0;
        if is_free && let Some(work) = self.claim_work(hash.0) {
            let engine = Arc::clone(self);
            looks.spawn(async move {
                let mut left = Some(work);
                while let Some(work) = left {
                    engine.look(hash).await;
                    left = work.unless_done();
                }
            });
        } else if cause == Cause::Event
            && let Some(missed) = self.working.lock().get_mut(&hash.0)
        {
            *missed = true;
        }
    }

    /// Reserves an order or a batch for one task; `None` while another has it.
    fn claim_work(self: &Arc<Self>, id: alloy::primitives::B256) -> Option<Work> {
        match self.working.lock().entry(id) {
            Entry::Occupied(_) => None,
            Entry::Vacant(free) => {
                free.insert(false);
                Some(Work { engine: Arc::clone(self), id, is_done: false })
            }
        }
    }

    /// Takes steps until the order has to wait.
    async fn look(&self, hash: IntentHash) {
        loop {
            let (order, outcome) = match self.store.order(hash).await {
                Ok(Some(order)) => {
                    let outcome = self.step(&order).await;
                    (order, outcome)
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(intent_hash = %hash, %error, "order cannot be read");
                    return;
                }
            };
            match outcome {
                Ok(Next::Again) => {}
                Ok(Next::Wait) => return,
                Err(Fault::Store(store::Error::Moved { .. })) => {}
                Err(fault) => {
                    metrics::counter!("solver_faults_total").increment(1);
                    tracing::warn!(intent_hash = %hash, state = %order.state, %fault, "will look again");
                    // What nobody has been paid for yet can wait the longer the longer it has waited.
                    let age = Duration::from_millis(self.now().saturating_sub(order.created_at));
                    let wait = if order.state.is_undecided() { age / 10 } else { AFTER_FAULT };
                    let wait = wait.clamp(AFTER_FAULT, LONGEST_AFTER_FAULT);
                    self.put_off(&order, &fault.to_string(), wait).await;
                    return;
                }
            }
        }
    }

    /// One step, by state. Every state is here by name.
    async fn step(&self, order: &Order) -> Result<Next, Fault> {
        match order.state {
            State::Seen | State::Waiting => self.decide(order).await,
            State::Reserved => self.launch_again(order).await,
            State::Filling => self.pursue_fill(order).await,
            State::Filled => self.check_filled(order).await,
            State::Attesting => self.check_proof(order).await,
            State::Proven => self.check_proven(order).await,
            // Moved by their batch.
            State::Proving | State::Challenging | State::Claiming => {
                self.put_off(order, &order.reason, AFTER_FAULT).await;
                Ok(Next::Wait)
            }
            State::Refused | State::Claimed | State::Lost | State::Forfeited => Ok(Next::Wait),
        }
    }

    /// Puts the next look off. A store that cannot even do that stops the service at the next tick.
    async fn put_off(&self, order: &Order, reason: &str, wait: Duration) {
        let until = self.now() + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 4);
        if let Err(error) = self.store.postpone(order, reason, until).await {
            tracing::error!(intent_hash = %order.hash, %error, "order cannot be put off");
        }
    }

    /// Waits for a transaction to be mined; the look that does counts for none meanwhile.
    async fn mined<T>(&self, mining: impl Future<Output = T>) -> T {
        self.mining.fetch_add(1, Ordering::Relaxed);
        let _one_less = Mining(&self.mining);
        mining.await
    }

    /// Whether an address is one of our wallets on any chain.
    pub(crate) fn is_ours(&self, address: Address) -> bool {
        self.network.links().any(|(_, link)| link.wallet(address).is_some())
    }
}

/// A look that waits for its transaction.
struct Mining<'a>(&'a AtomicUsize);

impl Drop for Mining<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An order or batch that one task works on; dropping it lets the next one in.
#[derive(Debug)]
struct Work {
    engine: Arc<Engine>,
    id: alloy::primitives::B256,
    is_done: bool,
}

impl Work {
    /// Ends it, unless an event has come since it began: what the last look saw may be older.
    fn unless_done(mut self) -> Option<Self> {
        let mut working = self.engine.working.lock();
        if working.get_mut(&self.id).is_some_and(std::mem::take) {
            drop(working);
            return Some(self);
        }
        working.remove(&self.id);
        drop(working);
        self.is_done = true;
        None
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.is_done {
            self.engine.working.lock().remove(&self.id);
        }
    }
}
