//! A solver with many intents in its books: how soon it is back, and its memory.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chain::Db;
use eyre::{OptionExt, ensure};
use protocol::ids::ChainId;
use serde::Serialize;
use solver::{
    order::{Order, State},
    store::Store,
};

use super::world::{ORIGIN, World};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) past: u32,
    pub(super) open: u32,
    /// From the start of the process to its first answer.
    pub(super) ready_seconds: f64,
    /// The most memory it had until it had settled; absent where the system does not tell.
    pub(super) peak_bytes: Option<u64>,
}

/// Starts a solver as a process of its own, with books that hold so many intents.
pub(super) async fn restart(
    world: &World,
    past: u32,
    open: u32,
    settling: Duration,
) -> eyre::Result<Outcome> {
    let name = format!("books-{past}-{open}");
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let admin = format!("127.0.0.1:{port}");
    let config = world.config(&name, |text| {
        let text = text.replacen(
            "admin_listen = \"127.0.0.1:0\"",
            &format!("admin_listen = \"{admin}\""),
            1,
        );
        format!("dry_run = true\n{text}")
    })?;
    let store = Store::open(Db::open(&world.database(&name)).await?).await?;
    let template = Order::new(ChainId(ORIGIN), world.intent(&name)?, 0);
    store.copy_for_measurement(&template, State::Claimed, past).await?;
    store.copy_for_measurement(&template, State::Waiting, open).await?;
    drop(store);
    let begun = Instant::now();
    let child = Role::start(&config)?;
    while reqwest::get(format!("http://{admin}/health")).await.is_err() {
        ensure!(begun.elapsed() < PATIENCE, "the solver does not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ready_seconds = begun.elapsed().as_secs_f64();
    tokio::time::sleep(settling).await;
    Ok(Outcome { past, open, ready_seconds, peak_bytes: child.peak_bytes() })
}

/// A solver process; dropping it kills it.
struct Role(Child);

impl Role {
    fn start(config: &Path) -> eyre::Result<Self> {
        let config = config.to_str().ok_or_eyre("a path that is no text")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["solver", "--config", config]).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    fn peak_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes << 10)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It may have ended already, which the measurement has noticed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
