//! Hyperlane's core is there.

use alloy::{hex, primitives::U256, sol_types::SolValue};
use protocol::{abi::hyperlane::ProxyAdmin, create2::CREATE2_FACTORY};

use super::Site;
use crate::fact::{Fact, Phase, Probe, Remedy, Value};

pub(super) fn deployed(site: &Site<'_>) -> Vec<Fact> {
    let mut facts = vec![Fact {
        what: "CREATE2 factory is there".to_owned(),
        phase: Phase::Deploy,
        probe: Probe::Code { at: CREATE2_FACTORY, hash: None },
        // Its address comes from a transaction without chain id that anyone can send, but nobody with our keys.
        remedy: None,
    }];
    let core = &site.layout.core;
    let Some(fresh) = &core.fresh else {
        for (name, at) in [
            ("mailbox", core.mailbox),
            ("merkle tree hook", core.merkle_tree_hook),
            ("gas paymaster", core.igp),
            ("gas oracle", core.gas_oracle),
            ("validator announce", core.validator_announce),
            ("multisig module factory", core.message_id_multisig_factory),
            ("aggregation module factory", core.aggregation_factory),
        ] {
            facts.push(Fact {
                what: format!("{name} is there"),
                phase: Phase::Deploy,
                probe: Probe::Code { at, hash: None },
                remedy: None,
            });
        }
        return facts;
    };
    for (name, creation) in &fresh.creations {
        facts.push(Fact {
            what: format!("{name} is there"),
            phase: Phase::Deploy,
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
            probe: Probe::Slot {
                of: proxy,
                slot: IMPLEMENTATION_SLOT,
                word: code.unwrap_or_default().into_word(),
            },
            remedy: None,
        });
        facts.push(Fact::view(
            Phase::Deploy,
            format!("{name} is administered by our proxy admin"),
            fresh.proxy_admin,
            &ProxyAdmin::getProxyAdminCall { proxy },
            fresh.proxy_admin.abi_encode(),
            None,
        ));
    }
    facts
}

/// EIP-1967: keccak256("eip1967.proxy.implementation") - 1.
const IMPLEMENTATION_SLOT: U256 =
    U256::from_be_bytes(hex!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"));
