//! What the chain did with the transactions that are under way.

use std::collections::{BTreeSet, HashSet};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::B256,
    rpc::types::TransactionReceipt,
};
use futures::{StreamExt, TryStreamExt, stream};
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

/// Looks at everything once: receipts, reorgs, confirmations, deadlines, fees.
pub(super) async fn advance(lane: &mut Lane) -> Result<(), Error> {
    let latest = lane.client.latest().await?;
    recheck_included(lane, latest).await?;
    find_receipts(lane).await?;
    confirm(lane).await?;
    give_up_late_ones(lane, latest).await?;
    raise_waiting_ones(lane).await
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
        if lost {
            lane.resend(position);
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
/// not been carried out and starts again with a new nonce.
async fn requeue_overtaken(lane: &mut Lane, missing: Vec<(u64, Entry)>) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let Some(head) = lane.final_head().await? else { return Ok(()) };
    let used = lane.client.nonce(lane.address(), BlockId::hash(head.hash)).await?;
    for (position, entry) in missing {
        // Asked again after the head: a receipt of a final block is there by now.
        let overtaken = entry.nonce.is_some_and(|nonce| nonce < used);
        if overtaken && find(&lane.client, &entry).await?.is_none() {
            tracing::error!(
                key = entry.request.key,
                nonce = entry.nonce,
                "another program uses this key: its transaction took our nonce"
            );
            metrics::counter!("chain_sender_overtaken_total").increment(1);
            lane.skip_nonces_below(used);
            lane.settle(position, Status::Queued).await?;
        }
    }
    Ok(())
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
                let cancels = |attempt: &&super::journal::Attempt| {
                    attempt.hash == inclusion.hash && attempt.cancels
                };
                let canceled = live.entry.attempts.iter().any(|attempt| cancels(&attempt));
                let status = if canceled {
                    Status::Canceled(Some(inclusion.clone()))
                } else {
                    Status::Confirmed(inclusion.clone())
                };
                Some((*position, status))
            }
            _ => None,
        })
        .collect();
    lane.settle_all(done).await
}

async fn give_up_late_ones(lane: &mut Lane, latest: BlockHeader) -> Result<(), Error> {
    let late: Vec<(u64, Status, bool)> = lane
        .live
        .iter()
        .filter(|(_, live)| {
            live.entry.request.deadline.is_some_and(|deadline| latest.timestamp > deadline)
        })
        .map(|(position, live)| {
            let canceling = live.entry.attempts.iter().any(|attempt| attempt.cancels);
            (*position, live.entry.status.clone(), canceling)
        })
        .collect();
    for (position, status, canceling) in late {
        match status {
            Status::Queued => lane.settle(position, Status::Canceled(None)).await?,
            Status::Pending { .. } if !canceling => {
                let market = lane.client.fees().await?;
                lane.replace(position, market, true).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn raise_waiting_ones(lane: &mut Lane) -> Result<(), Error> {
    let now = Instant::now();
    let waiting: Vec<(u64, bool)> = lane
        .live
        .iter()
        .filter(|(_, live)| {
            matches!(live.entry.status, Status::Pending { .. })
                && now.duration_since(live.sent_at) >= lane.config.bump_after
        })
        .map(|(position, live)| {
            (*position, live.entry.attempts.iter().any(|attempt| attempt.cancels))
        })
        .collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let market = lane.client.fees().await?;
    for (position, cancels) in waiting {
        metrics::counter!("chain_sender_bumps_total").increment(1);
        lane.replace(position, market, cancels).await?;
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
