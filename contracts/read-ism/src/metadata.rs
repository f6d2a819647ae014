//! What a gateway answers: the instant, the anchors, the results, the signatures.

use alloc::vec::Vec;

use alloy_primitives::B256;
use parts::{Frame, Writer};
use protocol::{
    abi::messaging::ReadAnchor,
    message::Reads,
    read::MAX_RESULT_LEN,
    words::{Malformed, padded},
};

/// The parts of the metadata, not yet vouched for by anyone.
pub(crate) struct Metadata<'a> {
    pub(crate) timestamp: u64,
    pub(crate) anchors: Vec<ReadAnchor>,
    pub(crate) wrapped: Vec<&'a [u8]>,
    pub(crate) signatures: &'a [u8],
    results: Vec<(bool, &'a [u8])>,
}

impl<'a> Metadata<'a> {
    /// Reads `abi.encode(uint64, (uint32,uint64,bytes32)[], bytes[], bytes)`: one result for each read, and one anchor for
    /// each distinct domain among them, ascending.
    pub(crate) fn read(a: Frame<'a>, reads: Reads<'_>) -> Result<Self, Malformed> {
        let (count, elements) = a.array(1, 3)?;
        let anchors = (0..count)
            .map(|index| {
                Ok(ReadAnchor {
                    domain: elements.uint32(3 * index)?,
                    number: elements.uint64(3 * index + 1)?,
                    blockHash: elements.word(3 * index + 2)?,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let is_ascending = anchors.windows(2).all(|pair| pair[0].domain < pair[1].domain);
        let anchored = |domain| anchors.iter().any(|anchor| anchor.domain == domain);
        let is_asked = |domain| reads.iter().any(|read| read.domain.0 == domain);
        if !is_ascending
            || !reads.iter().all(|read| anchored(read.domain.0))
            || !anchors.iter().all(|anchor| is_asked(anchor.domain))
        {
            return Err(Malformed);
        }
        let (count, elements) = a.array(2, 1)?;
        let wrapped =
            (0..count).map(|index| elements.bytes(index)).collect::<Result<Vec<_>, _>>()?;
        let results = wrapped.iter().map(|bytes| unwrap(bytes)).collect::<Result<Vec<_>, _>>()?;
        if count != reads.len() {
            return Err(Malformed);
        }
        Ok(Self { timestamp: a.uint64(0)?, anchors, wrapped, signatures: a.bytes(3)?, results })
    }

    /// `abi.encode(uint64 timestamp, uint256 failed reads, bytes[] results)`: what the router takes.
    pub(crate) fn answer(&self) -> Vec<u8> {
        let mut failed = B256::ZERO;
        let results = self.results.iter().enumerate().map(|(index, (ok, data))| {
            if let (false, Some(byte)) = (*ok, 31_usize.checked_sub(index / 8)) {
                failed[byte] |= 1 << (index % 8);
            }
            *data
        });
        let results = results.collect::<Vec<_>>();
        let size: usize = results.iter().map(|data| 64 + padded(data.len())).sum();
        Writer::new(4 + size / 32)
            .uint64(self.timestamp)
            .word(failed)
            .size(0x60)
            .bytes_array(&results)
            .finish()
    }
}

/// `abi.encode(bool ok, bytes data)`. A failed read has no data.
fn unwrap(bytes: &[u8]) -> Result<(bool, &[u8]), Malformed> {
    let (ok, data) = (Frame(bytes).boolean(0)?, Frame(bytes).bytes(1)?);
    if data.len() > MAX_RESULT_LEN || (!ok && !data.is_empty()) {
        return Err(Malformed);
    }
    Ok((ok, data))
}
