mod chain;

use std::process::ExitCode;

use clap::Subcommand;

use crate::Output;

/// What is measured, each without changing anything outside the process.
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// The development chain: how soon it starts, how fast it answers, what it keeps in memory.
    ///
    /// Tokens are our test-token program; it is compiled first when its source changed. Clients
    /// and chain share one process and this machine's cores.
    Chain(chain::Chain),
}

impl Bench {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match self.subject {
            Subject::Chain(command) => command.run(output).await,
        }
    }
}
