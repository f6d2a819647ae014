//! The signals by which an operator ends a process.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Completes when the process is asked to end: SIGINT (Ctrl-C) or SIGTERM.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn termination() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
