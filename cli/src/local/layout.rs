use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::{
    configs::Place,
    keys::Keyring,
    network::{External, Network},
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
    /// What it stands on.
    pub(crate) network: Network,
    /// Whose keys it signs with.
    pub(crate) keys: Keyring,
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

    /// Its database on a server that has one for each.
    pub(crate) fn database_name(self) -> String {
        self.to_string().replace('-', "_")
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
    /// Chain ids with their JSON-RPC URLs.
    pub(crate) fn rpcs(&self) -> eyre::Result<BTreeMap<u64, Url>> {
        match &self.network {
            Network::Embedded { chains } => (0..*chains)
                .map(|index| {
                    let url = format!("http://{}", self.ports.rpc(index)).parse()?;
                    Ok((FIRST_CHAIN_ID + u64::from(index), url))
                })
                .collect(),
            Network::External(external) => {
                let chains = external.chains.values();
                let first = chains.filter_map(|chain| Some((chain.chain_id.0, chain.rpc.first()?)));
                Ok(first.map(|(id, url)| (id, url.clone())).collect())
            }
        }
    }

    /// The chains that somebody else runs, if it stands on such.
    pub(crate) fn external(&self) -> Option<&External> {
        match &self.network {
            Network::Embedded { .. } => None,
            Network::External(external) => Some(external),
        }
    }

    /// Names of the roles that serve the chains.
    pub(crate) fn service_names(&self) -> Vec<String> {
        Role::services().map(|role| role.to_string()).collect()
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
        if let Network::Embedded { chains } = self.network {
            for index in 0..chains {
                let chain_id = FIRST_CHAIN_ID + u64::from(index);
                require_free(self.ports.rpc(index), &format!("RPC of chain {chain_id}"))?;
            }
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
