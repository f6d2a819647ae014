use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

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

use super::{
    keys::{Holder, Keyring},
    layout::{Layout, MNEMONIC, Role, VALIDATORS},
    network::External,
};

/// Validators that must agree.
const THRESHOLD: u8 = 2;
/// First account of the mnemonic that signs the instant tier.
const FIRST_INSTANT: usize = 1;
/// First account of the mnemonic that signs the finalized tier.
const FIRST_FINALIZED: usize = FIRST_INSTANT + VALIDATORS as usize;

/// Deploys everything that is not there yet on the chains of the system.
pub(crate) async fn deploy(layout: &Layout) -> eyre::Result<Manifest> {
    let config = match layout.external() {
        Some(external) => external_deployment(external, &layout.keys, layout.manifest())?,
        None => deployment(&layout.rpcs()?, layout.manifest()),
    };
    let config = with_gateway(config, layout.place(Role::Relayer).listen);
    let manifest = deploy::apply(config).await?;
    manifest.save(layout.manifest())?;
    Ok(manifest)
}

/// Names the gateway of the relayer at this address to every chain that names none: messages with reads
/// find their attestations there. The contract wants two gateways; on one machine they are one under two
/// names.
#[must_use]
pub fn with_gateway(mut config: Config, relayer: SocketAddr) -> Config {
    for chain in config.chains.values_mut().filter(|chain| chain.read_urls.is_empty()) {
        let hosts = [relayer.ip().to_string(), "localhost".to_owned()];
        chain.read_urls =
            hosts.map(|host| format!("http://{host}:{}/gateway", relayer.port())).into();
    }
    config
}

/// The deployment on chains that somebody else runs: what their file leaves out is as in a local
/// system, with the validators of `keys`.
///
/// # Errors
/// A key cannot be read.
pub fn external_deployment(
    external: &External,
    keys: &Keyring,
    manifest: PathBuf,
) -> eyre::Result<Config> {
    let set = |holder: fn(u16) -> Holder| -> eyre::Result<ValidatorSet> {
        let validators = (0..VALIDATORS).map(|index| keys.address(holder(index)));
        Ok(ValidatorSet { validators: validators.collect::<Result<_, _>>()?, threshold: THRESHOLD })
    };
    let sets = BTreeMap::from([
        (TierName::Instant, set(Holder::Instant)?),
        (TierName::Finalized, set(Holder::Finalized)?),
    ]);
    let mut chains = external.chains.clone();
    let names: Vec<_> = chains.keys().cloned().collect();
    for (own, chain) in &mut chains {
        chain.validators.clone_from(&sets);
        for remote in names.iter().filter(|remote| *remote != own) {
            chain.gas.entry(remote.clone()).or_default();
        }
    }
    Ok(Config {
        chains,
        manifest,
        deployer: external.funded.clone(),
        owner: None,
        guardian: None,
        dev: true,
        salt: external.salt.clone(),
        test_token: external.test_token,
        multicall: true,
        hyperlane_dir: None,
    })
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
            ws: websocket(rpc).into_iter().collect(),
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

/// The same port over WebSocket: development chains serve both.
fn websocket(rpc: &Url) -> Option<Url> {
    let mut url = rpc.clone();
    url.set_scheme("ws").is_ok().then_some(url)
}
