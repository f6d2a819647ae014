//! Messages of applications, without any intent.

use alloy::{
    primitives::{Address, bytes},
    sol_types::SolCall,
};
use e2e::{Letter, World, invariants};
use protocol::{
    abi::{hyperlane::MerkleTreeHook, messaging::ReadOperation},
    finality::Tier,
};

const APPLICATION: Address = Address::repeat_byte(0xa1);
/// Answers every call with 42.
const ORACLE: Address = Address::repeat_byte(0x42);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_carries_its_reads_also_one_that_fails_and_is_confirmed() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "puts code on a chain").await? else {
        return Ok(());
    };
    let to = world.application(APPLICATION)?;
    world.chain(world.destination())?.set_code(ORACLE, bytes!("602a5f5260205ff3"))?;
    let hook = world.contracts(world.origin())?.contracts.merkle_tree_hook;
    let count: Vec<u8> = MerkleTreeHook::countCall {}.abi_encode();
    let read = |chain_id: u64, target| -> eyre::Result<_> {
        let domain = u32::try_from(chain_id)?;
        Ok(ReadOperation { domain, target, callData: count.clone().into() })
    };
    let letter = Letter {
        to,
        body: bytes!("cafe"),
        tier: Tier::Instant,
        reads: vec![
            read(world.destination(), ORACLE)?,
            // The mailbox has no such function: it reverts.
            read(world.origin(), world.contracts(world.origin())?.contracts.mailbox)?,
            read(world.origin(), hook)?,
        ],
    };

    let posted = world.user(0)?.posts(&letter).await?;
    let call = posted.arrives().await?;

    assert_eq!((call.message, call.reads), (letter.body.clone(), letter.reads.clone()));
    let [oracle, failed, hook] = call.readResults.as_slice() else {
        panic!("{:?}", call.readResults)
    };
    assert_eq!(oracle.last(), Some(&42));
    assert!(failed.is_empty(), "{failed}");
    assert_eq!(hook.len(), 32);
    world.user(1)?.confirms(&posted, Tier::Instant).await?;
    assert_eq!(posted.is_confirmed().await?, Tier::Instant.byte());
    invariants::hold(&world).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_takes_only_what_is_final_is_told_nothing_else() -> eyre::Result<()> {
    let Some(world) = World::start_embedded(2, "puts code on a chain").await? else {
        return Ok(());
    };
    let to = world.application(APPLICATION)?;
    world.accepts_only(to, Tier::Finalized)?;
    let letter = |tier| Letter { to, body: bytes!("01"), tier, reads: Vec::new() };
    let alice = world.user(0)?;

    let fast = alice.posts(&letter(Tier::Instant)).await?;
    let slow = alice.posts(&letter(Tier::Finalized)).await?;

    slow.arrives().await?;
    alice.confirms(&slow, Tier::Finalized).await?;
    assert_eq!(slow.is_confirmed().await?, Tier::Finalized.byte());
    assert!(!fast.is_there().await?, "delivered against the policy");
    invariants::hold_but_for(&world, &[fast.mailbox_id]).await
}
