//! Three chains: one that joins, and one that lies.

use alloy::{
    primitives::{Address, U256, utils::parse_ether},
    rpc::types::{BlockId, Filter},
    sol_types::{SolCall, SolEvent, SolValue},
};
use api::aggregator::OrderState;
use cli::local;
use devnet::Transact;
use e2e::{World, invariants, patience::until};
use eyre::ensure;
use protocol::{
    abi::prover,
    ids::{ChainId, Claimant, IntentHash},
    proof::{self, Proof, ProverData},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_third_chain_joins_while_money_is_on_its_way() -> eyre::Result<()> {
    let Some(mut world) = World::start_embedded(2, "starts a chain").await? else { return Ok(()) };
    let early = world.user(0)?.sends_native(parse_ether("0.1")?).done().await?.id();
    world.a_third_chain_joins().await?;
    world.order_reaches(early, OrderState::Settled).await?;

    let (alice, bob, third) = (world.user(0)?, world.user(1)?, world.third());
    let there = alice.sends_native(parse_ether("0.2")?).between(world.origin(), third);
    let back = bob.sends_tokens(U256::from(25_000_000)).between(third, world.destination());
    let (there, back) = (there.done().await?, back.done().await?);
    for transfer in [&there, &back] {
        transfer.reaches(OrderState::Settled).await?;
        transfer.recipient_has_what_was_quoted().await?;
    }
    invariants::hold(&world).await
}

/// The third chain's Inbox vouches for a fill that it never saw, before anybody fills.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_from_the_wrong_chain_is_challenged_and_who_filled_is_paid() -> eyre::Result<()> {
    let Some(mut world) = World::start_embedded(3, "acts as an Inbox").await? else {
        return Ok(());
    };
    world.stop_solvers().await?;
    let (intent, id) = {
        let mallory = world.user(2)?;
        let published =
            mallory.publishes(parse_ether("0.05")?, parse_ether("0.045")?, 3_600).await?;
        let id = published.intent.hash();
        vouch(&world, id, mallory.address())?;
        (published.intent, id)
    };
    let origin = world.contracts(world.origin())?;
    let prover = origin.contracts.meta_prover_instant;
    let client = local::client(origin)?;
    let proven = prover::provenIntentsCall { intentHash: id.0 };
    until("the wrong proof", async || {
        let proof = client.call(prover, &proven, BlockId::latest()).await?;
        Ok((proof.destination == world.third()).then_some(()))
    })
    .await?;

    world.start_solvers().await?;
    world.reward_is_paid(world.origin(), id.0).await?;
    let solvers = [world.solver_address(0)?, world.solver_address(1)?];
    let origin = world.contracts(world.origin())?;
    let client = local::client(origin)?;
    let proof = client.call(prover, &proven, BlockId::latest()).await?;
    assert!(solvers.contains(&proof.claimant), "{proof:?}");
    assert_eq!(proof.destination, intent.destination);
    let challenged = Filter::new()
        .address(prover)
        .event_signature(prover::IntentProofInvalidated::SIGNATURE_HASH)
        .from_block(origin.start_block);
    assert_eq!(client.logs(&challenged).await?.len(), 1);
    invariants::hold(&world).await
}

/// What an Inbox of the third chain, broken into, sends to the origin.
fn vouch(world: &World, id: IntentHash, claimant: Address) -> eyre::Result<()> {
    let liar = world.contracts(world.third())?.contracts.clone();
    let recipient = world.contracts(world.origin())?.contracts.meta_prover_instant;
    let data = ProverData { sourceChainProver: recipient.into_word(), gasLimit: U256::ZERO };
    let proof = Proof { intent: id, claimant: Claimant::from(claimant) };
    let call = prover::proveCall {
        // What is left of the fee goes here.
        sender: claimant,
        domainID: world.origin(),
        encodedProofs: proof::encode(ChainId(world.third()), [proof]).into(),
        data: data.abi_encode().into(),
    };
    let chain = world.chain(world.third())?;
    let fee = parse_ether("1")?;
    chain.set_balance(liar.inbox, fee * U256::from(2))?;
    let call = Transact::call(liar.inbox, liar.meta_prover_instant, call.abi_encode()).value(fee);
    let outcome = chain.call(call.clone())?;
    ensure!(outcome.success, "the prover refuses its Inbox: {}", outcome.output);
    chain.transact(call)?;
    Ok(())
}
