//! What must hold whenever the dust has settled, whatever a case has done.

use std::collections::BTreeSet;

use alloy::{
    primitives::{Address, B256},
    rpc::types::{BlockId, Filter, Log},
    sol_types::SolEvent,
};
use chain::{ChainClient, manifest::ChainManifest};
use cli::local;
use eyre::{OptionExt, ensure};
use protocol::{
    abi::{hyperlane, inbox, intent::Reward, intent_source, prover},
    ids::ChainId,
    intent::{hash_route_bytes, intent_hash},
};

use crate::{World, patience::until};

/// The contract's number for a reward that was paid out.
const WITHDRAWN: u8 = 2;
/// The contract's number for a reward that went back.
const REFUNDED: u8 = 3;

/// Every log of one event, on one chain.
struct Events<'a> {
    client: ChainClient,
    chain: &'a ChainManifest,
}

/// Checks, over both chains from their beginning:
///
/// * every reward is in its vault, paid, or returned, and what left the vaults is all of it;
/// * whatever is proven was fulfilled;
/// * every message dispatched was delivered, once.
///
/// # Errors
/// The first invariant that is broken, or what could not be asked.
pub async fn hold(world: &World) -> eyre::Result<()> {
    rewards_are_accounted_for(world).await?;
    proofs_follow_fills(world).await?;
    messages_are_delivered(world).await
}

async fn rewards_are_accounted_for(world: &World) -> eyre::Result<()> {
    for (_, chain) in world.manifest().iter() {
        let events = Events::of(chain)?;
        let source = chain.contracts.intent_source;
        for event in events.all::<intent_source::IntentPublished>(source).await? {
            let route = hash_route_bytes(&event.route);
            let reward = Reward {
                deadline: event.rewardDeadline,
                creator: event.creator,
                prover: event.prover,
                nativeAmount: event.rewardNativeAmount,
                tokens: event.rewardTokens.clone(),
            };
            let hash = intent_hash(ChainId(event.destination), route, reward.hash());
            ensure!(hash.0 == event.intentHash, "the event's hash is not that of its content");
            let status = intent_source::getRewardStatusCall { intentHash: event.intentHash };
            let status = events.client.call(source, &status, BlockId::latest()).await?;
            let vault = intent_source::intentVaultAddress_1Call {
                destination: event.destination,
                route: event.route,
                reward: reward.clone(),
            };
            let vault = events.client.call(source, &vault, BlockId::latest()).await?;
            let held = events.client.balance(vault, BlockId::latest()).await?;
            let is_closed = matches!(status, WITHDRAWN | REFUNDED);
            let is_right = if is_closed { held.is_zero() } else { held >= reward.nativeAmount };
            ensure!(is_right, "vault {vault} of an intent with status {status} holds {held}");
        }
    }
    Ok(())
}

async fn proofs_follow_fills(world: &World) -> eyre::Result<()> {
    let mut fulfilled = BTreeSet::new();
    for (_, chain) in world.manifest().iter() {
        let events = Events::of(chain)?;
        for event in events.all::<inbox::IntentFulfilled>(chain.contracts.inbox).await? {
            ensure!(fulfilled.insert(event.intentHash), "{} was filled twice", event.intentHash);
        }
    }
    for (_, chain) in world.manifest().iter() {
        let events = Events::of(chain)?;
        for address in [chain.contracts.meta_prover_instant, chain.contracts.meta_prover_finalized]
        {
            for event in events.all::<prover::IntentProven>(address).await? {
                let hash = event.intentHash;
                ensure!(fulfilled.contains(&hash), "{hash} is proven and was never filled");
            }
        }
    }
    Ok(())
}

async fn messages_are_delivered(world: &World) -> eyre::Result<()> {
    until("every message to be delivered", async || {
        let (mut dispatched, mut processed) = (BTreeSet::new(), Vec::new());
        for (_, chain) in world.manifest().iter() {
            let events = Events::of(chain)?;
            let mailbox = chain.contracts.mailbox;
            let ids = events.all::<hyperlane::Mailbox::DispatchId>(mailbox).await?;
            dispatched.extend(ids.into_iter().map(|event| event.messageId));
            let ids = events.all::<hyperlane::Mailbox::ProcessId>(mailbox).await?;
            processed.extend(ids.into_iter().map(|event| event.messageId));
        }
        let delivered: BTreeSet<B256> = processed.iter().copied().collect();
        ensure!(delivered.len() == processed.len(), "a message was delivered twice");
        ensure!(delivered.is_subset(&dispatched), "a message was delivered that nobody sent");
        Ok((delivered == dispatched).then_some(()))
    })
    .await
}

impl<'a> Events<'a> {
    fn of(chain: &'a ChainManifest) -> eyre::Result<Self> {
        Ok(Self { client: local::client(chain)?, chain })
    }

    async fn all<E: SolEvent>(&self, address: Address) -> eyre::Result<Vec<E>> {
        let filter = Filter::new()
            .address(address)
            .event_signature(E::SIGNATURE_HASH)
            .from_block(self.chain.start_block);
        let logs = self.client.logs(&filter).await?;
        logs.iter().map(decode).collect()
    }
}

fn decode<E: SolEvent>(log: &Log) -> eyre::Result<E> {
    let decoded = E::decode_log_validate(&log.inner).ok();
    Ok(decoded.ok_or_eyre("an event with our signature does not decode")?.data)
}
