//! What is written down about a deployment.

use std::collections::BTreeMap;

use chain::manifest::{self, ChainManifest, Contracts, Manifest, ProgramRecord};

use crate::{
    apply::{Deployment, Error, Target, latest_block},
    facts::Site,
    layout::{instances, remotes},
};

/// The manifest of a deployment. Start blocks are kept from an earlier one.
pub(crate) async fn manifest(deployment: &Deployment) -> Result<Manifest, Error> {
    let earlier = Manifest::load(&deployment.config.manifest).ok();
    let mut chains = BTreeMap::new();
    for (name, target, site) in deployment.sites() {
        let known = earlier.as_ref().and_then(|earlier| earlier.chains.get(name));
        let start_block =
            match known.filter(|known| known.contracts.router == site.layout.program("router")) {
                Some(known) => known.start_block,
                None => creation_block(name, target).await?,
            };
        chains.insert(name.to_owned(), chain(&site, start_block));
    }
    let fresh = deployment.chains.values().any(|target| target.layout.core.fresh.is_some());
    let version = deployment.codes.hyperlane.version();
    Ok(Manifest {
        format: manifest::FORMAT,
        metalayer: env!("CARGO_PKG_VERSION").to_owned(),
        hyperlane: fresh.then(|| version.to_owned()),
        chains,
    })
}

/// The block in which the mailbox appeared: by halving, since a node keeps old state only sometimes; where it does not, the
/// oldest block it can answer for.
async fn creation_block(name: &str, target: &Target) -> Result<u64, Error> {
    let at = target.layout.core.mailbox;
    let (mut before, mut there) = (0, latest_block(name, &target.client).await?);
    while before < there {
        let middle = before + (there - before) / 2;
        match target.client.code(at, middle).await {
            Ok(code) if !code.is_empty() => there = middle,
            Ok(_) | Err(_) => before = middle + 1,
        }
    }
    Ok(there)
}

fn chain(site: &Site<'_>, start_block: u64) -> ChainManifest {
    let mut programs: BTreeMap<String, ProgramRecord> = BTreeMap::new();
    let deployer = ("deployer", site.layout.deployer.address);
    let others =
        instances(site.config).map(|(name, instance)| (name, site.layout.program(instance)));
    for (name, address) in std::iter::once(deployer).chain(others) {
        let record = programs.entry(name.to_owned()).or_insert_with(|| ProgramRecord {
            addresses: Vec::new(),
            code_hash: site.codes.code_hash(name),
        });
        record.addresses.push(address);
    }
    let chain = site.chain;
    ChainManifest {
        chain_id: chain.chain_id,
        domain: chain.domain,
        rpc: chain.rpc.clone(),
        ws: chain.ws.clone(),
        stack: chain.stack.clone(),
        data_availability: chain.data_availability.clone(),
        finality: chain.finality,
        start_block,
        contracts: contracts(site),
        programs,
        validators: chain.validators.clone(),
        modules: remotes(site.config, chain.domain)
            .map(|(_, remote)| (remote.domain, site.layout.modules(remote)))
            .collect(),
    }
}

fn contracts(site: &Site<'_>) -> Contracts {
    let layout = site.layout;
    let at = |instance: &str| layout.program(instance);
    Contracts {
        mailbox: layout.core.mailbox,
        proxy_admin: layout.core.fresh.as_ref().map(|fresh| fresh.proxy_admin),
        merkle_tree_hook: layout.core.merkle_tree_hook,
        igp: layout.core.igp,
        gas_oracle: layout.core.gas_oracle,
        validator_announce: layout.core.validator_announce,
        message_id_multisig_factory: layout.core.message_id_multisig_factory,
        aggregation_factory: layout.core.aggregation_factory,
        deployer: layout.deployer.address,
        router: at("router"),
        ism: at("ism"),
        read_ism: at("read-ism"),
        intent_source: at("intent-source"),
        inbox: at("inbox"),
        executor: layout.executor(),
        vault: layout.vault(),
        meta_prover_instant: at("meta-prover/instant"),
        meta_prover_finalized: at("meta-prover/finalized"),
        local_prover: at("local-prover"),
        multicall: site.config.multicall.then(|| at("multicall")),
        test_token: site.config.test_token.then(|| at("test-token")),
        owner: site.owner(),
        guardian: site.guardian(),
    }
}
