//! Executing reads: where, and exactly how.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
};
use chain::{ChainClient, FinalityRule, client::BlockHeader};
use protocol::{
    abi::messaging::{ReadAnchor, ReadResult},
    finality::Tier,
    message::Message,
    read,
};

use super::{Attestor, ReadChain, ReadRefusal, Results, anchor};

/// From which head anchors are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The newest block: what is found may still change.
    AtTip,
    /// The newest block of the tier: what is found may be attested.
    AtTier(Tier),
}

impl Attestor {
    /// The anchor of every chain that the message reads, ascending by domain.
    pub(super) async fn anchors(
        &self,
        origin: &ReadChain,
        message: &Message<'_>,
        block: BlockHeader,
        seen: Seen,
    ) -> Result<Vec<ReadAnchor>, ReadRefusal> {
        let mut anchors = BTreeMap::new();
        for read in message.reads.iter() {
            if anchors.contains_key(&read.domain.0) {
                continue;
            }
            let anchor = if read.domain == origin.manifest.domain {
                ReadAnchor { domain: read.domain.0, number: block.number, blockHash: block.hash }
            } else {
                let chain = self
                    .chains
                    .get(&read.domain)
                    .ok_or(ReadRefusal::Unknown("a read's chain is not configured"))?;
                let head = match seen {
                    // Not the newest block of a majority: on a fast chain no two RPCs name the same.
                    Seen::AtTip => chain.chain.head(FinalityRule::Blocks(0)).await?,
                    Seen::AtTier(tier) => chain.head(tier).await?,
                };
                anchor::find(chain, head, block.timestamp).await?
            };
            anchors.insert(read.domain.0, anchor);
        }
        Ok(anchors.into_values().collect())
    }

    /// Executes every read at the anchor of its chain.
    pub(super) async fn execute(
        &self,
        message: &Message<'_>,
        anchors: Vec<ReadAnchor>,
    ) -> Result<Results, ReadRefusal> {
        let mut wrapped = Vec::with_capacity(message.reads.len());
        for operation in message.reads.iter() {
            let anchor = anchors.iter().find(|anchor| anchor.domain == operation.domain.0);
            let result = match (anchor, self.chains.get(&operation.domain)) {
                (Some(anchor), Some(chain)) if anchor.blockHash != B256::ZERO => {
                    let client = chain.chain.majority();
                    execute_at(client, anchor, operation.target, operation.call_data).await?
                }
                // The chain did not exist at that time.
                _ => read::failed(),
            };
            wrapped.push(read::wrap(&result));
        }
        Ok(Results { anchors, wrapped })
    }
}

/// One read, exactly as the specification has it: at the block by hash, from nobody, without value or
/// gas price, with ten million gas.
async fn execute_at(
    client: &ChainClient,
    anchor: &ReadAnchor,
    target: Address,
    call_data: &[u8],
) -> Result<ReadResult, ReadRefusal> {
    let at = alloy::eips::BlockId::hash(anchor.blockHash);
    let mut request = TransactionRequest::default()
        .from(Address::ZERO)
        .to(target)
        .input(Bytes::copy_from_slice(call_data).into());
    request.value = Some(U256::ZERO);
    request.gas = Some(read::READ_GAS);
    request.gas_price = Some(0);
    match client.simulate(&request, at).await {
        Ok(data) if data.is_empty() && client.code(target, at).await?.is_empty() => {
            Ok(read::failed())
        }
        Ok(data) => Ok(read::answered(data)),
        // Out of gas, an invalid opcode and the like are reverts too: the machine says so, not the node.
        Err(error) if error.revert().is_some() => Ok(read::failed()),
        Err(error) => Err(error.into()),
    }
}
