//! Hyperlane's core is there.

use alloy::{
    hex,
    primitives::U256,
    sol_types::{SolCall, SolValue},
};
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, Mailbox, ProxyAdmin, ValidatorAnnounce},
    create2::CREATE2_FACTORY,
};

use super::{Site, step};
use crate::{
    fact::{Fact, Phase, Probe, Remedy, Value},
    layout::remotes,
};

pub(super) fn deployed(site: &Site<'_>) -> Vec<Fact> {
    let mut facts = vec![Fact {
        what: "CREATE2 factory is there".to_owned(),
        phase: Phase::Deploy,
        step: step::FOUNDATIONS,
        probe: Probe::Code { at: CREATE2_FACTORY, hash: None },
        // Its address comes from a transaction without chain id that anyone can send, but nobody with our keys.
        remedy: None,
    }];
    let core = &site.layout.core;
    let Some(fresh) = &core.fresh else {
        facts.extend(existing(site));
        return facts;
    };
    for (name, creation) in &fresh.creations {
        facts.push(Fact {
            what: format!("{name} is there"),
            phase: Phase::Deploy,
            step: step_of(name),
            // The address commits to the creation code and its arguments.
            probe: Probe::Code { at: creation.address, hash: None },
            remedy: Some(Remedy {
                to: CREATE2_FACTORY,
                data: creation.calldata.clone(),
                value: Value::None,
            }),
        });
    }
    let code_of = |name: &str| {
        fresh.creations.iter().find(|(known, _)| *known == name).map(|(_, code)| code.address)
    };
    for (name, proxy, code) in [
        ("mailbox", core.mailbox, code_of("mailbox implementation")),
        ("gas paymaster", core.igp, code_of("gas paymaster implementation")),
    ] {
        // A proxy's address says nothing of what it was upgraded to since.
        facts.push(Fact {
            what: format!("{name} runs the published code"),
            phase: Phase::Deploy,
            step: step::CONSEQUENCES,
            probe: Probe::Slot {
                of: proxy,
                slot: IMPLEMENTATION_SLOT,
                word: code.unwrap_or_default().into_word(),
            },
            remedy: None,
        });
        let administered = Fact::view(
            Phase::Deploy,
            format!("{name} is administered by our proxy admin"),
            fresh.proxy_admin,
            &ProxyAdmin::getProxyAdminCall { proxy },
            fresh.proxy_admin.abi_encode(),
            None,
        );
        facts.push(administered.at_step(step::CONSEQUENCES));
    }
    facts
}

/// An existing core must be what the configuration takes it for: nothing is sent before it is.
fn existing(site: &Site<'_>) -> Vec<Fact> {
    let core = &site.layout.core;
    let there = [
        ("mailbox", core.mailbox),
        ("merkle tree hook", core.merkle_tree_hook),
        ("gas paymaster", core.igp),
        ("gas oracle", core.gas_oracle),
        ("validator announce", core.validator_announce),
        ("multisig module factory", core.message_id_multisig_factory),
        ("aggregation module factory", core.aggregation_factory),
    ];
    let mut facts: Vec<Fact> = there
        .map(|(name, at)| Fact {
            what: format!("{name} is there"),
            phase: Phase::Deploy,
            step: step::FOUNDATIONS,
            probe: Probe::Code { at, hash: None },
            remedy: None,
        })
        .into();
    let mut answers = |what: String, at, call: Vec<u8>, answer: Vec<u8>| {
        let probe = Probe::Answers { to: at, call: call.into(), answer: answer.into() };
        let (phase, step) = (Phase::Deploy, step::FOUNDATIONS);
        facts.push(Fact { what, phase, step, probe, remedy: None });
    };
    answers(
        "mailbox is of this domain".to_owned(),
        core.mailbox,
        Mailbox::localDomainCall {}.abi_encode(),
        site.chain.domain.0.abi_encode(),
    );
    for (name, at) in [
        ("merkle tree hook", core.merkle_tree_hook),
        ("validator announce", core.validator_announce),
    ] {
        answers(
            format!("{name} serves the mailbox"),
            at,
            // Every client of a mailbox has this view.
            ValidatorAnnounce::mailboxCall {}.abi_encode(),
            core.mailbox.abi_encode(),
        );
    }
    for (name, remote) in remotes(site.config, site.chain.domain) {
        let quote = InterchainGasPaymaster::quoteGasPaymentCall {
            _destinationDomain: remote.domain.0,
            _gasLimit: U256::from(100_000),
        };
        facts.push(Fact {
            what: format!("gas paymaster sells gas on {name}"),
            phase: Phase::Deploy,
            step: step::FOUNDATIONS,
            probe: Probe::AnswersNot {
                to: core.igp,
                call: quote.abi_encode().into(),
                answer: U256::ZERO.abi_encode().into(),
            },
            remedy: None,
        });
    }
    facts
}

/// When a contract of the core can be made.
fn step_of(name: &str) -> u8 {
    match name {
        "mailbox" | "gas paymaster" => step::PROXIES,
        "merkle tree hook" | "validator announce" => step::PROGRAMS,
        _ => step::FOUNDATIONS,
    }
}

/// EIP-1967: keccak256("eip1967.proxy.implementation") - 1.
const IMPLEMENTATION_SLOT: U256 =
    U256::from_be_bytes(hex!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"));
