//! One look at the chain: what is new since the cursor.

use std::collections::BTreeMap;

use alloy::rpc::types::{Filter, Log};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{Batch, BlockLogs, BlockRef, Error, Event, FollowerConfig, cursor::Cursor};
use crate::client::{self, BlockHeader, ChainClient};

/// Headers asked for at the same time.
const PARALLEL_READS: usize = 16;
/// Most blocks that are compared one by one in a batch.
const STEP: u64 = 64;

/// The next batch after the cursor, or `None` when there is nothing new or the node changed its mind meanwhile.
pub(super) async fn scan(
    client: &ChainClient,
    config: &mut FollowerConfig,
    cursor: &Cursor,
) -> Result<Option<Batch>, Error> {
    if let Some(batch) = removed(client, config, cursor).await? {
        return Ok(Some(batch));
    }
    let next = cursor.last().map_or(config.start_block, |last| last.number + 1);
    let Some(head) = client.safe_head(config.finality).await? else { return Ok(None) };
    if head.number < next {
        return Ok(None);
    }
    let below_tip = head.number.saturating_sub(config.window);
    if next < below_tip {
        return range(client, config, next, below_tip).await;
    }
    let through = head.number.min(next + STEP - 1);
    steps(client, config, cursor.last(), next, through).await
}

/// Blocks of the cursor that are no longer part of the chain.
async fn removed(
    client: &ChainClient,
    config: &FollowerConfig,
    cursor: &Cursor,
) -> Result<Option<Batch>, Error> {
    // Of one endpoint: what one has not got yet and another one has would look like a block that is gone.
    let compared = client.at_one(|endpoint| compare(endpoint, cursor).boxed()).await?;
    let Comparison::Stands { gone, fork } = compared else { return Ok(None) };
    if gone.is_empty() {
        return Ok(None);
    }
    let Some(through) = fork else {
        let number = cursor.newest_first().last().map_or(0, |block| block.number);
        return Err(Error::ReorgTooDeep {
            name: config.name.clone(),
            number,
            window: config.window,
        });
    };
    metrics::counter!("chain_follower_reorgs_total").increment(1);
    tracing::warn!(
        follower = config.name,
        depth = gone.len(),
        fork = through.number,
        "blocks replaced"
    );
    let events = gone.into_iter().map(Event::Removed).collect();
    Ok(Some(Batch { events, through: Some(through) }))
}

/// The blocks of the cursor beside the chain of one endpoint.
enum Comparison {
    /// Some are gone, newest first; `fork` is the newest that still stands.
    Stands { gone: Vec<BlockRef>, fork: Option<BlockRef> },
    /// The endpoint has not got so far: that says nothing.
    Lags,
}

async fn compare(endpoint: ChainClient, cursor: &Cursor) -> Result<Comparison, client::Error> {
    let mut gone = Vec::new();
    for known in cursor.newest_first() {
        match endpoint.block(known.number).await? {
            Some(block) if block.hash == known.hash => {
                return Ok(Comparison::Stands { gone, fork: Some(known) });
            }
            Some(_) => gone.push(known),
            None => {
                let head = endpoint.latest().await?;
                if head.number >= known.number {
                    // It came meanwhile, or behind the URL are several nodes.
                    return Err(client::Error::Behind { number: known.number });
                }
                return behind(&endpoint, cursor, head).await;
            }
        }
    }
    Ok(Comparison::Stands { gone, fork: None })
}

/// The endpoint's head is below the cursor: it lags, or the chain was cut back. It was cut back when the head is a block
/// that we know under another hash; an endpoint that lags is waited for.
async fn behind(
    endpoint: &ChainClient,
    cursor: &Cursor,
    head: BlockHeader,
) -> Result<Comparison, client::Error> {
    let known = cursor.newest_first().find(|known| known.number == head.number);
    if known.is_none_or(|known| known.hash == head.hash) {
        return Ok(Comparison::Lags);
    }
    let mut gone = Vec::new();
    for known in cursor.newest_first() {
        let stands = known.number < head.number
            && endpoint.block(known.number).await?.is_some_and(|now| now.hash == known.hash);
        if stands {
            return Ok(Comparison::Stands { gone, fork: Some(known) });
        }
        gone.push(known);
    }
    Ok(Comparison::Lags)
}

/// Blocks far below the tip: one query for many, and headers only for those with logs.
async fn range(
    client: &ChainClient,
    config: &mut FollowerConfig,
    from: u64,
    below: u64,
) -> Result<Option<Batch>, Error> {
    let to = (from + config.range.max(1) - 1).min(below);
    let filter = &config.filter().from_block(from).to_block(to);
    match client.at_one(|endpoint| read_range(endpoint, filter, to).boxed()).await? {
        Range::Blocks { blocks, through } => {
            let events = blocks.into_iter().map(Event::Added).collect();
            Ok(Some(Batch { events, through: Some(through) }))
        }
        Range::Moved => Ok(None),
        // Nodes limit a query by blocks or by results, each in its own words.
        Range::Refused(error) if config.range > 1 => {
            config.range /= 2;
            tracing::info!(follower = config.name, range = config.range, %error, "asking for less");
            Ok(None)
        }
        Range::Refused(error) => Err(error.into()),
    }
}

/// What one endpoint says of a range.
enum Range {
    /// The blocks with logs, and the last of the range.
    Blocks { blocks: Vec<BlockLogs>, through: BlockRef },
    /// Blocks were replaced between two answers.
    Moved,
    /// The query of logs was refused.
    Refused(client::Error),
}

async fn read_range(
    endpoint: ChainClient,
    filter: &Filter,
    to: u64,
) -> Result<Range, client::Error> {
    // First of all: from a node that has not got so far come the logs that it has, and no error.
    let Some(last) = endpoint.block(to).await? else {
        return Err(client::Error::Behind { number: to });
    };
    let logs = match endpoint.logs(filter).await {
        Ok(logs) => logs,
        Err(error @ client::Error::Node { .. }) => return Ok(Range::Refused(error)),
        Err(error) => return Err(error),
    };
    let by_block = group(logs);
    let headers = headers(&endpoint, by_block.keys().copied().collect()).await?;
    let mut blocks = Vec::new();
    for (number, logs) in by_block {
        let Some(block) = headers.get(&number).copied() else { return Ok(Range::Moved) };
        if logs.iter().any(|log| log.block_hash != Some(block.hash)) {
            return Ok(Range::Moved);
        }
        blocks.push(BlockLogs { block, logs });
    }
    Ok(Range::Blocks { blocks, through: BlockRef { number: to, hash: last.hash } })
}

/// Blocks near the tip: each must stand on the one before.
async fn steps(
    client: &ChainClient,
    config: &FollowerConfig,
    last: Option<BlockRef>,
    from: u64,
    to: u64,
) -> Result<Option<Batch>, Error> {
    let headers = headers(client, (from..=to).collect()).await?;
    let mut chain: Vec<BlockHeader> = Vec::new();
    let mut below = last.filter(|last| last.number + 1 == from).map(|last| last.hash);
    for number in from..=to {
        let Some(header) = headers.get(&number).copied() else { break };
        // Not on top of what we have: the next look finds out what was replaced.
        if below.is_some_and(|hash| hash != header.parent_hash) {
            break;
        }
        below = Some(header.hash);
        chain.push(header);
    }
    let filter = config.filter();
    let blocks: Vec<Event> = stream::iter(chain)
        .map(|block| block_logs(client, filter.clone(), block))
        .buffered(PARALLEL_READS)
        .try_collect()
        .await?;
    let through = blocks.last().and_then(|event| match event {
        Event::Added(added) => {
            Some(BlockRef { number: added.block.number, hash: added.block.hash })
        }
        Event::Removed(_) => None,
    });
    Ok(through.map(|through| Batch { events: blocks, through: Some(through) }))
}

async fn block_logs(
    client: &ChainClient,
    filter: Filter,
    block: BlockHeader,
) -> Result<Event, Error> {
    let mut logs = client.logs(&filter.at_block_hash(block.hash)).await?;
    logs.sort_by_key(|log| log.log_index);
    Ok(Event::Added(BlockLogs { block, logs }))
}

async fn headers(
    client: &ChainClient,
    numbers: Vec<u64>,
) -> Result<BTreeMap<u64, BlockHeader>, client::Error> {
    stream::iter(numbers)
        .map(|number| async move { Ok(client.block(number).await?.map(|block| (number, block))) })
        .buffer_unordered(PARALLEL_READS)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

fn group(logs: Vec<Log>) -> BTreeMap<u64, Vec<Log>> {
    let mut by_block: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
    for log in logs {
        if let Some(number) = log.block_number {
            by_block.entry(number).or_default().push(log);
        }
    }
    for logs in by_block.values_mut() {
        logs.sort_by_key(|log| log.log_index);
    }
    by_block
}
