//! What must hold on the chains of a system whenever the dust has settled, whatever has happened.

use std::{collections::BTreeSet, fmt};

use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::{BlockId, BlockNumberOrTag, Filter, Log},
    sol_types::SolEvent,
};
use chain::{ChainClient, Manifest, manifest::ChainManifest};
use eyre::{OptionExt, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use protocol::{
    abi::{erc20, hyperlane, inbox, intent::Reward, intent_source, prover},
    ids::ChainId,
    intent::{hash_route_bytes, intent_hash},
};
use serde::Serialize;

use crate::local;

/// The contract's number for a reward that was paid out.
const WITHDRAWN: u8 = 2;
/// The contract's number for a reward that went back.
const REFUNDED: u8 = 3;
/// Blocks whose logs are asked for at once: nodes bound what they answer.
const BLOCKS: u64 = 500;
/// Intents that are looked at side by side.
const AT_ONCE: usize = 16;

/// What the chains show, over all of them from the deployment on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    /// Intents that were published.
    pub published: usize,
    /// Of those, whose reward was paid.
    pub paid: usize,
    /// Of those, whose reward went back.
    pub refunded: usize,
    /// Intents that were filled.
    pub filled: usize,
    /// Messages that were dispatched.
    pub dispatched: usize,
    /// Messages that were dispatched and not delivered.
    pub undelivered: Vec<B256>,
    /// Every invariant that does not hold, in words.
    pub broken: Vec<String>,
}

/// Checks, over every chain from the deployment on:
///
/// * every reward is in its vault, paid, or returned, and what left the vaults is all of it;
/// * no intent was filled twice, and whatever is proven was filled;
/// * no message was delivered twice, and none that nobody sent.
///
/// # Errors
/// A chain cannot be asked.
pub async fn check(manifest: &Manifest) -> eyre::Result<Verdict> {
    let mut verdict = Verdict::default();
    rewards_are_accounted_for(manifest, &mut verdict).await?;
    proofs_follow_fills(manifest, &mut verdict).await?;
    messages_are_delivered_once(manifest, &mut verdict).await?;
    Ok(verdict)
}

impl Verdict {
    /// Whether every invariant holds.
    pub const fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "on the chains: {} intents, {} filled, {} paid, {} refunded; {} messages, {} undelivered",
            self.published,
            self.filled,
            self.paid,
            self.refunded,
            self.dispatched,
            self.undelivered.len()
        )?;
        match self.broken.as_slice() {
            [] => write!(f, "; every invariant holds"),
            broken => write!(f, "\nBROKEN: {}", broken.join("\nBROKEN: ")),
        }
    }
}

/// What became of one reward.
enum Reckoning {
    Held,
    Paid,
    Refunded,
}

async fn rewards_are_accounted_for(manifest: &Manifest, verdict: &mut Verdict) -> eyre::Result<()> {
    for chain in manifest.chains.values() {
        let events = Events::of(chain)?;
        let source = chain.contracts.intent_source;
        let published = events.all::<intent_source::IntentPublished>(source).await?;
        let reckonings: Vec<_> = stream::iter(&published)
            .map(|event| reckon(&events.client, source, event))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        verdict.published += published.len();
        for reckoning in reckonings {
            match reckoning {
                Ok(Reckoning::Paid) => verdict.paid += 1,
                Ok(Reckoning::Refunded) => verdict.refunded += 1,
                Ok(Reckoning::Held) => {}
                Err(broken) => verdict.broken.push(broken),
            }
        }
    }
    Ok(())
}

/// Looks at one reward; the inner error is a broken invariant.
async fn reckon(
    client: &ChainClient,
    source: Address,
    event: &intent_source::IntentPublished,
) -> eyre::Result<Result<Reckoning, String>> {
    let reward = Reward {
        deadline: event.rewardDeadline,
        creator: event.creator,
        prover: event.prover,
        nativeAmount: event.rewardNativeAmount,
        tokens: event.rewardTokens.clone(),
    };
    let route = hash_route_bytes(&event.route);
    let hash = intent_hash(ChainId(event.destination), route, reward.hash());
    ensure!(hash.0 == event.intentHash, "the event's hash is not that of its content");
    let status = intent_source::getRewardStatusCall { intentHash: event.intentHash };
    let status = client.call(source, &status, BlockId::latest()).await?;
    let vault = intent_source::intentVaultAddress_1Call {
        destination: event.destination,
        route: event.route.clone(),
        reward: reward.clone(),
    };
    let vault = client.call(source, &vault, BlockId::latest()).await?;
    let mut holdings = vec![(client.balance(vault, BlockId::latest()).await?, reward.nativeAmount)];
    for leg in &reward.tokens {
        let balance = erc20::balanceOfCall { account: vault };
        let held: U256 = client.call(leg.token, &balance, BlockId::latest()).await?;
        holdings.push((held, leg.amount));
    }
    let is_closed = matches!(status, WITHDRAWN | REFUNDED);
    let is_right = holdings.iter().all(|(held, owed)| match is_closed {
        true => held.is_zero(),
        false => held >= owed,
    });
    if !is_right {
        return Ok(Err(format!("vault {vault}, status {status}, holds and owes {holdings:?}")));
    }
    Ok(Ok(match status {
        WITHDRAWN => Reckoning::Paid,
        REFUNDED => Reckoning::Refunded,
        _ => Reckoning::Held,
    }))
}

async fn proofs_follow_fills(manifest: &Manifest, verdict: &mut Verdict) -> eyre::Result<()> {
    let mut filled = BTreeSet::new();
    for chain in manifest.chains.values() {
        let events = Events::of(chain)?;
        for event in events.all::<inbox::IntentFulfilled>(chain.contracts.inbox).await? {
            if !filled.insert(event.intentHash) {
                verdict.broken.push(format!("{} was filled twice", event.intentHash));
            }
        }
    }
    verdict.filled = filled.len();
    for chain in manifest.chains.values() {
        let events = Events::of(chain)?;
        for address in [chain.contracts.meta_prover_instant, chain.contracts.meta_prover_finalized]
        {
            for event in events.all::<prover::IntentProven>(address).await? {
                if !filled.contains(&event.intentHash) {
                    let broken = format!("{} is proven and was never filled", event.intentHash);
                    verdict.broken.push(broken);
                }
            }
        }
    }
    Ok(())
}

async fn messages_are_delivered_once(
    manifest: &Manifest,
    verdict: &mut Verdict,
) -> eyre::Result<()> {
    let (mut dispatched, mut delivered) = (BTreeSet::new(), BTreeSet::new());
    for chain in manifest.chains.values() {
        let events = Events::of(chain)?;
        let mailbox = chain.contracts.mailbox;
        let sent = events.all::<hyperlane::Mailbox::DispatchId>(mailbox).await?;
        dispatched.extend(sent.into_iter().map(|event| event.messageId));
        for event in events.all::<hyperlane::Mailbox::ProcessId>(mailbox).await? {
            if !delivered.insert(event.messageId) {
                verdict.broken.push(format!("message {} was delivered twice", event.messageId));
            }
        }
    }
    for id in delivered.difference(&dispatched) {
        verdict.broken.push(format!("message {id} was delivered and nobody sent it"));
    }
    verdict.dispatched = dispatched.len();
    verdict.undelivered = dispatched.difference(&delivered).copied().collect();
    Ok(())
}

/// Every log of one event, on one chain.
struct Events<'a> {
    client: ChainClient,
    chain: &'a ChainManifest,
}

impl<'a> Events<'a> {
    fn of(chain: &'a ChainManifest) -> eyre::Result<Self> {
        Ok(Self { client: local::client(chain)?, chain })
    }

    async fn all<E: SolEvent>(&self, address: Address) -> eyre::Result<Vec<E>> {
        let latest = self.client.block(BlockNumberOrTag::Latest).await?;
        let latest = latest.ok_or_eyre("the chain has no newest block")?.number;
        let mut events = Vec::new();
        let mut from = self.chain.start_block;
        while from <= latest {
            let to = (from + BLOCKS - 1).min(latest);
            let filter = Filter::new()
                .address(address)
                .event_signature(E::SIGNATURE_HASH)
                .from_block(from)
                .to_block(to);
            for log in self.client.logs(&filter).await? {
                events.push(decode(&log)?);
            }
            from = to + 1;
        }
        Ok(events)
    }
}

fn decode<E: SolEvent>(log: &Log) -> eyre::Result<E> {
    let decoded = E::decode_log_validate(&log.inner).ok();
    Ok(decoded.ok_or_eyre("an event with our signature does not decode")?.data)
}
