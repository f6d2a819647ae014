//! Validators and relayer as processes of their own, and what they use.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use eyre::{OptionExt, WrapErr};
use tokio::time::Instant;

use crate::local::{ChildSpec, Endpoint, Folders, Supervisor, wait_until_healthy};

/// Longest wait for an agent to work.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);
/// Clock ticks of `/proc/<pid>/stat` in a second: what Linux has on every machine that runs this.
const TICKS: f64 = 100.0;

/// What one process has used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) peak_bytes: u64,
}

/// One agent: how it is started and where it says how it is.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) command: &'static str,
    pub(super) config: PathBuf,
    pub(super) admin: SocketAddr,
}

/// The processes.
#[derive(Debug)]
pub(super) struct Agents {
    supervisor: Supervisor,
    pids: PathBuf,
    running: Vec<String>,
}

impl Agents {
    pub(super) fn new(folder: &Path) -> eyre::Result<Self> {
        let (logs, pids) = (folder.join("logs"), folder.join("run"));
        let supervisor = Supervisor::new(Folders { logs, pids: pids.clone() })?;
        Ok(Self { supervisor, pids, running: Vec::new() })
    }

    /// Starts one and waits until it works.
    pub(super) async fn start(&mut self, agent: &Agent) -> eyre::Result<Duration> {
        let begun = Instant::now();
        self.supervisor.start(ChildSpec {
            name: agent.name.clone(),
            arguments: vec![
                agent.command.into(),
                "--config".into(),
                agent.config.clone().into(),
                "--stop-with-stdin".into(),
            ],
        });
        let endpoint = Endpoint { name: agent.name.clone(), admin: agent.admin };
        wait_until_healthy(&self.supervisor, vec![endpoint], HEALTHY_WITHIN, |_| {}).await?;
        self.running.push(agent.name.clone());
        Ok(begun.elapsed())
    }

    /// What an agent has used so far.
    pub(super) fn usage(&self, agent: &Agent) -> eyre::Result<Usage> {
        self.usage_of(&agent.name)
    }

    /// What every agent has used so far.
    pub(super) fn usages(&self) -> eyre::Result<Vec<(String, Usage)>> {
        self.running.iter().map(|name| Ok((name.clone(), self.usage_of(name)?))).collect()
    }

    pub(super) async fn stop(self) -> eyre::Result<()> {
        Ok(self.supervisor.stop().await?)
    }

    fn usage_of(&self, name: &str) -> eyre::Result<Usage> {
        let pid = fs::read_to_string(self.pids.join(format!("{name}.pid")))?;
        let folder = Path::new("/proc").join(pid.trim());
        let read = |file: &str| {
            fs::read_to_string(folder.join(file)).wrap_err("this system tells nothing of processes")
        };
        let (stat, status) = (read("stat")?, read("status")?);
        // The name of the program, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(')').ok_or_eyre("/proc/<pid>/stat reads otherwise")?;
        let ticks = |field: usize| -> eyre::Result<f64> {
            let text = fields.split_whitespace().nth(field);
            Ok(text.ok_or_eyre("/proc/<pid>/stat is too short")?.parse()?)
        };
        let kibibytes = |key: &str| -> eyre::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let text = line.and_then(|line| line.split_whitespace().next());
            Ok(text.ok_or_eyre("/proc/<pid>/status lacks a line")?.parse()?)
        };
        Ok(Usage {
            cpu_seconds: (ticks(11)? + ticks(12)?) / TICKS,
            resident_bytes: kibibytes("VmRSS:")? * 1024,
            peak_bytes: kibibytes("VmHWM:")? * 1024,
        })
    }
}
