//! What must hold before an intent is filled: one rule a file.
//!
//! A rule is a pure function of a [`Case`] and gives one of three answers. *Not yet* is a value,
//! not an error: it names when to look again. Rules that need nothing from a chain come first, so
//! that nonsense costs nothing.

mod attempts;
mod confirmations;
mod deadlines;
mod exposure;
mod inbox;
mod lists;
mod mode;
mod open;
mod payout;
mod profit;
mod prover;
mod shape;
mod simulation;
mod size;
mod tokens;
mod vault;

use std::time::Duration;

use crate::{facts::Facts, order::Order, policy::Policy};

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it.
    Accept,
    /// Never.
    Reject {
        /// Why, for the operator and the user.
        reason: String,
    },
    /// Nobody can fill it any more, or somebody did: no fault of the intent.
    TooLate {
        /// What happened.
        reason: String,
    },
    /// Not now.
    NotYet {
        /// Why.
        reason: String,
        /// When to look again, unless an event comes first.
        retry_in: Duration,
    },
}

impl Verdict {
    fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }

    fn not_yet(reason: impl Into<String>, retry_in: Duration) -> Self {
        Self::NotYet { reason: reason.into(), retry_in }
    }
}

/// A verdict with the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The rule, or `all` when every rule accepts.
    pub rule: &'static str,
    /// What it says.
    pub verdict: Verdict,
}

/// What the rules on the intent alone see.
#[derive(Clone, Copy, Debug)]
pub struct Intake<'a> {
    /// The order.
    pub order: &'a Order,
    /// What is served, and on which terms.
    pub policy: &'a Policy,
}

/// What the rules on the chains' state see.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The order.
    pub order: &'a Order,
    /// What is served, and on which terms.
    pub policy: &'a Policy,
    /// What the chains say now.
    pub facts: &'a Facts,
}

type IntakeRule = fn(&Intake<'_>) -> Verdict;
type CaseRule = fn(&Case<'_>) -> Verdict;

/// Rules on the intent alone, in this order.
pub const INTAKE_RULES: &[(&str, IntakeRule)] = &[
    ("inbox", inbox::judge),
    ("prover", prover::judge),
    ("lists", lists::judge),
    ("shape", shape::judge),
    ("tokens", tokens::judge),
    ("attempts", attempts::judge),
];

/// Rules on the chains' state, in this order.
pub const CASE_RULES: &[(&str, CaseRule)] = &[
    ("open", open::judge),
    ("deadlines", deadlines::judge),
    ("mode", mode::judge),
    ("vault", vault::judge),
    ("confirmations", confirmations::judge),
    ("payout", payout::judge),
    ("size", size::judge),
    ("exposure", exposure::judge),
    ("simulation", simulation::judge),
    ("profit", profit::judge),
];

/// The first objection on the intent alone, if there is one.
pub fn judge_intake(intake: &Intake<'_>) -> Ruling {
    first(INTAKE_RULES.iter().map(|(rule, judge)| Ruling { rule, verdict: judge(intake) }))
}

/// Whether a route has a size that is filled, before anybody has published it.
pub fn judge_shape(intake: &Intake<'_>) -> Verdict {
    shape::judge(intake)
}

/// Whether there is time to fill and to prove, by the newest blocks of origin and destination (unix
/// seconds).
pub fn judge_deadlines(intake: &Intake<'_>, origin_time: u64, destination_time: u64) -> Ruling {
    let verdict = deadlines::judge_at(intake, origin_time, destination_time);
    Ruling { rule: "deadlines", verdict }
}

/// The first objection on the chains' state, if there is one.
pub fn judge_case(case: &Case<'_>) -> Ruling {
    first(CASE_RULES.iter().map(|(rule, judge)| Ruling { rule, verdict: judge(case) }))
}

/// Every ruling of every rule, for explanations.
pub fn every_ruling(case: &Case<'_>) -> Vec<Ruling> {
    let Case { order, policy, .. } = *case;
    let intake = Intake { order, policy };
    let on_intent = INTAKE_RULES.iter().map(|(rule, judge)| (*rule, judge(&intake)));
    let on_chain = CASE_RULES.iter().map(|(rule, judge)| (*rule, judge(case)));
    on_intent.chain(on_chain).map(|(rule, verdict)| Ruling { rule, verdict }).collect()
}

fn first(rulings: impl Iterator<Item = Ruling>) -> Ruling {
    for ruling in rulings {
        if ruling.verdict != Verdict::Accept {
            return ruling;
        }
    }
    Ruling { rule: "all", verdict: Verdict::Accept }
}

#[cfg(test)]
mod tests;
