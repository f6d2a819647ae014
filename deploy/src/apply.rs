//! Making a deployment true.
//!
//! Facts are looked at in order; what does not hold is remedied by a transaction of a journalled sender and looked at again.
//! Chains are worked on at the same time, and so are the facts of one step, which need nothing of one another: a deployment
//! takes about as many blocks as it has steps. Killed at any point, the next run looks at the chains anew: what was done is seen to hold, what was signed is in the
//! journal and is sent again with the same nonce, nothing is deployed twice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, utils::format_ether},
    signers::local::PrivateKeySigner,
};
use chain::{
    ChainClient, Db, Manifest, client, client::ClientOptions, db, keys,
    manifest::Error as ManifestError, sender,
};
use futures::future::{BoxFuture, try_join_all};
use service::crash_point;
use stylus_program::{Programs, ProgramsError};

use crate::{
    config::{ChainConfig, Config, ConfigError},
    crew::Crew,
    fact::Phase,
    facts::Site,
    hyperlane::{self, Artifacts},
    layout::{Codes, Layout},
    record,
};

/// Where a deployment can be killed by `METALAYER_CRASH_AT`, when built with the feature `crash-points`.
pub const CRASH_POINTS: [&str; 8] = [
    "deploy.remedy",
    "sender.written",
    "sender.signed",
    "sender.sent",
    "sender.noted",
    "deploy.remedied",
    "deploy.phase",
    "deploy.manifest",
];

/// A deployment at work: the configuration, the codes, and a connection to every chain.
#[derive(Debug)]
pub struct Deployment {
    pub(crate) config: Config,
    pub(crate) codes: Codes,
    pub(crate) signer: PrivateKeySigner,
    pub(crate) chains: BTreeMap<String, Target>,
}

/// One chain of a deployment.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) client: ChainClient,
    pub(crate) layout: Layout,
}

/// Why a deployment did not come to its end. Running it again goes on where it stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration must not be deployed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<ConfigError>),
    /// Hyperlane's codes cannot be had.
    #[error(transparent)]
    Hyperlane(#[from] hyperlane::Error),
    /// Our programs cannot be had.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The deployer's key cannot be had.
    #[error("deployer: {0}")]
    Key(#[from] keys::Error),
    /// The journal cannot be opened.
    #[error("journal: {0}")]
    Journal(#[from] db::Error),
    /// A chain cannot be asked.
    #[error("chain `{chain}`: {cause}")]
    Chain {
        /// Its name.
        chain: String,
        /// Why.
        cause: client::Error,
    },
    /// A transaction was not carried out.
    #[error("chain `{chain}`: {what}: {cause}")]
    Send {
        /// Its name.
        chain: String,
        /// The fact that was to be made true.
        what: String,
        /// Why not.
        cause: Box<sender::Error>,
    },
    /// A transaction reverted in its block.
    #[error("chain `{chain}`: {what}: transaction {hash} reverted")]
    Reverted {
        /// The chain.
        chain: String,
        /// The fact that was to be made true.
        what: String,
        /// The transaction.
        hash: B256,
    },
    /// The deployer cannot pay for what is to be sent.
    #[error(
        "chain `{chain}`: the deployer {deployer} has {} ether, the next transaction takes about {}: send it some and run \
         this again",
        format_ether(*.balance),
        format_ether(*.cost)
    )]
    NotEnoughMoney {
        /// The chain.
        chain: String,
        /// The account that deploys.
        deployer: Address,
        /// Wei it has.
        balance: U256,
        /// Wei it needs, roughly.
        cost: U256,
    },
    /// A fact does not hold and nothing we may do makes it hold.
    #[error("chain `{chain}`: {what}: {seen}")]
    Unfixable {
        /// The chain.
        chain: String,
        /// The fact.
        what: String,
        /// What is there instead.
        seen: String,
    },
    /// The chain is not part of the configuration.
    #[error("the configuration has no chain `{chain}`")]
    NoSuchChain {
        /// Its name.
        chain: String,
    },
    /// The codes at hand are not those of the deployment.
    #[error(
        "chain `{chain}` was deployed from other programs, under another salt or by another key: take the programs of that \
         release (METALAYER_PROGRAMS=<folder>)"
    )]
    Foreign {
        /// The chain.
        chain: String,
    },
    /// A chain was handed over: the deployer cannot let anybody in.
    #[error(
        "chain `{chain}` belongs to {owner}, who has to let the new chain in: list its calls with --print-calls"
    )]
    NotOurs {
        /// The chain.
        chain: String,
        /// Who owns it.
        owner: Address,
    },
    /// A chain is not what it should be; nothing was enrolled.
    #[error("chain `{chain}` is unsound: {what}: {seen}")]
    Unsound {
        /// The chain.
        chain: String,
        /// What should be true.
        what: String,
        /// What is there instead.
        seen: String,
    },
    /// The journal speaks of a transaction that the chain does not have.
    #[error(
        "chain `{chain}` is not the chain of {journal}: that has transaction {transaction} in block {number}, this chain does \
         not know it. If the chain was made anew, remove the journal and the manifest beside it and run this again; if its \
         node is behind, wait for it"
    )]
    AnotherChain {
        /// Its name.
        chain: String,
        /// The journal's file.
        journal: String,
        /// The earliest transaction that the journal has as confirmed.
        transaction: B256,
        /// Number of its block.
        number: u64,
    },
    /// The manifest cannot be read or written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Deploys what the configuration wants and is not there yet, writes the manifest, and returns it.
///
/// # Errors
/// [`Error`]; whatever was done stays done.
pub fn apply(config: Config) -> BoxFuture<'static, Result<Manifest, Error>> {
    // Boxed: what it runs is compiled here, and not again in every program that starts one.
    Box::pin(async move { Deployment::open(config)?.apply().await })
}

impl Deployment {
    /// Loads keys and codes and computes every address. Asks no chain.
    pub fn open(config: Config) -> Result<Self, Error> {
        config.check().map_err(Error::Config)?;
        let signer = config.deployer.load()?;
        let hyperlane = Artifacts::load_or_fetch(config.hyperlane_dir.as_deref())?;
        let codes = Codes::new(&Programs::load_or_build()?, hyperlane)?;
        let chains = config
            .chains
            .iter()
            .map(|(name, chain)| {
                let layout = Layout::new(&config, chain, &codes, signer.address());
                let client = ChainClient::new(chain.chain_id, &chain.rpc, ClientOptions::default());
                let client = client.map_err(|cause| Error::Chain { chain: name.clone(), cause })?;
                Ok((name.clone(), Target { client, layout }))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { config, codes, signer, chains })
    }

    /// The account that deploys.
    pub fn deployer(&self) -> Address {
        self.signer.address()
    }

    /// Chains by name, with what is wanted and where it will be.
    pub(crate) fn sites(&self) -> impl Iterator<Item = (&str, &Target, Site<'_>)> {
        self.config.chains.iter().filter_map(|(name, chain)| {
            let target = self.chains.get(name)?;
            Some((name.as_str(), target, self.site(chain, target)))
        })
    }

    fn site<'a>(&'a self, chain: &'a ChainConfig, target: &'a Target) -> Site<'a> {
        Site {
            config: &self.config,
            chain,
            codes: &self.codes,
            layout: &target.layout,
            deployer: self.signer.address(),
        }
    }

    /// Makes every fact hold and writes the manifest.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn apply(&self) -> Result<Manifest, Error> {
        let crews = self.crews().await?;
        for phase in [Phase::Deploy, Phase::Wire, Phase::Receive, Phase::Send, Phase::HandOver] {
            try_join_all(crews.iter().map(|crew| crew.finish(phase))).await?;
            crash_point!("deploy.phase");
        }
        let manifest = record::manifest(self).await?;
        manifest.save(&self.config.manifest)?;
        crash_point!("deploy.manifest");
        Ok(manifest)
    }
}

impl Deployment {
    /// Those who work on the chains, each with what the journal has of it.
    pub(crate) async fn crews(&self) -> Result<Vec<Crew<'_>>, Error> {
        let path = journal_of(&self.config.manifest);
        let journal = Db::open(&format!("sqlite:{}", path.display())).await?;
        let known = self.sites().map(|(name, target, _)| self.recognize(name, target, &journal));
        try_join_all(known).await?;
        let crews = self.sites().map(|(name, target, site)| {
            Crew::start(name, target, &journal, &self.signer, site.facts())
        });
        try_join_all(crews).await
    }

    /// Refuses a chain that was made anew under the URL of the journal's: what the journal has as sent would never arrive.
    async fn recognize(&self, name: &str, target: &Target, journal: &Db) -> Result<(), Error> {
        let (client, deployer) = (&target.client, self.signer.address());
        let unread = |cause| Error::Send {
            chain: name.to_owned(),
            what: "reading the journal".to_owned(),
            cause: Box::new(cause),
        };
        let unasked = |cause| Error::Chain { chain: name.to_owned(), cause };
        let earliest =
            sender::earliest_confirmed(journal.clone(), client.chain_id(), deployer).await;
        let Some(sent) = earliest.map_err(unread)? else { return Ok(()) };
        let block = client.block(sent.block_number).await.map_err(unasked)?;
        if block.is_some_and(|block| block.hash == sent.block_hash)
            || client.receipt(sent.hash).await.map_err(unasked)?.is_some()
        {
            return Ok(());
        }
        Err(Error::AnotherChain {
            chain: name.to_owned(),
            journal: journal_of(&self.config.manifest).display().to_string(),
            transaction: sent.hash,
            number: sent.block_number,
        })
    }
}

/// The journal lies beside the manifest.
fn journal_of(manifest: &Path) -> PathBuf {
    manifest.with_extension("journal.sqlite")
}

/// The block from which on a chain can hold something of the deployment.
pub(crate) async fn latest_block(name: &str, client: &ChainClient) -> Result<u64, Error> {
    let latest = client.block(BlockNumberOrTag::Latest).await;
    let latest = latest.map_err(|cause| Error::Chain { chain: name.to_owned(), cause })?;
    Ok(latest.map_or(0, |block| block.number))
}
