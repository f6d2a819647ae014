use std::{collections::BTreeMap, path::PathBuf};

use alloy::primitives::Address;
use chain::{
    FinalityRule, KeySource, Manifest,
    finality::Tag,
    manifest::{TierName, ValidatorSet},
};
use deploy::{ChainConfig, Config, RemoteGas};
use devnet::genesis::DEV_ADDRESSES;
use protocol::ids::{ChainId, Domain};
use url::Url;

use super::layout::{Layout, MNEMONIC, VALIDATORS};

/// Validators that must agree.
const THRESHOLD: u8 = 2;
/// First account of the mnemonic that signs the instant tier.
const FIRST_INSTANT: usize = 1;
/// First account of the mnemonic that signs the finalized tier.
const FIRST_FINALIZED: usize = FIRST_INSTANT + VALIDATORS as usize;

/// Deploys everything that is not there yet on the chains of the local system.
pub(crate) async fn deploy(layout: &Layout) -> eyre::Result<Manifest> {
    let mut chains = BTreeMap::new();
    for (id, address) in layout.rpcs() {
        chains.insert(id, format!("http://{address}").parse()?);
    }
    let manifest = deploy::apply(deployment(&chains, layout.manifest())).await?;
    manifest.save(layout.manifest())?;
    Ok(manifest)
}

/// The deployment of a local system on these chains: every contract, both tiers, the test token,
/// all keys from the development mnemonic.
pub fn deployment(rpcs: &BTreeMap<u64, Url>, manifest: PathBuf) -> Config {
    let names: Vec<_> = rpcs.keys().map(|id| name(*id)).collect();
    let chains = rpcs.iter().map(|(id, rpc)| {
        let own = name(*id);
        let remotes = names.iter().filter(|remote| **remote != own);
        let gas = remotes.map(|remote| (remote.clone(), RemoteGas::default())).collect();
        let chain = ChainConfig {
            chain_id: ChainId(*id),
            domain: Domain(u32::try_from(*id).unwrap_or(u32::MAX)),
            rpc: vec![rpc.clone()],
            ws: Vec::new(),
            stack: "nitro".to_owned(),
            data_availability: "none".to_owned(),
            finality: FinalityRule::Tag(Tag::Finalized),
            native_erc20: Address::ZERO,
            router_initial_nonce: 0,
            read_urls: Vec::new(),
            validators: BTreeMap::from([
                (TierName::Instant, validators(FIRST_INSTANT)),
                (TierName::Finalized, validators(FIRST_FINALIZED)),
            ]),
            gas,
            hyperlane: None,
        };
        (own, chain)
    });
    Config {
        chains: chains.collect(),
        manifest,
        deployer: KeySource::Mnemonic { index: 0, phrase: MNEMONIC.to_owned() },
        owner: None,
        guardian: None,
        dev: true,
        salt: "local".to_owned(),
        test_token: true,
        multicall: true,
        hyperlane_dir: None,
    }
}

fn name(chain_id: u64) -> String {
    format!("dev-{chain_id}")
}

fn validators(first: usize) -> ValidatorSet {
    let accounts = DEV_ADDRESSES.iter().skip(first).take(VALIDATORS.into());
    ValidatorSet { validators: accounts.copied().collect(), threshold: THRESHOLD }
}
