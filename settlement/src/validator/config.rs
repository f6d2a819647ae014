//! What an operator tells a validator.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use chain::{FinalityRule, KeySource, Manifest};
use protocol::{finality::Tier, ids::ChainId};
use service::config::{FromToml, Section};
use url::Url;

/// How often each chain is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Configuration of one validator operator: its keys, one per tier, and every chain they vouch for.
#[derive(Debug, Clone)]
pub struct ValidatorConfig {
    /// The deployment.
    pub manifest: Manifest,
    /// SQL database of the journal, `sqlite:<path>` or `postgres://…`.
    pub database: String,
    /// Folder under which `<domain>/<tier>/` hold the published files.
    pub storage: PathBuf,
    /// Where the files and `POST /read` are served.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/health` are served, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Which location is announced on-chain.
    pub announce: Announce,
    /// How often each chain is looked at.
    pub interval: Duration,
    /// The signing key of each tier. Tiers never share a key.
    pub keys: BTreeMap<chain::manifest::TierName, KeySource>,
    /// What differs from the manifest, by chain. Empty: every chain as the manifest says.
    pub chains: BTreeMap<ChainId, ChainOptions>,
}

/// Which location a validator announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announce {
    /// Nothing.
    No,
    /// `file://` and the absolute path of its folder: for systems on one machine.
    File,
    /// This URL, below which the operator's HTTP server shows the storage folder.
    Http(Url),
    /// The address that `listen` was bound to: for systems on one machine.
    Listen,
}

/// What an operator sets for one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainOptions {
    /// RPC URLs instead of the manifest's. Every one of them must agree before anything is signed.
    pub rpc: Vec<Url>,
    /// How far the instant tier stays behind the head; the newest block when left out.
    pub instant: Option<FinalityRule>,
}

impl ValidatorConfig {
    /// When a block may be signed at `tier`, on the chain with this id.
    pub(super) fn rule(&self, chain: &chain::manifest::ChainManifest, tier: Tier) -> FinalityRule {
        match tier {
            Tier::Finalized | Tier::Espresso => chain.finality,
            Tier::Instant => self
                .chains
                .get(&chain.chain_id)
                .and_then(|options| options.instant)
                .unwrap_or(FinalityRule::Blocks(0)),
        }
    }
}

impl FromToml for ValidatorConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let manifest = crate::config::manifest(section);
        let database = section.required("database", "sqlite:<path> or postgres://…");
        let storage = section.path("storage");
        let listen = section.required("listen", "an address with a port");
        let admin = section.optional("admin", "an address with a port");
        let announce =
            section.or_default("announce", Announce::No, "none, file, listen or an http(s) URL");
        let interval = section.duration_or("interval", INTERVAL);
        let keys = section.section::<Keys>("keys");
        let chains = crate::config::by_chain_id(section, "chains");
        Some(Self {
            manifest: manifest?,
            database: database?,
            storage: storage?,
            listen: listen?,
            admin,
            announce,
            interval,
            keys: keys?.0,
            chains: chains?,
        })
    }
}

impl FromToml for ChainOptions {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let rpc = section.list("rpc", "URLs");
        let instant = section.optional("instant", "latest, instant or blocks(N)");
        Some(Self { rpc, instant })
    }
}

struct Keys(BTreeMap<chain::manifest::TierName, KeySource>);

impl FromToml for Keys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        use chain::manifest::TierName;
        let mut keys = BTreeMap::new();
        for (name, tier) in [("instant", TierName::Instant), ("finalized", TierName::Finalized)] {
            keys.extend(crate::config::key(section, name).map(|key| (tier, key)));
        }
        if keys.is_empty() {
            section.fault("instant", "a key for at least one of instant and finalized", "nothing");
            return None;
        }
        Some(Self(keys))
    }
}

/// The text names no way to announce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of none, file, listen, http://… and https://…")]
pub struct UnknownAnnounce {
    /// The text given.
    pub given: String,
}

impl std::str::FromStr for Announce {
    type Err = UnknownAnnounce;

    fn from_str(text: &str) -> Result<Self, UnknownAnnounce> {
        match text {
            "none" => Ok(Self::No),
            "file" => Ok(Self::File),
            "listen" => Ok(Self::Listen),
            _ => match text.parse::<Url>() {
                Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self::Http(url)),
                _ => Err(UnknownAnnounce { given: text.to_owned() }),
            },
        }
    }
}
