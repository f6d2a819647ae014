mod aggregator;
mod chain;
mod messages;
mod solver;

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

    /// Messages from one chain to two others: how soon and how many arrive, what the agents use.
    ///
    /// Three chains run in this process, three validators and a relayer in processes of their own,
    /// all on this machine. The origin's long past is written into databases and into the tree
    /// hook's storage, not sent.
    Messages(messages::Messages),
    /// The aggregator: quotes a second, their latency and cost, from `wrk` and mock providers that
    /// answer after 20 ms; open order streams and memory. Every part is a process on this machine.
    Aggregator(aggregator::AggregatorBench),
    /// One of the providers that `bench aggregator` starts.
    #[command(hide = true)]
    MockProvider(aggregator::Provider),
    /// The solver: how soon it fills, how fast it decides and quotes, what many intents cost it.
    ///
    /// Chains, users and solver share this machine's cores; two of them make everything look slow.
    Solver(solver::Solver),
}

impl Bench {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match self.subject {
            Subject::Chain(command) => command.run(output).await,
            Subject::Messages(command) => command.run(output).await,
            Subject::Aggregator(command) => command.run(output).await,
            Subject::MockProvider(command) => command.run().await,
            Subject::Solver(command) => command.run(output).await,
        }
    }
}
