//! Seen, waiting, reserved: whether to fill, and writing the fill down.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use chain::sender::Request;
use protocol::ids::Claimant;

use super::{Engine, Fault, Next};
use crate::{
    config::Run,
    facts::{Facts, Plan},
    filter::{self, Case, Intake, Verdict},
    money::Asset,
    order::{Order, State},
    store::{self, Outgoing, Reservation, Step},
};

/// Milliseconds until an order whose fill was written is looked for again; a restart looks at once.
const STILL_FILLING: u64 = 60_000;

/// Pause between looks at an order that is not filled again, and whose fill may still turn up.
const AFTER_A_FILL: Duration = Duration::from_secs(10);

/// Longest time for a decision.
const JUDGE_WITHIN: Duration = Duration::from_secs(10);

/// Longest pause between looks at an order that waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The same while its reward is not there: whoever pays it in by our contracts wakes it up.
const LONGEST_UNFUNDED: Duration = Duration::from_secs(600);

/// What a look at an undecided or reserved order came to.
enum Decision {
    /// Nothing against it; the fill as simulated.
    Fill { facts: Box<Facts>, plan: Plan },
    /// The Inbox names us already.
    Ours,
    /// A gasless order that has to be opened first.
    Open { outgoing: Outgoing },
    /// Something against it.
    Object { rule: &'static str, verdict: Verdict },
}

impl Engine {
    /// An undecided order: judge, reserve, and go on to the fill.
    pub(super) async fn decide(&self, order: &Order) -> Result<Next, Fault> {
        // What an earlier look has sent is booked before anything else: the order may end with the next decision.
        if let Some(outgoing) = self.sent_opening(order).await? {
            return self.open(order, &outgoing).await;
        }
        let permit = self.permits.acquire().await;
        // A chain that does not answer must not keep the permits from orders of others.
        let judged = tokio::time::timeout(JUDGE_WITHIN, self.judge(order)).await;
        drop(permit);
        let decision = judged.unwrap_or(Err(Fault::Late(JUDGE_WITHIN)))?;
        match decision {
            Decision::Ours => self.found_filled(order, Vec::new()).await,
            Decision::Open { outgoing } => self.open(order, &outgoing).await,
            Decision::Object { rule, verdict } => self.object(order, rule, verdict).await,
            Decision::Fill { facts, plan } => match self.run {
                Run::Dry => self.would_fill(order, &facts).await,
                Run::Live => self.reserve_and_launch(order, &facts, plan).await,
            },
        }
    }

    /// A reserved order whose fill was not written: judge once more, then launch.
    pub(super) async fn launch_again(&self, order: &Order) -> Result<Next, Fault> {
        match self.judge(order).await? {
            Decision::Ours => self.found_filled(order, Vec::new()).await,
            Decision::Open { .. } => {
                let reason = "the vault was emptied".to_owned();
                let verdict = Verdict::NotYet { reason, retry_in: Duration::from_secs(1) };
                self.object(order, "vault", verdict).await
            }
            Decision::Object { rule, verdict } => self.object(order, rule, verdict).await,
            Decision::Fill { plan, .. } => self.launch(order, plan).await,
        }
    }

    async fn judge(&self, order: &Order) -> Result<Decision, Fault> {
        let ruling = filter::judge_intake(&Intake { order, policy: &self.policy });
        if ruling.verdict != Verdict::Accept {
            return Ok(Decision::Object { rule: ruling.rule, verdict: ruling.verdict });
        }
        let facts = self.facts_of(order).await?;
        if Address::try_from(Claimant(facts.filled_by)).is_ok_and(|filler| self.is_ours(filler)) {
            return Ok(Decision::Ours);
        }
        let ruling = filter::judge_case(&Case { order, policy: &self.policy, facts: &facts });
        if ruling.rule == "vault"
            && self.run == Run::Live
            && let Some(outgoing) = self.opening(order, &facts).await?
        {
            self.keep_quote(order, &facts).await?;
            return Ok(Decision::Open { outgoing });
        }
        match (ruling.verdict, &facts.plan) {
            (Verdict::Accept, Some(plan)) => {
                let plan = plan.clone();
                Ok(Decision::Fill { facts: Box::new(facts), plan })
            }
            (verdict, _) => {
                let is_funded = facts.vault.iter().all(|leg| leg.now >= leg.needed);
                if is_funded && matches!(verdict, Verdict::NotYet { .. }) {
                    self.keep_quote(order, &facts).await?;
                }
                Ok(Decision::Object { rule: ruling.rule, verdict })
            }
        }
    }

    /// An order that is paid for, or will be by its opening, keeps what its quote holds, whoever asks for quotes
    /// meanwhile.
    async fn keep_quote(&self, order: &Order, facts: &Facts) -> Result<(), store::Error> {
        if facts.promise.is_some() {
            self.store.bind_quote(order.route().salt).await?;
        }
        Ok(())
    }

    /// Everything the rules look at, for a decision or an explanation.
    pub(crate) async fn facts_of(&self, order: &Order) -> Result<Facts, Fault> {
        let (kind, waiting) = self.fill_kind(order)?;
        let mode = self.store.mode().await?;
        let exposure = self.exposure().await?;
        Ok(self.gatherer.gather(order, kind, waiting, mode, exposure).await?)
    }

    /// Writes down why the order is not filled now.
    async fn object(
        &self,
        order: &Order,
        rule: &'static str,
        verdict: Verdict,
    ) -> Result<Next, Fault> {
        let now = self.now();
        let (to, reason, retry_in) = match verdict {
            Verdict::Accept => {
                (State::Waiting, "no wallet can pay now".into(), Duration::from_secs(1))
            }
            // A fill that was sent may yet be mined: such an order ends with its route's deadline, not before.
            Verdict::Reject { reason } if order.attempt > 0 => {
                (State::Waiting, reason, AFTER_A_FILL)
            }
            Verdict::Reject { reason } => (State::Refused, reason, Duration::ZERO),
            Verdict::TooLate { reason } => (State::Lost, reason, Duration::ZERO),
            Verdict::NotYet { reason, retry_in } => (State::Waiting, reason, retry_in),
        };
        metrics::counter!("solver_objections_total", "rule" => rule, "state" => to.name())
            .increment(1);
        let reason = format!("{rule}: {reason}");
        // The longer an order has waited, the less often it is looked at; events wake it anyway.
        let age = Duration::from_millis(now.saturating_sub(order.created_at));
        let longest = if rule == "vault" { LONGEST_UNFUNDED } else { LONGEST_WAIT };
        let wait = retry_in.max(age / 10).min(longest);
        if order.state == to {
            if order.reason != reason {
                tracing::debug!(intent_hash = %order.hash, reason, "still waiting");
            }
            self.put_off(order, &reason, wait).await;
            return Ok(Next::Wait);
        }
        let until = now + u64::try_from(wait.as_millis()).unwrap_or(u64::MAX / 4);
        let step = Step::new(order, to, reason, now).retry_at(until).give_back();
        self.store.take(&[step], now).await?;
        Ok(Next::Wait)
    }

    /// Dry run: says what it would do.
    async fn would_fill(&self, order: &Order, facts: &Facts) -> Result<Next, Fault> {
        let profit = facts.estimate.as_ref().map(|e| e.to_string()).unwrap_or_default();
        let reason = format!("dry run: would fill, {profit}");
        tracing::info!(intent_hash = %order.hash, reason, "dry run");
        let verdict = Verdict::NotYet { reason, retry_in: Duration::from_secs(5) };
        self.object(order, "all", verdict).await
    }

    async fn reserve_and_launch(
        &self,
        order: &Order,
        facts: &Facts,
        plan: Plan,
    ) -> Result<Next, Fault> {
        let not_yet = |reason: String| {
            let retry_in = Duration::from_secs(1);
            Verdict::NotYet { reason, retry_in }
        };
        let turn = self.reserving.lock().await;
        let Some(claim) = self.claim_exposure(order) else {
            drop(turn);
            let reason = "as much is out as may be, with what was accepted just now".to_owned();
            return self.object(order, "exposure", not_yet(reason)).await;
        };
        let now = self.now();
        let reason = match &facts.estimate {
            Ok(estimate) => estimate.to_string(),
            Err(unknown) => unknown.to_string(),
        };
        let mut step = Step::new(order, State::Reserved, reason, now);
        step.order.wallet = Some(plan.wallet);
        step.reserve = self.reservations(order, &plan);
        step.most_of_creator = Some(self.policy.limits().in_flight_per_creator);
        let outcome = if facts.promise.is_some() {
            self.store.take_with_quote(order.route().salt, &step, now).await
        } else {
            self.store.take(std::slice::from_ref(&step), now).await
        };
        drop((turn, claim));
        match outcome {
            Ok(()) => self.launch(&step.order, plan).await,
            Err(short @ store::Error::NotEnough { .. }) => {
                self.object(order, "inventory", not_yet(short.to_string())).await
            }
            Err(many @ store::Error::TooMany { .. }) => {
                self.object(order, "exposure", not_yet(many.to_string())).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a fill takes from its wallet: the route's amounts, and the proof's fee.
    pub(crate) fn reservations(&self, order: &Order, plan: &Plan) -> Vec<Reservation> {
        let native = Asset::native(order.destination());
        let reserve = self.policy.chain(order.destination()).map_or(U256::ZERO, |c| c.gas_reserve);
        let wallet = plan.wallet;
        let tokens = order
            .spends()
            .into_iter()
            .filter(|a| a.asset != native)
            .map(|a| Reservation { wallet, asset: a.asset, amount: a.amount, keep: U256::ZERO });
        let value = Reservation { wallet, asset: native, amount: plan.value, keep: reserve };
        tokens.chain(std::iter::once(value)).collect()
    }

    /// Writes the fill down, then sends it.
    async fn launch(&self, order: &Order, plan: Plan) -> Result<Next, Fault> {
        let now = self.now();
        let inbox = self.policy.chain(order.destination()).map(|c| c.inbox).unwrap_or_default();
        if plan.proof_fee > U256::ZERO {
            self.note_proof_cost(order, plan.proof_fee);
        }
        let mut step = Step::new(order, State::Filling, "sending the fill", now);
        step.order.attempt += 1;
        let gas_limit = plan.gas_limit();
        let request = Request::call(step.order.fill_key(), inbox, plan.data)
            .with_value(plan.value)
            .with_gas_limit(gas_limit)
            .with_deadline(order.route().deadline);
        let outgoing = Outgoing { chain: order.destination(), wallet: plan.wallet, request };
        // This look goes on with it; it is due again only if the process ends before.
        let step = step.retry_at(now + STILL_FILLING).send(outgoing);
        self.store.take(&[step], now).await?;
        Ok(Next::Again)
    }
}
