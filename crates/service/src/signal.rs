//! The signals by which an operator ends a process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears when the process is asked to end: SIGINT (Ctrl-C) or SIGTERM. From when it is made, those
/// end nothing by themselves.
#[derive(Debug)]
pub struct Termination {
    interrupt: Signal,
    terminate: Signal,
}

impl Termination {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: signal(interrupt)?, terminate: signal(terminate)? })
    }

    /// Completes at a signal, also at one that came before this was called.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
