//! Our programs are there, activated, and constructed as they should be.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use chain::manifest::TierName;
use protocol::{
    abi::{
        arbos::{ARB_WASM, ArbWasm},
        constructor::{
            Constructor, InboxArguments, IntentSourceArguments, IsmArguments, LocalProverArguments,
            MetaProverArguments, ReadIsmArguments, RouterArguments, TestTokenArguments,
        },
        deployer, inbox, ism, prover, read_ism, router,
    },
    create2::CREATE2_FACTORY,
    finality::{Tier, TierMask},
};

use super::{Site, step};
use crate::{
    creation::program_init_code,
    fact::{Fact, Phase, Probe, Remedy, Value},
    layout::{instances, remotes},
};

/// The tiers that a MetaProver is deployed for.
const PROVER_TIERS: [(&str, Tier); 2] =
    [("meta-prover/instant", Tier::Instant), ("meta-prover/finalized", Tier::Finalized)];

pub(super) fn deployed(site: &Site<'_>) -> Vec<Fact> {
    let deployer = &site.layout.deployer;
    let mut facts = vec![
        Fact {
            what: "deployer is there".to_owned(),
            phase: Phase::Deploy,
            step: step::FOUNDATIONS,
            probe: Probe::Code {
                at: deployer.address,
                hash: Some(site.codes.code_hash("deployer")),
            },
            remedy: Some(Remedy {
                to: CREATE2_FACTORY,
                data: deployer.calldata.clone(),
                value: Value::None,
            }),
        },
        activated(site, "deployer", "deployer", deployer.address).at_step(step::PROXIES),
    ];
    for (name, instance) in instances(site.config) {
        facts.push(program(site, name, instance));
        facts.push(activated(site, name, instance, site.layout.program(instance)));
    }
    facts.extend(constructed(site));
    facts
}

fn program(site: &Site<'_>, name: &str, instance: &str) -> Fact {
    let code = site.codes.program(name);
    let deploy = deployer::deployCall {
        bytecode: program_init_code(&code).into(),
        initData: constructor(site, instance),
        initValue: U256::ZERO,
        salt: site.config.salt_of(instance),
    };
    Fact {
        what: format!("{instance} is there"),
        phase: Phase::Deploy,
        step: if name == "meta-prover" { step::PROVERS } else { step::PROGRAMS },
        probe: Probe::Code {
            at: site.layout.program(instance),
            hash: Some(site.codes.code_hash(name)),
        },
        remedy: Some(Remedy {
            to: site.layout.deployer.address,
            data: deploy.abi_encode().into(),
            value: Value::Activation { code },
        }),
    }
}

fn activated(site: &Site<'_>, name: &str, instance: &str, program: Address) -> Fact {
    Fact {
        what: format!("{instance} is activated"),
        phase: Phase::Deploy,
        step: step::CONSEQUENCES,
        probe: Probe::Activated { program },
        remedy: Some(Remedy {
            to: ARB_WASM,
            data: ArbWasm::activateProgramCall { program }.abi_encode().into(),
            value: Value::Activation { code: site.codes.program(name) },
        }),
    }
}

/// Selector and arguments of an instance's constructor; empty for a program without one.
fn constructor(site: &Site<'_>, instance: &str) -> Bytes {
    let layout = site.layout;
    let router = layout.program("router");
    let local_domain = site.chain.domain.0;
    // The deployer wires everything and hands it over at the end.
    let owner = site.deployer;
    let prover = |finality: Tier| MetaProverArguments {
        router,
        portal: layout.program("inbox"),
        // It knows itself without being told, and its twins have its own address.
        provers: Vec::new(),
        minGasLimit: U256::ZERO,
        // Every domain is its chain's id.
        domains: Vec::new(),
        finality: finality.byte(),
    };
    match instance {
        "router" => RouterArguments {
            mailbox: layout.core.mailbox,
            owner,
            guardian: site.guardian(),
            initialNonce: site.chain.router_initial_nonce,
        }
        .calldata(),
        "ism" => IsmArguments {
            router,
            localDomain: local_domain,
            owner,
            guardian: site.guardian(),
            previous: Address::ZERO,
        }
        .calldata(),
        "read-ism" => ReadIsmArguments { router, localDomain: local_domain, owner }.calldata(),
        "inbox" => InboxArguments.calldata(),
        "intent-source" => {
            IntentSourceArguments { nativeErc20: site.chain.native_erc20 }.calldata()
        }
        "meta-prover/instant" => prover(Tier::Instant).calldata(),
        "meta-prover/finalized" => prover(Tier::Finalized).calldata(),
        "local-prover" => LocalProverArguments {
            inbox: layout.program("inbox"),
            intentSource: layout.program("intent-source"),
        }
        .calldata(),
        // The decimals of most stablecoins.
        "test-token" => TestTokenArguments { decimals: 6 }.calldata(),
        _ => Vec::new(),
    }
    .into()
}

/// What the constructors were told, read back: an address alone proves nothing about it.
fn constructed(site: &Site<'_>) -> Vec<Fact> {
    let layout = site.layout;
    let at = |instance: &str| layout.program(instance);
    let domain = site.chain.domain.0.abi_encode();
    let is_router = at("router").abi_encode();
    let mut facts = vec![
        read(
            "router uses the mailbox",
            at("router"),
            &router::mailboxCall {},
            layout.core.mailbox.abi_encode(),
        ),
        read("router knows its domain", at("router"), &router::localDomainCall {}, domain.clone()),
        read("ism serves the router", at("ism"), &ism::routerCall {}, is_router.clone()),
        read("ism knows its domain", at("ism"), &ism::localDomainCall {}, domain.clone()),
        read(
            "read-ism serves the router",
            at("read-ism"),
            &read_ism::routerCall {},
            is_router.clone(),
        ),
        read("read-ism knows its domain", at("read-ism"), &read_ism::localDomainCall {}, domain),
        read(
            "inbox has its executor",
            at("inbox"),
            &inbox::executorCall {},
            layout.executor().abi_encode(),
        ),
    ];
    for (instance, tier) in PROVER_TIERS {
        let prover = at(instance);
        let portal = at("inbox").abi_encode();
        let views = [
            read("uses the router", prover, &prover::ROUTERCall {}, is_router.clone()),
            read("serves the inbox", prover, &prover::PORTALCall {}, portal),
            read(
                "has its tier",
                prover,
                &prover::FINALITYCall {},
                U256::from(tier.byte()).abi_encode(),
            ),
            read(
                "trusts only its twins",
                prover,
                &prover::isWhitelistedCall { addr: prover.into_word() },
                true.abi_encode(),
            ),
            read(
                "trusts nobody else",
                prover,
                &prover::getWhitelistCall {},
                Vec::<B256>::new().abi_encode(),
            ),
        ];
        facts.extend(views.map(|fact| Fact { what: format!("{instance} {}", fact.what), ..fact }));
        for (remote, chain) in remotes(site.config, site.chain.domain) {
            let map = prover::chainIdByDomainCall { domain: chain.domain.0.into() };
            let what = format!("{instance} maps {remote} to its own id");
            facts.push(read(&what, prover, &map, 0_u64.abi_encode()));
        }
    }
    facts.push(policy(site));
    facts
}

/// A finalized prover accepts nothing that a weaker tier vouched for.
fn policy(site: &Site<'_>) -> Fact {
    let application = site.layout.program("meta-prover/finalized");
    let accepted: TierMask = Tier::from(TierName::Finalized).mask();
    read(
        "router delivers only finalized messages to meta-prover/finalized",
        site.layout.program("router"),
        &router::finalityPolicyCall { application },
        U256::from(accepted.bits()).abi_encode(),
    )
}

fn read<C: SolCall>(what: &str, to: Address, call: &C, answer: Vec<u8>) -> Fact {
    Fact::view(Phase::Deploy, what, to, call, answer, None).at_step(step::CONSEQUENCES)
}
