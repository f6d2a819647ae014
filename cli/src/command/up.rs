use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use chain::Manifest;
use eyre::bail;
use tempfile::TempDir;

use super::role::{Ending, Life, ended};
use crate::{
    Output,
    local::{Export, External, Holder, Keyring, Layout, Network, Pointer, Ports, Screen, System},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// How many chains.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=30))]
    chains: u16,

    /// Use the chains of this file instead of chains of our own.
    ///
    /// Its keys: `funded` (reference to the key that deploys and pays), `[chains.NAME]` with
    /// `chain_id`, `rpc` and `finality`, and, if others than the default, `[funds]`, `salt` and
    /// `test_token`. Needs --data-dir, where the keys of the roles are kept.
    #[arg(long, value_name = "FILE", conflicts_with = "chains", requires = "data_dir")]
    network: Option<PathBuf>,

    /// Keep everything in this folder across restarts; a temporary one by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Listen on 400 ports from this one on instead of 8545, 8080 and 9100 to 9300.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port_base: Option<u16>,

    /// Deploy, write the same system for containers into this folder, and end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,

    #[command(flatten)]
    life: Life,
}

impl Up {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let folder = DataDir::new(self.data_dir.as_deref())?;
        let system = System::new(self.layout(folder.path())?)?;
        let progress = Progress(Instant::now());
        // The signal may come at any time; whatever runs by then is stopped in order.
        let work = async {
            match &self.export {
                Some(_) => system.deploy(|what| progress.step(what)).await,
                None => system.begin(|what| progress.step(what)).await,
            }
        };
        let mut ending = self.life.listen()?;
        let begun = tokio::select! {
            begun = work => begun.map(Some),
            () = ending.wait(std::future::pending()) => Ok(None),
        };
        let layout = system.layout().clone();
        let lived = match (&begun, &self.export) {
            (Ok(Some(manifest)), None) => self.live(&system, manifest, output, ending).await,
            _ => Ok(()),
        };
        Output::remark("stopping");
        let stopped = system.stop().await;
        let begun = begun?;
        lived?;
        stopped?;
        if let (Some(target), Some(manifest)) = (&self.export, begun) {
            let export = Export::write(&layout, &manifest, target)?;
            output.result(&export, &export)?;
        }
        ended(Ok(()))
    }

    fn layout(&self, data: &Path) -> eyre::Result<Layout> {
        let ports = self.port_base.map_or_else(Ports::default, Ports::from_base);
        let (network, keys) = match &self.network {
            None => (Network::Embedded { chains: self.chains }, Keyring::Development),
            Some(path) => {
                let external = External::load(path)?;
                let holders = Holder::operators().chain([Holder::User(0)]);
                let keys = Keyring::create(data.join("keys"), holders)?;
                (Network::External(Box::new(external)), keys)
            }
        };
        Ok(Layout { data: data.to_owned(), ports, network, keys })
    }

    /// Shows the screen and waits for the end.
    async fn live(
        &self,
        system: &System,
        manifest: &Manifest,
        output: Output,
        mut ending: Ending,
    ) -> eyre::Result<()> {
        let screen = Screen::new(system.layout(), manifest)?;
        let pointer = Pointer::to(system.layout());
        if let Err(error) = pointer.save() {
            Output::remark(format_args!(
                "other commands will need --api and --manifest: cannot remember this system: {error}"
            ));
        }
        output.result(&screen, &screen)?;
        ending.wait(system.failed()).await;
        pointer.forget()?;
        Ok(())
    }
}

/// Where everything is kept: given, or temporary.
enum DataDir {
    Given(PathBuf),
    Temporary(TempDir),
}

impl DataDir {
    fn new(given: Option<&Path>) -> eyre::Result<Self> {
        Ok(match given {
            Some(folder) if folder.is_file() => {
                bail!("the data folder {} is a file", folder.display())
            }
            Some(folder) => Self::Given(std::path::absolute(folder)?),
            None => Self::Temporary(tempfile::Builder::new().prefix("metalayer-").tempdir()?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(folder) => folder,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// Tells a person at stderr what is being done, with the time since the start.
struct Progress(Instant);

impl Progress {
    fn step(&self, what: &str) {
        Output::remark(format_args!("[{:>5.1} s] {what}", self.0.elapsed().as_secs_f64()));
    }
}
