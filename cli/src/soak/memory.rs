//! The memory of each role over time, and the end of roles that are killed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rand::seq::IndexedRandom;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Samples over the whole of a soak.
const SAMPLES: u32 = 300;
/// Shortest pause between two samples.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
const MIB: f64 = 1_048_576.0;

/// Resident memory of each role over time. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pids: PathBuf,
    roles: Vec<String>,
    series: Arc<Mutex<BTreeMap<String, Vec<Sample>>>>,
}

/// Seconds since the beginning, and mebibytes.
pub(crate) type Sample = (f64, f64);

impl Memory {
    pub(super) fn new(pids: PathBuf, roles: Vec<String>) -> Self {
        Self { pids, roles, series: Arc::default() }
    }

    /// Samples until told to stop.
    pub(super) async fn sample(self, lasts: Duration, stop: CancellationToken) {
        let begun = Instant::now();
        let pause = (lasts / SAMPLES).max(LEAST_PAUSE);
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let at = begun.elapsed().as_secs_f64();
            for role in &self.roles {
                if let Some(size) = pid(&self.pids, role).and_then(|pid| resident(&pid)) {
                    self.series.lock().entry(role.clone()).or_default().push((at, size));
                }
            }
        }
    }

    pub(super) fn series(&self) -> BTreeMap<String, Vec<Sample>> {
        self.series.lock().clone()
    }
}

/// Kills one of the roles, any, with SIGKILL; whether there was one to kill.
pub(super) fn kill_any(pids: &Path, roles: &[String]) -> bool {
    let Some(pid) = roles.choose(&mut rand::rng()).and_then(|role| pid(pids, role)) else {
        return false;
    };
    let status = Command::new("kill").args(["-9", &pid]).status();
    status.is_ok_and(|status| status.success())
}

/// How much a series grows in its second half, in mebibytes a minute, by least squares.
pub(super) fn slope(series: &[Sample]) -> Option<f64> {
    let half = series.get(series.len() / 2..)?;
    let count = half.len() as f64;
    if half.len() < 2 {
        return None;
    }
    let mean = |value: fn(&Sample) -> f64| half.iter().map(value).sum::<f64>() / count;
    let (at, size) = (mean(|sample| sample.0), mean(|sample| sample.1));
    let covariance: f64 = half.iter().map(|sample| (sample.0 - at) * (sample.1 - size)).sum();
    let variance: f64 = half.iter().map(|sample| (sample.0 - at).powi(2)).sum();
    (variance > 0.0).then(|| covariance / variance * 60.0)
}

fn pid(pids: &Path, role: &str) -> Option<String> {
    let text = fs::read_to_string(pids.join(format!("{role}.pid"))).ok()?;
    Some(text.trim().to_owned())
}

/// Mebibytes that a process has in memory; none where the system does not tell.
fn resident(pid: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1_024.0 / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_second_half() {
        // Grows fast, and then by one mebibyte a minute.
        let series: Vec<_> = (0..120)
            .map(|second| {
                let at = f64::from(second);
                (at, if second < 60 { at } else { 60.0 + (at - 60.0) / 60.0 })
            })
            .collect();
        let slope = slope(&series).unwrap();
        assert!((slope - 1.0).abs() < 1e-9, "{slope}");
        assert_eq!(super::slope(&series[..1]), None);
    }

    #[test]
    fn this_process_has_memory_where_the_system_tells() {
        if Path::new("/proc/self/status").exists() {
            assert!(resident("self").unwrap() > 1.0);
        }
    }
}
