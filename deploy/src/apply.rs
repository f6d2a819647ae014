//! Making a deployment true.
//!
//! Facts are looked at in order; what does not hold is remedied by a transaction of a journalled sender and looked at again.
//! Killed at any point, the next run looks at the chains anew: what was done is seen to hold, what was signed is in the
//! journal and is sent again with the same nonce, nothing is deployed twice.

use std::{collections::BTreeMap, path::Path, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, keccak256},
    signers::local::PrivateKeySigner,
};
use chain::{
    ChainClient, Db, FinalityRule, Manifest, Sender, client,
    client::ClientOptions,
    db, keys,
    manifest::Error as ManifestError,
    sender::{self, Request, SenderConfig},
};
use futures::future::{BoxFuture, try_join_all};
use service::crash_point;
use stylus_program::{Programs, ProgramsError};

use crate::{
    activation,
    config::{ChainConfig, Config, ConfigError},
    fact::{Fact, Phase, Remedy, Seen, Value},
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
         release (--programs)"
    )]
    Foreign {
        /// The chain.
        chain: String,
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
        let journal = open_journal(&self.config.manifest).await?;
        let mut crews = Vec::new();
        for (name, target, site) in self.sites() {
            crews.push(Crew::start(name, target, &journal, &self.signer, site.facts()).await?);
        }
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

/// The journal lies beside the manifest.
pub(crate) async fn open_journal(manifest: &Path) -> Result<Db, Error> {
    let path = manifest.with_extension("journal.sqlite");
    Ok(Db::open(&format!("sqlite:{}", path.display())).await?)
}

/// Works on one chain.
pub(crate) struct Crew<'a> {
    pub(crate) name: &'a str,
    pub(crate) client: &'a ChainClient,
    sender: Sender,
    pub(crate) facts: Vec<Fact>,
}

impl<'a> Crew<'a> {
    pub(crate) async fn start(
        name: &'a str,
        target: &'a Target,
        journal: &Db,
        signer: &PrivateKeySigner,
        facts: Vec<Fact>,
    ) -> Result<Self, Error> {
        let client = &target.client;
        let chain_error = |cause| Error::Chain { chain: name.to_owned(), cause };
        client.check_chain_id().await.map_err(chain_error)?;
        let config = SenderConfig {
            confirm: FinalityRule::Instant,
            poll: Duration::from_millis(50),
            ..SenderConfig::default()
        };
        let sender = Sender::start(journal.clone(), client.clone(), signer.clone(), config).await;
        let sender = sender.map_err(|cause| Error::Send {
            chain: name.to_owned(),
            what: "starting".to_owned(),
            cause: Box::new(cause),
        })?;
        Ok(Self { name, client, sender, facts })
    }

    /// Makes the facts of one phase hold, in order.
    pub(crate) async fn finish(&self, phase: Phase) -> Result<(), Error> {
        for fact in self.facts.iter().filter(|fact| fact.phase == phase) {
            self.make_true(fact).await?;
        }
        Ok(())
    }

    async fn make_true(&self, fact: &Fact) -> Result<(), Error> {
        let mut attempt = 0_u32;
        loop {
            let Seen::Otherwise(seen) = self.look(fact).await? else { return Ok(()) };
            let Some(remedy) = fact.remedy.as_ref().filter(|_| attempt < 3) else {
                return Err(Error::Unfixable {
                    chain: self.name.to_owned(),
                    what: fact.what.clone(),
                    seen,
                });
            };
            attempt = self.remedy(fact, remedy, attempt).await? + 1;
        }
    }

    pub(crate) async fn look(&self, fact: &Fact) -> Result<Seen, Error> {
        let seen = fact.probe.look(self.client).await;
        seen.map_err(|cause| Error::Chain { chain: self.name.to_owned(), cause })
    }

    /// Sends the remedy and returns the number it was sent under. A number that the journal knows from an earlier run is
    /// waited for: if the fact does not hold even so, somebody undid it since, and the next number is free.
    async fn remedy(&self, fact: &Fact, remedy: &Remedy, attempt: u32) -> Result<u32, Error> {
        let failed = |cause| self.unsent(fact, cause);
        let key = format!("deploy:{}:{}:{attempt}", fact.what, keccak256(&remedy.data));
        let mut ticket = match self.sender.find(key.clone()).await.map_err(failed)? {
            Some(ticket) => ticket,
            None => {
                tracing::info!(chain = self.name, fact = fact.what, "deploying");
                let value = self.value(remedy).await?;
                crash_point!("deploy.remedy");
                let request = Request::call(key, remedy.to, remedy.data.clone());
                self.sender.submit(request.with_value(value)).await.map_err(failed)?
            }
        };
        let sent = ticket.confirmed().await.map_err(failed)?;
        crash_point!("deploy.remedied");
        if !sent.success {
            let (chain, what) = (self.name.to_owned(), fact.what.clone());
            return Err(Error::Reverted { chain, what, hash: sent.hash });
        }
        Ok(attempt)
    }

    fn unsent(&self, fact: &Fact, cause: sender::Error) -> Error {
        let (chain, what) = (self.name.to_owned(), fact.what.clone());
        Error::Send { chain, what, cause: Box::new(cause) }
    }

    async fn value(&self, remedy: &Remedy) -> Result<U256, Error> {
        match &remedy.value {
            Value::None => Ok(U256::ZERO),
            Value::Activation { code } => {
                let fee = activation::fee(self.client, self.sender.address(), code).await;
                fee.map_err(|cause| Error::Chain { chain: self.name.to_owned(), cause })
            }
        }
    }
}

/// The block from which on a chain can hold something of the deployment.
pub(crate) async fn latest_block(name: &str, client: &ChainClient) -> Result<u64, Error> {
    let latest = client.block(BlockNumberOrTag::Latest).await;
    let latest = latest.map_err(|cause| Error::Chain { chain: name.to_owned(), cause })?;
    Ok(latest.map_or(0, |block| block.number))
}
