//! The `metalayer` command.

use std::process::ExitCode;

use clap::Parser;
use cli::Args;

#[tokio::main]
async fn main() -> ExitCode {
    Args::parse().run().await
}
