//! Proof lanes: how fills are proven, and forming the batches of those that wait.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256, Bytes, U256};
use chain::sender::Request;
use futures::future::join_all;
use parking_lot::Mutex;
use prices::Usd;
use protocol::ids::{ChainId, Claimant, IntentHash};
use tokio::task::JoinSet;

use super::{Engine, Fault};
use crate::{
    fill::{self, FillKind, ProofTarget},
    money::Asset,
    order::{Order, State},
    policy::Settlement,
    proving::{self, Arrivals, Lane, Pending, ProofPlan},
    store::{self, BatchKind, Outgoing, Step},
};

/// Gas of a proof transaction that is there however many intents it proves.
const PROOF_BASE_GAS: u64 = 100_000;

/// Most filled orders considered for batches in one go.
const CONSIDERED: u32 = 2_000;

/// Forming takes at most about one part in this many of the time.
const SHARE: u32 = 20;

/// Longest pause between two looks at what waits for a batch.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Longest time for the batches of one lane.
const FORM_WITHIN: Duration = Duration::from_secs(10);

/// Ids under which the two formers reserve their work.
const FORMING_PROOFS: B256 = B256::repeat_byte(0xf1);
const FORMING_WITHDRAWALS: B256 = B256::repeat_byte(0xf2);

/// What has been seen of each lane lately.
#[derive(Debug, Default)]
pub struct Lanes {
    seen: Mutex<BTreeMap<(ChainId, ChainId, Address), Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    arrivals: Arrivals,
    fixed_cost: Usd,
}

impl Lanes {
    /// Takes note of a fill.
    pub(super) fn record(&self, order: &Order, now: u64, worth: Usd) {
        let mut seen = self.seen.lock();
        seen.entry(key(order)).or_default().arrivals.record(now as f64 / 1_000.0, worth);
    }

    /// Takes note of what the fixed part of a proof costs.
    fn note_cost(&self, order: &Order, cost: Usd) {
        self.seen.lock().entry(key(order)).or_default().fixed_cost = cost;
    }

    fn lane(&self, order: &Order, now: u64) -> Lane {
        let mut seen = self.seen.lock();
        let seen = seen.entry(key(order)).or_default();
        let (fills_per_second, dollars_per_second) = seen.arrivals.rates(now as f64 / 1_000.0);
        Lane { fixed_cost: seen.fixed_cost, fills_per_second, dollars_per_second }
    }
}

fn key(order: &Order) -> (ChainId, ChainId, Address) {
    (order.origin, order.destination(), order.reward().prover)
}

/// A batch about to be written.
pub(super) struct BatchDraft {
    pub(super) kind: BatchKind,
    pub(super) chain: ChainId,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) data: Bytes,
    pub(super) orders: Vec<Order>,
    /// The state its members take.
    pub(super) state: State,
    pub(super) reason: String,
}

impl Engine {
    /// How a fill of this order is to be proven, and how long its proof would wait.
    pub(crate) fn fill_kind(&self, order: &Order) -> Result<(FillKind, Duration), Fault> {
        let Some(target) = self.proof_target(order) else {
            return Ok((FillKind::Alone, Duration::ZERO));
        };
        let lane = self.lanes.lane(order, self.now());
        Ok(match proving::plan(lane, self.policy.batches().proofs) {
            ProofPlan::WithFill => (FillKind::WithProof(target), Duration::ZERO),
            ProofPlan::Batched { every } => (FillKind::Alone, every),
        })
    }

    /// Where an order's proof goes; `None` where no message is needed.
    fn proof_target(&self, order: &Order) -> Option<ProofTarget> {
        let Settlement::Message(tier) = self.policy.settlement(order)? else { return None };
        Some(ProofTarget {
            sender: self.policy.twin(order, tier)?,
            recipient: order.reward().prover,
            domain: self.policy.chain(order.origin)?.domain,
        })
    }

    /// Notes the fixed part of a proof's cost: the fee without its marginal part, and gas.
    pub(super) fn note_proof_cost(&self, order: &Order, fee: U256) {
        let Ok(link) = self.network.link(order.destination()) else { return };
        let batches = self.policy.batches();
        let marginal =
            fee * U256::from(batches.proof_gas_each) / U256::from(batches.proof_gas.max(1));
        let gas = U256::from(PROOF_BASE_GAS) * U256::from(link.head().gas_price());
        let wei = fee.saturating_sub(marginal).saturating_add(gas);
        let worth = self.income_worth(Asset::native(order.destination()), wei);
        self.lanes.note_cost(order, worth);
    }

    /// Forms batches that are due and pursues those that are open, each in its own task.
    pub(super) async fn start_batches(
        self: &Arc<Self>,
        looks: &mut JoinSet<()>,
    ) -> Result<(), store::Error> {
        if let Some(work) = self.claim_work(FORMING_PROOFS) {
            let engine = Arc::clone(self);
            looks.spawn(async move {
                let begun = Instant::now();
                report("proofs", engine.form_proofs().await);
                rest(begun.elapsed()).await;
                drop(work);
            });
        }
        if let Some(work) = self.claim_work(FORMING_WITHDRAWALS) {
            let engine = Arc::clone(self);
            looks.spawn(async move {
                let begun = Instant::now();
                report("withdrawals", engine.form_withdrawals().await);
                rest(begun.elapsed()).await;
                drop(work);
            });
        }
        for id in self.store.open_batches().await? {
            if let Some(work) = self.claim_work(id) {
                let engine = Arc::clone(self);
                looks.spawn(async move {
                    report("batch", engine.pursue_batch(id).await);
                    drop(work);
                });
            }
        }
        Ok(())
    }

    async fn form_proofs(&self) -> Result<(), Fault> {
        let mut lanes: BTreeMap<(ChainId, ProofTarget), Vec<Order>> = BTreeMap::new();
        for order in self.store.in_state(State::Filled, CONSIDERED).await? {
            if let Some(target) = self.proof_target(&order) {
                lanes.entry((order.destination(), target)).or_default().push(order);
            }
        }
        // A prover or a chain that does not answer holds up nobody's proofs but its own.
        let formed = lanes.into_iter().map(|((destination, target), orders)| async move {
            report("proofs", within(self.form_proofs_of(destination, target, &orders)).await);
        });
        join_all(formed).await;
        Ok(())
    }

    async fn form_proofs_of(
        &self,
        destination: ChainId,
        target: ProofTarget,
        orders: &[Order],
    ) -> Result<(), Fault> {
        let Some(first) = orders.first() else { return Ok(()) };
        let policy = self.policy.batches().proofs;
        let every = proving::interval(self.lanes.lane(first, self.now()), policy);
        if proving::is_due(self.pending(destination, orders)?, every, policy) {
            for members in orders.chunks(policy.largest.max(1)) {
                self.form_proof(destination, target, members.to_vec()).await?;
            }
        }
        Ok(())
    }

    fn pending(&self, destination: ChainId, orders: &[Order]) -> Result<Pending, Fault> {
        let time = self.network.link(destination)?.head().block.timestamp;
        let filled = orders.iter().filter_map(|order| order.filled_at).min().unwrap_or(time);
        let mut slack = u64::MAX;
        for order in orders {
            let tiers = self.policy.tiers_on(order.origin, order.destination());
            let latency = match self.policy.settlement(order) {
                Some(Settlement::Message(tier)) => tiers.latency(tier),
                Some(Settlement::Local) | None => Duration::ZERO,
            };
            // Half of the margin is spent on waiting at most.
            let needed = (latency + tiers.pause + tiers.margin / 2).as_secs();
            let now = self.network.link(order.origin)?.head().block.timestamp;
            slack = slack.min(order.reward().deadline.saturating_sub(now.saturating_add(needed)));
        }
        Ok(Pending {
            count: orders.len(),
            oldest: Duration::from_secs(time.saturating_sub(filled)),
            slack: Duration::from_secs(slack),
        })
    }

    async fn form_proof(
        &self,
        destination: ChainId,
        target: ProofTarget,
        orders: Vec<Order>,
    ) -> Result<(), Fault> {
        let link = self.network.link(destination)?;
        let inbox = self.policy.chain(destination).map(|c| c.inbox).unwrap_or_default();
        let intents: Vec<IntentHash> = orders.iter().map(|order| order.hash).collect();
        let gas_limit = self.policy.batches().gas_limit(intents.len());
        let claimant = Claimant(B256::repeat_byte(0xff));
        let call = target.fetch_fee(destination, &intents, claimant, gas_limit);
        let latest = alloy::eips::BlockNumberOrTag::Latest;
        let fee = link.client.call(target.sender, &call, latest).await?;
        self.form_batch(BatchDraft {
            kind: BatchKind::Proof,
            chain: destination,
            to: inbox,
            value: fee,
            data: fill::prove(target, &intents, gas_limit),
            reason: format!("proving {} fills in one message", intents.len()),
            orders,
            state: State::Proving,
        })
        .await
    }

    /// Writes a batch; the next tick sends it.
    pub(super) async fn form_batch(&self, draft: BatchDraft) -> Result<(), Fault> {
        let id = B256::from(rand::random::<[u8; 32]>());
        let wallet = self.network.link(draft.chain)?.wallet_for(id[0]);
        let wallet =
            wallet.ok_or_else(|| Fault::Inconsistent("a chain without a wallet".into()))?.address();
        let request = Request::call(draft.kind.key(id), draft.to, draft.data);
        let outgoing =
            Outgoing { chain: draft.chain, wallet, request: request.with_value(draft.value) };
        let now = self.now();
        let later = now + 60_000;
        let steps: Vec<Step> = draft
            .orders
            .iter()
            .map(|order| {
                let step = Step::new(order, draft.state, draft.reason.clone(), now);
                step.retry_at(later).in_batch(Some(id))
            })
            .collect();
        self.store.form_batch(id, draft.kind, &outgoing, &steps, now).await?;
        Ok(())
    }
}

/// Forming reads every order that waits: with thousands of them it would take all the time if it began anew at once.
async fn rest(took: Duration) {
    tokio::time::sleep((took * SHARE).min(LONGEST_REST)).await;
}

/// What of one lane or one chain may take: the others' next batches wait for it.
pub(super) async fn within(forming: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    tokio::time::timeout(FORM_WITHIN, forming).await.unwrap_or(Err(Fault::Late(FORM_WITHIN)))
}

/// Batches are tried again at the next tick: a fault here only needs to be seen.
pub(super) fn report(what: &'static str, outcome: Result<(), Fault>) {
    match outcome {
        Ok(()) | Err(Fault::Store(store::Error::Moved { .. })) => {}
        Err(fault) => {
            metrics::counter!("solver_faults_total").increment(1);
            tracing::warn!(what, %fault, "will try again");
        }
    }
}
