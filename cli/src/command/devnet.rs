use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use alloy::primitives::{Address, Bytes, address};
use devnet::{
    ChainConfig, Clock, Config,
    genesis::{self, Account},
};
use serde::Serialize;
use service::config::{self, FromToml, Section};
use stylus_program::{Programs, ProgramsError, SourceError};

use super::role::Life;
use crate::{Output, local::MNEMONIC};

const FIRST_CHAIN_ID: u64 = 700_001;
const FIRST_PORT: u16 = 8_545;
/// Where `cargo stylus` expects the deployer of programs that have a constructor.
const STYLUS_DEPLOYER: Address = address!("cEcba2F1DC234f70Dd89F2041029807F8D03A990");
const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Flags, or the same in a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Devnet {
    /// Read everything from this file instead of the flags.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    network: Network,

    #[command(flatten)]
    life: Life,
}

/// Development chains to run.
#[derive(Debug, Clone, clap::Args)]
struct Network {
    /// How many chains; their ids are 700001, 700002, ….
    #[arg(long, default_value_t = 1)]
    chains: u16,

    /// Address to listen on.
    #[arg(long, default_value_t = HOST)]
    host: IpAddr,

    /// JSON-RPC port of the first chain; the others count on from it. 0 takes any free ports.
    #[arg(long, default_value_t = FIRST_PORT)]
    port_base: u16,

    /// A block at this interval, such as 250ms; without it every transaction makes one.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    block_time: Option<Duration>,

    /// Blocks that the tag `safe` stays behind the newest.
    #[arg(long, default_value_t = 0)]
    safe_lag: u64,

    /// Blocks that the tag `finalized` stays behind the newest.
    #[arg(long, default_value_t = 0)]
    finalized_lag: u64,

    /// Keep the state of this many blocks only.
    #[arg(long, value_name = "BLOCKS")]
    history: Option<u64>,

    /// Keep the chains in this folder across restarts. It grows with every transaction, whatever
    /// `--history` says, and is read whole at the start.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The result as JSON.
#[derive(Serialize)]
struct Running {
    chains: Vec<Endpoints>,
    mnemonic: &'static str,
    accounts: Vec<String>,
    create2_factory: String,
    /// Absent without it.
    deployer: Option<String>,
}

#[derive(Serialize)]
struct Endpoints {
    chain_id: u64,
    http: String,
    ws: String,
}

impl Devnet {
    pub(super) async fn run(self, output: Output) -> eyre::Result<ExitCode> {
        let network = match &self.config {
            Some(path) => config::load::<Network>(path)?,
            None => self.network,
        };
        let deployer = tokio::task::spawn_blocking(deployer).await??;
        if deployer.is_none() {
            Output::remark(
                "no source tree here to build programs from: the chains have no deployer",
            );
        }
        let handle = devnet::spawn(network.into_config(deployer.as_ref())).await?;
        let chains = handle.chains().iter().map(|chain| Endpoints {
            chain_id: chain.chain().chain_id(),
            http: chain.http_url(),
            ws: chain.ws_url(),
        });
        let running = Running {
            chains: chains.collect(),
            mnemonic: MNEMONIC,
            accounts: genesis::DEV_ADDRESSES.iter().map(ToString::to_string).collect(),
            create2_factory: genesis::CREATE2_FACTORY.to_string(),
            deployer: deployer.map(|_| STYLUS_DEPLOYER.to_string()),
        };
        // Whoever reads the result may send a signal at once.
        let mut ending = self.life.listen()?;
        output.result(&running, screen(&running))?;
        ending.wait(std::future::pending()).await;
        drop(handle);
        Ok(ExitCode::SUCCESS)
    }
}

/// The code of our deployer; nothing where there is neither a source tree nor a folder of programs.
fn deployer() -> Result<Option<Bytes>, ProgramsError> {
    match Programs::load_or_build() {
        Ok(programs) => Ok(Some(programs.get("deployer")?.code.clone().into())),
        Err(ProgramsError::Source(SourceError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

fn screen(running: &Running) -> String {
    let mut text = String::new();
    for chain in &running.chains {
        text += &format!("chain {}  {}  {}\n", chain.chain_id, chain.http, chain.ws);
    }
    text += &format!("mnemonic  {MNEMONIC}\n");
    for (index, account) in running.accounts.iter().enumerate() {
        text += &format!("account {index:>2}  {account}  10,000 ETH\n");
    }
    text += &format!("CREATE2 factory  {}\n", running.create2_factory);
    if let Some(deployer) = &running.deployer {
        text += &format!("deployer  {deployer}\n");
    }
    text + "Ctrl-C stops the chains."
}

impl Network {
    fn into_config(self, deployer: Option<&Bytes>) -> Config {
        let deployer = deployer.map(|code| (STYLUS_DEPLOYER, Account::contract(code.clone())));
        let genesis: Vec<_> = deployer.into_iter().collect();
        let port = |index: u16| if self.port_base == 0 { 0 } else { self.port_base + index };
        let chains = (0..self.chains).map(|index| ChainConfig {
            port: port(index),
            block_time: self.block_time,
            safe_lag: self.safe_lag,
            finalized_lag: self.finalized_lag,
            history: self.history,
            clock: Clock::Wall,
            genesis: genesis.clone(),
            ..ChainConfig::new(FIRST_CHAIN_ID + u64::from(index))
        });
        let chains = chains.collect();
        Config { chains, host: self.host, data_dir: self.data_dir, ..Config::default() }
    }
}

impl FromToml for Network {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        Some(Self {
            chains: section.or_default("chains", 1, "a number of chains"),
            host: section.or_default("host", HOST, "an address"),
            port_base: section.or_default("port_base", FIRST_PORT, "a port"),
            block_time: section
                .optional::<humantime::Duration>("block_time", "a duration such as \"250ms\"")
                .map(Into::into),
            safe_lag: section.or_default("safe_lag", 0, "a number of blocks"),
            finalized_lag: section.or_default("finalized_lag", 0, "a number of blocks"),
            history: section.optional("history", "a number of blocks"),
            data_dir: section.optional_path("data_dir"),
        })
    }
}
