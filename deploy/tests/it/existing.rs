//! On a Hyperlane core that is already there.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use chain::manifest::Contracts;
use deploy::{Config, Deployment, Error, apply, config::ExistingCore};
use devnet::Transact;
use protocol::abi::{hyperlane::Mailbox, router};

use crate::world::{DEPLOYER, FIRST, World, name};

fn core(contracts: &Contracts) -> ExistingCore {
    ExistingCore {
        mailbox: contracts.mailbox,
        merkle_tree_hook: contracts.merkle_tree_hook,
        igp: contracts.igp,
        gas_oracle: contracts.gas_oracle,
        validator_announce: contracts.validator_announce,
        message_id_multisig_factory: contracts.message_id_multisig_factory,
        aggregation_factory: contracts.aggregation_factory,
    }
}

/// A deployment on the cores of another one, which somebody else made.
async fn second(world: &World) -> Config {
    let first = apply(world.config(2)).await.unwrap();
    let mut config = Config {
        salt: "second".to_owned(),
        manifest: world.folder.path().join("second.json"),
        ..world.config(2)
    };
    for (name, chain) in &mut config.chains {
        chain.hyperlane = Some(core(&first.chains[name].contracts));
    }
    config
}

#[tokio::test]
async fn its_contracts_are_used_and_only_ours_deployed() {
    let world = World::new(2).await;
    let config = second(&world).await;
    let before = world.chain(0).nonce(DEPLOYER);
    let plan = Deployment::open(config.clone()).unwrap().plan().await.unwrap();
    let planned = |what: &str| plan.chains[0].steps.iter().any(|step| step.what == what);
    assert!(planned("router is there") && !planned("mailbox is there"), "{plan}");

    let manifest = apply(config.clone()).await.unwrap();
    assert_eq!(manifest.hyperlane, None);
    let contracts = &manifest.chains[&name(0)].contracts;
    assert_eq!(Some(core(contracts)), config.chains[&name(0)].hyperlane);
    assert_eq!(contracts.proxy_admin, None);
    // The sets of validators are there already: the first deployment made them.
    assert!(world.chain(0).nonce(DEPLOYER) - before < before, "less than the first deployment");

    let report = Deployment::open(config.clone()).unwrap().verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
    let owner = format!("mailbox belongs to {DEPLOYER}, who decides");
    assert!(report.to_string().contains(&owner), "{report}");

    // What the owner of the mailbox chose is as it was, and messages leave all the same.
    let view = |to: Address, data: Vec<u8>| {
        let outcome = world.chain(0).call(Transact::call(DEPLOYER, to, data)).unwrap();
        assert!(outcome.success, "{}", outcome.output);
        outcome.output
    };
    let default = view(contracts.mailbox, Mailbox::defaultIsmCall {}.abi_encode());
    assert_ne!(Mailbox::defaultIsmCall::abi_decode_returns(&default).unwrap(), contracts.ism);
    let quote = router::quoteDispatch_3Call {
        destinationDomain: FIRST + 1,
        recipient: DEPLOYER.into_word(),
        messageBody: Vec::new().into(),
    };
    let fee = view(contracts.router, quote.abi_encode());
    assert!(U256::from_be_slice(&fee) > U256::ZERO);
}

#[tokio::test]
async fn one_that_cannot_carry_our_messages_is_refused_before_anything_is_sent() {
    let world = World::new(3).await;
    let config = second(&world).await;
    let heads = world.heads();
    let other = config.chains[&name(1)].hyperlane.clone().unwrap();

    type Spoil = fn(&mut ExistingCore, &ExistingCore);
    let cases: [(&str, Spoil); 3] = [
        ("merkle tree hook is there", |core, _| core.merkle_tree_hook = Address::repeat_byte(7)),
        ("merkle tree hook serves the mailbox", |core, _| core.merkle_tree_hook = core.igp),
        ("mailbox is of this domain", |core, _| core.mailbox = core.igp),
    ];
    for (words, spoil) in cases {
        let mut config = config.clone();
        let core = config.chains.get_mut(&name(0)).unwrap().hyperlane.as_mut().unwrap();
        spoil(core, &other);
        let refused = apply(config).await;
        let Err(Error::Unfixable { what, .. }) = refused else { panic!("{words}: {refused:?}") };
        assert_eq!(what, words);
    }

    // A third chain that the paymasters know no price for.
    let mut wider = world.config(3);
    (wider.salt, wider.manifest) = (config.salt.clone(), config.manifest.clone());
    for index in 0..2 {
        let core = config.chains[&name(index)].hyperlane.clone();
        wider.chains.get_mut(&name(index)).unwrap().hyperlane = core;
    }
    let refused = apply(wider).await;
    let Err(Error::Unfixable { what, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(what, "gas paymaster sells gas on gamma");
    assert_eq!(world.heads()[..2], heads[..2], "nothing was sent");
}
