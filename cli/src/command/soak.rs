use std::{path::PathBuf, process::ExitCode, time::Duration};

use chain::Manifest;
use eyre::ensure;

use super::role::Life;
use crate::{
    Output,
    local::{Keyring, Layout, Network, Ports, System},
    soak::{self, Plan, Report, Target},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// For how long transfers are sent.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,

    /// Transfers a second, of native currency and of tokens, in every direction.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,

    /// How many chains.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=30))]
    chains: u16,

    /// Kill a role, any of them, with SIGKILL every so often, such as 3s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    kill: Option<Duration>,

    /// Draw the memory of each role over time into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,

    /// As of `up`.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port_base: Option<u16>,

    #[command(flatten)]
    life: Life,
}

impl Soak {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        ensure!(self.minutes > 0.0 && self.rate > 0.0, "minutes and rate must be above 0");
        let folder = tempfile::Builder::new().prefix("metalayer-soak-").tempdir()?;
        let layout = Layout {
            data: folder.path().to_owned(),
            ports: self.port_base.map_or_else(Ports::default, Ports::from_base),
            network: Network::Embedded { chains: self.chains },
            keys: Keyring::Development,
        };
        let system = System::new(layout)?;
        let soaked = tokio::select! {
            soaked = self.soak(&system) => soaked.map(Some),
            stopped = self.life.wait(system.failed()) => stopped.map(|()| None),
        };
        Output::remark("stopping");
        system.stop().await?;
        let Some(report) = soaked? else { return Ok(ExitCode::FAILURE) };
        if let Some(path) = &self.picture {
            soak::draw(&report, path)?;
        }
        output.result(&report, &report)?;
        Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn soak(&self, system: &System) -> eyre::Result<Report> {
        let manifest: Manifest = system.begin(|what| Output::remark(what)).await?;
        let plan = Plan {
            lasts: Duration::from_secs_f64(self.minutes * 60.0),
            rate: self.rate,
            kill: self.kill,
        };
        let layout = system.layout();
        let target = Target {
            manifest,
            api: format!("http://{}", layout.ports.api()).parse()?,
            pids: layout.pids(),
            roles: layout.service_names(),
        };
        soak::run(&plan, &target).await
    }
}
