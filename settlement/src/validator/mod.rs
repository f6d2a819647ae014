//! The validator signs the checkpoints of message trees that have reached a tier's finality.
//!
//! For every chain and every tier it holds a key for, one stream: [`attest`] follows the tree hook,
//! compares its own tree with the hook's on every RPC, records what it is about to sign (`journal`),
//! signs, and publishes a [`crate::checkpoints`] folder. [`announce`] says on-chain where that folder is.

pub mod announce;
pub mod attest;
mod config;
mod endpoints;
mod journal;
mod metrics;
pub mod reads;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use chain::{
    Db, FinalityRule,
    finality::Tag,
    manifest::{ChainManifest, TierName},
};
use futures::future::BoxFuture;
use protocol::{announcement::Announcement, finality::Tier};

pub(crate) use self::journal::Journal as Record;
use self::{
    announce::Announcer,
    attest::{Attester, Stream},
    endpoints::Endpoints,
    journal::Journal,
    reads::{Attestor, Early, ReadChain, ReadRecord},
};
pub use self::{
    config::{Announce, ChainOptions, UnknownAnnounce, ValidatorConfig},
    journal::JournalError,
};
pub use crate::agent::{Handle, StartError, Unreachable};
use crate::{
    agent::{self, Agent},
    checkpoints::{self, Folder, FolderError},
};

/// How long a stop may take: one publication of a batch, with room.
const STOP_BOUND: Duration = Duration::from_secs(20);

/// Why a validator does not start.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// A key cannot be loaded.
    #[error("key of tier {tier:?}: {source}")]
    Key {
        /// The tier.
        tier: TierName,
        /// What is wrong.
        source: chain::keys::Error,
    },
    /// Two tiers have one key: a digest says nothing of finality, so the fast signature would serve as a
    /// final one.
    #[error("key {0} is given for two tiers: tiers never share a key")]
    SharedKey(Address),
    /// An RPC of the chain reports `finalized` equal to `latest`, which only a declaration `instant` may mean.
    #[error(
        "chain {chain}: its `finalized` equals its `latest` block; declare `instant` in the manifest \
         if every block is final"
    )]
    FinalityUndeclared {
        /// Name of the chain.
        chain: String,
    },
    /// A chain could not be asked.
    #[error(transparent)]
    Chain(#[from] Unreachable),
    /// The database cannot be used.
    #[error(transparent)]
    Db(#[from] chain::db::Error),
    /// A journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A stream cannot go on from what is recorded.
    #[error(transparent)]
    Attest(#[from] attest::AttestError),
    /// It cannot serve.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts a validator: checks keys and finality declarations first, and signs nothing before.
///
/// # Errors
/// [`ValidatorError`].
pub fn spawn(config: ValidatorConfig) -> BoxFuture<'static, Result<Handle, ValidatorError>> {
    // Boxed: what it runs is compiled here, and not again in every program that starts one.
    Box::pin(start(config))
}

async fn start(config: ValidatorConfig) -> Result<Handle, ValidatorError> {
    let keys = load_keys(&config)?;
    let db = Db::open(&config.database).await?;
    let agent = Agent::bind(config.listen, config.admin).await?;
    let leases = keys.iter().map(|(_, key)| format!("validator:{}", key.address())).collect();
    agent.hold(&db, leases).await?;
    let mut chains = BTreeMap::new();
    for (name, manifest) in config.manifest.iter() {
        let chain = endpoints(&config, name, manifest).await?;
        agent.watch(name, chain.any(), config.interval);
        let mut readable = ReadChain {
            manifest: manifest.clone(),
            chain: chain.clone(),
            rules: BTreeMap::new(),
            journals: BTreeMap::new(),
        };
        for (tier, signer) in &keys {
            let start =
                Start { config: &config, db: &db, chain: &chain, name, manifest, agent: &agent };
            let journal = start.stream(*tier, signer.clone()).await?;
            readable.rules.insert(tier.byte(), config.rule(manifest, *tier));
            readable.journals.insert(tier.byte(), journal);
        }
        chains.insert(manifest.domain, readable);
    }
    let by_tier = keys.iter().map(|(tier, signer)| (tier.byte(), signer.clone())).collect();
    let attestor = Attestor::new(chains, by_tier, ReadRecord::open(db.clone()).await?);
    let attestor = Arc::new(attestor);
    for (name, manifest) in config.manifest.iter() {
        let early = Early::new(Arc::clone(&attestor), manifest.domain, config.interval);
        agent.tasks.spawn(format!("reads of {name}"), early.run(agent.tasks.shutdown()));
    }
    let routes = checkpoints::serve::routes(config.storage.clone()).merge(reads::routes(attestor));
    Ok(agent.serve(routes, STOP_BOUND))
}

/// The key of every configured tier.
fn load_keys(config: &ValidatorConfig) -> Result<Vec<(Tier, PrivateKeySigner)>, ValidatorError> {
    let (mut keys, mut addresses) = (Vec::new(), BTreeSet::new());
    for (tier, source) in &config.keys {
        let signer = source.load().map_err(|source| ValidatorError::Key { tier: *tier, source })?;
        if !addresses.insert(signer.address()) {
            return Err(ValidatorError::SharedKey(signer.address()));
        }
        keys.push((Tier::from(*tier), signer));
    }
    Ok(keys)
}

async fn endpoints(
    config: &ValidatorConfig,
    name: &str,
    manifest: &ChainManifest,
) -> Result<Endpoints, ValidatorError> {
    let options = config.chains.get(&manifest.chain_id);
    let urls = options.map_or(&[][..], |options| &options.rpc);
    let failed = |source| Unreachable { chain: name.to_owned(), source };
    let chain = agent::connect(name, manifest, urls).await?;
    let endpoints = Endpoints::new(&chain).map_err(failed)?;
    if claims_finality(manifest.finality)
        && endpoints.all_is_final(manifest.finality).await.map_err(failed)?
    {
        return Err(ValidatorError::FinalityUndeclared { chain: name.to_owned() });
    }
    Ok(endpoints)
}

/// Whether the rule believes a node. One whose `finalized` block is its newest says that every block is final. Somebody
/// must have declared that: a node that merely lacks the notion must not make validators sign blocks that can go.
const fn claims_finality(rule: FinalityRule) -> bool {
    matches!(rule, FinalityRule::Tag(Tag::Finalized | Tag::Safe | Tag::Latest))
}

/// What starting one stream needs.
#[derive(Debug, Clone, Copy)]
struct Start<'a> {
    config: &'a ValidatorConfig,
    db: &'a Db,
    chain: &'a Endpoints,
    name: &'a str,
    manifest: &'a ChainManifest,
    agent: &'a Agent,
}

impl Start<'_> {
    async fn stream(self, tier: Tier, signer: PrivateKeySigner) -> Result<Journal, ValidatorError> {
        let Self { config, db, chain, name, manifest, .. } = self;
        let path = config.storage.join(manifest.domain.to_string()).join(tier.to_string());
        // Announced as it is, so it must not depend on where the process was started.
        let folder = Arc::new(Folder::open(std::path::absolute(&path).unwrap_or(path))?);
        folder.write_metadata(env!("CARGO_PKG_VERSION"))?;
        let hook = manifest.contracts.merkle_tree_hook;
        let journal = Journal::open(
            db.clone(),
            (manifest.domain, tier),
            hook.into_word(),
            signer.address().into_word(),
        )
        .await?;
        let stream = Stream {
            chain_name: name.to_owned(),
            domain: manifest.domain,
            tier,
            rule: config.rule(manifest, tier),
            hook,
            start_block: manifest.start_block,
            interval: config.interval,
        };
        let label = format!("{name} {tier}");
        let Agent { tasks, health, .. } = self.agent;
        let parts = (journal.clone(), Arc::clone(&folder));
        let signing = health.component(&label);
        let attester =
            Attester::load(stream, chain.clone(), parts, signer.clone(), signing).await?;
        tasks.spawn(format!("attest {label}"), attester.run(tasks.shutdown()));
        if let Some(storage_location) = self.location(tier, &folder) {
            let announcer = Announcer {
                chain: chain.any().clone(),
                db: db.clone(),
                contract: manifest.contracts.validator_announce,
                announcement: Announcement {
                    mailbox: manifest.contracts.mailbox.into_word(),
                    origin: manifest.domain,
                    storage_location,
                },
                signer,
                folder,
                health: health.component(format!("announce {label}")),
            };
            tasks.spawn_job(format!("announce {label}"), announcer.run(tasks.shutdown()));
        }
        Ok(journal)
    }

    fn location(self, tier: Tier, folder: &Folder) -> Option<String> {
        let below =
            |base: &str| format!("{}/{}/{tier}", base.trim_end_matches('/'), self.manifest.domain);
        match &self.config.announce {
            Announce::No => None,
            Announce::File => Some(format!("file://{}", folder.path().display())),
            Announce::Http(url) => Some(below(url.as_str())),
            Announce::Listen => Some(below(&format!("http://{}", self.agent.address))),
        }
    }
}
