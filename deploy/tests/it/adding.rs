//! One more chain.

use chain::Manifest;
use deploy::{Deployment, Error, Existing, apply};
use devnet::{Transact, genesis::DEV_ADDRESSES};
use protocol::abi::{hyperlane::InterchainGasPaymaster, router};

use crate::world::{DEPLOYER, FIRST, World, name};

#[tokio::test]
async fn a_third_chain_changes_no_code_and_no_entry_of_the_others() {
    let world = World::new(3).await;
    let before = apply(world.config(2)).await.unwrap();
    let codes = |manifest: &Manifest| {
        let chains = (0..2).map(|index| {
            let programs = manifest.chains[&name(index)].programs.values();
            let addresses = programs.flat_map(|program| program.addresses.clone());
            addresses.map(|at| world.chain(index).code(at)).collect::<Vec<_>>()
        });
        chains.collect::<Vec<_>>()
    };
    let codes_before = codes(&before);
    let heads = world.heads();

    let wanted = Deployment::open(world.config(3)).unwrap();
    let added = wanted.add_chain(&name(2), Existing::Change).await.unwrap();
    assert!(added.calls.is_empty());
    assert!(added.report.is_sound(), "{}", added.report);
    assert_eq!(codes(&before), codes_before, "code hashes are what they were");
    for index in 0..2 {
        let (old, new) = (&before.chains[&name(index)], &added.manifest.chains[&name(index)]);
        assert_eq!(new.contracts, old.contracts);
        assert_eq!(new.programs, old.programs);
        for (origin, modules) in &old.modules {
            assert_eq!(&new.modules[origin], modules, "entries of other origins are untouched");
        }
        assert_eq!(new.modules.len(), old.modules.len() + 1);
        // Six entries for modules and signers (the sets are there: the same validators serve all chains), the router, its
        // tiers and reads, and two prices: no more.
        let sent = world.chain(index).head().number() - heads[usize::try_from(index).unwrap()];
        assert_eq!(sent, 6 + 3 + 2, "transactions on {}", name(index));
    }
    let report = wanted.verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
    let third = &added.manifest.chains[&name(2)];
    assert_eq!(third.contracts.router, before.chains[&name(0)].contracts.router);
}

#[tokio::test]
async fn owners_get_their_calls_as_one_batch() {
    let world = World::new(3).await;
    let owner = DEV_ADDRESSES[9];
    let wanted = |chains| deploy::Config { owner: Some(owner), ..world.config(chains) };
    let manifest = apply(wanted(2)).await.unwrap();
    for index in 0..2 {
        let contracts = &manifest.chains[&name(index)].contracts;
        for contract in [contracts.router, contracts.ism, contracts.read_ism] {
            world.call(index, owner, contract, &router::acceptOwnershipCall {});
        }
    }
    let heads = world.heads();
    let deployment = Deployment::open(wanted(3)).unwrap();
    let refused = deployment.add_chain(&name(2), Existing::Change).await;
    assert!(matches!(refused, Err(Error::NotOurs { .. })), "{refused:?}");
    let added = deployment.add_chain(&name(2), Existing::ListCalls).await.unwrap();
    assert_eq!(world.heads()[..2], heads[..2], "nothing was sent to the chains that are there");
    assert_eq!(added.report.findings, []);
    assert_eq!(added.report.pending.len(), 3, "three contracts wait for their owner");
    assert_eq!(added.calls.len(), 3, "one batch a chain, the new one's too");
    for (index, batch) in (0..3).zip(&added.calls) {
        let id = u64::from(FIRST + index);
        assert_eq!((batch.chain.as_str(), batch.chain_id), (name(index).as_str(), id));
        assert_eq!(batch.from, owner);
        for call in &batch.calls {
            let transaction = Transact::call(owner, call.to, call.data.clone());
            let receipt = world.chain(index).transact(transaction).unwrap();
            assert!(receipt.success, "{}", call.what);
        }
    }
    let report = deployment.verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
}

#[tokio::test]
async fn what_the_last_look_finds_is_told() {
    let world = World::new(3).await;
    let manifest = apply(world.config(2)).await.unwrap();
    // No fact of routes, so nothing that would keep a chain from being added.
    let stranger = DEV_ADDRESSES[15];
    let call = InterchainGasPaymaster::setBeneficiaryCall { _beneficiary: stranger };
    world.call(0, DEPLOYER, manifest.chains[&name(0)].contracts.igp, &call);
    let deployment = Deployment::open(world.config(3)).unwrap();
    let added = deployment.add_chain(&name(2), Existing::Change).await.unwrap();
    let [finding] = added.report.findings.as_slice() else { panic!("{}", added.report) };
    assert_eq!(finding.chain, name(0));
    assert!(finding.what.contains("gas payments go to the owner"), "{}", added.report);
}

#[tokio::test]
async fn nobody_is_let_in_while_a_chain_is_unsound_or_unknown() {
    let world = World::new(3).await;
    let manifest = apply(world.config(2)).await.unwrap();
    let stranger = deploy::Config { salt: "another".to_owned(), ..world.config(3) };
    let refused = Deployment::open(stranger).unwrap().add_chain(&name(2), Existing::Change).await;
    assert!(matches!(refused, Err(Error::Foreign { .. })), "{refused:?}");

    // The finalized prover of an existing chain has lost its policy.
    let contracts = &manifest.chains[&name(0)].contracts;
    let call = router::setFinalityPolicyCall { acceptedTiers: 7 };
    world.call(0, contracts.meta_prover_finalized, contracts.router, &call);
    let heads = world.heads();
    let deployment = Deployment::open(world.config(3)).unwrap();
    let refused = deployment.add_chain(&name(2), Existing::Change).await;
    assert!(matches!(refused, Err(Error::Unsound { .. })), "{refused:?}");
    assert_eq!(world.heads()[..2], heads[..2]);
    let missing = deployment.add_chain("omega", Existing::Change).await;
    assert!(matches!(missing, Err(Error::NoSuchChain { .. } | Error::Foreign { .. })));
    assert!(world.chain(0).nonce(DEPLOYER) > 0);
}
