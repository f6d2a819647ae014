//! Waiting for a condition, with a deadline.

use std::{future::Future, time::Duration};

use eyre::bail;
use tokio::time::{Instant, sleep};

/// Long enough on a loaded machine: no wait of a test ends sooner.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Looks until `look` gives a value.
///
/// # Errors
/// `look` fails, or there is no value within [`PATIENCE`].
pub async fn until<T, F>(what: &str, mut look: impl FnMut() -> F) -> eyre::Result<T>
where
    F: Future<Output = eyre::Result<Option<T>>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} for {what}");
        }
        sleep(LOOK).await;
    }
}
