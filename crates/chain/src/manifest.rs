//! What a deployment leaves behind: where everything is, on every chain.
//!
//! `metalayer deploy` writes it, every other program reads it. It holds no secret.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256};
use protocol::{
    finality::Tier,
    ids::{ChainId, Domain},
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::finality::FinalityRule;

/// Version of the file's form.
pub const FORMAT: u32 = 1;

/// A whole deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the tool that wrote it last.
    pub metalayer: String,
    /// Version of the Hyperlane package, when the core came from it.
    pub hyperlane: Option<String>,
    /// The chains, by name.
    pub chains: BTreeMap<String, ChainManifest>,
}

/// One chain of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainManifest {
    /// EIP-155 id.
    pub chain_id: ChainId,
    /// Messaging id; the same number, unless every prover maps it.
    pub domain: Domain,
    /// RPC URLs without secrets, in order of preference.
    pub rpc: Vec<Url>,
    /// WebSocket URLs for new heads; polling is enough where there is none.
    #[serde(default)]
    pub ws: Vec<Url>,
    /// Rollup stack: `nitro`, `op`, `zksync`, `evm`.
    pub stack: String,
    /// Where its data goes: `ethereum`, `celestia`, `anytrust`, `none`.
    pub data_availability: String,
    /// When a block counts as final for the finalized tier.
    pub finality: FinalityRule,
    /// First block that can hold anything of this deployment.
    pub start_block: u64,
    /// Where the contracts are.
    pub contracts: Contracts,
    /// Code of our programs, by name (`intent-source`, `router`, …).
    pub programs: BTreeMap<String, ProgramRecord>,
    /// Who vouches for this chain's messages, by tier.
    pub validators: BTreeMap<TierName, ValidatorSet>,
    /// The modules on this chain for messages from each origin domain, by tier.
    pub modules: BTreeMap<Domain, BTreeMap<TierName, Modules>>,
}

/// Addresses on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contracts {
    /// Hyperlane Mailbox (the proxy).
    pub mailbox: Address,
    /// Admin of the mailbox's and the paymaster's proxies; `None` with an existing Hyperlane deployment.
    pub proxy_admin: Option<Address>,
    /// The mailbox's required hook.
    pub merkle_tree_hook: Address,
    /// InterchainGasPaymaster (the proxy), the mailbox's default hook.
    pub igp: Address,
    /// StorageGasOracle behind the paymaster.
    pub gas_oracle: Address,
    /// Where validators announce their storage.
    pub validator_announce: Address,
    /// StaticMessageIdMultisigIsmFactory.
    pub message_id_multisig_factory: Address,
    /// StaticAggregationIsmFactory.
    pub aggregation_factory: Address,
    /// Our StylusDeployer.
    pub deployer: Address,
    /// MetalayerRouter.
    pub router: Address,
    /// MetalayerIsm.
    pub ism: Address,
    /// ReadIsm.
    pub read_ism: Address,
    /// IntentSource.
    pub intent_source: Address,
    /// Inbox.
    pub inbox: Address,
    /// Executor.
    pub executor: Address,
    /// Implementation behind the vaults.
    pub vault: Address,
    /// MetaProver that dispatches at, and accepts, the instant tier.
    pub meta_prover_instant: Address,
    /// MetaProver that dispatches at, and accepts only, the finalized tier.
    pub meta_prover_finalized: Address,
    /// LocalProver.
    pub local_prover: Address,
    /// Multicall, where it was deployed.
    pub multicall: Option<Address>,
    /// Token with an open mint, on development chains only.
    pub test_token: Option<Address>,
    /// Owner of everything that has one.
    pub owner: Address,
    /// Who may start a pause and suspend an origin's tier.
    pub guardian: Address,
}

impl Contracts {
    /// The MetaProver of a tier, where there is one.
    pub const fn meta_prover(&self, tier: Tier) -> Option<Address> {
        match tier {
            Tier::Instant => Some(self.meta_prover_instant),
            Tier::Finalized => Some(self.meta_prover_finalized),
            Tier::Espresso => None,
        }
    }
}

/// One program on one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramRecord {
    /// Every address that runs it.
    pub addresses: Vec<Address>,
    /// keccak256 of the deployed code (prefix and compressed WASM).
    pub code_hash: B256,
}

/// Validators of one tier of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSet {
    /// Signing addresses, in the order of the set (the order matters to modules and metadata).
    pub validators: Vec<Address>,
    /// How many must sign.
    pub threshold: u8,
}

/// Security modules for one origin and tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// For messages without reads: the multisig; also the signers of reads.
    pub module: Address,
    /// For messages with reads: the multisig and ReadIsm together.
    pub read_module: Address,
}

/// A tier as a key of the manifest: `instant`, `finalized` or `espresso`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierName {
    /// [`Tier::Instant`].
    Instant,
    /// [`Tier::Finalized`].
    Finalized,
    /// [`Tier::Espresso`].
    Espresso,
}

impl From<Tier> for TierName {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Instant => Self::Instant,
            Tier::Finalized => Self::Finalized,
            Tier::Espresso => Self::Espresso,
        }
    }
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Instant => Self::Instant,
            TierName::Finalized => Self::Finalized,
            TierName::Espresso => Self::Espresso,
        }
    }
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is no manifest.
    #[error("{path} is no manifest: {cause}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: serde_json::Error,
    },
    /// The file has another form.
    #[error("{path} has format {given}, this program reads {expected}", expected = FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        given: u32,
    },
}

impl Manifest {
    /// Reads a manifest.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::File { path: path.to_owned(), cause })?;
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|cause| Error::Malformed { path: path.to_owned(), cause })?;
        if manifest.format != FORMAT {
            return Err(Error::Format { path: path.to_owned(), given: manifest.format });
        }
        Ok(manifest)
    }

    /// Writes the manifest beside the old one and then in its place: a reader sees one or the other.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let file_error = |cause| Error::File { path: path.to_owned(), cause };
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|cause| Error::Malformed { path: path.to_owned(), cause })?;
        text.push('\n');
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, text).map_err(file_error)?;
        std::fs::rename(&draft, path).map_err(file_error)
    }

    /// The chain with this EIP-155 id, and its name.
    pub fn by_chain_id(&self, chain_id: ChainId) -> Option<(&str, &ChainManifest)> {
        self.iter().find(|(_, chain)| chain.chain_id == chain_id)
    }

    /// The chain with this messaging id, and its name.
    pub fn by_domain(&self, domain: Domain) -> Option<(&str, &ChainManifest)> {
        self.iter().find(|(_, chain)| chain.domain == domain)
    }

    /// Every chain with its name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ChainManifest)> {
        self.chains.iter().map(|(name, chain)| (name.as_str(), chain))
    }
}
