//! Chains to deploy on, and a configuration for them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use alloy::{primitives::Address, sol_types::SolCall};
use chain::{
    FinalityRule, KeySource,
    manifest::{TierName, ValidatorSet},
};
use deploy::{ChainConfig, Config, RemoteGas};
use devnet::{
    Chain, ChainHandle, Handle, Transact,
    genesis::{DEV_ADDRESSES, MNEMONIC},
};
use protocol::ids::{ChainId, Domain};
use tempfile::TempDir;

/// First chain id; the others follow.
pub(crate) const FIRST: u32 = 700_001;
/// The account that deploys.
pub(crate) const DEPLOYER: Address = DEV_ADDRESSES[0];

/// Running chains and a folder for the manifest.
pub(crate) struct World {
    pub(crate) network: Handle,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) async fn new(chains: u32) -> Self {
        let network = devnet::spawn(devnet::Config::with_chains(chains.into())).await.unwrap();
        Self { network, folder: tempfile::tempdir().unwrap() }
    }

    /// Chains that make a block at this interval instead of one for each transaction.
    pub(crate) async fn with_block_time(chains: u32, block_time: Duration) -> Self {
        let mut config = devnet::Config::with_chains(chains.into());
        for chain in &mut config.chains {
            chain.block_time = Some(block_time);
        }
        Self { network: devnet::spawn(config).await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn chain(&self, index: u32) -> Chain {
        self.network.chain(u64::from(FIRST + index)).unwrap().chain()
    }

    /// Newest block of every chain.
    pub(crate) fn heads(&self) -> Vec<u64> {
        self.network.chains().iter().map(|chain| chain.chain().head().number()).collect()
    }

    /// A call from anybody, which must succeed.
    pub(crate) fn call<C: SolCall>(&self, index: u32, from: Address, to: Address, call: &C) {
        let transaction = Transact::call(from, to, call.abi_encode());
        let receipt = self.chain(index).transact(transaction).unwrap();
        assert!(receipt.success, "{} reverted", C::SIGNATURE);
    }

    /// What another process needs to deploy here: see [`described`].
    pub(crate) fn describe(&self) -> String {
        let mut words = vec![self.folder.path().display().to_string()];
        words.extend(self.network.chains().iter().map(ChainHandle::http_url));
        words.join(" ")
    }

    pub(crate) fn url(&self, index: u32) -> String {
        self.network.chain(u64::from(FIRST + index)).unwrap().http_url()
    }

    /// A development deployment on the first `count` chains.
    pub(crate) fn config(&self, count: u32) -> Config {
        let urls: Vec<String> = (0..count).map(|index| self.url(index)).collect();
        config(self.folder.path(), &urls)
    }
}

/// The configuration of a world in another process.
pub(crate) fn described(description: &str) -> Config {
    let mut words = description.split(' ').map(str::to_owned);
    let folder = words.next().unwrap();
    config(Path::new(&folder), &words.collect::<Vec<_>>())
}

fn config(folder: &Path, urls: &[String]) -> Config {
    let count = u32::try_from(urls.len()).unwrap();
    let names: Vec<String> = (0..count).map(name).collect();
    let chain = |index: u32| chain_config(index, &urls[usize::try_from(index).unwrap()], &names);
    Config {
        chains: (0..count).map(|index| (name(index), chain(index))).collect(),
        manifest: folder.join("manifest.json"),
        deployer: KeySource::Mnemonic { index: 0, phrase: MNEMONIC.to_owned() },
        owner: None,
        guardian: None,
        dev: true,
        salt: "test".to_owned(),
        test_token: true,
        multicall: true,
        hyperlane_dir: None,
    }
}

fn chain_config(index: u32, url: &str, names: &[String]) -> ChainConfig {
    let id = FIRST + index;
    let gas: BTreeMap<String, RemoteGas> = names
        .iter()
        .filter(|remote| **remote != name(index))
        .map(|remote| (remote.clone(), RemoteGas::default()))
        .collect();
    let gateways = ["http://one.example/read", "http://two.example/read"];
    ChainConfig {
        chain_id: ChainId(id.into()),
        domain: Domain(id),
        rpc: vec![url.parse().unwrap()],
        ws: Vec::new(),
        stack: "nitro".to_owned(),
        data_availability: "none".to_owned(),
        finality: FinalityRule::Instant,
        native_erc20: Address::ZERO,
        router_initial_nonce: 0,
        read_urls: gateways.map(str::to_owned).to_vec(),
        validators: [
            (TierName::Instant, set(&DEV_ADDRESSES[1..4])),
            (TierName::Finalized, set(&DEV_ADDRESSES[4..7])),
        ]
        .into(),
        gas,
        hyperlane: None,
    }
}

fn set(validators: &[Address]) -> ValidatorSet {
    ValidatorSet { validators: validators.to_vec(), threshold: 2 }
}

/// The name of a chain.
pub(crate) fn name(index: u32) -> String {
    ["alpha", "beta", "gamma", "delta"][usize::try_from(index).unwrap()].to_owned()
}
