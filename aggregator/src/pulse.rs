//! Whether a chain answers, as a part of health.

use std::time::{Duration, Instant};

use chain::ChainClient;
use service::health::{Component, patience};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long a chain may be silent: as long as in the other roles, which read it as often as the
/// indexer does.
pub(crate) fn silence() -> Duration {
    patience(Duration::from_millis(250))
}

/// Asks a chain for its newest block again and again, and says so in `health` once it has been silent
/// for this long. Not whether blocks come: some chains make them only on demand. The service is only
/// degraded then: quotes between other chains go on.
pub(crate) async fn pulse(
    client: ChainClient,
    silence: Duration,
    health: Component,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(silence / 6);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        // A read that hangs is given up before the silence is over, so that it is told in time.
        let read = timeout(silence / 3, client.latest());
        let Some(read) = shutdown.run_until_cancelled(read).await else { return };
        let fault = match read {
            Ok(Ok(_)) => {
                last = Instant::now();
                health.ok();
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let silent = last.elapsed();
        if silent >= silence {
            let chain = client.chain_id();
            let seconds = silent.as_secs();
            health.degraded(format!("chain {chain} has given no block for {seconds} s: {fault}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::client::ClientOptions;
    use devnet::{ChainConfig, Config, Fault, FaultRule};
    use protocol::ids::ChainId;
    use service::{health::Health, tasks::Tasks};

    use super::*;

    const CHAIN: u64 = 700_001;

    async fn becomes(health: &Health, is_ok: bool) {
        let begun = Instant::now();
        while health.is_ok() != is_ok {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", health.components());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_chain_that_falls_silent_is_told_until_it_answers_again() {
        let chains = vec![ChainConfig::new(CHAIN)];
        let network = devnet::spawn(Config { chains, ..Config::default() }).await.unwrap();
        let node = network.chain(CHAIN).unwrap();
        let url = node.http_url().parse().unwrap();
        let client = ChainClient::new(ChainId(CHAIN), &[url], ClientOptions::default()).unwrap();
        let (tasks, health) = (Tasks::new(), Health::default());
        let silence = Duration::from_millis(300);
        let component = health.component("chain");
        tasks.spawn("pulse", pulse(client, silence, component, tasks.shutdown()));

        becomes(&health, true).await;
        // Longer than anybody waits, and as the client waits for its own retries.
        for fault in [Fault::Latency { millis: 60_000 }, Fault::Drop] {
            node.set_fault(FaultRule::new(&[], fault));
            becomes(&health, false).await;
            assert!(health.status().serves(), "other chains go on");
            node.clear_faults();
            becomes(&health, true).await;
        }
        tasks.stop(Duration::from_secs(5)).await.unwrap();
    }
}
