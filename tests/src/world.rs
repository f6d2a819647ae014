//! Chains, a deployment and every service, in this process.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::BlockId,
};
use api::{
    Client,
    aggregator::{Order, OrderState},
};
use chain::{Manifest, manifest::ChainManifest};
use cli::local::{self, Holder, Keyring, Place, SOLVERS, Setting, VALIDATORS};
use devnet::{Chain, ChainHandle};
use eyre::{OptionExt, ensure};
use protocol::abi::intent_source;
use service::config;
use solver::order::State;
use tempfile::TempDir;
use url::Url;

use crate::{
    Actor, embedded,
    environment::{self, Endpoints},
    patience::until,
    transfer::rank,
};

/// The contract's number for a reward that was paid out.
const PAID: u8 = 2;
/// File of the deployment.
const MANIFEST: &str = "manifest.json";
/// How many people have money.
const USERS: u16 = 6;
/// Any free port of the loopback address.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// An address that nobody listens on.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(ANY)?.local_addr()
}

/// A running system. Dropping it stops everything.
#[derive(Debug)]
pub struct World {
    pub(crate) validators: Vec<settlement::validator::Handle>,
    relayer: Option<settlement::relayer::Handle>,
    solvers: Vec<solver::Handle>,
    aggregator: Option<aggregator::Handle>,
    pub(crate) manifest: Manifest,
    setting: Setting,
    /// Where the relayer listens: the contracts name it.
    pub(crate) relayer_address: SocketAddr,
    origin: u64,
    destination: u64,
    /// None when somebody else runs the chains.
    pub(crate) chains: Vec<devnet::Handle>,
    folder: TempDir,
}

impl World {
    /// Two chains with everything on and around them.
    ///
    /// # Errors
    /// Whatever does not start.
    pub async fn start() -> eyre::Result<Self> {
        Self::with_contracts().await?.with_services().await
    }

    /// Two chains with the contracts, and no service: embedded chains, or those of the environment.
    ///
    /// # Errors
    /// Whatever does not start.
    pub async fn with_contracts() -> eyre::Result<Self> {
        match Endpoints::from_environment()? {
            Some(endpoints) => Self::on_endpoints(endpoints).await,
            None => Self::on_embedded_chains(2).await,
        }
    }

    /// As [`Self::start`] on two or three embedded chains, for a case that needs more of a chain than
    /// JSON-RPC: `why`. None, and a line that says so, when the environment names endpoints.
    ///
    /// # Errors
    /// Whatever does not start.
    pub async fn start_embedded(chains: usize, why: &str) -> eyre::Result<Option<Self>> {
        if Endpoints::from_environment()?.is_some() {
            environment::skipped(why);
            return Ok(None);
        }
        Ok(Some(Self::on_embedded_chains(chains).await?.with_services().await?))
    }

    async fn with_services(mut self) -> eyre::Result<Self> {
        for index in 0..VALIDATORS {
            self.start_validator(index).await?;
        }
        self.start_relayer().await?;
        self.start_solvers().await?;
        self.start_aggregator().await?;
        Ok(self)
    }

    async fn on_embedded_chains(count: usize) -> eyre::Result<Self> {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir()?;
        let ids = embedded::IDS.get(..count).ok_or_eyre("more chains than there are ids")?;
        let relayer = free_address()?;
        let chains = embedded::spawn(ids).await?;
        let manifest = embedded::deploy(&chains, folder.path().join(MANIFEST), relayer).await?;
        let [origin, destination, _] = embedded::IDS;
        let keys = (Keyring::Development, [origin, destination]);
        Ok(Self::new((folder, relayer), manifest, keys, vec![chains]))
    }

    async fn on_endpoints(endpoints: Endpoints) -> eyre::Result<Self> {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir()?;
        let holders: Vec<_> = Holder::operators().chain((0..USERS).map(Holder::User)).collect();
        let keys = Keyring::create(folder.path().join("keys"), holders.iter().copied())?;
        let path = folder.path().join(MANIFEST);
        let relayer = free_address()?;
        let (manifest, chains) = endpoints.deploy(&keys, &holders, path, relayer).await?;
        Ok(Self::new((folder, relayer), manifest, (keys, chains), Vec::new()))
    }

    fn new(
        (folder, relayer_address): (TempDir, SocketAddr),
        manifest: Manifest,
        (keys, [origin, destination]): (Keyring, [u64; 2]),
        chains: Vec<devnet::Handle>,
    ) -> Self {
        Self {
            validators: Vec::new(),
            relayer: None,
            solvers: Vec::new(),
            aggregator: None,
            manifest,
            setting: Setting::local(keys),
            relayer_address,
            origin,
            destination,
            chains,
            folder,
        }
    }

    /// Starts the validator operator with this number.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_validator(&mut self, index: u16) -> eyre::Result<()> {
        let text = self.setting.validator(&self.place(&format!("validator-{index}"))?, index);
        let handle = settlement::validator::spawn(config::parse(&text)?).await?;
        self.validators.push(handle);
        Ok(())
    }

    /// Starts the relayer.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_relayer(&mut self) -> eyre::Result<()> {
        let place = Place { listen: self.relayer_address, ..self.place("relayer")? };
        let text = self.setting.relayer(&place);
        self.relayer = Some(settlement::relayer::spawn(config::parse(&text)?).await?);
        Ok(())
    }

    /// Starts every solver.
    ///
    /// # Errors
    /// One does not start.
    pub async fn start_solvers(&mut self) -> eyre::Result<()> {
        for index in 0..SOLVERS {
            self.start_solver(index).await?;
        }
        Ok(())
    }

    /// Starts the solver with this number.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_solver(&mut self, index: u16) -> eyre::Result<()> {
        let place = self.place(&format!("solver-{index}"))?;
        let text = self.setting.solver(&place, &self.manifest, index);
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
        let text = self.setting.aggregator(&self.place("aggregator")?, &self.manifest, &solvers);
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

    /// Stops every solver: what they have begun they end first.
    ///
    /// # Errors
    /// One did not stop cleanly.
    pub async fn stop_solvers(&mut self) -> eyre::Result<()> {
        for solver in self.solvers.drain(..) {
            solver.stop().await?;
        }
        Ok(())
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
        Ok(Client::new(self.api_url()?)?)
    }

    /// Where the aggregator answers.
    ///
    /// # Errors
    /// No aggregator runs.
    pub fn api_url(&self) -> eyre::Result<Url> {
        let aggregator = self.aggregator.as_ref().ok_or_eyre("no aggregator runs")?;
        Ok(format!("http://{}", aggregator.address()).parse()?)
    }

    /// Somebody with money on every chain, counted from 0.
    ///
    /// # Errors
    /// There is no such account.
    pub fn user(&self, index: u16) -> eyre::Result<Actor<'_>> {
        ensure!(index < USERS, "expected a user below {USERS}, given {index}");
        Ok(Actor::new(self, self.setting.keys.signer(Holder::User(index))?))
    }

    /// The account of a solver, counted from 0.
    ///
    /// # Errors
    /// Its key cannot be read.
    pub fn solver_address(&self, index: u16) -> eyre::Result<Address> {
        self.setting.keys.address(Holder::Solver(index))
    }

    /// Id of the chain where transfers begin.
    pub const fn origin(&self) -> u64 {
        self.origin
    }

    /// Id of the chain where they end.
    pub const fn destination(&self) -> u64 {
        self.destination
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

    /// Waits until the chain of its origin says that a reward is paid.
    ///
    /// # Errors
    /// It is not paid in time.
    pub async fn reward_is_paid(&self, origin: u64, id: B256) -> eyre::Result<()> {
        let origin = self.contracts(origin)?;
        let client = local::client(origin)?;
        let status = intent_source::getRewardStatusCall { intentHash: id };
        until(&format!("the reward of {id}"), async || {
            let source = origin.contracts.intent_source;
            let status = client.call(source, &status, BlockId::latest()).await?;
            Ok((status == PAID).then_some(()))
        })
        .await
    }

    /// How many orders the solvers have filled or are about to fill, and have not been paid for.
    ///
    /// # Errors
    /// Their books cannot be read.
    pub async fn orders_in_flight(&self) -> eyre::Result<u64> {
        let mut count = 0;
        for solver in &self.solvers {
            let census = solver.store().census().await?;
            let in_flight =
                census.iter().filter(|(state, _)| state.is_exposed() || *state == State::Reserved);
            count += in_flight.map(|(_, orders)| orders).sum::<u64>();
        }
        Ok(count)
    }

    /// Native currency of a solver on all chains together.
    ///
    /// # Errors
    /// A chain cannot be asked.
    pub async fn solver_worth(&self, index: u16) -> eyre::Result<U256> {
        let address = self.solver_address(index)?;
        let mut worth = U256::ZERO;
        for (_, chain) in self.manifest.iter() {
            worth += local::client(chain)?.balance(address, BlockId::latest()).await?;
        }
        Ok(worth)
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

    /// An embedded chain, to look at and to disturb.
    ///
    /// # Errors
    /// There is no such chain, or somebody else runs it.
    pub fn chain(&self, chain_id: u64) -> eyre::Result<Chain> {
        Ok(self.endpoint(chain_id)?.chain())
    }

    /// The JSON-RPC server of an embedded chain, to disturb.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn endpoint(&self, chain_id: u64) -> eyre::Result<&ChainHandle> {
        let mut chains = self.chains.iter().filter_map(|chains| chains.chain(chain_id));
        chains.next().ok_or_eyre("no such chain, or somebody else runs it")
    }

    /// Whether the chains are ours.
    pub(crate) const fn is_embedded(&self) -> bool {
        !self.chains.is_empty()
    }

    /// Moves the time of a chain on by this much: at once where it is ours, by waiting elsewhere.
    ///
    /// # Errors
    /// The chain cannot be asked.
    pub async fn time_passes(&self, chain_id: u64, seconds: u64) -> eyre::Result<()> {
        if self.is_embedded() {
            let chain = self.chain(chain_id)?;
            chain.increase_time(seconds);
            return Ok(chain.mine(1)?);
        }
        let client = local::client(self.contracts(chain_id)?)?;
        let end = client.latest().await?.timestamp + seconds;
        until("time to pass", async || Ok((client.latest().await?.timestamp >= end).then_some(())))
            .await
    }

    fn place(&self, name: &str) -> eyre::Result<Place> {
        let state: PathBuf = self.folder.path().join(name);
        std::fs::create_dir_all(&state)?;
        Ok(Place { manifest: self.manifest_path(), state, listen: ANY, admin: ANY })
    }

    pub(crate) fn manifest_path(&self) -> PathBuf {
        self.folder.path().join(MANIFEST)
    }
}
