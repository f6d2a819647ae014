//! The chain's own time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Clock;

/// Seconds between blocks that are mined on demand, under [`Clock::Steps`].
const STEP: Duration = Duration::from_secs(1);

/// Decides the timestamp of each next block.
#[derive(Debug, Clone)]
pub(crate) struct ChainTime {
    clock: Clock,
    /// Chain time of the head under [`Clock::Steps`], in milliseconds: intervals may be shorter
    /// than a second.
    millis: u64,
    /// What is added to the machine's clock, in seconds.
    offset: i64,
    /// Timestamp that the next block must have.
    next: Option<u64>,
}

impl ChainTime {
    /// Time goes on from the head's timestamp, in Unix seconds.
    pub(crate) fn new(clock: Clock, head: u64) -> Self {
        Self { clock, millis: head.saturating_mul(1_000), offset: 0, next: None }
    }

    /// Timestamp of the genesis block, in Unix seconds.
    pub(crate) fn genesis(clock: Clock, configured: u64) -> u64 {
        match clock {
            Clock::Steps => configured,
            Clock::Wall => wall_seconds(),
        }
    }

    /// Timestamp of a block made now on a parent with timestamp `parent`, in Unix seconds.
    pub(crate) fn peek(&self, parent: u64, interval: Option<Duration>) -> u64 {
        let due = match self.clock {
            Clock::Steps => self.due_millis(interval) / 1_000,
            Clock::Wall => wall_seconds().saturating_add_signed(self.offset),
        };
        self.next.unwrap_or(due).max(parent)
    }

    /// Goes on to a block with `timestamp`, as [`Self::peek`] said.
    pub(crate) fn advance(&mut self, timestamp: u64, interval: Option<Duration>) {
        let due = self.due_millis(interval);
        // Keep the milliseconds of an ordinary step, follow any other.
        self.millis = if due / 1_000 == timestamp { due } else { timestamp.saturating_mul(1_000) };
        if let Some(next) = self.next.take() {
            self.offset =
                i64::try_from(next).unwrap_or(i64::MAX).saturating_sub_unsigned(wall_seconds());
        }
    }

    pub(crate) fn increase(&mut self, seconds: u64) {
        self.millis = self.millis.saturating_add(seconds.saturating_mul(1_000));
        self.offset = self.offset.saturating_add_unsigned(seconds);
        self.next = self.next.map(|next| next.saturating_add(seconds));
    }

    pub(crate) fn set_next(&mut self, timestamp: u64) {
        self.next = Some(timestamp);
    }

    fn due_millis(&self, interval: Option<Duration>) -> u64 {
        let step = interval.unwrap_or(STEP).as_millis();
        self.millis.saturating_add(u64::try_from(step).unwrap_or(u64::MAX))
    }
}

fn wall_seconds() -> u64 {
    // A machine set before 1970 counts as 1970.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_seconds_add_up() {
        let mut time = ChainTime::new(Clock::Steps, 100);
        let interval = Some(Duration::from_millis(250));
        let mut parent = 100;
        let stamps: Vec<u64> = (0..8)
            .map(|_| {
                parent = time.peek(parent, interval);
                time.advance(parent, interval);
                parent
            })
            .collect();
        assert_eq!(stamps, [100, 100, 100, 101, 101, 101, 101, 102]);
    }

    #[test]
    fn next_timestamp_is_followed_and_continued() {
        let mut time = ChainTime::new(Clock::Steps, 100);
        time.set_next(5_000);
        assert_eq!(time.peek(100, None), 5_000);
        time.advance(5_000, None);
        assert_eq!(time.peek(5_000, None), 5_001);
        time.increase(10);
        assert_eq!(time.peek(5_000, None), 5_011);
    }
}
