use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use alloy::primitives::B256;
use clap::Subcommand;
use eyre::{OptionExt, WrapErr, bail};
use protocol::ids::IntentHash;
use service::config;
use solver::explain::{self, AskError, Explanation};

use super::role::{Life, Role};
use crate::{Output, local::Pointer};

/// A solver to run, or a question to one that runs.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Solver {
    /// Its configuration file; the examples in the source tree show every key.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    life: Life,

    /// Decide and report on every intent, and send nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Explain one intent: its history, its books, and what every rule says now.
    Intent(Intent),
}

#[derive(Debug, clap::Args)]
struct Intent {
    /// Hash of the intent.
    hash: B256,

    /// Configuration file of the solver to ask; those of the system `metalayer up` started last by
    /// default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Solver {
    /// What is logged unless the environment says otherwise.
    pub(super) const fn log_filter(&self) -> &'static str {
        match self.question {
            Some(_) => "warn",
            None => "info",
        }
    }

    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match (self.question, self.config) {
            (Some(Question::Intent(intent)), _) => intent.explain(output).await,
            (None, Some(config)) => Role::new(config, self.life).solver(self.dry_run).await,
            (None, None) => bail!("expected --config FILE or a question"),
        }
    }
}

impl Intent {
    async fn explain(self, output: Output) -> eyre::Result<ExitCode> {
        let hash = IntentHash(self.hash);
        let configs = match self.config {
            Some(config) => vec![config],
            None => local_solvers()?,
        };
        let mut explanations = Vec::new();
        for config in configs {
            if let Some(explanation) = ask(&config, hash).await? {
                explanations.push((name(&config), explanation));
            }
        }
        if explanations.is_empty() {
            bail!("no solver has seen {hash}");
        }
        let text: Vec<_> =
            explanations.iter().map(|(who, what)| format!("{who}: {what}")).collect();
        let explanations: Vec<Explanation> = explanations.into_iter().map(|(_, e)| e).collect();
        output.result(&explanations, text.join("\n").trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The explanation of the solver with this configuration; `None` when it has not seen the intent.
async fn ask(path: &Path, hash: IntentHash) -> eyre::Result<Option<Explanation>> {
    let config = config::load::<solver::Config>(path)?;
    let token = config.admin_token.as_ref().ok_or_else(|| {
        eyre::eyre!("{}: without admin_token a solver answers no questions", path.display())
    })?;
    let base = format!("http://{}", config.admin_listen);
    match explain::ask(&base, token, hash).await {
        Ok(explanation) => Ok(Some(explanation)),
        Err(AskError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error).wrap_err(base),
    }
}

fn local_solvers() -> eyre::Result<Vec<PathBuf>> {
    let system = Pointer::load().ok_or_eyre("no local system runs: name a solver by --config")?;
    let folder = system.data_dir.join("config");
    let mut configs: Vec<_> = fs::read_dir(&folder)
        .wrap_err_with(|| folder.display().to_string())?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    configs.retain(|path| name(path).starts_with("solver-"));
    configs.sort();
    Ok(configs)
}

fn name(config: &Path) -> String {
    config.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        solver: Solver,
    }

    #[test]
    fn a_solver_is_run_or_asked() {
        let run = Line::try_parse_from(["", "--config", "a.toml", "--dry-run"]).unwrap().solver;
        assert_eq!((run.config, run.dry_run), (Some("a.toml".into()), true));
        let hash = B256::repeat_byte(7).to_string();
        let asked = Line::try_parse_from(["", "intent", &hash]).unwrap().solver;
        assert!(asked.question.is_some() && asked.config.is_none());
        assert!(Line::try_parse_from([""]).is_err(), "neither a file nor a question");
        assert!(Line::try_parse_from(["", "--config", "a.toml", "intent", &hash]).is_err());
    }
}
