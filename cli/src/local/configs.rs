use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chain::Manifest;
use eyre::WrapErr;

use super::layout::{Layout, MNEMONIC, Role, TEST_TOKEN_DECIMALS, VALIDATORS};

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

/// Writes the configuration of every service for this deployment.
pub(crate) fn write_all(layout: &Layout, manifest: &Manifest) -> eyre::Result<()> {
    let solvers: Vec<_> = Role::services()
        .filter(|role| matches!(role, Role::Solver(_)))
        .map(|role| (role.to_string(), format!("http://{}", layout.internal(role))))
        .collect();
    for role in Role::services() {
        let place = layout.place(role);
        let text = match role {
            Role::Validator(index) => validator(&place, index),
            Role::Relayer => relayer(&place),
            Role::Solver(index) => solver(&place, manifest, index),
            Role::Aggregator => aggregator(&place, manifest, &solvers),
            Role::Devnet => continue,
        };
        let path = layout.config(role);
        fs::write(&path, text).wrap_err_with(|| path.display().to_string())?;
    }
    Ok(())
}

/// Configuration file of a validator operator, counted from 0, with a key for each tier.
pub fn validator(place: &Place, index: u16) -> String {
    let account = Role::Validator(index).account();
    format!(
        "manifest = {manifest}\n\
         database = {database}\n\
         storage = {storage}\n\
         listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         announce = \"listen\"\n\
         \n\
         [keys]\n\
         instant = {instant}\n\
         finalized = {finalized}\n",
        manifest = quoted(&place.manifest),
        database = place.database(),
        storage = quoted(&place.state.join("checkpoints")),
        listen = place.listen,
        admin = place.admin,
        instant = key(account),
        finalized = key(account + u32::from(VALIDATORS)),
    )
}

/// Configuration file of the relayer.
pub fn relayer(place: &Place) -> String {
    format!(
        "manifest = {manifest}\n\
         database = {database}\n\
         listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         signers = [{key}]\n\
         allow_private_addresses = true\n",
        manifest = quoted(&place.manifest),
        database = place.database(),
        listen = place.listen,
        admin = place.admin,
        key = key(Role::Relayer.account()),
    )
}

/// Configuration file of a solver, counted from 0, with a wallet on every chain.
pub fn solver(place: &Place, manifest: &Manifest, index: u16) -> String {
    let mut text = format!(
        "environment = \"development\"\n\
         manifest = {manifest}\n\
         database = {database}\n\
         api_listen = \"{api}\"\n\
         admin_listen = \"{admin}\"\n",
        manifest = quoted(&place.manifest),
        database = place.database(),
        api = place.listen,
        admin = place.admin,
    );
    for (_, chain) in manifest.iter() {
        let id = chain.chain_id.0;
        text += &format!(
            "\n[chains.{id}]\nwallets = [{wallet}]\nnative = \"ETH\"\nconfirm = \"blocks(1)\"\n",
            wallet = key(Role::Solver(index).account()),
        );
        if let Some(token) = chain.contracts.test_token {
            text += &format!(
                "\n[chains.{id}.tokens.TT]\naddress = \"{token}\"\ndecimals = {TEST_TOKEN_DECIMALS}\n"
            );
        }
    }
    text += &format!(
        "\n[prices]\nminimum_sources = 1\n\
         \n[[prices.sources]]\nname = \"table\"\nkind = \"fixed\"\n\
         prices = {{ ETH = \"{ETHER_PRICE}\", TT = \"1\" }}\n\
         \n[[routes]]\nleast_profit = \"0\"\nmargin_bps = 5\nlargest = \"50000\"\n\
         \n[limits]\nexposure = \"10000000\"\nin_flight_per_creator = 10000\n\
         \n[tiers]\ninstant = \"10s\"\nfinalized = \"30s\"\npause = \"0s\"\nmargin = \"30s\"\n\
         fill = \"10s\"\n\
         \n[batches]\nlongest_wait = \"5s\"\nwithdrawal_wait = \"2s\"\n"
    );
    text
}

/// Configuration file of the aggregator, with the names and base URLs of the solvers.
pub fn aggregator(place: &Place, manifest: &Manifest, solvers: &[(String, String)]) -> String {
    let mut text = format!(
        "listen = \"{listen}\"\n\
         admin = \"{admin}\"\n\
         manifest = {manifest}\n\
         database = {database}\n\
         integrity_key = \"a-key-of-the-local-system-and-of-no-other\"\n\
         \n[patience]\ndeadline = \"5s\"\n",
        listen = place.listen,
        admin = place.admin,
        manifest = quoted(&place.manifest),
        database = place.database(),
    );
    for (name, url) in solvers {
        text += &format!("\n[[solvers]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    }
    for (_, chain) in manifest.iter() {
        let id = chain.chain_id.0;
        text += &format!(
            "\n[[tokens]]\nchain_id = {id}\nsymbol = \"ETH\"\ndecimals = 18\nmicro_usd = {}\n",
            ETHER_PRICE * 1_000_000
        );
        if let Some(token) = chain.contracts.test_token {
            text += &format!(
                "\n[[tokens]]\nchain_id = {id}\naddress = \"{token}\"\nsymbol = \"TT\"\n\
                 decimals = {TEST_TOKEN_DECIMALS}\nmicro_usd = 1000000\n"
            );
        }
    }
    text
}

impl Place {
    /// URL of the database as a TOML string.
    fn database(&self) -> String {
        toml_string(&format!("sqlite:{}", self.state.join("state.db").display()))
    }
}

/// Reference to an account of the development mnemonic.
fn key(account: u32) -> String {
    toml_string(&format!("mnemonic:{account}:{MNEMONIC}"))
}

fn quoted(path: &Path) -> String {
    toml_string(&path.display().to_string())
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
