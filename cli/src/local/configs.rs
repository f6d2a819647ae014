use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chain::Manifest;

use super::{
    keys::{Holder, Keyring},
    layout::{Role, TEST_TOKEN_DECIMALS},
};

/// Dollars for one ether in the fixed table of prices.
const ETHER_PRICE: u64 = 3_000;

/// Where one service of a local system lives.
#[derive(Debug, Clone)]
pub struct Place {
    /// The deployment manifest.
    pub manifest: PathBuf,
    /// Folder of its own, for its database and files.
    pub state: PathBuf,
    /// What it offers to others.
    pub listen: SocketAddr,
    /// Its metrics and health.
    pub admin: SocketAddr,
}

/// What the configurations of a system have in common.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Whose keys sign.
    pub keys: Keyring,
    /// Where the databases are.
    pub databases: Databases,
    /// What validators announce: `listen`, or a URL of each.
    pub announce: Announce,
    /// Whose chains they are.
    pub chains: Chains,
}

/// Whose chains a system stands on: how long proofs take there, and what posting data costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chains {
    /// Development chains: final after seconds, never paused, data for nothing.
    Development,
    /// Chains of others: solvers allow for what they allow for by themselves, which is final after half an hour and
    /// a pause of six hours, and pay for data as the chain's stack has it.
    Real,
}

/// Where the databases of the services are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Databases {
    /// A file in each service's folder.
    Files,
    /// One of each service's own on a PostgreSQL server of this name; the password comes from the
    /// environment.
    Postgres(&'static str),
}

/// Where relayers are told to find a validator's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    /// Where it listens.
    Listen,
    /// At the host of its own name.
    Host,
}

impl Setting {
    /// Everything on this machine.
    pub const fn local(keys: Keyring) -> Self {
        Self {
            keys,
            databases: Databases::Files,
            announce: Announce::Listen,
            chains: Chains::Development,
        }
    }

    /// The configuration of a service, `None` for what is no service.
    pub(crate) fn config(
        &self,
        role: Role,
        place: &Place,
        manifest: &Manifest,
        solvers: &[(String, String)],
    ) -> Option<String> {
        Some(match role {
            Role::Validator(index) => self.validator(place, index),
            Role::Relayer => self.relayer(place),
            Role::Solver(index) => self.solver(place, manifest, index),
            Role::Aggregator => self.aggregator(place, manifest, solvers),
            Role::Devnet => return None,
        })
    }

    /// URL of a service's database as a TOML string.
    fn database(&self, place: &Place, role: Role) -> String {
        toml_string(&match self.databases {
            Databases::Files => format!("sqlite:{}", place.state.join("state.db").display()),
            Databases::Postgres(host) => {
                format!("postgres://metalayer@{host}/{}", role.database_name())
            }
        })
    }

    /// Reference to a key as a TOML string.
    fn key(&self, holder: Holder) -> String {
        toml_string(&self.keys.reference(holder))
    }

    /// How a chain of this stack charges for posting data.
    fn l1_fee(&self, stack: &str) -> &'static str {
        match (self.chains, stack) {
            (Chains::Real, "nitro") => "arbitrum",
            (Chains::Real, "op") => "op_stack",
            (Chains::Real | Chains::Development, _) => "none",
        }
    }

    /// Configuration file of a validator operator, counted from 0, with a key for each tier.
    pub fn validator(&self, place: &Place, index: u16) -> String {
        let role = Role::Validator(index);
        let announce = match self.announce {
            Announce::Listen => "listen".to_owned(),
            Announce::Host => format!("http://{role}:{}/", place.listen.port()),
        };
        format!(
            "manifest = {manifest}\n\
         database = {database}\n\
         storage = {storage}\n\
         listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         announce = \"{announce}\"\n\
         \n\
         [keys]\n\
         instant = {instant}\n\
         finalized = {finalized}\n",
            manifest = quoted(&place.manifest),
            database = self.database(place, role),
            storage = quoted(&place.state.join("checkpoints")),
            listen = place.listen,
            admin = place.admin,
            instant = self.key(Holder::Instant(index)),
            finalized = self.key(Holder::Finalized(index)),
        )
    }

    /// Configuration file of the relayer.
    pub fn relayer(&self, place: &Place) -> String {
        format!(
            "manifest = {manifest}\n\
         database = {database}\n\
         listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         signers = [{key}]\n\
         allow_private_addresses = true\n",
            manifest = quoted(&place.manifest),
            database = self.database(place, Role::Relayer),
            listen = place.listen,
            admin = place.admin,
            key = self.key(Holder::Relayer),
        )
    }

    /// Configuration file of a solver, counted from 0, with a wallet on every chain.
    pub fn solver(&self, place: &Place, manifest: &Manifest, index: u16) -> String {
        let mut text = format!(
            "environment = \"development\"\n\
         manifest = {manifest}\n\
         database = {database}\n\
         api_listen = \"{api}\"\n\
         admin_listen = \"{admin}\"\n",
            manifest = quoted(&place.manifest),
            database = self.database(place, Role::Solver(index)),
            api = place.listen,
            admin = place.admin,
        );
        for (_, chain) in manifest.iter() {
            let id = chain.chain_id.0;
            text += &format!(
                "\n[chains.{id}]\nwallets = [{wallet}]\nnative = \"ETH\"\nconfirm = \"blocks(1)\"\n\
                 l1_fee = \"{l1_fee}\"\n",
                wallet = self.key(Holder::Solver(index)),
                l1_fee = self.l1_fee(&chain.stack),
            );
            if let Some(token) = chain.contracts.test_token {
                text += &format!(
                    "\n[chains.{id}.tokens.TT]\naddress = \"{token}\"\ndecimals = {TEST_TOKEN_DECIMALS}\n"
                );
            }
        }
        let tiers = match self.chains {
            Chains::Development => {
                "\n[tiers]\ninstant = \"10s\"\nfinalized = \"30s\"\npause = \"0s\"\nmargin = \"30s\"\n\
                 fill = \"10s\"\n"
            }
            Chains::Real => "",
        };
        text += &prices();
        text += &format!(
            "\n[[routes]]\nleast_profit = \"0\"\nmargin_bps = 5\nlargest = \"50000\"\n\
         \n[limits]\nexposure = \"10000000\"\nin_flight_per_creator = 10000\n\
         {tiers}\
         \n[batches]\nlongest_wait = \"3s\"\nwithdrawal_wait = \"250ms\"\n"
        );
        text
    }

    /// Configuration file of the aggregator, with the names and base URLs of the solvers.
    pub fn aggregator(
        &self,
        place: &Place,
        manifest: &Manifest,
        solvers: &[(String, String)],
    ) -> String {
        let mut text = format!(
            "listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         manifest = {manifest}\n\
         database = {database}\n\
         integrity_key = {integrity}\n\
         \n[patience]\ndeadline = \"5s\"\n",
            listen = place.listen,
            admin = place.admin,
            manifest = quoted(&place.manifest),
            database = self.database(place, Role::Aggregator),
            integrity = toml_string(&self.keys.integrity()),
        );
        if self.databases == Databases::Files {
            // One person on this machine is everybody.
            text += "\n[admission]\nanonymous_per_second = 1000\n";
        }
        text += &prices();
        for (name, url) in solvers {
            text += &format!("\n[[solvers]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        }
        for (_, chain) in manifest.iter() {
            let id = chain.chain_id.0;
            text += &format!(
                "\n[[tokens]]\nchain_id = {id}\nsymbol = \"ETH\"\ndecimals = 18\nprice = \"ETH\"\n"
            );
            if let Some(token) = chain.contracts.test_token {
                text += &format!(
                    "\n[[tokens]]\nchain_id = {id}\naddress = \"{token}\"\nsymbol = \"TT\"\n\
                 decimals = {TEST_TOKEN_DECIMALS}\nprice = \"TT\"\n"
                );
            }
        }
        text
    }
}

/// What the tokens of such a system are worth, to its solvers and its aggregator alike.
fn prices() -> String {
    format!(
        "\n[prices]\nminimum_sources = 1\n\
         \n[[prices.sources]]\nname = \"table\"\nkind = \"fixed\"\n\
         prices = {{ ETH = \"{ETHER_PRICE}\", TT = \"1\" }}\n"
    )
}

fn quoted(path: &Path) -> String {
    toml_string(&path.display().to_string())
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
