//! One look at the chain: what is new since the cursor.

use std::collections::BTreeMap;

use alloy::rpc::types::{Filter, Log};
use futures::{StreamExt, TryStreamExt, stream};

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
    let mut events = Vec::new();
    let mut lowest = None;
    for known in cursor.newest_first() {
        let same = match client.block(known.number).await? {
            Some(block) => block.hash == known.hash,
            // A node that has not got so far says nothing about the block; one that has says it is gone.
            None if client.latest().await?.number < known.number && events.is_empty() => {
                return behind(client, cursor).await;
            }
            None => false,
        };
        if same {
            lowest = Some(known);
            break;
        }
        events.push(Event::Removed(known));
    }
    if events.is_empty() {
        return Ok(None);
    }
    let Some(through) = lowest else {
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
        depth = events.len(),
        fork = through.number,
        "blocks replaced"
    );
    Ok(Some(Batch { events, through: Some(through) }))
}

/// The node's head is below the cursor: it lags, or the chain was cut back. It was cut back when the node's own head is a
/// block that we know under another hash; a node that lags is waited for.
async fn behind(client: &ChainClient, cursor: &Cursor) -> Result<Option<Batch>, Error> {
    let head = client.latest().await?;
    let known = cursor.newest_first().find(|known| known.number == head.number);
    let Some(known) = known.filter(|known| known.hash != head.hash) else { return Ok(None) };
    let mut events = Vec::new();
    let mut through = None;
    for block in cursor.newest_first() {
        if block.number > known.number {
            events.push(Event::Removed(block));
        } else if client.block(block.number).await?.is_some_and(|now| now.hash == block.hash) {
            through = Some(block);
            break;
        } else {
            events.push(Event::Removed(block));
        }
    }
    Ok(through.map(|through| Batch { events, through: Some(through) }))
}

/// Blocks far below the tip: one query for many, and headers only for those with logs.
async fn range(
    client: &ChainClient,
    config: &mut FollowerConfig,
    from: u64,
    below: u64,
) -> Result<Option<Batch>, Error> {
    let to = (from + config.range.max(1) - 1).min(below);
    let logs = match client.logs(&config.filter().from_block(from).to_block(to)).await {
        Ok(logs) => logs,
        // Nodes limit a query by blocks or by results, each in its own words.
        Err(error @ client::Error::Node { .. }) if config.range > 1 => {
            config.range /= 2;
            tracing::info!(follower = config.name, range = config.range, %error, "asking for less");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let by_block = group(logs);
    let wanted: Vec<u64> = by_block.keys().copied().chain([to]).collect();
    let headers = headers(client, wanted).await?;
    let mut events = Vec::new();
    for (number, logs) in by_block {
        let Some(block) = headers.get(&number).copied() else { return Ok(None) };
        if logs.iter().any(|log| log.block_hash != Some(block.hash)) {
            return Ok(None);
        }
        events.push(Event::Added(BlockLogs { block, logs }));
    }
    let through = headers.get(&to).map(|block| BlockRef { number: to, hash: block.hash });
    Ok(through.map(|through| Batch { events, through: Some(through) }))
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
) -> Result<BTreeMap<u64, BlockHeader>, Error> {
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
