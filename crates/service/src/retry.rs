//! Trying again after a failure that may pass.

use std::{future::Future, time::Duration};

use rand::Rng;
use tokio_util::sync::CancellationToken;

/// Growing waits between attempts: doubled each time up to `max`, each shortened at random by up
/// to a quarter, so that many clients of one endpoint do not return at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits `first`, then twice that, and so on up to `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// The wait before the next attempt.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next.min(self.max);
        self.next = wait.saturating_mul(2).min(self.max);
        wait.mul_f64(rand::rng().random_range(0.75..=1.0))
    }

    /// Sleeps for [`Self::wait`]; `false` when `shutdown` came first.
    pub async fn pause(&mut self, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            () = tokio::time::sleep(self.wait()) => true,
            () = shutdown.cancelled() => false,
        }
    }
}

impl Default for Backoff {
    /// From 100 ms to 10 s: shorter than a block of most chains, longer than a node's restart.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

/// Why [`retry`] gave up.
#[derive(Debug, thiserror::Error)]
pub enum RetryError<E> {
    /// The error is not one that passes.
    #[error(transparent)]
    Fatal(E),
    /// Shutdown was asked for between two attempts.
    #[error("stopped before it succeeded")]
    Stopped,
}

/// Runs `attempt` until it succeeds, fails with an error that `is_retryable` refuses, or
/// `shutdown` is asked for. Each failed attempt is logged as a warning under `what`.
///
/// # Errors
/// [`RetryError`].
pub async fn retry<T, E, F>(
    what: &str,
    mut backoff: Backoff,
    shutdown: &CancellationToken,
    is_retryable: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, RetryError<E>>
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if !is_retryable(&error) => return Err(RetryError::Fatal(error)),
            Err(error) => tracing::warn!(what, %error, "will try again"),
        }
        if !backoff.pause(shutdown).await {
            return Err(RetryError::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let bounds = [(75, 100), (150, 200), (262, 350), (262, 350)];
        for (low, high) in bounds {
            let wait = backoff.wait().as_millis();
            assert!((low..=high).contains(&wait), "{wait} outside {low}..={high}");
        }
    }

    #[tokio::test]
    async fn retries_until_the_error_is_final() {
        let mut left = vec!["final", "passing", "passing"];
        let result: Result<(), _> = retry(
            "test",
            Backoff::new(Duration::from_millis(1), Duration::from_millis(1)),
            &CancellationToken::new(),
            |error: &&str| *error == "passing",
            || std::future::ready(Err(left.pop().unwrap())),
        )
        .await;
        assert!(matches!(result, Err(RetryError::Fatal("final"))));
    }
}
