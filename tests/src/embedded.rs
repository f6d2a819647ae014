//! Chains in this process, and one more that joins them.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use chain::Manifest;
use cli::local::{self, FINALIZED_LAG, VALIDATORS};
use deploy::{Deployment, Existing};
use devnet::{ChainConfig, Clock};
use eyre::{OptionExt, ensure};
use url::Url;

use crate::World;

/// Ids of embedded chains: where transfers begin, where they end, and one more.
pub(crate) const IDS: [u64; 3] = [700_001, 700_002, 700_003];
/// Four blocks a second, as `metalayer up` makes them.
const BLOCK_TIME: Duration = Duration::from_millis(250);

/// Starts chains with these ids.
pub(crate) async fn spawn(ids: &[u64]) -> eyre::Result<devnet::Handle> {
    let chain = |id: &u64| ChainConfig {
        clock: Clock::Wall,
        ..ChainConfig::new(*id).block_time(BLOCK_TIME).lags(0, FINALIZED_LAG)
    };
    let chains = ids.iter().map(chain).collect();
    Ok(devnet::spawn(devnet::Config { chains, ..devnet::Config::default() }).await?)
}

/// Deploys everything on these chains, and gives everybody test tokens.
pub(crate) async fn deploy(
    chains: &devnet::Handle,
    path: PathBuf,
    relayer: SocketAddr,
) -> eyre::Result<Manifest> {
    let config = local::deployment(&rpcs([chains])?, path.clone());
    let manifest = deploy::apply(local::with_gateway(config, relayer)).await?;
    manifest.save(&path)?;
    local::mint_test_tokens(&manifest).await?;
    Ok(manifest)
}

fn rpcs<'a>(
    handles: impl IntoIterator<Item = &'a devnet::Handle>,
) -> eyre::Result<BTreeMap<u64, Url>> {
    let chains = handles.into_iter().flat_map(devnet::Handle::chains);
    let rpc = |chain: &devnet::ChainHandle| {
        eyre::Ok((chain.chain().chain_id(), chain.http_url().parse()?))
    };
    chains.map(rpc).collect()
}

impl World {
    /// Id of the chain that is there when a case asks for three, or once one has joined.
    pub const fn third(&self) -> u64 {
        IDS[2]
    }

    /// One more chain: it is deployed on and let in by the others while everything runs, and then one
    /// service after the other is started again with the new manifest, as an operator would.
    ///
    /// # Errors
    /// The chains are somebody else's, or whatever does not work.
    pub async fn a_third_chain_joins(&mut self) -> eyre::Result<()> {
        ensure!(self.is_embedded(), "somebody else runs the chains");
        self.chains.push(spawn(&[self.third()]).await?);
        let wanted = local::deployment(&rpcs(&self.chains)?, self.manifest_path());
        let wanted = local::with_gateway(wanted, self.relayer_address);
        let new = wanted.chains.iter().find(|(_, chain)| chain.chain_id.0 == self.third());
        let name = new.ok_or_eyre("no third chain")?.0.clone();
        let added = Deployment::open(wanted)?.add_chain(&name, Existing::Change).await?;
        ensure!(added.report.is_sound(), "{}", added.report);
        local::mint_test_tokens(&added.manifest).await?;
        self.manifest = added.manifest;

        for index in 0..VALIDATORS {
            self.validators.remove(0).stop().await?;
            self.start_validator(index).await?;
        }
        self.stop_relayer().await?;
        self.start_relayer().await?;
        self.stop_solvers().await?;
        self.start_solvers().await?;
        self.stop_aggregator().await?;
        self.start_aggregator().await
    }
}
