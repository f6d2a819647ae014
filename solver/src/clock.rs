//! Milliseconds of the wall clock: for retries and records, never for deadlines.

use service::clock::Clock;

/// Unix milliseconds.
pub(crate) fn millis(clock: &Clock) -> u64 {
    u64::try_from(clock.since_epoch().as_millis()).unwrap_or(u64::MAX)
}
