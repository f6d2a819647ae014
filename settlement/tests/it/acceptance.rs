//! Metadata built here is accepted by Hyperlane's own modules.

use alloy::sol_types::SolValue as _;
use deploy::hyperlane::Contract;
use protocol::abi::hyperlane::Mailbox;

use crate::world::{Core, TestRecipient, World, address_of, eventually, send};

fn choose(core: &Core, module: alloy::primitives::Address) {
    let call = TestRecipient::setInterchainSecurityModuleCall { ism: module };
    send(&core.chain, core.recipient, &call);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_module_accepts_what_is_built_for_it() {
    let world = World::new().await;
    let _validators = world.validators().await;
    let _relayer = world.relayer().await;
    let (origin, destination) = (world.origin(), world.destination());
    let instant = [address_of(1), address_of(2), address_of(3)];
    let last = [address_of(4), address_of(5), address_of(6)];
    let by_id = destination.message_id_factory;
    let by_root = destination.merkle_root_factory;
    let two_of_three = destination.set(by_id, &instant, 2);
    let rooted = destination.set(by_root, &last, 2);
    let both = destination.set(destination.aggregation_factory, &[two_of_three, rooted], 2);
    let either = destination.set(destination.aggregation_factory, &[two_of_three, rooted], 1);
    let routed = destination.routing(origin.domain, two_of_three);
    let pausable = destination.make(Contract::PausableIsm, crate::world::OWNER.abi_encode());
    // What Hyperlane itself uses: either kind of multisig for the origin, and a kill switch.
    let mainnet = destination.set(
        destination.aggregation_factory,
        &[destination.routing(origin.domain, either), pausable],
        2,
    );
    let modules = [
        ("message id 1/1", destination.set(by_id, &instant[1..2], 1)),
        ("message id 2/3", two_of_three),
        ("message id 3/3", destination.set(by_id, &instant, 3)),
        ("message id 2/3 at the final tier", destination.set(by_id, &last, 2)),
        ("merkle root 2/3", rooted),
        ("merkle root 3/3", destination.set(by_root, &instant, 3)),
        ("aggregation 2/2", both),
        ("aggregation 1/2", either),
        (
            "aggregation of an aggregation",
            destination.set(destination.aggregation_factory, &[both, two_of_three], 2),
        ),
        ("routing to message id", routed),
        ("routing to routing to merkle root", {
            destination.routing(origin.domain, destination.routing(origin.domain, rooted))
        }),
        ("aggregation of routing to an aggregation and a kill switch", mainnet),
        ("null", destination.make(Contract::NoopIsm, Vec::new())),
    ];
    for (name, module) in modules {
        choose(destination, module);
        let call = Mailbox::recipientIsmCall { recipient: destination.recipient };
        assert_eq!(crate::world::view(&destination.chain, destination.mailbox, &call), module);
        let id = origin.dispatch(destination, name.as_bytes());
        eventually(name, async || destination.is_delivered(id)).await;
    }
}
