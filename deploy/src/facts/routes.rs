//! Messages of the other chains get in, and messages to the other chains get out.

use alloy::{
    primitives::{Address, U256},
    sol_types::{SolCall, SolValue},
};
use protocol::{
    abi::{
        hyperlane::{
            DomainGasConfig, GasParam, InterchainGasPaymaster, RemoteGasDataConfig,
            StaticThresholdAddressSetFactory, StorageGasOracle,
        },
        ism, read_ism, router,
    },
    finality::{Tier, TierMask},
};

use super::Site;
use crate::{
    config::{ChainConfig, RemoteGas},
    fact::{Fact, Phase, Probe, Remedy, Value},
    layout::remotes,
};

/// Steps of [`Phase::Receive`]: the sets, then what names them, a tier after another (the module compares the keys of a new
/// tier with those it has, and needs more gas for it). The router may be told at the same time: nothing passes without a
/// module.
const SETS: u8 = 0;
const FIRST_TIER: u8 = 1;
/// Step of [`Phase::Send`] that lets messages out.
const OPENING: u8 = 1;

/// For every other chain: its sets, its modules, the signers of its reads, its router.
pub(super) fn receiving(site: &Site<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (name, remote) in remotes(site.config, site.chain.domain) {
        facts.extend(modules(site, name, remote));
        facts.push(Fact {
            what: format!("router accepts messages of {name}'s router"),
            phase: Phase::Receive,
            step: FIRST_TIER,
            probe: Probe::Lists {
                to: site.layout.program("router"),
                call: router::acceptedRoutersCall { domain: remote.domain.0 }.abi_encode().into(),
                word: site.layout.program("router").into_word(),
            },
            remedy: Some(Remedy {
                to: site.layout.program("router"),
                data: enroll(site, remote).into(),
                value: Value::None,
            }),
        });
    }
    facts
}

/// For every other chain: where its router is, which tiers it takes, what delivery costs.
pub(super) fn sending(site: &Site<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let our_router = site.layout.program("router");
    for (name, remote) in remotes(site.config, site.chain.domain) {
        let domain = remote.domain.0;
        facts.extend(prices(site, name, remote));
        facts.push(Fact::view(
            Phase::Send,
            format!("router sends to {name}'s router"),
            our_router,
            &router::routersCall { domain },
            our_router.into_word().abi_encode(),
            Some(enroll(site, remote)),
        ));
        facts.push(readable(site, name, domain));
        // The last: from here on messages leave.
        let tiers = tiers_of(site.chain).bits();
        let offered = Fact::view(
            Phase::Send,
            format!("router offers {name} the tiers that have validators"),
            our_router,
            &router::supportedTiersCall { domain },
            U256::from(tiers).abi_encode(),
            Some(router::setSupportedTiersCall { domain, tiers }.abi_encode()),
        );
        facts.push(offered.at_step(OPENING));
    }
    if !facts.is_empty() {
        facts.push(readable(site, "this chain itself", site.chain.domain.0));
    }
    facts
}

/// The tiers at which this chain's messages can be vouched for.
fn tiers_of(chain: &ChainConfig) -> TierMask {
    chain.validators.keys().fold(TierMask::NONE, |mask, tier| mask.union(Tier::from(*tier).mask()))
}

/// Routers have one address on every chain.
fn enroll(site: &Site<'_>, remote: &ChainConfig) -> Vec<u8> {
    let our_router = site.layout.program("router");
    router::enrollRemoteRouterCall { domain: remote.domain.0, remote: our_router.into_word() }
        .abi_encode()
}

fn readable(site: &Site<'_>, name: &str, domain: u32) -> Fact {
    Fact::view(
        Phase::Send,
        format!("router takes reads of {name}"),
        site.layout.program("router"),
        &router::readDomainsCall { domain },
        true.abi_encode(),
        Some(router::setReadDomainCall { domain, readable: true }.abi_encode()),
    )
}

fn modules(site: &Site<'_>, name: &str, remote: &ChainConfig) -> Vec<Fact> {
    let layout = site.layout;
    let (ism, read_ism) = (layout.program("ism"), layout.program("read-ism"));
    let origin = remote.domain.0;
    let mut facts = Vec::new();
    for (tier_name, modules) in layout.modules(remote) {
        let tier = Tier::from(tier_name).byte();
        let set = &remote.validators[&tier_name];
        facts.push(static_set(
            format!("{name}'s {tier_name:?} validators are a module"),
            layout.core.message_id_multisig_factory,
            set.validators.clone(),
            set.threshold,
            modules.module,
        ));
        facts.push(static_set(
            format!("{name}'s {tier_name:?} validators and read-ism are a module"),
            layout.core.aggregation_factory,
            vec![modules.module, read_ism],
            2,
            modules.read_module,
        ));
        let named = [
            Fact::view(
                Phase::Receive,
                format!("ism asks {name}'s {tier_name:?} validators"),
                ism,
                &ism::moduleCall { origin, tier },
                modules.module.abi_encode(),
                Some(ism::setModuleCall { origin, tier, newModule: modules.module }.abi_encode()),
            ),
            Fact::view(
                Phase::Receive,
                format!("ism asks {name}'s {tier_name:?} validators and read-ism for reads"),
                ism,
                &ism::readModuleCall { origin, tier },
                modules.read_module.abi_encode(),
                Some(
                    ism::setReadModuleCall { origin, tier, newModule: modules.read_module }
                        .abi_encode(),
                ),
            ),
            Fact::view(
                Phase::Receive,
                format!("read-ism counts {name}'s {tier_name:?} validators"),
                read_ism,
                &read_ism::signersCall { origin, tier },
                modules.module.abi_encode(),
                Some(
                    read_ism::setSignersCall { origin, tier, module: modules.module }.abi_encode(),
                ),
            ),
        ];
        facts.extend(named.map(|fact| fact.at_step(FIRST_TIER + tier)));
    }
    facts
}

fn static_set(
    what: String,
    factory: Address,
    values: Vec<Address>,
    threshold: u8,
    at: Address,
) -> Fact {
    let deploy =
        StaticThresholdAddressSetFactory::deployCall { _values: values, _threshold: threshold };
    Fact {
        what,
        phase: Phase::Receive,
        step: SETS,
        probe: Probe::Code { at, hash: None },
        remedy: Some(Remedy { to: factory, data: deploy.abi_encode().into(), value: Value::None }),
    }
}

fn prices(site: &Site<'_>, name: &str, remote: &ChainConfig) -> Vec<Fact> {
    // The check of the configuration asks for every entry; an existing core has its own prices.
    let Some(gas) = site.chain.gas.get(name).copied() else { return Vec::new() };
    if site.layout.core.fresh.is_none() {
        return Vec::new();
    }
    let core = &site.layout.core;
    let domain = remote.domain.0;
    let RemoteGas { price, exchange_rate, overhead } = gas;
    let data = RemoteGasDataConfig {
        remoteDomain: domain,
        tokenExchangeRate: exchange_rate,
        gasPrice: price,
    };
    let entry = GasParam {
        remoteDomain: domain,
        config: DomainGasConfig {
            gasOracle: core.gas_oracle,
            gasOverhead: alloy::primitives::Uint::from(overhead),
        },
    };
    vec![
        Fact::view(
            Phase::Send,
            format!("gas oracle knows the price on {name}"),
            core.gas_oracle,
            &StorageGasOracle::remoteGasDataCall { domain },
            (U256::from(exchange_rate), U256::from(price)).abi_encode(),
            Some(
                StorageGasOracle::setRemoteGasDataConfigsCall { _configs: vec![data] }.abi_encode(),
            ),
        ),
        Fact::view(
            Phase::Send,
            format!("gas paymaster sells gas on {name}"),
            core.igp,
            &InterchainGasPaymaster::destinationGasConfigsCall { domain },
            (core.gas_oracle, U256::from(overhead)).abi_encode(),
            Some(
                InterchainGasPaymaster::setDestinationGasConfigsCall { _configs: vec![entry] }
                    .abi_encode(),
            ),
        ),
    ]
}
