//! Streams of orders that are open: so many of one caller, so many in all, each for so long.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::aggregator::ErrorCode;
use parking_lot::Mutex;

use super::{ApiError, caller::Who};

/// Seconds after which a place may be free again.
const RETRY: u64 = 10;

/// How many streams of orders may be open at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// In all.
    pub all: usize,
    /// Of one key, or of one address without a key.
    pub each: usize,
    /// One that is older ends, and its listener opens another.
    pub life: Duration,
}

impl Default for StreamLimits {
    /// Each stream takes a connection and some forty kilobytes, and looks at every change.
    fn default() -> Self {
        Self { all: 4_096, each: 64, life: Duration::from_secs(900) }
    }
}

/// Counts streams.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Board>);

#[derive(Debug)]
struct Board {
    limits: StreamLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_caller: HashMap<Who, usize>,
}

/// A stream that counts as open until the last clone of this is gone.
#[derive(Clone, Debug)]
pub(super) struct OpenStream(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    board: Arc<Board>,
    who: Who,
}

impl Streams {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self(Arc::new(Board { limits, open: Mutex::default() }))
    }

    /// Counts another stream of this caller.
    ///
    /// # Errors
    /// [`ErrorCode::RateLimited`] when the caller has as many as it may,
    /// [`ErrorCode::Overloaded`] when all together have.
    pub(super) fn open(&self, who: Who) -> Result<OpenStream, ApiError> {
        let StreamLimits { all, each, .. } = self.0.limits;
        let mut open = self.0.open.lock();
        let of_caller = open.by_caller.get(&who).copied().unwrap_or_default();
        if of_caller >= each {
            let message = format!("{of_caller} streams are open, which is as many as one may have");
            return Err(ApiError::new(ErrorCode::RateLimited, message).retry_after(RETRY));
        }
        if open.all >= all {
            let message = "as many streams are open as may be";
            return Err(ApiError::new(ErrorCode::Overloaded, message).retry_after(RETRY));
        }
        open.all += 1;
        open.by_caller.insert(who.clone(), of_caller + 1);
        drop(open);
        Ok(OpenStream(Arc::new(Counted { board: Arc::clone(&self.0), who })))
    }
}

impl OpenStream {
    /// How long it may be open.
    pub(super) fn life(&self) -> Duration {
        self.0.board.limits.life
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.board.open.lock();
        open.all = open.all.saturating_sub(1);
        // Who has none left is forgotten: callers come and go.
        let left = open.by_caller.remove(&self.who).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            open.by_caller.insert(self.who.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Who {
        Who::Key(name.into())
    }

    fn refused(streams: &Streams, who: Who) -> ErrorCode {
        let refused = streams.open(who).unwrap_err();
        assert!(refused.retry_after.is_some());
        refused.code
    }

    #[test]
    fn streams_are_counted_by_caller_and_in_all_until_they_end() {
        let limits = StreamLimits { all: 3, each: 2, ..StreamLimits::default() };
        let streams = Streams::new(limits);
        let first = streams.open(key("a")).unwrap();
        let second = streams.open(key("a")).unwrap();
        assert_eq!(refused(&streams, key("a")), ErrorCode::RateLimited);
        let other = streams.open(key("b")).unwrap();
        assert_eq!(refused(&streams, key("c")), ErrorCode::Overloaded);

        let clone = first.clone();
        drop(first);
        assert_eq!(refused(&streams, key("a")), ErrorCode::RateLimited, "a clone holds it open");
        drop((clone, other));
        let third = streams.open(key("a")).unwrap();
        drop((second, third));
        assert!(streams.0.open.lock().by_caller.is_empty());
        assert_eq!(streams.0.open.lock().all, 0);
    }
}
