//! The commands, one a file.

mod bench;
mod build;
mod completions;
mod deploy;
mod devnet;
mod health;
mod history;
mod message;
mod quote;
mod refund;
mod role;
mod send;
mod soak;
mod solver;
mod status;
mod up;

use std::process::ExitCode;

use clap::Subcommand;

use crate::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine: chains, contracts and every service.
    Up(up::Up),
    /// Move money between two chains and follow it until the solver is paid.
    Send(send::Send),
    /// Take the money of a transfer back that nobody filled in time.
    Refund(refund::Refund),
    /// Show what every provider would charge for a transfer.
    Quote(quote::QuoteCommand),
    /// Show what became of a transfer.
    Status(status::Status),
    /// Show the transfers of an account.
    History(history::History),
    /// Show what the relayer knows of a message, and what it still waits for.
    Message(message::Message),
    /// Ask a role or a chain whether it works; for container health checks.
    Health(health::Health),
    /// Compile the on-chain programs, check them and show their sizes.
    Build(build::Build),
    /// Put the contracts on chains, check what is there, add a chain.
    Deploy(deploy::Deploy),
    /// Run development chains that execute Stylus programs.
    Devnet(devnet::Devnet),
    /// Run a validator: it signs what is final on the chains it follows.
    Validator(role::Role),
    /// Run a relayer: it carries messages and the signatures under them.
    Relayer(message::Relayer),
    /// Run a solver, which quotes and fills intents, or ask one about an intent.
    Solver(solver::Solver),
    /// Run the aggregator: it compares quotes and follows orders.
    Aggregator(role::Role),
    /// Measure a part of the system on this machine.
    Bench(bench::Bench),
    /// Load a whole system with transfers, and report what it makes of them.
    Soak(soak::Soak),
    /// Write a completion script for a shell.
    Completions(completions::Completions),
}

impl Command {
    /// What is logged unless the environment says otherwise.
    pub(crate) const fn log_filter(&self) -> &'static str {
        match self {
            Self::Solver(command) => command.log_filter(),
            Self::Devnet(_) | Self::Validator(_) | Self::Relayer(_) | Self::Aggregator(_) => "info",
            Self::Up(_)
            | Self::Send(_)
            | Self::Refund(_)
            | Self::Quote(_)
            | Self::Status(_)
            | Self::History(_)
            | Self::Message(_)
            | Self::Health(_)
            | Self::Build(_)
            | Self::Bench(_)
            | Self::Soak(_)
            | Self::Completions(_) => "warn",
            // Each transaction, as progress.
            Self::Deploy(_) => "warn,deploy=info",
        }
    }

    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        match self {
            Self::Up(command) => command.run(output).await,
            Self::Send(command) => command.run(output).await,
            Self::Refund(command) => command.run(output).await,
            Self::Quote(command) => command.run(output).await,
            Self::Status(command) => command.run(output).await,
            Self::History(command) => command.run(output).await,
            Self::Message(command) => command.run(output).await,
            Self::Health(command) => command.run(output).await,
            Self::Build(command) => command.run(output),
            Self::Deploy(command) => command.run(output).await,
            Self::Devnet(command) => command.run(output).await,
            Self::Validator(role) => role.validator().await,
            Self::Relayer(relayer) => relayer.run(output).await,
            Self::Solver(command) => command.run(output).await,
            Self::Aggregator(role) => role.aggregator().await,
            Self::Bench(command) => command.run(output).await,
            Self::Soak(command) => command.run(output).await,
            Self::Completions(command) => command.run(),
        }
    }
}
