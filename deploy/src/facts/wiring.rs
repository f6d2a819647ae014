//! The contracts of one chain know one another.

use alloy::sol_types::{SolCall, SolValue};
use protocol::abi::{hyperlane::Mailbox, read_ism, router};

use super::Site;
use crate::fact::{Fact, Phase};

pub(super) fn wired(site: &Site<'_>) -> Vec<Fact> {
    let layout = site.layout;
    let core = &layout.core;
    let (router, ism, read_ism) =
        (layout.program("router"), layout.program("ism"), layout.program("read-ism"));
    let mut facts = Vec::new();
    // An existing core belongs to somebody: its hooks and its default module are theirs to choose.
    if core.fresh.is_some() {
        facts.extend([
            set(
                "mailbox inserts every message into the tree",
                core.mailbox,
                &Mailbox::requiredHookCall {},
                core.merkle_tree_hook,
                Mailbox::setRequiredHookCall { _hook: core.merkle_tree_hook }.abi_encode(),
            ),
            set(
                "mailbox sells gas by default",
                core.mailbox,
                &Mailbox::defaultHookCall {},
                core.igp,
                Mailbox::setDefaultHookCall { _hook: core.igp }.abi_encode(),
            ),
            set(
                "mailbox asks our module by default",
                core.mailbox,
                &Mailbox::defaultIsmCall {},
                ism,
                Mailbox::setDefaultIsmCall { _module: ism }.abi_encode(),
            ),
        ]);
    }
    facts.extend([
        set(
            "router is checked by our module",
            router,
            &router::interchainSecurityModuleCall {},
            ism,
            router::setInterchainSecurityModuleCall { module: ism }.abi_encode(),
        ),
        set(
            "router takes read results from read-ism",
            router,
            &router::readIsmCall {},
            read_ism,
            router::setReadIsmCall { module: read_ism }.abi_encode(),
        ),
        set(
            "router buys gas from the paymaster",
            router,
            &router::igpCall {},
            core.igp,
            router::setIgpCall { paymaster: core.igp }.abi_encode(),
        ),
    ]);
    if !site.chain.read_urls.is_empty() {
        let urls = site.chain.read_urls.clone();
        facts.push(Fact::view(
            Phase::Wire,
            "read-ism names its gateways",
            read_ism,
            &read_ism::urlsCall {},
            urls.abi_encode(),
            Some(read_ism::setUrlsCall { newUrls: urls }.abi_encode()),
        ));
    }
    facts
}

fn set<C: SolCall>(
    what: &str,
    contract: alloy::primitives::Address,
    getter: &C,
    wanted: alloy::primitives::Address,
    setter: Vec<u8>,
) -> Fact {
    Fact::view(Phase::Wire, what, contract, getter, wanted.abi_encode(), Some(setter))
}
