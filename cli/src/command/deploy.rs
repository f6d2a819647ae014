use std::{path::PathBuf, process::ExitCode};

use alloy::primitives::Address;
use chain::Manifest;
use clap::Subcommand;
use deploy::{CallBatch, Config, Deployment, Existing, Report};
use serde::Serialize;
use service::config;

use crate::Output;

/// Puts the system on chains.
#[derive(Debug, clap::Args)]
pub(crate) struct Deploy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is missing on every chain and about what it costs; sends nothing.
    Plan(Wanted),
    /// Make everything true that is missing, and write the manifest. May be run again at any time.
    Apply(Wanted),
    /// Read everything back from the chains and list what is not as it was meant.
    Verify(Wanted),
    /// Show how a deployment is doing.
    Status(Deployed),
    /// Deploy on one more chain of the configuration and let its messages in on the others.
    AddChain(AddChain),
}

#[derive(Debug, clap::Args)]
struct Wanted {
    /// The deployment as it is wanted.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Hand everything over to this account in the end, instead of to the one in the file.
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,

    /// Take Hyperlane's package from this folder instead of npm.
    #[arg(long, value_name = "DIR")]
    hyperlane_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Deployed {
    /// The deployment manifest.
    #[arg(long, value_name = "FILE", env = "METALAYER_MANIFEST")]
    manifest: PathBuf,
}

#[derive(Debug, clap::Args)]
struct AddChain {
    /// Name of the new chain in the configuration.
    chain: String,

    #[command(flatten)]
    wanted: Wanted,

    /// Send nothing to the other chains: print the calls that their owners have to make, one batch a chain.
    #[arg(long)]
    print_calls: bool,
}

/// The result of adding a chain as JSON.
#[derive(Serialize)]
struct Added<'a> {
    chain: &'a str,
    owner_calls: &'a [CallBatch],
    report: &'a Report,
}

impl Deploy {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match self.action {
            Action::Plan(wanted) => {
                let plan = wanted.open().await?.plan().await?;
                output.result(&plan, &plan)?;
            }
            Action::Apply(wanted) => {
                let manifest = wanted.open().await?.apply().await?;
                let names: Vec<_> = manifest.iter().map(|(name, _)| name).collect();
                output.result(&manifest, format_args!("deployed on {}", names.join(", ")))?;
            }
            Action::Verify(wanted) => {
                let report = wanted.open().await?.verify().await?;
                output.result(&report, &report)?;
                if !report.is_sound() {
                    return Ok(ExitCode::FAILURE);
                }
            }
            Action::Status(deployed) => {
                let status = deploy::status(&Manifest::load(deployed.manifest)?).await?;
                output.result(&status, &status)?;
            }
            Action::AddChain(add) => return add.run(output).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Wanted {
    /// Building programs and fetching Hyperlane's codes block, so they are done off the runtime.
    async fn open(&self) -> eyre::Result<Deployment> {
        let mut config = config::load::<Config>(&self.config)?;
        config.owner = self.owner.or(config.owner);
        config.hyperlane_dir = self.hyperlane_dir.clone().or(config.hyperlane_dir);
        let opened = || Deployment::open(config).map_err(eyre::Report::from);
        tokio::task::spawn_blocking(opened).await?
    }
}

impl AddChain {
    async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let existing = if self.print_calls { Existing::ListCalls } else { Existing::Change };
        let added = self.wanted.open().await?.add_chain(&self.chain, existing).await?;
        let mut text = format!("added {}", self.chain);
        for batch in &added.calls {
            text += &format!("\non {} its owner {} has to call", batch.chain, batch.from);
            for call in &batch.calls {
                text += &format!("\n  {}  {}\n    {}", call.to, call.what, call.data);
            }
        }
        text += &format!("\n{}", added.report);
        let (calls, report) = (&added.calls, &added.report);
        output.result(&Added { chain: &self.chain, owner_calls: calls, report }, text)?;
        // What waits for an owner is in the list of calls.
        let failed = !report.findings.is_empty();
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
