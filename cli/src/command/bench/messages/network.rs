//! Three chains in this process with everything deployed, and a past that they never had.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::{
    primitives::{Address, U256, address},
    sol_types::SolCall,
};
use chain::Manifest;
use devnet::{Chain, ChainConfig, Config, Transact, genesis::DEV_ADDRESSES};
use eyre::{OptionExt, ensure};
use protocol::{abi::hyperlane::MerkleTreeHook, finality::Tier, ids::ChainId};
use settlement::history::{History, Place};

use super::{agents::Agent, load};
use crate::local::{self, FINALIZED_LAG, Keyring, Setting, VALIDATORS};

/// As often as Arbitrum chains make blocks.
const BLOCK_TIME: Duration = Duration::from_millis(250);
/// Slots of the tree hook that are looked through for its tree.
const SLOTS: u64 = 512;
/// Takes every message: its code is one STOP.
pub(super) const RECIPIENT: Address = address!("0x00000000000000000000000000000000000acce9");

/// The chains and where everything is.
#[derive(Debug)]
pub(super) struct Network {
    handle: devnet::Handle,
    manifest: Manifest,
    folder: PathBuf,
}

impl Network {
    pub(super) async fn start(folder: &Path) -> eyre::Result<Self> {
        let chain = |config: ChainConfig| config.block_time(BLOCK_TIME).lags(2, FINALIZED_LAG);
        let mut config = Config::with_chains(3);
        config.chains = config.chains.into_iter().map(chain).collect();
        let handle = devnet::spawn(config).await?;
        let mut rpcs = BTreeMap::new();
        for chain in handle.chains() {
            rpcs.insert(chain.chain_id(), chain.http_url().parse()?);
            chain.chain().set_code(RECIPIENT, vec![0])?;
        }
        let manifest =
            deploy::apply(local::deployment(&rpcs, folder.join("manifest.json"))).await?;
        Ok(Self { handle, manifest, folder: folder.to_owned() })
    }

    pub(super) fn chains(&self) -> impl Iterator<Item = &devnet::ChainHandle> {
        self.handle.chains().iter()
    }

    pub(super) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) async fn stop(self) {
        self.handle.stop().await;
    }

    /// Makes the first chain's tree hold `leaves` leaves, and the agents know them.
    pub(super) async fn age(&mut self, leaves: u32) -> eyre::Result<()> {
        let history = tokio::task::spawn_blocking(move || History::new(leaves)).await??;
        let handle = self.chains().next().ok_or_eyre("no chain")?;
        let (origin, chain) = (ChainId(handle.chain_id()), handle.chain());
        let (_, manifest) = self.manifest.by_chain_id(origin).ok_or_eyre("no such chain")?;
        let (domain, hook) = (manifest.domain, manifest.contracts.merkle_tree_hook);
        let first_slot = self.tree_slot(&chain, hook).await?;
        for (slot, node) in (first_slot..).zip(history.tree().branch()) {
            chain.set_storage(hook, U256::from(slot), (*node).into())?;
        }
        chain.set_storage(hook, U256::from(first_slot + 32), U256::from(leaves))?;
        let shown = chain.call(Transact::call(
            DEV_ADDRESSES[0],
            hook,
            MerkleTreeHook::rootCall {}.abi_encode(),
        ))?;
        let root = MerkleTreeHook::rootCall::abi_decode_returns(&shown.output)?;
        ensure!(
            root == history.tree().root(),
            "the hook does not keep the tree where it was found"
        );

        let head = chain.head();
        for manifest in self.manifest.chains.values_mut() {
            if manifest.domain == domain {
                // What found the tree's slot was a message of another past.
                manifest.start_block = head.number() + 1;
            }
        }
        let place = Place { domain, number: head.number(), hash: head.hash };
        self.write(&history, place).await
    }

    async fn write(&self, history: &History, place: Place) -> eyre::Result<()> {
        let (relayer, other) = (self.state("relayer")?, self.chains().nth(1));
        let other = other.ok_or_eyre("no other chain")?;
        let (_, manifest) =
            self.manifest.by_chain_id(ChainId(other.chain_id())).ok_or_eyre("no such chain")?;
        let arrived = other.chain().head();
        let destination =
            Place { domain: manifest.domain, number: arrived.number(), hash: arrived.hash };
        history.write_relayer(&database(&relayer), place, destination).await?;
        let first = self.state("validator-1")?;
        for tier in [Tier::Instant, Tier::Finalized] {
            let folder = first.join(format!("checkpoints/{}/{tier}", place.domain));
            history.write_validator(&database(&first), place, (tier, &folder)).await?;
        }
        for number in 2..=VALIDATORS {
            let state = self.state(&format!("validator-{number}"))?;
            // What is not in the database yet is in its log.
            for file in ["state.db", "state.db-wal"] {
                if first.join(file).exists() {
                    fs::copy(first.join(file), state.join(file))?;
                }
            }
            for tier in [Tier::Instant, Tier::Finalized] {
                let folder = format!("checkpoints/{}/{tier}", place.domain);
                fs::create_dir_all(state.join(&folder))?;
                let index = Path::new(&folder).join("index.json");
                fs::copy(first.join(&index), state.join(&index))?;
            }
        }
        Ok(())
    }

    /// Where the hook's storage begins to hold its tree: there a first message shows up.
    async fn tree_slot(&self, chain: &Chain, hook: Address) -> eyre::Result<u64> {
        load::dispatch_one(self).await?;
        let count = |slot: u64| chain.storage(hook, U256::from(slot + 32));
        let holds_one_leaf = |slot: &u64| {
            !chain.storage(hook, U256::from(*slot)).is_zero() && count(*slot) == U256::ONE
        };
        (0..SLOTS).find(holds_one_leaf).ok_or_eyre("the tree hook keeps its tree elsewhere")
    }

    /// Writes the configuration of every agent, the relayer's first.
    pub(super) fn write_configs(&self) -> eyre::Result<Vec<Agent>> {
        let manifest = self.folder.join("manifest.json");
        self.manifest.save(&manifest)?;
        let place = |name: &str| -> eyre::Result<local::Place> {
            let (manifest, state) = (manifest.clone(), self.state(name)?);
            Ok(local::Place { manifest, state, listen: free_address()?, admin: free_address()? })
        };
        let mut agents = Vec::new();
        let mut add = |name: String, command, place: &local::Place, text: String| {
            let config = self.folder.join(format!("{name}.toml"));
            fs::write(&config, text)?;
            agents.push(Agent { name, command, config, admin: place.admin });
            eyre::Ok(())
        };
        let setting = Setting::local(Keyring::Development);
        let relayer = place("relayer")?;
        add("relayer".to_owned(), "relayer", &relayer, setting.relayer(&relayer))?;
        for index in 0..VALIDATORS {
            let name = format!("validator-{}", index + 1);
            let validator = place(&name)?;
            add(name, "validator", &validator, setting.validator(&validator, index))?;
        }
        Ok(agents)
    }

    fn state(&self, name: &str) -> eyre::Result<PathBuf> {
        let state = self.folder.join(name);
        fs::create_dir_all(&state)?;
        Ok(state)
    }
}

fn database(state: &Path) -> String {
    format!("sqlite:{}", state.join("state.db").display())
}

fn free_address() -> eyre::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
