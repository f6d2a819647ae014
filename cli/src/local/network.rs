//! The chains that a system stands on.

use std::{collections::BTreeMap, path::Path};

use alloy::{
    primitives::{Address, U256, utils::format_ether, utils::parse_ether},
    rpc::types::BlockNumberOrTag,
    signers::local::PrivateKeySigner,
};
use chain::{ChainClient, KeySource, client::ClientOptions};
use eyre::{WrapErr, bail, eyre};
use service::config::{self, FromToml, Section};

use super::{
    configs::Chains,
    keys::{Holder, Keyring},
};
use crate::wallet::{Call, Wallet};

/// Gas that a deployment takes at most on one chain, tests' tokens and transfers to the roles included.
const DEPLOYMENT_GAS: u64 = 400_000_000;

/// The chains that a system stands on.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    /// Development chains of its own.
    Embedded {
        /// How many.
        chains: u16,
    },
    /// Chains that somebody else runs.
    External(Box<External>),
}

impl Network {
    /// Whose chains they are.
    pub(super) const fn kind(&self) -> Chains {
        match self {
            Self::Embedded { .. } => Chains::Development,
            Self::External(_) => Chains::Real,
        }
    }
}

/// Chains that somebody else runs, as a file for `up --network` names them.
///
/// ```toml
/// funded = "env:FUNDED_KEY" # deploys, owns, and pays into the keys of the roles
///
/// [chains.alpha]
/// chain_id = 412346
/// rpc = ["http://127.0.0.1:8547"]
/// finality = "latest" # finalized, safe, latest, instant or blocks(N)
/// ```
#[derive(Debug, Clone)]
pub struct External {
    /// Deploys, owns, and pays into the keys of the roles.
    pub funded: KeySource,
    /// Distinguishes deployments by one key.
    pub salt: String,
    /// Whether the token with an open mint is deployed.
    pub test_token: bool,
    /// What the roles' keys are given.
    pub funds: Funds,
    /// The chains, by name.
    pub chains: BTreeMap<String, deploy::ChainConfig>,
}

/// What keys are given on every chain, in wei; topped up when less than half is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Each key of a validator, for its announcement.
    pub validator: U256,
    /// The relayer's key.
    pub relayer: U256,
    /// Each solver's key: what it fills with.
    pub solver: U256,
    /// The key that `send` signs with by default.
    pub user: U256,
}

impl Default for Funds {
    fn default() -> Self {
        let ether = |milli: u64| U256::from(milli) * U256::from(10).pow(U256::from(15));
        Self {
            validator: ether(50),
            relayer: ether(1_000),
            solver: ether(5_000),
            user: ether(2_000),
        }
    }
}

impl Funds {
    const fn of(&self, holder: Holder) -> U256 {
        match holder {
            Holder::Instant(_) | Holder::Finalized(_) => self.validator,
            Holder::Relayer => self.relayer,
            Holder::Solver(_) => self.solver,
            Holder::User(_) => self.user,
        }
    }
}

impl External {
    /// Reads a network file.
    ///
    /// # Errors
    /// Every fault of the file; fewer than two chains.
    pub fn load(path: &Path) -> eyre::Result<Self> {
        let external = config::load::<Self>(path)?;
        if external.chains.len() < 2 {
            bail!("{}: a network needs two chains or more", path.display());
        }
        Ok(external)
    }

    /// Checks that every chain answers with its id and that the funded key can pay for everything.
    ///
    /// # Errors
    /// Every chain that cannot be used, with the reason.
    pub async fn check(&self, keys: &Keyring, holders: &[Holder]) -> eyre::Result<()> {
        let payer = self.funded.load().wrap_err("key `funded`")?.address();
        let mut faults = Vec::new();
        for (name, chain) in &self.chains {
            if let Err(error) = self.check_chain(chain, payer, keys, holders).await {
                faults.push(format!("chain {name}: {error:#}"));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(eyre!(faults.join("\n"))) }
    }

    async fn check_chain(
        &self,
        chain: &deploy::ChainConfig,
        payer: Address,
        keys: &Keyring,
        holders: &[Holder],
    ) -> eyre::Result<()> {
        let client = client(chain)?;
        client.check_chain_id().await?;
        let fees = client.fees().await?;
        let gas = U256::from(DEPLOYMENT_GAS) * U256::from(fees.base + fees.priority);
        let gifts = self.missing(&client, keys, holders).await?;
        let wanted = gifts.iter().fold(gas, |sum, (_, amount)| sum + amount);
        let held = client.balance(payer, BlockNumberOrTag::Latest).await?;
        if held < wanted {
            bail!(
                "the funded account {payer} holds {} ETH, expected {} ETH: {} for the keys of the \
                 roles (table `funds`), the rest for gas",
                format_ether(held),
                format_ether(wanted),
                format_ether(wanted - gas)
            );
        }
        Ok(())
    }

    /// Pays every key what it lacks.
    ///
    /// # Errors
    /// A chain refuses a transfer.
    pub async fn fund(&self, keys: &Keyring, holders: &[Holder]) -> eyre::Result<()> {
        let payer: PrivateKeySigner = self.funded.load()?;
        for chain in self.chains.values() {
            let client = client(chain)?;
            let missing = self.missing(&client, keys, holders).await?;
            let transfer = |(to, value)| Call { to, data: [].into(), value, gas_limit: None };
            let calls = missing.into_iter().map(transfer).collect();
            Wallet::new(payer.clone(), client).send_all(calls).await?;
        }
        Ok(())
    }

    /// Whom to pay how much.
    async fn missing(
        &self,
        client: &ChainClient,
        keys: &Keyring,
        holders: &[Holder],
    ) -> eyre::Result<Vec<(Address, U256)>> {
        let mut missing = Vec::new();
        for holder in holders {
            let (address, wanted) = (keys.address(*holder)?, self.funds.of(*holder));
            let held = client.balance(address, BlockNumberOrTag::Latest).await?;
            if held < wanted / U256::from(2) {
                missing.push((address, wanted - held));
            }
        }
        Ok(missing)
    }
}

fn client(chain: &deploy::ChainConfig) -> eyre::Result<ChainClient> {
    Ok(ChainClient::new(chain.chain_id, &chain.rpc, ClientOptions::default())?)
}

impl FromToml for External {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let funded = KeySource::configured(section, "funded");
        let salt = section.or_default("salt", "local".to_owned(), "a text");
        let test_token = section.or_default("test_token", true, "true or false");
        let funds = section.optional_section("funds");
        let chains = section.sections("chains");
        Some(Self {
            funded: funded?,
            salt,
            test_token,
            funds: funds.unwrap_or_default(),
            chains: chains?,
        })
    }
}

impl FromToml for Funds {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let mut amount = |key: &str, default: U256| {
            let expected = "whole native tokens in quotation marks, such as \"0.5\"";
            let Some(text) = section.optional::<String>(key, expected) else { return default };
            parse_ether(&text).unwrap_or_else(|_| {
                section.fault(key, expected, &text);
                default
            })
        };
        Some(Self {
            validator: amount("validator", default.validator),
            relayer: amount("relayer", default.relayer),
            solver: amount("solver", default.solver),
            user: amount("user", default.user),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_says_what_is_wrong_with_it() {
        let text = "[funds]\nsolver = \"much\"\n[chains.alpha]\nchain_id = 1\nrpc = [\"http://localhost\"]";
        let report = config::parse::<External>(text).unwrap_err().to_string();
        for key in ["funded", "funds.solver", "chains.alpha.finality"] {
            assert!(report.contains(key), "{key}: {report}");
        }
    }
}
