//! The life of an order: one enum, one transition table.
//!
//! The table is the only place that says which state may follow which, and why. The store refuses
//! to write anything else, the engine dispatches on [`State`] without a wildcard, crash points are
//! named after the rows, and `docs/operations/solver/lifecycle.md` is compared with
//! [`diagram`] by a test.

use std::{fmt, str::FromStr};

use State::{
    Attesting, Challenging, Claimed, Claiming, Filled, Filling, Forfeited, Lost, Proven, Proving,
    Refused, Reserved, Seen, Waiting,
};

/// Where an order stands. What a state allows is written in its documentation, and happens only
/// after the state has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Recorded with a recomputed hash; nothing decided.
    Seen,
    /// A rule said *not yet*; it is judged again at its retry time.
    Waiting,
    /// A rule said *no*. Terminal.
    Refused,
    /// Accepted, and the route's tokens are reserved on one wallet. Allows writing a fill.
    Reserved,
    /// The fill may be on its way. Allows sending the fill of this attempt.
    Filling,
    /// Fulfilled at the destination in our name, not yet proven. Allows joining a proof batch.
    Filled,
    /// Member of a proof batch. Allows sending that batch's proof.
    Proving,
    /// The proof message is under way to the origin.
    Attesting,
    /// The origin's prover names a wrong destination. Allows sending the challenge.
    Challenging,
    /// The origin's prover names us. Allows joining a withdrawal batch.
    Proven,
    /// Member of a withdrawal batch. Allows sending that batch's withdrawal.
    Claiming,
    /// The reward was paid to us. Terminal.
    Claimed,
    /// Nobody owes us anything: another solver filled it, or it expired unfilled. Terminal.
    Lost,
    /// We filled and the reward can no longer be had. Terminal; the loss is booked.
    Forfeited,
}

/// Every state, in the order of a good life followed by the bad ends.
pub const STATES: [State; 14] = [
    Seen,
    Waiting,
    Refused,
    Reserved,
    Filling,
    Filled,
    Proving,
    Attesting,
    Challenging,
    Proven,
    Claiming,
    Claimed,
    Lost,
    Forfeited,
];

/// One permitted step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// What brings it about, in words for the diagram.
    pub cause: &'static str,
}

const fn step(from: State, to: State, cause: &'static str) -> Transition {
    Transition { from, to, cause }
}

/// Every permitted step. A step that is not here cannot be written.
pub const TRANSITIONS: &[Transition] = &[
    step(Seen, Waiting, "a rule says not yet"),
    step(Seen, Refused, "a rule says no"),
    step(Seen, Reserved, "every rule accepts and the inventory is held"),
    step(Seen, Lost, "fulfilled by another, or expired"),
    step(Seen, Filled, "fulfilled in our name already"),
    step(Waiting, Refused, "a rule says no"),
    step(Waiting, Reserved, "every rule accepts and the inventory is held"),
    step(Waiting, Lost, "fulfilled by another, or expired"),
    step(Waiting, Filled, "fulfilled in our name already"),
    step(Reserved, Waiting, "the last check before sending says not yet"),
    step(Reserved, Refused, "the last check before sending says no"),
    step(Reserved, Lost, "fulfilled by another, or expired"),
    step(Reserved, Filled, "fulfilled in our name already"),
    step(Reserved, Filling, "the last check passes"),
    step(Filling, Filled, "fulfilled in our name without a proof"),
    step(Filling, Attesting, "fulfilled in our name and the proof message sent"),
    step(Filling, Proven, "fulfilled in our name where proof is immediate"),
    step(Filling, Waiting, "reverted or cancelled and still open"),
    step(Filling, Lost, "fulfilled by another, or expired"),
    step(Filled, Proving, "the batch rule says now"),
    step(Filled, Proven, "somebody else proved it for us"),
    step(Filled, Waiting, "a reorganisation removed the fill"),
    step(Filled, Forfeited, "refunded before the proof"),
    step(Proving, Attesting, "the proof message was sent"),
    step(Proving, Filled, "the proof transaction failed"),
    step(Attesting, Proven, "the origin's prover names us"),
    step(Attesting, Challenging, "the origin's prover names a wrong destination"),
    step(Attesting, Filled, "no proof arrived in time: prove again"),
    step(Attesting, Waiting, "a reorganisation removed the fill"),
    step(Attesting, Forfeited, "refunded before the proof"),
    step(Challenging, Filled, "the wrong proof is gone: prove again"),
    step(Challenging, Attesting, "the challenge failed or was not needed"),
    step(Proven, Claiming, "joined a withdrawal batch"),
    step(Proven, Claimed, "somebody else withdrew it to us"),
    step(Proven, Attesting, "a reorganisation removed the proof"),
    step(Proven, Forfeited, "refunded before the withdrawal"),
    step(Claiming, Claimed, "the reward was paid to us"),
    step(Claiming, Proven, "the withdrawal failed"),
];

impl State {
    /// The name stored and shown: the variant in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Seen => "seen",
            Waiting => "waiting",
            Refused => "refused",
            Reserved => "reserved",
            Filling => "filling",
            Filled => "filled",
            Proving => "proving",
            Attesting => "attesting",
            Challenging => "challenging",
            Proven => "proven",
            Claiming => "claiming",
            Claimed => "claimed",
            Lost => "lost",
            Forfeited => "forfeited",
        }
    }

    /// Whether `next` may follow.
    pub fn can_become(self, next: Self) -> bool {
        TRANSITIONS.iter().any(|t| t.from == self && t.to == next)
    }

    /// Whether nothing can follow.
    pub fn is_terminal(self) -> bool {
        !TRANSITIONS.iter().any(|t| t.from == self)
    }

    /// Whether our money is at stake: a fill may be out and its reward is not yet home.
    pub const fn is_exposed(self) -> bool {
        match self {
            Filling | Filled | Proving | Attesting | Challenging | Proven | Claiming => true,
            Seen | Waiting | Refused | Reserved | Claimed | Lost | Forfeited => false,
        }
    }

    /// Whether the order is still to be decided or sent, so that a drain must wait for nothing.
    pub const fn is_undecided(self) -> bool {
        match self {
            Seen | Waiting => true,
            Refused | Reserved | Filling | Filled | Proving | Attesting | Challenging | Proven
            | Claiming | Claimed | Lost | Forfeited => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stored word that names no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no order state is called {given:?}")]
pub struct UnknownState {
    /// The word.
    pub given: String,
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        STATES
            .into_iter()
            .find(|state| state.name() == word)
            .ok_or_else(|| UnknownState { given: word.into() })
    }
}

/// The table as a Mermaid state diagram.
pub fn diagram() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> seen\n");
    for Transition { from, to, cause } in TRANSITIONS {
        let cause = cause.replace(':', ",");
        out.push_str(&format!("    {from} --> {to}: {cause}\n"));
    }
    for state in STATES.into_iter().filter(|s| s.is_terminal()) {
        out.push_str(&format!("    {state} --> [*]\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for state in STATES {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert!("gone".parse::<State>().is_err());
    }

    #[test]
    fn the_table_repeats_no_row_and_every_state_is_reachable() {
        for (i, t) in TRANSITIONS.iter().enumerate() {
            assert!(!TRANSITIONS[..i].iter().any(|u| (u.from, u.to) == (t.from, t.to)), "{t:?}");
        }
        for state in STATES.into_iter().filter(|s| *s != Seen) {
            assert!(TRANSITIONS.iter().any(|t| t.to == state), "{state} is never reached");
        }
    }

    #[test]
    fn exactly_the_four_ends_are_terminal() {
        let ends: Vec<_> = STATES.into_iter().filter(|s| s.is_terminal()).collect();
        assert_eq!(ends, [Refused, Claimed, Lost, Forfeited]);
    }

    #[test]
    fn money_at_stake_never_ends_without_a_booking() {
        // Once filled, an order ends paid or with its loss booked, never silently.
        for t in TRANSITIONS.iter().filter(|t| t.from.is_exposed() && t.from != Filling) {
            assert!(!matches!(t.to, Refused | Lost), "{t:?}");
        }
    }

    #[test]
    fn the_documented_diagram_is_the_table() {
        let page = include_str!("../../../docs/operations/solver/lifecycle.md");
        assert!(page.contains(&diagram()), "expected in lifecycle.md:\n{}", diagram());
    }
}
