use std::{net::SocketAddr, time::Duration};

use eyre::bail;
use tokio::time::{Instant, sleep};

use super::supervisor::{Supervisor, tail};

/// Pause between two looks at an endpoint.
const LOOK: Duration = Duration::from_millis(50);
/// Ends before health after which a child is given up.
const ENDS: u32 = 3;

/// A role and where it tells its health.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Name of the child.
    pub(crate) name: String,
    /// Its admin address.
    pub(crate) admin: SocketAddr,
}

/// Waits until every endpoint answers that it works; `report` hears of each that does.
///
/// # Errors
/// A child keeps ending, or `bound` passes: with the end of its log.
pub(crate) async fn wait_until_healthy(
    supervisor: &Supervisor,
    mut waiting: Vec<Endpoint>,
    bound: Duration,
    report: impl Fn(&str),
) -> eyre::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let deadline = Instant::now() + bound;
    while let Some(endpoint) = waiting.first().cloned() {
        let last_word = match client.get(format!("http://{}/health", endpoint.admin)).send().await {
            Ok(response) if response.status().is_success() => {
                report(&endpoint.name);
                waiting.remove(0);
                continue;
            }
            Ok(response) => response.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let state = supervisor.states().get(&endpoint.name).cloned().unwrap_or_default();
        let is_late = Instant::now() > deadline;
        if is_late || state.ends >= ENDS {
            let log = supervisor.log(&endpoint.name);
            bail!(
                "{} does not become healthy: {}\nthe end of {}:\n{}",
                endpoint.name,
                state.last_end.unwrap_or(last_word),
                log.display(),
                tail(&log, 15)
            );
        }
        sleep(LOOK).await;
    }
    Ok(())
}
