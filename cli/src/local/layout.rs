use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    configs::Place,
    ports::{Ports, Taken, require_free},
};

/// The well-known mnemonic of development chains. Its keys are public: never for real money.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Validator operators of the local system; two of them must agree.
pub const VALIDATORS: u16 = 3;
/// Solvers of the local system.
pub const SOLVERS: u16 = 2;
/// Blocks that `finalized` stays behind the head: two seconds of blocks.
pub const FINALIZED_LAG: u64 = 8;
/// Decimals of the test token.
pub(crate) const TEST_TOKEN_DECIMALS: u8 = 6;

/// Id of the first development chain; the others count on from it.
const FIRST_CHAIN_ID: u64 = 700_001;

/// A process of the local system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// All chains.
    Devnet,
    /// One validator operator, counted from 0.
    Validator(u16),
    /// The relayer.
    Relayer,
    /// One solver, counted from 0.
    Solver(u16),
    /// The aggregator.
    Aggregator,
}

/// Where everything of a local system is: its folder, its ports, its chains.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The folder of configurations, databases and logs.
    pub(crate) data: PathBuf,
    /// Where everything listens.
    pub(crate) ports: Ports,
    /// How many chains there are.
    pub(crate) chains: u16,
}

impl Role {
    /// Every role that serves the chains, in the order of starting.
    pub(crate) fn services() -> impl Iterator<Item = Self> {
        (0..VALIDATORS)
            .map(Self::Validator)
            .chain([Self::Relayer])
            .chain((0..SOLVERS).map(Self::Solver))
            .chain([Self::Aggregator])
    }

    /// The command that runs it.
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Devnet => "devnet",
            Self::Validator(_) => "validator",
            Self::Relayer => "relayer",
            Self::Solver(_) => "solver",
            Self::Aggregator => "aggregator",
        }
    }

    /// Its place among the ports of its kind.
    const fn port_index(self) -> u16 {
        match self {
            Self::Aggregator => 0,
            Self::Relayer => 1,
            Self::Solver(index) => 10 + index,
            Self::Validator(index) => 20 + index,
            Self::Devnet => 30,
        }
    }

    /// The account of the mnemonic that it pays with, or signs the instant tier with.
    pub(crate) const fn account(self) -> u32 {
        match self {
            Self::Devnet | Self::Aggregator => 0,
            Self::Validator(index) => 1 + index as u32,
            Self::Relayer => 7,
            Self::Solver(index) => 8 + index as u32,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command())?;
        match self {
            Self::Validator(index) | Self::Solver(index) => write!(f, "-{}", index + 1),
            Self::Devnet | Self::Relayer | Self::Aggregator => Ok(()),
        }
    }
}

impl Layout {
    /// The ids of the chains.
    pub(crate) fn chain_ids(&self) -> impl Iterator<Item = u64> + use<> {
        (0..u64::from(self.chains)).map(|index| FIRST_CHAIN_ID + index)
    }

    /// Chain ids with their JSON-RPC addresses.
    pub(crate) fn rpcs(&self) -> impl Iterator<Item = (u64, SocketAddr)> + use<> {
        let ports = self.ports;
        self.chain_ids().zip((0..self.chains).map(move |index| ports.rpc(index)))
    }

    /// Configuration file of a role.
    pub(crate) fn config(&self, role: Role) -> PathBuf {
        self.data.join("config").join(format!("{role}.toml"))
    }

    /// The deployment manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.data.join("manifest.json")
    }

    /// Folder of the logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// Folder of the process ids.
    pub(crate) fn pids(&self) -> PathBuf {
        self.data.join("run")
    }

    /// A folder or database of a role's own.
    pub(crate) fn state(&self, role: Role) -> PathBuf {
        self.data.join("state").join(role.to_string())
    }

    /// Where a service lives.
    pub(crate) fn place(&self, role: Role) -> Place {
        let listen = if role == Role::Aggregator { self.ports.api() } else { self.internal(role) };
        Place {
            manifest: self.manifest(),
            state: self.state(role),
            listen,
            admin: self.admin(role),
        }
    }

    /// Where the role's metrics and health are.
    pub(crate) const fn admin(&self, role: Role) -> SocketAddr {
        self.ports.admin(role.port_index())
    }

    /// What the role offers to other roles.
    pub(crate) const fn internal(&self, role: Role) -> SocketAddr {
        self.ports.internal(role.port_index())
    }

    /// Checks that every port of the system is free.
    pub(crate) fn require_free_ports(&self) -> Result<(), Taken> {
        for (chain_id, address) in self.rpcs() {
            require_free(address, &format!("RPC of chain {chain_id}"))?;
        }
        require_free(self.ports.api(), "API of the aggregator")?;
        for role in Role::services() {
            require_free(self.admin(role), &format!("metrics of {role}"))?;
            if role != Role::Aggregator {
                require_free(self.internal(role), &format!("API of {role}"))?;
            }
        }
        Ok(())
    }

    /// Creates the folders.
    pub(crate) fn create(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(self.data.join("config"))?;
        for role in Role::services().chain([Role::Devnet]) {
            std::fs::create_dir_all(self.state(role))?;
        }
        Ok(())
    }

    /// The folder itself.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}
