//! What each part of a service says about itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use serde::Serialize;

/// The state of every named part of one service. Clones share the same board.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<RwLock<BTreeMap<String, State>>>);

/// The state of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Working.
    Ok,
    /// Not working, and the service serves without it.
    Degraded {
        /// What an operator should know.
        reason: String,
    },
    /// Not working, or not yet, and the service cannot do without it.
    Failing {
        /// What an operator should know.
        reason: String,
    },
}

/// How a service is, all parts together: as its worst part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every part works.
    Ok,
    /// It serves, although a part does not work.
    Degraded,
    /// It cannot serve: who can should be asked instead.
    Failing,
}

impl Status {
    /// Whether the service should be asked.
    pub const fn serves(self) -> bool {
        match self {
            Self::Ok | Self::Degraded => true,
            Self::Failing => false,
        }
    }

    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

impl State {
    const fn status(&self) -> Status {
        match self {
            Self::Ok => Status::Ok,
            Self::Degraded { .. } => Status::Degraded,
            Self::Failing { .. } => Status::Failing,
        }
    }
}

/// One part's place on the board.
#[derive(Debug, Clone)]
pub struct Component {
    board: Health,
    name: String,
}

/// How long something may fail that is done at every `interval` before its part says so. Longer than one request to a
/// node takes with all its retries, so that a broken connection is not told.
pub fn patience(interval: Duration) -> Duration {
    let some = interval.saturating_mul(60).clamp(Duration::from_secs(3), Duration::from_secs(30));
    some.max(interval.saturating_mul(10))
}

impl Health {
    /// Adds a part, which counts as failing until it says otherwise.
    pub fn component(&self, name: impl Into<String>) -> Component {
        let component = Component { board: self.clone(), name: name.into() };
        component.failing("starting");
        component
    }

    /// Whether every part works.
    pub fn is_ok(&self) -> bool {
        self.status() == Status::Ok
    }

    /// How the service is.
    pub fn status(&self) -> Status {
        self.0.read().values().map(State::status).max().unwrap_or(Status::Ok)
    }

    /// Every part by name.
    pub fn components(&self) -> BTreeMap<String, State> {
        self.0.read().clone()
    }
}

impl Component {
    /// The part works.
    pub fn ok(&self) {
        self.set(State::Ok);
    }

    /// The part does not work, for `reason`, and the service goes on without it.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.set(State::Degraded { reason: reason.into() });
    }

    /// The part does not work, for `reason`, and the service cannot do without it.
    pub fn failing(&self, reason: impl Into<String>) {
        self.set(State::Failing { reason: reason.into() });
    }

    fn set(&self, state: State) {
        self.board.0.write().insert(self.name.clone(), state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_as_its_worst_part() {
        let health = Health::default();
        assert_eq!(health.status(), Status::Ok);
        let (one, other) = (health.component("one"), health.component("other"));
        one.ok();
        assert_eq!(health.status(), Status::Failing, "the other is only starting");
        other.degraded("a feed is silent");
        assert_eq!(health.status(), Status::Degraded);
        assert!(health.status().serves() && !health.is_ok());
        one.failing("no database");
        assert!(!health.status().serves());
        one.ok();
        other.ok();
        assert!(health.is_ok());
    }
}
