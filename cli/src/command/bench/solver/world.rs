//! Two chains, the contracts on them, and users.

use std::{collections::BTreeMap, path::PathBuf};

use alloy::{
    primitives::{Address, U256, keccak256},
    sol_types::SolCall,
};
use chain::{Manifest, manifest::ChainManifest};
use devnet::{Chain, Clock, Transact, genesis::DEV_ADDRESSES};
use eyre::{OptionExt, ensure};
use protocol::{
    abi::{erc20, intent_source},
    ids::{ChainId, IntentHash},
    intent::{Call, Intent, Reward, Route, TokenAmount},
};
use solver::Handle;
use tempfile::TempDir;

use crate::local::{self, Keyring, Place, Setting};

pub(super) const ORIGIN: u64 = 700_001;
pub(super) const DESTINATION: u64 = 700_002;
/// Who publishes; an account that no role uses.
pub(super) const USER: Address = DEV_ADDRESSES[10];
/// Who is paid.
const RECIPIENT: Address = Address::repeat_byte(0xee);
/// Between blocks; what users publish is in a block of its own at once.
const BLOCK: std::time::Duration = std::time::Duration::from_millis(100);
/// One whole test token.
pub(super) const TOKEN: u64 = 1_000_000;
/// Account of the solver.
const SOLVER: Address = DEV_ADDRESSES[8];

pub(super) struct World {
    pub(super) network: devnet::Handle,
    pub(super) manifest: Manifest,
    folder: TempDir,
}

impl World {
    pub(super) async fn new() -> eyre::Result<Self> {
        let chains = [ORIGIN, DESTINATION]
            .map(|id| devnet::ChainConfig::new(id).block_time(BLOCK).clock(Clock::Wall));
        let config = devnet::Config { chains: chains.into(), ..devnet::Config::default() };
        let network = devnet::spawn(config).await?;
        let folder = tempfile::tempdir()?;
        let mut rpcs = BTreeMap::new();
        for chain in network.chains() {
            rpcs.insert(chain.chain_id(), chain.http_url().parse()?);
        }
        let path = folder.path().join("manifest.json");
        let manifest = deploy::apply(local::deployment(&rpcs, path.clone())).await?;
        manifest.save(path)?;
        let world = Self { network, manifest, folder };
        for id in [ORIGIN, DESTINATION] {
            let token = world.token(id)?;
            for to in [SOLVER, USER] {
                let value = U256::from(TOKEN) * U256::from(100_000_000);
                world.transact(id, to, token, &erc20::mintCall { to, value })?;
            }
        }
        let spender = world.at(ORIGIN)?.contracts.intent_source;
        let approve = erc20::approveCall { spender, value: U256::MAX };
        world.transact(ORIGIN, USER, world.token(ORIGIN)?, &approve)?;
        Ok(world)
    }

    pub(super) fn chain(&self, id: u64) -> eyre::Result<Chain> {
        Ok(self.network.chain(id).ok_or_eyre("no such chain")?.chain())
    }

    pub(super) fn at(&self, id: u64) -> eyre::Result<&ChainManifest> {
        Ok(self.manifest.by_chain_id(ChainId(id)).ok_or_eyre("no such chain")?.1)
    }

    pub(super) fn token(&self, id: u64) -> eyre::Result<Address> {
        self.at(id)?.contracts.test_token.ok_or_eyre("no test token")
    }

    fn transact(
        &self,
        id: u64,
        from: Address,
        to: Address,
        call: &impl SolCall,
    ) -> eyre::Result<()> {
        let tx = Transact::call(from, to, call.abi_encode()).gas(20_000_000);
        let receipt = self.chain(id)?.transact(tx)?;
        ensure!(receipt.success, "reverted: {:?}", receipt.output);
        Ok(())
    }

    /// An intent that pays for itself: a token for a token, proven at the instant tier.
    pub(super) fn intent(&self, salt: &str) -> eyre::Result<Intent> {
        let far = self.chain(ORIGIN)?.timestamp() + 86_400;
        let (given, taken) = (self.token(ORIGIN)?, self.token(DESTINATION)?);
        let amount = U256::from(10 * TOKEN);
        let pay = erc20::transferCall { to: RECIPIENT, value: amount };
        Ok(Intent {
            destination: DESTINATION,
            route: Route {
                salt: keccak256(salt),
                deadline: far,
                portal: self.at(DESTINATION)?.contracts.inbox,
                nativeAmount: U256::ZERO,
                tokens: vec![TokenAmount { token: taken, amount }],
                calls: vec![Call {
                    target: taken,
                    data: pay.abi_encode().into(),
                    value: U256::ZERO,
                }],
            },
            reward: Reward {
                deadline: far,
                creator: USER,
                prover: self.at(ORIGIN)?.contracts.meta_prover_instant,
                nativeAmount: U256::ZERO,
                tokens: vec![TokenAmount { token: given, amount: U256::from(12 * TOKEN) }],
            },
        })
    }

    /// Publishes and funds an intent, in a block of its own.
    pub(super) fn publish(&self, intent: Intent) -> eyre::Result<IntentHash> {
        let hash = intent.hash();
        let call = intent_source::publishAndFund_0Call { intent, allowPartial: false };
        self.transact(ORIGIN, USER, self.at(ORIGIN)?.contracts.intent_source, &call)?;
        Ok(hash)
    }

    /// The configuration file of a solver with books of its own, on ports that are free.
    pub(super) fn config(
        &self,
        name: &str,
        change: impl FnOnce(String) -> String,
    ) -> eyre::Result<PathBuf> {
        let state = self.folder.path().join(name);
        std::fs::create_dir_all(&state)?;
        let anywhere = ([127, 0, 0, 1], 0).into();
        let manifest = self.folder.path().join("manifest.json");
        let place = Place { manifest, state: state.clone(), listen: anywhere, admin: anywhere };
        let setting = Setting::local(Keyring::Development);
        let path = state.join("solver.toml");
        std::fs::write(&path, change(setting.solver(&place, &self.manifest, 0)))?;
        Ok(path)
    }

    /// URL of the books that [`World::config`] names.
    pub(super) fn database(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(name).join("state.db").display())
    }

    pub(super) async fn spawn(
        &self,
        name: &str,
        change: impl FnOnce(String) -> String,
    ) -> eyre::Result<Handle> {
        let config = service::config::load(&self.config(name, change)?)?;
        Ok(solver::spawn(config).await?)
    }
}
