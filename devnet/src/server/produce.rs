//! Blocks at an interval.

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::chain::Chain;

/// Makes blocks while the chain's mining mode has an interval, until `stop`.
pub(super) async fn blocks(chain: Chain, stop: CancellationToken) {
    let mut modes = chain.mining_changes();
    loop {
        let interval = modes.borrow_and_update().interval();
        let Some(interval) = interval.filter(|interval| !interval.is_zero()) else {
            tokio::select! {
                changed = modes.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
            continue;
        };
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if let Err(error) = chain.tick() {
                        tracing::error!(%error, chain_id = chain.chain_id(), "no more blocks");
                        return;
                    }
                }
                changed = modes.changed() => {
                    if changed.is_err() { return }
                    break;
                }
                () = stop.cancelled() => return,
            }
        }
    }
}
