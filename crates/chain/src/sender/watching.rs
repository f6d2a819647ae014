//! What the chain did with the transactions that are under way.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256},
    rpc::types::TransactionReceipt,
};
use futures::{StreamExt, TryStreamExt, future::join_all, stream};
use tokio::time::Instant;

use super::{
    Error,
    journal::Entry,
    lane::Lane,
    request::{Inclusion, Status},
};
use crate::client::{BlockHeader, ChainClient};

/// Receipts asked for at the same time.
const PARALLEL_READS: usize = 16;
/// Pause before endpoints are asked again that did not agree about who used a nonce.
const DOUBT: Duration = Duration::from_secs(5);

/// Looks at everything once: receipts, reorgs, confirmations, deadlines, fees.
pub(super) async fn advance(lane: &mut Lane) -> Result<(), Error> {
    let latest = lane.client.latest().await?;
    lane.head = latest.number;
    recheck_included(lane, latest).await?;
    find_receipts(lane).await?;
    lane.send_unsent(latest);
    confirm(lane).await?;
    give_up(lane, latest).await?;
    urge_waiting_ones(lane, latest).await
}

/// The inclusion of a transaction that was sent just now, where the chain mines at once. Where it does not, or does not
/// answer, the next round looks again.
pub(super) async fn included_at_once(client: &ChainClient, hash: B256) -> Option<Status> {
    match client.receipt(hash).await {
        Ok(receipt) => receipt.as_ref().and_then(inclusion_of).map(Status::Included),
        Err(error) => {
            tracing::debug!(%hash, %error, "no receipt yet");
            None
        }
    }
}

/// Takes note of an inclusion that was seen right after sending, unless the round has seen more since.
pub(super) async fn included(
    lane: &mut Lane,
    position: u64,
    included: Status,
) -> Result<(), Error> {
    let waits = |live: &super::lane::Live| matches!(live.entry.status, Status::Pending { .. });
    if lane.live.get(&position).is_some_and(waits) {
        lane.settle(position, included).await?;
        lane.ask_final_head();
    }
    Ok(())
}

/// Looks for the receipt of one request that a node did not take.
pub(super) async fn look(lane: &mut Lane, position: u64) -> Result<(), Error> {
    let Some(live) = lane.live.get(&position) else { return Ok(()) };
    if let Some(status) = find(&lane.client, &live.entry).await? {
        lane.settle(position, status).await?;
        lane.ask_final_head();
    }
    Ok(())
}

/// Included transactions whose blocks were found on the chain that ends with `head`.
#[derive(Debug, Default)]
pub(super) struct Standing {
    head: Option<BlockHeader>,
    blocks: HashSet<B256>,
}

impl Standing {
    /// Whether the chain that was looked at is still part of the chain: then nothing that stood on it has to be asked for.
    async fn holds(&self, client: &ChainClient, latest: BlockHeader) -> Result<bool, Error> {
        let Some(head) = self.head else { return Ok(false) };
        if [latest.hash, latest.parent_hash].contains(&head.hash) {
            return Ok(true);
        }
        Ok(client.block(head.number).await?.is_some_and(|block| block.hash == head.hash))
    }
}

/// Transactions whose block is no longer part of the chain go back to waiting, and are sent again.
async fn recheck_included(lane: &mut Lane, latest: BlockHeader) -> Result<(), Error> {
    let included: Vec<(u64, u64, B256)> = lane
        .live
        .iter()
        .filter_map(|(position, live)| match &live.entry.status {
            Status::Included(inclusion) => {
                Some((*position, inclusion.block_number, inclusion.block_hash))
            }
            _ => None,
        })
        .collect();
    if included.is_empty() {
        return Ok(());
    }
    let client = &lane.client;
    let mut standing = std::mem::take(&mut lane.standing.blocks);
    if !lane.standing.holds(client, latest).await? {
        standing.clear();
    }
    let unsure = included.iter().filter(|(_, _, hash)| !standing.contains(hash));
    let numbers: BTreeSet<u64> = unsure.map(|(_, number, _)| *number).collect();
    let canonical: HashSet<B256> =
        stream::iter(numbers)
            .map(|number| async move {
                Ok::<_, Error>(client.block(number).await?.map(|block| block.hash))
            })
            .buffer_unordered(PARALLEL_READS)
            .try_filter_map(|hash| async move { Ok(hash) })
            .try_collect()
            .await?;
    let (mut blocks, mut orphaned) = (HashSet::new(), Vec::new());
    for (position, _, hash) in included {
        if standing.contains(&hash) || canonical.contains(&hash) {
            blocks.insert(hash);
        } else if let Some(live) = lane.live.get(&position) {
            orphaned.push((position, live.entry.clone()));
        }
    }
    lane.standing = Standing { head: Some(latest), blocks };
    for (position, entry) in orphaned {
        let status = find(&lane.client, &entry).await?;
        let lost = status.is_none();
        let newest = entry.attempts.last().map(|attempt| attempt.hash).unwrap_or_default();
        tracing::warn!(key = entry.request.key, lost, "reorganised out of its block");
        metrics::counter!("chain_sender_reorged_total").increment(1);
        lane.settle(position, status.unwrap_or(Status::Pending { hash: newest })).await?;
        if let Some(live) = lane.live.get_mut(&position).filter(|_| lost) {
            live.sent_at = None;
        }
    }
    Ok(())
}

/// Receipts of requests whose nonce the chain has used.
async fn find_receipts(lane: &mut Lane) -> Result<(), Error> {
    let waiting = |entry: &Entry| matches!(entry.status, Status::Pending { .. });
    if !lane.live.values().any(|live| waiting(&live.entry)) {
        return Ok(());
    }
    let used = lane.client.nonce(lane.address(), BlockNumberOrTag::Latest).await?;
    reopen_lost(lane, used).await?;
    let candidates: Vec<(u64, Entry)> = lane
        .live
        .iter()
        .filter(|(_, live)| waiting(&live.entry) && live.entry.nonce.is_some_and(|n| n < used))
        .map(|(position, live)| (*position, live.entry.clone()))
        .collect();
    let client = &lane.client;
    let found: Vec<(u64, Entry, Option<Status>)> = stream::iter(candidates)
        .map(|(position, entry)| async move {
            let status = find(client, &entry).await?;
            Ok::<_, Error>((position, entry, status))
        })
        .buffered(PARALLEL_READS)
        .try_collect()
        .await?;
    let (mut seen, mut missing) = (Vec::new(), Vec::new());
    for (position, entry, status) in found {
        match status {
            Some(status) => seen.push((position, status)),
            None => missing.push((position, entry)),
        }
    }
    lane.settle_all(seen).await?;
    requeue_overtaken(lane, missing).await
}

/// A reorg deeper than what counts as confirmed took transactions that were done. What waits behind their nonces would
/// wait for ever, and what they did is undone: they are sent again, byte for byte.
async fn reopen_lost(lane: &mut Lane, used: u64) -> Result<(), Error> {
    let Some(first) = lane.live.values().filter_map(|live| live.entry.nonce).min() else {
        return Ok(());
    };
    if used >= first {
        return Ok(());
    }
    for entry in lane.journal.finished(used..first).await? {
        tracing::warn!(
            key = entry.request.key,
            nonce = entry.nonce,
            "reorganised away after it was confirmed"
        );
        metrics::counter!("chain_sender_reopened_total").increment(1);
        lane.reopen(entry).await?;
    }
    Ok(())
}

/// A nonce that a final block used, by no attempt of ours, was taken by somebody else with the same key: the request has
/// not been carried out and starts again with a new nonce. That it was not carried out all endpoints have to say that know
/// the block, and they have to be most of them: on the word of one that lost a receipt it would be carried out twice.
async fn requeue_overtaken(lane: &mut Lane, missing: Vec<(u64, Entry)>) -> Result<(), Error> {
    let now = Instant::now();
    let is_due =
        |position: &u64| lane.live.get(position).is_some_and(|live| live.doubted_until <= now);
    let missing: Vec<(u64, Entry)> =
        missing.into_iter().filter(|(position, _)| is_due(position)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let Some(head) = lane.final_head().await? else { return Ok(()) };
    let used = lane.client.nonce(lane.address(), BlockId::hash(head.hash)).await?;
    for (position, entry) in missing {
        let Some(nonce) = entry.nonce.filter(|nonce| *nonce < used) else { continue };
        match ask_everybody(&lane.client, lane.address(), nonce, head, &entry).await {
            Word::Seen(status) => lane.settle(position, status).await?,
            Word::Absent => {
                tracing::error!(
                    key = entry.request.key,
                    nonce,
                    "another program uses this key: its transaction took our nonce"
                );
                metrics::counter!("chain_sender_overtaken_total").increment(1);
                lane.skip_nonces_below(used);
                lane.settle(position, Status::Queued).await?;
            }
            Word::Unknown => {
                tracing::warn!(
                    key = entry.request.key,
                    nonce,
                    "the nonce is used, and too few endpoints can say by what: waiting for more"
                );
                if let Some(live) = lane.live.get_mut(&position) {
                    live.doubted_until = Instant::now() + DOUBT;
                }
            }
        }
    }
    Ok(())
}

/// What is known of a nonce that is used.
enum Word {
    /// One of our attempts used it.
    Seen(Status),
    /// None of our attempts did.
    Absent,
    /// Cannot say.
    Unknown,
}

/// Who used the nonce up to `head`, by the word of all endpoints.
async fn ask_everybody(
    client: &ChainClient,
    account: Address,
    nonce: u64,
    head: BlockHeader,
    entry: &Entry,
) -> Word {
    let each: Vec<ChainClient> = client.one_by_one().collect();
    let words = each.iter().map(|endpoint| ask_one(endpoint, account, nonce, head, entry));
    let mut denials = 0;
    for word in join_all(words).await {
        match word {
            Ok(Word::Seen(status)) => return Word::Seen(status),
            Ok(Word::Absent) => denials += 1,
            Ok(Word::Unknown) => {}
            Err(error) => tracing::debug!(%error, "an endpoint cannot say who used a nonce"),
        }
    }
    if denials > each.len() / 2 { Word::Absent } else { Word::Unknown }
}

async fn ask_one(
    endpoint: &ChainClient,
    account: Address,
    nonce: u64,
    head: BlockHeader,
    entry: &Entry,
) -> Result<Word, Error> {
    let at = BlockId::hash(head.hash);
    if endpoint.block(at).await?.is_none() || endpoint.nonce(account, at).await? <= nonce {
        return Ok(Word::Unknown);
    }
    // Asked after the head: a receipt of a final block is there by now.
    Ok(find(endpoint, entry).await?.map_or(Word::Absent, Word::Seen))
}

/// Included transactions whose block is final are done. Their block was compared with the chain in the same round.
async fn confirm(lane: &mut Lane) -> Result<(), Error> {
    if !lane.live.values().any(|live| matches!(live.entry.status, Status::Included(_))) {
        return Ok(());
    }
    let Some(head) = lane.final_head().await? else { return Ok(()) };
    confirm_up_to(lane, head).await
}

/// As [`confirm`], with a final block that is known.
pub(super) async fn confirm_up_to(lane: &mut Lane, head: BlockHeader) -> Result<(), Error> {
    let done: Vec<(u64, Status)> = lane
        .live
        .iter()
        .filter_map(|(position, live)| match &live.entry.status {
            Status::Included(inclusion) if inclusion.block_number <= head.number => {
                let status = match &live.entry.refusal {
                    _ if !live.entry.is_empty_one(inclusion) => {
                        Status::Confirmed(inclusion.clone())
                    }
                    Some(refusal) => Status::Refused(refusal.clone()),
                    None => Status::Canceled(Some(inclusion.clone())),
                };
                Some((*position, status))
            }
            _ => None,
        })
        .collect();
    lane.settle_all(done).await
}

/// What is past its deadline, or taken by no node, gives its nonce to an empty transaction.
async fn give_up(lane: &mut Lane, latest: BlockHeader) -> Result<(), Error> {
    let given_up: Vec<(u64, Status)> = lane
        .live
        .iter()
        .filter(|(_, live)| live.is_given_up(latest))
        .map(|(position, live)| (*position, live.entry.status.clone()))
        .collect();
    for (position, status) in given_up {
        match status {
            Status::Queued => lane.settle(position, Status::Canceled(None)).await?,
            Status::Pending { .. } => {
                let market = lane.client.fees().await?;
                lane.cancel(position, market).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn urge_waiting_ones(lane: &mut Lane, latest: BlockHeader) -> Result<(), Error> {
    let now = Instant::now();
    let waiting: Vec<u64> = lane
        .live
        .iter()
        .filter(|(_, live)| {
            matches!(live.entry.status, Status::Pending { .. })
                && live.sent_at.is_some_and(|at| now.duration_since(at) >= lane.config.bump_after)
                && !live.is_given_up(latest)
        })
        .map(|(position, _)| *position)
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let market = lane.client.fees().await?;
    for position in waiting {
        lane.urge(position, market).await?;
    }
    Ok(())
}

/// The inclusion of whichever attempt was mined, newest first.
async fn find(client: &ChainClient, entry: &Entry) -> Result<Option<Status>, Error> {
    for attempt in entry.attempts.iter().rev() {
        let receipt = client.receipt(attempt.hash).await?;
        if let Some(inclusion) = receipt.as_ref().and_then(inclusion_of) {
            return Ok(Some(Status::Included(inclusion)));
        }
    }
    Ok(None)
}

/// `None` for a receipt without a block: some nodes give one for a transaction that still waits.
fn inclusion_of(receipt: &TransactionReceipt) -> Option<Inclusion> {
    Some(Inclusion {
        hash: receipt.transaction_hash,
        block_number: receipt.block_number?,
        block_hash: receipt.block_hash?,
        gas_used: receipt.gas_used,
        gas_price: receipt.effective_gas_price,
        success: receipt.status(),
    })
}
