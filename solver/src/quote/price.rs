//! The price of a quote: the profit formula solved for the side that is not exact.

use std::time::Duration;

use alloy::primitives::{B256, U256};
use api::solver::{Costs, NoQuoteReason, QuoteRequest};
use prices::{UNITS_PER_DOLLAR, Usd};

use super::{Error, Lane, Quoter, exact};
use crate::{
    facts::{Plan, Probe, Simulation},
    fill::{FillKind, ProofTarget},
    money::{Asset, Rounding, amount_for, value},
    order::Order,
    policy::Settlement,
    pricing::{Estimate, Margin, Valued, cost_of_capital},
};

/// A priced request.
pub(super) struct Priced {
    pub(super) order: Order,
    pub(super) plan: Plan,
    pub(super) amount_in: U256,
    pub(super) amount_out: U256,
    /// What the price is made of.
    pub(super) costs: Option<Costs>,
}

/// Why there is no price.
pub(super) struct Refused {
    pub(super) reason: NoQuoteReason,
    pub(super) message: String,
    pub(super) minimum: Option<U256>,
}

pub(super) fn refused(reason: NoQuoteReason, message: impl Into<String>) -> Refused {
    Refused { reason, message: message.into(), minimum: None }
}

impl Quoter {
    /// Simulates the route, then solves for the other side.
    pub(super) async fn price(
        &self,
        request: &QuoteRequest,
        lane: &Lane<'_>,
    ) -> Result<Result<Priced, Refused>, Error> {
        let (input_is_exact, amount) = exact(request);
        let income = Asset { chain: lane.origin.id, token: request.origin_token };
        let outlay = Asset { chain: lane.destination.id, token: request.destination_token };
        let valuer = &self.engine.valuer;
        let sides =
            valuer.valued(income, amount).and_then(|i| Ok((i, valuer.valued(outlay, amount)?)));
        let (income, outlay) = match sides {
            Ok(sides) => sides,
            Err(unknown) => {
                return Ok(Err(refused(NoQuoteReason::Unavailable, unknown.to_string())));
            }
        };
        let id = B256::from(rand::random::<[u8; 32]>());
        // First with amounts of one value, to learn what the fill costs.
        let (first_in, first_out) = if input_is_exact {
            let worth = income.as_income().unwrap_or_default();
            (amount, amount_for(worth, outlay.decimals, outlay.price.high))
        } else {
            (
                amount_for(outlay.as_cost().unwrap_or_default(), income.decimals, income.price.low),
                amount,
            )
        };
        let probe = self.order(request, lane, id, first_in, first_out)?;
        let Some((facts, exposure)) = self.probe(&probe, lane).await? else {
            return Ok(Err(refused(NoQuoteReason::Unavailable, "the solver is busy")));
        };
        let estimate = match &facts.estimate {
            Ok(estimate) => *estimate,
            Err(unknown) => {
                return Ok(Err(refused(NoQuoteReason::Unavailable, unknown.to_string())));
            }
        };
        let Some(route) = self.engine.policy.lane(lane.origin.id, lane.destination.id) else {
            return Ok(Err(refused(NoQuoteReason::NoRoute, "no lane is configured")));
        };
        if facts.route_value > route.largest {
            let message = format!("at most {} USD on this lane", route.largest);
            return Ok(Err(refused(NoQuoteReason::AmountTooHigh, message)));
        }
        if exposure + facts.route_value > self.engine.policy.limits().exposure {
            let message = "too much is out already";
            return Ok(Err(refused(NoQuoteReason::AmountTooHigh, message)));
        }
        let plan = match planned(&facts) {
            Ok(plan) => plan,
            Err(none) => return Ok(Err(none)),
        };
        let opening = if request.gasless {
            self.engine.cost_of_opening_unsigned(&probe).await?
        } else {
            Some(Usd::ZERO)
        };
        let Some(opening) = opening else {
            let message = "no price of the origin's native currency";
            return Ok(Err(refused(NoQuoteReason::Unavailable, message)));
        };
        let solver = Solver {
            estimate,
            opening,
            margin: route.margin,
            income,
            outlay,
            delay: self.delay(lane),
            rate: self.engine.policy.batches().proofs.capital_bps_per_year,
        };
        let Some((amount_in, amount_out)) =
            (if input_is_exact { solver.output_for(amount) } else { solver.input_for(amount) })
        else {
            let minimum = input_is_exact.then(|| solver.least_input());
            let costs = estimate.overhead() + opening;
            let message = format!("costs of {costs} USD are not covered");
            return Ok(Err(Refused { minimum, ..refused(NoQuoteReason::AmountTooLow, message) }));
        };
        let order = self.order(request, lane, id, amount_in, amount_out)?;
        // The fill of the final amounts differs from the probe's only in its amounts.
        let value = order.route().nativeAmount.saturating_add(plan.proof_fee);
        let plan = Plan { value, ..plan };
        let costs = solver.costs(amount_in, amount_out);
        Ok(Ok(Priced { order, plan, amount_in, amount_out, costs }))
    }

    fn delay(&self, lane: &Lane<'_>) -> Duration {
        let policy = &self.engine.policy;
        policy.tiers().latency(lane.tier) + policy.batches().withdrawal_wait
    }

    /// What the route would take, and what is out already; `None` while fills have the chains to
    /// themselves.
    async fn probe(&self, order: &Order, lane: &Lane<'_>) -> Result<Option<(Probe, Usd)>, Error> {
        let sender = lane.destination.prover(Settlement::Message(lane.tier)).unwrap_or_default();
        let target = ProofTarget { sender, recipient: lane.prover, domain: lane.origin.domain };
        let exposure = self.engine.exposure().await?;
        let (kind, may_ask) = (FillKind::WithProof(target), !self.engine.is_saturated());
        let probe = self.engine.gatherer.probe(order, kind, may_ask).await;
        Ok(probe.map_err(crate::engine::Fault::from)?.map(|probe| (probe, exposure)))
    }
}

/// The fill as simulated, or why there is none.
fn planned(facts: &Probe) -> Result<Plan, Refused> {
    match (&facts.plan, &facts.fill) {
        (Some(plan), _) => Ok(plan.clone()),
        (None, Simulation::Fails(message)) if facts.no_wallet => {
            Err(refused(NoQuoteReason::AmountTooHigh, message.clone()))
        }
        (None, Simulation::Fails(message)) => {
            Err(refused(NoQuoteReason::CallsFail, message.clone()))
        }
        (None, Simulation::Works(_) | Simulation::Unclear(_)) => {
            Err(refused(NoQuoteReason::Unavailable, "nothing could be simulated"))
        }
    }
}

/// The formula with one side free.
struct Solver {
    estimate: Estimate,
    /// Worth of the gas that opens the user's order.
    opening: Usd,
    margin: Margin,
    income: Valued,
    outlay: Valued,
    delay: Duration,
    rate: u32,
}

impl Solver {
    /// Costs that do not depend on the amounts.
    fn fixed(&self) -> Usd {
        let Estimate { fill_gas, proof_fee, withdraw_gas, .. } = self.estimate;
        fill_gas + proof_fee + withdraw_gas + self.opening
    }

    /// What must come in for a route of this worth.
    fn needed_for(&self, route: Usd) -> Usd {
        let margin = self.margin.floor.max(route.basis_points_up(self.margin.share_bps));
        route + self.fixed() + cost_of_capital(route, self.delay, self.rate) + margin
    }

    /// The most that can go out for exactly this much in.
    fn output_for(&self, amount_in: U256) -> Option<(U256, U256)> {
        let given = Valued { amount: amount_in, ..self.income }.as_income().ok()?;
        let mut route = given;
        // What is on top of the route hardly depends on it: each round is a thousand times closer.
        for _ in 0..16 {
            route = given - (self.needed_for(route) - route);
        }
        route = route - (self.needed_for(route) - given).max(Usd::ZERO);
        let amount_out = amount_for(route, self.outlay.decimals, self.outlay.price.high);
        (!amount_out.is_zero() && self.needed_for(route) <= given)
            .then_some((amount_in, amount_out))
    }

    /// The least that must come in for exactly this much out.
    fn input_for(&self, amount_out: U256) -> Option<(U256, U256)> {
        let route = Valued { amount: amount_out, ..self.outlay }.as_cost().ok()?;
        let needed = self.needed_for(route);
        Some((self.amount_in_for(needed), amount_out))
    }

    /// The least input that leaves anything.
    fn least_input(&self) -> U256 {
        self.amount_in_for(self.needed_for(Usd(1)))
    }

    /// What lies between these amounts; `None` for amounts beyond any worth.
    fn costs(&self, amount_in: U256, amount_out: U256) -> Option<Costs> {
        let Estimate { fill_gas, proof_fee, withdraw_gas, .. } = self.estimate;
        let given = Valued { amount: amount_in, ..self.income }.as_income().ok()?;
        let route = Valued { amount: amount_out, ..self.outlay }.as_cost().ok()?;
        let capital = cost_of_capital(route, self.delay, self.rate);
        Some(Costs {
            fill_gas: micro_usd(fill_gas),
            proof_fee: micro_usd(proof_fee),
            withdraw_gas: micro_usd(withdraw_gas),
            opening_gas: micro_usd(self.opening),
            capital: micro_usd(capital),
            margin: micro_usd(given - route - self.fixed() - capital),
        })
    }

    fn amount_in_for(&self, needed: Usd) -> U256 {
        let amount = amount_for(needed, self.income.decimals, self.income.price.low);
        let worth = value(amount, self.income.decimals, self.income.price.low, Rounding::Down);
        if worth.is_ok_and(|worth| worth >= needed) { amount } else { amount + U256::ONE }
    }
}

/// Millionths of a dollar, rounded down; zero for less than nothing.
pub(super) fn micro_usd(value: Usd) -> u64 {
    u64::try_from(value.0.max(0) / (UNITS_PER_DOLLAR / 1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use prices::Range;
    use protocol::ids::ChainId;

    use super::*;

    fn solver() -> Solver {
        let valued = |decimals, low: &str, high: &str| Valued {
            asset: Asset { chain: ChainId(1), token: Address::ZERO },
            amount: U256::ZERO,
            decimals,
            price: Range { low: low.parse().unwrap(), high: high.parse().unwrap() },
        };
        Solver {
            estimate: Estimate { fill_gas: Usd::dollars(1), ..Estimate::default() },
            opening: Usd::ZERO,
            margin: Margin { floor: Usd(500_000_000_000), share_bps: 10 },
            income: valued(6, "0.999", "1.001"),
            outlay: valued(18, "2990", "3000"),
            delay: Duration::from_secs(3_600),
            rate: 1_000,
        }
    }

    #[test]
    fn either_exact_side_leaves_the_margin_and_no_more_than_rounding() {
        let solver = solver();
        let (given, out) = solver.output_for(U256::from(1_000_000_000_u64)).unwrap();
        let route = Valued { amount: out, ..solver.outlay }.as_cost().unwrap();
        let income = Valued { amount: given, ..solver.income }.as_income().unwrap();
        let left = income - solver.needed_for(route);
        assert!(left >= Usd::ZERO && left < Usd(1_000_000), "{left:?}");
        let (needed, _) = solver.input_for(out).unwrap();
        assert!(needed <= given && given - needed <= U256::from(2), "{needed} {given}");
    }

    #[test]
    fn a_signed_order_pays_for_its_opening() {
        let plain = solver();
        let gasless = Solver { opening: Usd::dollars(2), ..solver() };
        let given = U256::from(1_000_000_000_u64);
        let worth = |out| Valued { amount: out, ..plain.outlay }.as_cost().unwrap();
        let (_, more) = plain.output_for(given).unwrap();
        let (_, less) = gasless.output_for(given).unwrap();
        let difference = worth(more) - worth(less);
        // The margin and the capital of what is not paid out are saved as well.
        assert!(
            difference <= Usd::dollars(2) && difference > Usd(1_990_000_000_000),
            "{difference}"
        );
    }

    #[test]
    fn the_costs_make_up_what_lies_between_the_amounts() {
        let solver = Solver { opening: Usd::dollars(2), ..solver() };
        let (given, out) = solver.output_for(U256::from(1_000_000_000_u64)).unwrap();
        let costs = solver.costs(given, out).unwrap();
        assert_eq!((costs.fill_gas, costs.opening_gas, costs.proof_fee), (1_000_000, 2_000_000, 0));
        // A thousandth of some 995 dollars, as the margin's share is.
        assert!((990_000..=1_000_000).contains(&costs.margin), "{costs:?}");
        let route = Valued { amount: out, ..solver.outlay }.as_cost().unwrap();
        let income = Valued { amount: given, ..solver.income }.as_income().unwrap();
        let Costs { fill_gas, proof_fee, withdraw_gas, opening_gas, capital, margin } = costs;
        let sum = fill_gas + proof_fee + withdraw_gas + opening_gas + capital + margin;
        // Each of the six is rounded down.
        let between = micro_usd(income - route);
        assert!((between - 6..=between).contains(&sum), "{sum} of {between}");
    }

    #[test]
    fn an_amount_below_the_costs_has_no_price() {
        let solver = solver();
        assert_eq!(solver.output_for(U256::from(1_000_000)), None);
        let least = solver.least_input();
        assert!(solver.output_for(least + U256::from(1_000)).is_some());
    }
}
