use std::{io, pin::Pin, process::ExitCode};

use clap::Parser;
use eyre::Report;
use service::telemetry::{self, Format};

use crate::{Output, command::Command};

/// Interoperability for rollups: bridge requests, the solvers that fill them, and the messages
/// that settle them.
#[derive(Debug, Parser)]
#[command(name = "metalayer", version, about, propagate_version = true)]
pub struct Args {
    /// Write the result as JSON.
    #[arg(long, global = true)]
    json: bool,

    /// How log lines look on stderr: human or json.
    #[arg(long, global = true, default_value = "human", env = "METALAYER_LOG_FORMAT")]
    log_format: Format,

    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// Runs the command; failure is written to stderr with its causes.
    pub fn run(self) -> Pin<Box<dyn Future<Output = ExitCode>>> {
        // Boxed: all of it is compiled once, in this library.
        Box::pin(self.outcome())
    }

    async fn outcome(self) -> ExitCode {
        let outcome = async {
            telemetry::init(self.log_format, self.command.log_filter())?;
            self.command.run(Output::new(self.json)).await
        };
        match outcome.await {
            Ok(code) => code,
            Err(report) if is_closed_pipe(&report) => ExitCode::SUCCESS,
            Err(report) => {
                Output::failure(&report);
                if let Some(hint) = hint(&report) {
                    Output::remark(hint);
                }
                ExitCode::FAILURE
            }
        }
    }
}

/// Whether the reader of our output went away, as `head` does; that is no failure.
fn is_closed_pipe(report: &Report) -> bool {
    report
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What to do about a failure whose words do not say so.
fn hint(report: &Report) -> Option<&'static str> {
    let api::ClientError::Http(error) = report.downcast_ref()? else { return None };
    error.is_connect().then_some("nobody listens there: start `metalayer up`, or give --api")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
