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
    /// Not working, or not yet.
    Failing {
        /// What an operator should know.
        reason: String,
    },
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
        self.0.read().values().all(|state| *state == State::Ok)
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

    /// The part does not work, for `reason`.
    pub fn failing(&self, reason: impl Into<String>) {
        self.set(State::Failing { reason: reason.into() });
    }

    fn set(&self, state: State) {
        self.board.0.write().insert(self.name.clone(), state);
    }
}
