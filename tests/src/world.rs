//! Chains, a deployment and every service, in this process.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use alloy::primitives::B256;
use api::{
    Client,
    aggregator::{Order, OrderState},
};
use chain::{Manifest, manifest::ChainManifest};
use cli::local::{self, FINALIZED_LAG, Place, SOLVERS, VALIDATORS};
use devnet::{Chain, ChainConfig, Clock};
use eyre::{OptionExt, ensure};
use service::config;
use tempfile::TempDir;
use url::Url;

use crate::{Actor, actor::rank, patience::until};

/// The chain where transfers of tests begin.
pub const ORIGIN: u64 = 700_001;
/// The chain where they end.
pub const DESTINATION: u64 = 700_002;
/// First account of the mnemonic that no service uses.
const FIRST_USER: u32 = 10;
/// Four blocks a second, as `metalayer up` makes them.
const BLOCK_TIME: Duration = Duration::from_millis(250);
/// Any free port of the loopback address.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A running system. Dropping it stops everything.
#[derive(Debug)]
pub struct World {
    validators: Vec<settlement::validator::Handle>,
    relayer: Option<settlement::relayer::Handle>,
    solvers: Vec<solver::Handle>,
    aggregator: Option<aggregator::Handle>,
    manifest: Manifest,
    chains: devnet::Handle,
    folder: TempDir,
}

impl World {
    /// Two chains with everything on and around them.
    ///
    /// # Errors
    /// Whatever does not start.
    pub async fn start() -> eyre::Result<Self> {
        let mut world = Self::with_contracts().await?;
        for index in 0..VALIDATORS {
            world.start_validator(index).await?;
        }
        world.start_relayer().await?;
        for index in 0..SOLVERS {
            world.start_solver(index).await?;
        }
        world.start_aggregator().await?;
        Ok(world)
    }

    /// Two chains with the contracts, and no service.
    ///
    /// # Errors
    /// Whatever does not start.
    pub async fn with_contracts() -> eyre::Result<Self> {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir()?;
        let chain = |id| ChainConfig {
            clock: Clock::Wall,
            ..ChainConfig::new(id).block_time(BLOCK_TIME).lags(0, FINALIZED_LAG)
        };
        let config = devnet::Config {
            chains: [ORIGIN, DESTINATION].map(chain).to_vec(),
            ..devnet::Config::default()
        };
        let chains = devnet::spawn(config).await?;
        let rpcs = chains.chains().iter().map(|chain| {
            let url: Url = chain.http_url().parse()?;
            eyre::Ok((chain.chain().chain_id(), url))
        });
        let rpcs = rpcs.collect::<Result<BTreeMap<_, _>, _>>()?;
        let path = folder.path().join("manifest.json");
        let manifest = deploy::apply(local::deployment(&rpcs, path.clone())).await?;
        manifest.save(&path)?;
        local::mint_test_tokens(&manifest).await?;
        Ok(Self {
            validators: Vec::new(),
            relayer: None,
            solvers: Vec::new(),
            aggregator: None,
            manifest,
            chains,
            folder,
        })
    }

    /// Starts the validator operator with this number.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_validator(&mut self, index: u16) -> eyre::Result<()> {
        let text = local::validator(&self.place(&format!("validator-{index}"))?, index);
        let handle = settlement::validator::spawn(config::parse(&text)?).await?;
        self.validators.push(handle);
        Ok(())
    }

    /// Starts the relayer.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_relayer(&mut self) -> eyre::Result<()> {
        let text = local::relayer(&self.place("relayer")?);
        self.relayer = Some(settlement::relayer::spawn(config::parse(&text)?).await?);
        Ok(())
    }

    /// Starts the solver with this number.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_solver(&mut self, index: u16) -> eyre::Result<()> {
        let text = local::solver(&self.place(&format!("solver-{index}"))?, &self.manifest, index);
        self.solvers.push(solver::spawn(config::parse(&text)?).await?);
        Ok(())
    }

    /// Starts the aggregator over the solvers that run.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_aggregator(&mut self) -> eyre::Result<()> {
        let solvers = self.solvers.iter().enumerate();
        let solvers: Vec<_> = solvers
            .map(|(index, solver)| {
                (format!("solver-{index}"), format!("http://{}", solver.api_addr()))
            })
            .collect();
        let text = local::aggregator(&self.place("aggregator")?, &self.manifest, &solvers);
        self.aggregator = Some(aggregator::spawn(config::parse(&text)?).await?);
        Ok(())
    }

    /// Stops the relayer: nothing is delivered until it is started again.
    ///
    /// # Errors
    /// It was not running, or did not stop cleanly.
    pub async fn stop_relayer(&mut self) -> eyre::Result<()> {
        let relayer = self.relayer.take().ok_or_eyre("no relayer runs")?;
        Ok(relayer.stop().await?)
    }

    /// Stops one validator operator.
    ///
    /// # Errors
    /// None was running, or it did not stop cleanly.
    pub async fn stop_a_validator(&mut self) -> eyre::Result<()> {
        let validator = self.validators.pop().ok_or_eyre("no validator runs")?;
        Ok(validator.stop().await?)
    }

    /// Stops the aggregator.
    ///
    /// # Errors
    /// It was not running, or did not stop cleanly.
    pub async fn stop_aggregator(&mut self) -> eyre::Result<()> {
        let aggregator = self.aggregator.take().ok_or_eyre("no aggregator runs")?;
        Ok(aggregator.stop().await?)
    }

    /// A client of the aggregator.
    ///
    /// # Errors
    /// No aggregator runs.
    pub fn api(&self) -> eyre::Result<Client> {
        let aggregator = self.aggregator.as_ref().ok_or_eyre("no aggregator runs")?;
        Ok(Client::new(format!("http://{}", aggregator.address()).parse()?)?)
    }

    /// Somebody with money on every chain, counted from 0.
    ///
    /// # Errors
    /// There is no such account.
    pub fn user(&self, index: u32) -> eyre::Result<Actor<'_>> {
        Ok(Actor::new(self, local::account(FIRST_USER + index)?))
    }

    /// Waits until an order is in this state, or beyond it on the way to the end.
    ///
    /// # Errors
    /// It fails instead, or does not get there in time.
    pub async fn order_reaches(&self, id: B256, state: OrderState) -> eyre::Result<Order> {
        let api = self.api()?;
        until(&format!("order {id} to be {state:?}"), async || {
            let order = api.order(id).await?;
            if let Some(order) = &order {
                let is_lost = matches!(order.state, OrderState::Failed | OrderState::Refundable);
                ensure!(!is_lost || state == order.state, "order {id} is {:?}", order.state);
            }
            Ok(order.filter(|order| rank(order.state) >= rank(state)))
        })
        .await
    }

    /// The deployment.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is deployed on a chain.
    ///
    /// # Errors
    /// There is no such chain.
    pub fn contracts(&self, chain_id: u64) -> eyre::Result<&ChainManifest> {
        let found = self.manifest.iter().find(|(_, chain)| chain.chain_id.0 == chain_id);
        Ok(found.ok_or_eyre("no such chain")?.1)
    }

    /// A chain, to look at and to disturb.
    ///
    /// # Errors
    /// There is no such chain.
    pub fn chain(&self, chain_id: u64) -> eyre::Result<Chain> {
        Ok(self.chains.chain(chain_id).ok_or_eyre("no such chain")?.chain())
    }

    fn place(&self, name: &str) -> eyre::Result<Place> {
        let state: PathBuf = self.folder.path().join(name);
        std::fs::create_dir_all(&state)?;
        let manifest = self.folder.path().join("manifest.json");
        Ok(Place { manifest, state, listen: ANY, admin: ANY })
    }
}
