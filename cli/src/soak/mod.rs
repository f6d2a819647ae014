//! A system under a load of transfers for a long time, and what it makes of it.

mod load;
mod memory;
mod picture;
mod report;
mod watch;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use chain::Manifest;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use self::{load::Load, memory::Memory, watch::Watch};
pub(crate) use self::{picture::draw, report::Report};
use crate::{Output, invariants};

/// Longest wait, after the load, for what is on its way.
const DRAIN: Duration = Duration::from_secs(180);
/// Pause between two looks at what is on its way.
const LOOK: Duration = Duration::from_millis(200);
/// How often progress is told.
const TELL: Duration = Duration::from_secs(30);

/// What a soak does to a system.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// For how long transfers are sent.
    pub(crate) lasts: Duration,
    /// Transfers a second.
    pub(crate) rate: f64,
    /// How often a role, any, is killed with SIGKILL.
    pub(crate) kill: Option<Duration>,
}

/// The system that is soaked.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its deployment.
    pub(crate) manifest: Manifest,
    /// Its aggregator.
    pub(crate) api: Url,
    /// The folder with the process id of each role.
    pub(crate) pids: PathBuf,
    /// Names of the roles.
    pub(crate) roles: Vec<String>,
}

/// Loads the system as planned, waits for what is on its way, and checks that nothing is lost.
///
/// # Errors
/// The load cannot be prepared, or a chain cannot be asked.
pub(crate) async fn run(plan: &Plan, target: &Target) -> eyre::Result<Report> {
    let load = Arc::new(Load::prepare(target).await?);
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let watch = Watch::default();
    for chain in target.manifest.chains.values() {
        let follow = watch.clone().follow(chain.clone(), stop.clone());
        tasks.spawn(follow);
    }
    let memory = Memory::new(target.pids.clone(), target.roles.clone());
    tasks.spawn(memory.clone().sample(plan.lasts, stop.clone()));

    let kills = send(plan, target, &load, &watch).await;
    let begun = Instant::now();
    while watch.unfinished() > 0 && begun.elapsed() < DRAIN {
        sleep(LOOK).await;
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;

    let broken = invariants::check(&target.manifest).await?;
    Ok(Report::new(plan, (&load.outcome(), &watch, &memory), kills, broken))
}

/// Sends transfers at the planned rate; returns how often a role was killed.
async fn send(plan: &Plan, target: &Target, load: &Arc<Load>, watch: &Watch) -> u32 {
    let begun = Instant::now();
    let transfers = TaskTracker::new();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / plan.rate));
    // A late tick is made up for: the rate is a promise.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut kills = 0;
    let (mut next_kill, mut next_word) = (plan.kill, TELL);
    for number in 0_u64.. {
        ticks.tick().await;
        let elapsed = begun.elapsed();
        if elapsed >= plan.lasts {
            break;
        }
        if let (Some(every), Some(due)) = (plan.kill, next_kill)
            && elapsed >= due
        {
            next_kill = Some(due + every);
            kills += u32::from(memory::kill_any(&target.pids, &target.roles));
        }
        if elapsed >= next_word {
            next_word += TELL;
            Output::remark(format_args!("[{:>5.0} s] {}", elapsed.as_secs_f64(), watch.summary()));
        }
        let (load, watch) = (Arc::clone(load), watch.clone());
        transfers.spawn(async move { load.transfer(number, &watch).await });
    }
    transfers.close();
    transfers.wait().await;
    kills
}
