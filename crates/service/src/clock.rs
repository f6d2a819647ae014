//! The time of day, which tests set.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

/// Source of wall-clock time. Clones of a manual clock share one hand.
///
/// On-chain deadlines compare with block timestamps, never with this.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<Mutex<Duration>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `since_epoch` until [`Self::advance`].
    pub fn manual(since_epoch: Duration) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(since_epoch))))
    }

    /// Time since the Unix epoch. Zero on a machine whose clock is set before it.
    pub fn since_epoch(&self) -> Duration {
        match &self.0 {
            Source::System => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Source::Manual(hand) => *hand.lock(),
        }
    }

    /// Whole seconds since the Unix epoch.
    pub fn unix(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    /// Moves a manual clock on; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(hand) = &self.0 {
            *hand.lock() += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(Duration::from_secs(100));
        let twin = clock.clone();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(twin.unix(), 101);
        assert!(Clock::system().unix() > 1_700_000_000);
    }
}
