//! What an operator tells a relayer.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use chain::{KeySource, Manifest};
use protocol::ids::ChainId;
use service::config::{FromToml, Section};
use url::Url;

use super::gas::GasPolicy;
use crate::checkpoints::FetchPolicy;

/// How often each origin is asked for a new block.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long a file must contradict the origin's tree before it counts as fraud: the relayer's own node may be
/// the one that has not seen a reorg yet.
const SUSPICION: Duration = Duration::from_secs(30);
/// Messages in one transaction: at about 150,000 gas each this stays below usual block gas limits.
const MAX_BATCH: usize = 32;

/// Most gas of one transaction: what Ethereum itself allows (EIP-7825).
pub(super) const MAX_GAS_PER_TRANSACTION: u64 = 1 << 24;

/// Configuration of one relayer between all chains of a deployment.
#[derive(Debug, Clone)]
pub struct RelayerConfig {
    /// The deployment.
    pub manifest: Manifest,
    /// SQL database, `sqlite:<path>` or `postgres://…`.
    pub database: String,
    /// Where the status page, its JSON and the EIP-3668 gateway are served.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/health` are served, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Keys that pay for deliveries; each has its own nonce stream on every destination.
    pub signers: Vec<KeySource>,
    /// Which announced locations are read besides http(s) at public addresses.
    pub fetch: FetchPolicy,
    /// What a message must have paid.
    pub gas_policy: GasPolicy,
    /// Whether deliveries are confirmed to their origins.
    pub confirmations: Confirmations,
    /// How often each origin is asked for a new block.
    pub interval: Duration,
    /// Most messages in one transaction; 1 sends each alone.
    pub max_batch: usize,
    /// How long a validator's file must contradict the origin's tree before it counts as fraud.
    pub suspicion: Duration,
    /// Whether programs are kept alive, at this relayer's cost.
    pub keep_alive: bool,
    /// What differs from the manifest, by chain.
    pub chains: BTreeMap<ChainId, ChainOptions>,
}

/// Whether deliveries are confirmed to their origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmations {
    /// Never.
    Never,
    /// Always, in batches, at the finalized tier, at this relayer's cost.
    Always,
}

/// What an operator sets for one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainOptions {
    /// RPC URLs instead of the manifest's.
    pub rpc: Vec<Url>,
    /// Another gas policy for messages to this chain.
    pub gas_policy: Option<GasPolicy>,
    /// Most wei per gas that is offered there; while the chain asks for more, deliveries wait.
    pub max_gas_price: Option<u128>,
    /// Most gas of one transaction there, where half of a block's gas limit is not less. A message that
    /// needs more waits, batches are cut to fit. 16,777,216 when it is not set.
    pub max_gas_per_transaction: Option<u64>,
}

impl FromToml for RelayerConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let manifest = crate::config::manifest(section);
        let database = section.required("database", "sqlite:<path> or postgres://…");
        let listen = section.required("listen", "an address with a port");
        let admin = section.optional("admin", "an address with a port");
        let signers = KeySource::all_configured(section, "signers");
        let fetch = FetchPolicy {
            allow_file: section.or_default("allow_file_storage", false, "true or false"),
            allow_private: section.or_default("allow_private_addresses", false, "true or false"),
        };
        let gas_policy = section.or_default(
            "gas_policy",
            GasPolicy::Fraction { numerator: 1, denominator: 2 },
            "none, minimum:<wei> or fraction:<n>/<d>",
        );
        let confirmations =
            section.or_default("confirmations", Confirmations::Never, "never or always");
        let interval = section.duration_or("interval", INTERVAL);
        let max_batch = section.or_default("max_batch", MAX_BATCH, "a number of messages");
        let suspicion = section.duration_or("suspicion", SUSPICION);
        let keep_alive = section.or_default("keep_alive", true, "true or false");
        let chains = crate::config::by_chain_id(section, "chains");
        Some(Self {
            manifest: manifest?,
            database: database?,
            listen: listen?,
            admin,
            signers: signers?,
            fetch,
            gas_policy,
            confirmations,
            interval,
            max_batch,
            suspicion,
            keep_alive,
            chains: chains?,
        })
    }
}

impl FromToml for ChainOptions {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let rpc = section.list("rpc", "URLs");
        let gas_policy = section.optional("gas_policy", "none, minimum:<wei> or fraction:<n>/<d>");
        let max_gas_price = section.optional("max_gas_price", "wei per gas");
        let max_gas_per_transaction = section.optional("max_gas_per_transaction", "gas");
        Some(Self { rpc, gas_policy, max_gas_price, max_gas_per_transaction })
    }
}

/// The text names no policy for confirmations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is neither never nor always")]
pub struct UnknownConfirmations {
    /// The text given.
    pub given: String,
}

impl std::str::FromStr for Confirmations {
    type Err = UnknownConfirmations;

    fn from_str(text: &str) -> Result<Self, UnknownConfirmations> {
        match text {
            "never" => Ok(Self::Never),
            "always" => Ok(Self::Always),
            given => Err(UnknownConfirmations { given: given.to_owned() }),
        }
    }
}
