use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use eyre::WrapErr;
use stylus_program::Programs;

use super::role::{Life, ended};
use crate::{
    Output,
    local::{
        self, ChildSpec, Endpoint, FINALIZED_LAG, Folders, Layout, Pointer, Ports, Role, Screen,
        Supervisor,
    },
};

/// A block every quarter of a second, as Arbitrum chains make them.
const BLOCK_TIME: Duration = Duration::from_millis(250);
/// Longest wait for the chains to answer.
const CHAINS_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for every service to be healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(90);

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// How many chains.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=30))]
    chains: u16,

    /// Keep everything in this folder across restarts; a temporary one by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Listen on 400 ports from this one on instead of 8545, 8080 and 9100 to 9300.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port_base: Option<u16>,

    #[command(flatten)]
    life: Life,
}

impl Up {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let temporary = match &self.data_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("metalayer-").tempdir()?),
        };
        let data = match (&self.data_dir, &temporary) {
            (Some(folder), _) => std::path::absolute(folder)?,
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => unreachable!("a folder is given or created"),
        };
        let ports = self.port_base.map_or_else(Ports::default, Ports::from_base);
        let layout = Layout { data, ports, chains: self.chains };
        layout.require_free_ports()?;
        layout.create().wrap_err_with(|| layout.data().display().to_string())?;

        // The signal may come at any time; whatever runs by then is stopped in order.
        let folders = Folders { logs: layout.logs(), pids: layout.pids() };
        let chains = Supervisor::new(folders.clone())?;
        let services = Supervisor::new(folders)?;
        let begun = tokio::select! {
            begun = begin(&layout, &chains, &services) => begun.map(Some),
            stopped = self.life.wait(std::future::pending()) => stopped.map(|()| None),
        };
        let lived = match begun {
            Ok(Some(screen)) => self.live(&layout, &screen, output, (&chains, &services)).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        Output::remark("stopping");
        let stopped = services.stop().await;
        let chains_stopped = chains.stop().await;
        lived?;
        stopped?;
        ended(chains_stopped)
    }

    /// Shows the screen and waits for the end.
    async fn live(
        &self,
        layout: &Layout,
        screen: &Screen,
        output: Output,
        (chains, services): (&Supervisor, &Supervisor),
    ) -> eyre::Result<()> {
        let pointer = Pointer {
            data_dir: layout.data().to_owned(),
            manifest: layout.manifest(),
            api: format!("http://{}", layout.ports.api()),
            relayer: format!("http://{}", layout.internal(Role::Relayer)),
        };
        pointer.save().wrap_err("cannot remember where the system is")?;
        output.result(screen, screen)?;
        let failed = async {
            tokio::select! {
                () = chains.failed() => {}
                () = services.failed() => {}
            }
        };
        let end = self.life.wait(failed).await;
        pointer.forget()?;
        end
    }
}

/// Brings everything up, from nothing to healthy.
async fn begin(
    layout: &Layout,
    chains: &Supervisor,
    services: &Supervisor,
) -> eyre::Result<Screen> {
    let progress = Progress(Instant::now());
    progress.step("building the on-chain programs (a minute or two the first time)");
    tokio::task::spawn_blocking(Programs::load_or_build).await??;

    progress.step(&format!("starting {} chains", layout.chains));
    write_devnet(layout)?;
    chains.start(child(layout, Role::Devnet));
    local::wait_for_chains(layout, chains, CHAINS_WITHIN).await?;

    progress.step("deploying the contracts");
    let manifest = local::deploy(layout).await?;
    local::mint_test_tokens(&manifest).await?;

    local::write_all(layout, &manifest)?;
    progress.step("starting validators, relayer, solvers and aggregator");
    let mut endpoints = Vec::new();
    for role in Role::services() {
        services.start(child(layout, role));
        endpoints.push(Endpoint { name: role.to_string(), admin: layout.admin(role) });
    }
    local::wait_until_healthy(services, endpoints, HEALTHY_WITHIN, |name| {
        progress.step(&format!("{name} is healthy"));
    })
    .await?;
    Ok(Screen::new(layout, &manifest))
}

fn child(layout: &Layout, role: Role) -> ChildSpec {
    let arguments = vec![
        role.command().into(),
        "--config".into(),
        layout.config(role).into(),
        "--stop-with-stdin".into(),
    ];
    ChildSpec { name: role.to_string(), arguments }
}

fn write_devnet(layout: &Layout) -> eyre::Result<()> {
    let path = layout.config(Role::Devnet);
    let mut table = toml::Table::new();
    table.insert("chains".into(), i64::from(layout.chains).into());
    table.insert("port_base".into(), i64::from(layout.ports.rpc_base()).into());
    table.insert("block_time".into(), humantime::format_duration(BLOCK_TIME).to_string().into());
    table.insert("finalized_lag".into(), FINALIZED_LAG.cast_signed().into());
    table.insert("data_dir".into(), layout.state(Role::Devnet).display().to_string().into());
    fs::write(&path, table.to_string()).wrap_err_with(|| path.display().to_string())
}

/// Tells a person at stderr what is being done, with the time since the start.
struct Progress(Instant);

impl Progress {
    fn step(&self, what: &str) {
        Output::remark(format_args!("[{:>5.1} s] {what}", self.0.elapsed().as_secs_f64()));
    }
}
