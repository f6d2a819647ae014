//! Which block of a chain a read is executed at: the last one with a timestamp not after T.

use alloy::primitives::B256;
use chain::client::BlockHeader;
use protocol::abi::messaging::ReadAnchor;

use super::{ReadChain, ReadRefusal};

/// The last block of `chain` with timestamp ≤ `timestamp`, as seen from `head`.
///
/// Waits for a later block: without one, another block with the same timestamp could still come, and two
/// honest validators would name two anchors. There is no wall-clock short cut.
pub(super) async fn find(
    chain: &ReadChain,
    head: Option<BlockHeader>,
    timestamp: u64,
) -> Result<ReadAnchor, ReadRefusal> {
    let domain = chain.manifest.domain.0;
    let Some(head) = head.filter(|head| head.timestamp > timestamp) else {
        let waiting = format!("domain {domain} has no block of the tier after {timestamp}");
        return Err(ReadRefusal::Pending(waiting));
    };
    let genesis = block_at(chain, 0).await?;
    if genesis.timestamp > timestamp {
        return Ok(ReadAnchor { domain, number: 0, blockHash: B256::ZERO });
    }
    // The anchor is near the head most of the time: widen the step until it is passed, then halve.
    let (mut low, mut high, mut step) = (genesis, head.number, 1_u64);
    while step < high {
        let candidate = block_at(chain, head.number - step.min(head.number)).await?;
        if candidate.timestamp <= timestamp {
            low = candidate;
            break;
        }
        high = candidate.number;
        step = step.saturating_mul(2);
    }
    while low.number + 1 < high {
        let middle = block_at(chain, low.number + (high - low.number) / 2).await?;
        if middle.timestamp <= timestamp {
            low = middle;
        } else {
            high = middle.number;
        }
    }
    Ok(ReadAnchor { domain, number: low.number, blockHash: low.hash })
}

async fn block_at(chain: &ReadChain, number: u64) -> Result<BlockHeader, ReadRefusal> {
    let block = chain.chain.majority().block(number).await?;
    block.ok_or_else(|| ReadRefusal::Unavailable(format!("block {number} is not known")))
}
