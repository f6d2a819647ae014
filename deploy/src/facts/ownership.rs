//! Everything belongs to its owner in the end.

use alloy::{
    primitives::Address,
    sol_types::{SolCall, SolValue},
};
use protocol::abi::{
    hyperlane::{InterchainGasPaymaster, Mailbox, ProxyAdmin, StorageGasOracle},
    ism, read_ism, router,
};

use super::Site;
use crate::fact::{Fact, Phase, Probe, Remedy, Value};

pub(super) fn handed_over(site: &Site<'_>) -> Vec<Fact> {
    let layout = site.layout;
    let owner = site.owner();
    let mut facts = Vec::new();
    if let Some(fresh) = &layout.core.fresh {
        let core = &layout.core;
        let transfer = Mailbox::transferOwnershipCall { newOwner: owner }.abi_encode();
        let mut owned = |name: &str, contract: Address, getter: Vec<u8>| {
            facts.push(Fact {
                what: format!("{name} belongs to the owner"),
                phase: Phase::HandOver,
                step: 0,
                probe: Probe::Answers {
                    to: contract,
                    call: getter.into(),
                    answer: owner.abi_encode().into(),
                },
                remedy: Some(Remedy {
                    to: contract,
                    data: transfer.clone().into(),
                    value: Value::None,
                }),
            });
        };
        owned("mailbox", core.mailbox, Mailbox::ownerCall {}.abi_encode());
        owned("gas paymaster", core.igp, InterchainGasPaymaster::ownerCall {}.abi_encode());
        owned("gas oracle", core.gas_oracle, StorageGasOracle::ownerCall {}.abi_encode());
        owned("proxy admin", fresh.proxy_admin, ProxyAdmin::ownerCall {}.abi_encode());
    }
    facts.extend(two_step(site, "router", &router::ownerCall {}, &router::pendingOwnerCall {}));
    facts.extend(two_step(site, "ism", &ism::ownerCall {}, &ism::pendingOwnerCall {}));
    facts.extend(two_step(
        site,
        "read-ism",
        &read_ism::ownerCall {},
        &read_ism::pendingOwnerCall {},
    ));
    for (name, guardian) in [
        ("router", router::guardianCall {}.abi_encode()),
        ("ism", ism::guardianCall {}.abi_encode()),
    ] {
        facts.push(Fact {
            what: format!("{name} has its guardian"),
            phase: Phase::HandOver,
            step: 0,
            probe: Probe::Answers {
                to: layout.program(name),
                call: guardian.into(),
                answer: site.guardian().abi_encode().into(),
            },
            remedy: None,
        });
    }
    facts
}

/// Our contracts are offered to their owner, who accepts them with a transaction of its own.
fn two_step<O: SolCall, P: SolCall>(
    site: &Site<'_>,
    instance: &str,
    owner_of: &O,
    pending: &P,
) -> Vec<Fact> {
    let contract = site.layout.program(instance);
    let owner = site.owner();
    if owner == site.deployer {
        let what = format!("{instance} belongs to the owner");
        return vec![Fact::view(
            Phase::HandOver,
            what,
            contract,
            owner_of,
            owner.abi_encode(),
            None,
        )];
    }
    vec![Fact {
        what: format!("{instance} is offered to the owner, or belongs to it"),
        phase: Phase::HandOver,
        step: 0,
        probe: Probe::Either(
            Box::new(Probe::Answers {
                to: contract,
                call: owner_of.abi_encode().into(),
                answer: owner.abi_encode().into(),
            }),
            Box::new(Probe::Answers {
                to: contract,
                call: pending.abi_encode().into(),
                answer: owner.abi_encode().into(),
            }),
        ),
        remedy: Some(Remedy {
            to: contract,
            data: router::transferOwnershipCall { newOwner: owner }.abi_encode().into(),
            value: Value::None,
        }),
    }]
}
