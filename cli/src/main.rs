//! The `metalayer` command.

use std::process::ExitCode;

use clap::Parser;
use cli::Args;
use mimalloc::MiMalloc;

/// Services allocate much and briefly, on several threads: the system's allocator costs the
/// aggregator a fifth of its time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    Args::parse().run().await
}
