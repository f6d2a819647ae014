use std::{future::Future, io, path::PathBuf, process::ExitCode, thread};

use aggregator::Config as AggregatorConfig;
use eyre::WrapErr;
use service::{config, signal::Termination, tasks::StopError};
use settlement::{relayer::RelayerConfig, validator::ValidatorConfig};
use tokio::sync::oneshot;

/// How a service is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Role {
    /// Its configuration file; the examples in the source tree show every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    #[command(flatten)]
    life: Life,
}

/// What ends a long-running command besides a signal.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Life {
    /// Stop when standard input closes, as a parent process does that ends.
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

impl Role {
    /// A service with this configuration file.
    pub(super) const fn new(config: PathBuf, life: Life) -> Self {
        Self { config, life }
    }

    /// Follows the origins and signs what is final.
    pub(super) async fn validator(self) -> eyre::Result<ExitCode> {
        let config = config::load::<ValidatorConfig>(&self.config)?;
        let handle = settlement::validator::spawn(config).await?;
        self.life.wait(handle.ended()).await?;
        ended(handle.stop().await)
    }

    /// Carries messages and the signatures under them.
    pub(super) async fn relayer(self) -> eyre::Result<ExitCode> {
        let config = config::load::<RelayerConfig>(&self.config)?;
        let handle = settlement::relayer::spawn(config).await?;
        self.life.wait(handle.ended()).await?;
        ended(handle.stop().await)
    }

    /// Quotes and fills intents, or only says what it would do.
    pub(super) async fn solver(self, dry_run: bool) -> eyre::Result<ExitCode> {
        let mut config = config::load::<solver::Config>(&self.config)?;
        config.file = Some(self.config);
        if dry_run {
            config.run = solver::Run::Dry;
        }
        let handle = solver::spawn(config).await?;
        self.life.wait(handle.ended()).await?;
        ended(handle.stop().await)
    }

    /// Compares quotes and follows orders.
    pub(super) async fn aggregator(self) -> eyre::Result<ExitCode> {
        let config = config::load::<AggregatorConfig>(&self.config)?;
        let handle = aggregator::spawn(config).await?;
        self.life.wait(handle.ended()).await?;
        ended(handle.stop().await)
    }
}

impl Life {
    /// See [`Ending::wait`]; until then a signal ends the process at once.
    pub(crate) async fn wait(self, ended: impl Future<Output = ()>) -> eyre::Result<()> {
        self.listen()?.wait(ended).await;
        Ok(())
    }

    /// Hears from now on what ends the command.
    pub(crate) fn listen(self) -> eyre::Result<Ending> {
        let signals = Termination::listen().wrap_err("cannot listen for signals")?;
        Ok(Ending { signals, stdin: self.stop_with_stdin.then(stdin_closed) })
    }
}

/// What ends a long-running command.
#[derive(Debug)]
pub(crate) struct Ending {
    signals: Termination,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Ending {
    /// Completes at a signal, when standard input closes (if asked for), or when `ended` does.
    pub(crate) async fn wait(&mut self, ended: impl Future<Output = ()>) {
        let closed = async {
            match &mut self.stdin {
                // The sender is dropped only after it was used.
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.signals.received() => {}
            () = closed => {}
            () = ended => {}
        }
    }
}

/// Hears when standard input closes, in a thread of its own: one of the runtime's would keep an
/// ended process alive until then.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, seen) = oneshot::channel();
    thread::spawn(move || {
        // Closed or broken, nobody is at the other end any more.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    seen
}

pub(super) fn ended(stopped: Result<(), StopError>) -> eyre::Result<ExitCode> {
    stopped?;
    Ok(ExitCode::SUCCESS)
}
