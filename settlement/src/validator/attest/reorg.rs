//! What a reorg takes back: the fast tier replaces what it signed and keeps the evidence, the final tier
//! keeps the evidence and stops.

use std::sync::Arc;

use alloy::{
    eips::BlockId, primitives::B256, rpc::types::TransactionRequest, signers::SignerSync as _,
    sol_types::SolCall as _,
};
use chain::{
    FinalityRule,
    client::{self, BlockHeader},
};
use protocol::{abi::hyperlane::MerkleTreeHook, finality::Tier, signable::Signable as _};
use service::{clock::Clock, crash_point};

use super::{AttestError, Attester, Setback, Stream, count_of};
use crate::{
    checkpoints::format::{ReorgFlag, ReorgPeriod},
    validator::journal::{Block, Entry},
};

impl Attester {
    pub(super) async fn is_canonical(&self, block: Block) -> Result<bool, Setback> {
        let header = self.chain.majority().block(block.number).await?.ok_or(Setback::Moved)?;
        Ok(header.hash == block.hash)
    }

    /// The last block read is gone, or is not to be relied on. Finds the fork: the block from which to read
    /// again, after the fast tier has taken back what it signed above it. `None`: the final tier had
    /// signed above it, keeps the evidence and stops.
    pub(super) async fn take_back(&mut self, head: BlockHeader) -> Result<Option<u64>, Setback> {
        let (mut kept, mut gone) = (0, count_of(&self.tree));
        while kept < gone {
            let middle = kept + (gone - kept) / 2;
            match self.journal.entry(middle).await? {
                Some(entry) if self.is_canonical(entry.block).await? => kept = middle + 1,
                _ => gone = middle,
            }
        }
        let fork = match kept.checked_sub(1) {
            Some(index) => self.journal.entry(index).await?.map(|entry| entry.block),
            None => None,
        };
        if kept < count_of(&self.tree) {
            match self.stream.tier {
                Tier::Instant => self.replace_above(kept).await?,
                Tier::Finalized | Tier::Espresso => {
                    self.keep_flag(kept, head).await?;
                    return Ok(None);
                }
            }
        }
        // The fork's own block is read again: a crash may have left only some of its leaves recorded.
        Ok(Some(fork.map_or(self.stream.start_block, |block| block.number)))
    }

    /// The fast tier signed a branch that is gone: evidence first, then the files, then the record. A
    /// crash in between finds the reorg again.
    async fn replace_above(&mut self, kept: u32) -> Result<(), Setback> {
        let Stream { chain_name, tier, .. } = &self.stream;
        let gone = self.journal.entries(kept, u32::MAX).await?;
        tracing::warn!(
            chain = chain_name, %tier, from = kept, count = gone.len(),
            "reorg: signed checkpoints are taken back"
        );
        self.metrics.reorged(gone.len());
        let (folder, evidence) = (Arc::clone(&self.folder), self.evidence(&gone)?);
        tokio::task::spawn_blocking(move || {
            for (index, evidence) in evidence {
                folder.keep_evidence(index, evidence)?;
            }
            crash_point!("validator.reorg.evidence");
            folder.truncate(kept.checked_sub(1))
        })
        .await
        .map_err(AttestError::from)?
        .map_err(AttestError::from)?;
        crash_point!("validator.reorg.truncated");
        self.tree = self.journal.orphan(kept).await?;
        crash_point!("validator.reorg.recorded");
        Ok(())
    }

    /// What was signed for each entry, with the block it was seen in.
    fn evidence(&self, gone: &[Entry]) -> Result<Vec<(u32, serde_json::Value)>, AttestError> {
        gone.iter()
            .map(|entry| {
                let signature = self.signer.sign_hash_sync(&self.checkpoint(entry).digest())?;
                let evidence = serde_json::json!({
                    "merkle_tree_hook_address": self.stream.hook.into_word(),
                    "mailbox_domain": self.stream.domain,
                    "root": entry.root,
                    "index": entry.index,
                    "message_id": entry.message_id.0,
                    "block_number": entry.block.number,
                    "block_hash": entry.block.hash,
                    "serialized_signature": alloy::hex::encode_prefixed(signature.as_bytes()),
                });
                Ok((entry.index, evidence))
            })
            .collect()
    }

    /// The final tier signed what is no longer there: the flag halts everyone who reads the folder.
    async fn keep_flag(&self, kept: u32, head: BlockHeader) -> Result<(), Setback> {
        let canonical = self.canonical_root(head).await?;
        let local = self.journal.entry(kept).await?.map_or(B256::ZERO, |entry| entry.root);
        let flag = ReorgFlag {
            local_merkle_root: local,
            canonical_merkle_root: canonical,
            checkpoint_index: kept,
            unix_timestamp: Clock::system().unix(),
            reorg_period: match self.stream.rule {
                FinalityRule::Blocks(depth) => ReorgPeriod::Blocks(depth),
                rule @ (FinalityRule::Tag(_) | FinalityRule::Instant) => {
                    ReorgPeriod::Tag(rule.to_string())
                }
            },
        };
        let folder = Arc::clone(&self.folder);
        tokio::task::spawn_blocking(move || folder.raise_reorg_flag(&flag))
            .await
            .map_err(AttestError::from)?
            .map_err(AttestError::from)?;
        self.metrics.reorged(1);
        Ok(())
    }
    /// The root that the hook shows at `head`, zero when it shows none: a hook that is gone is no less a reason to stop.
    /// A node that cannot answer says nothing of the hook and is asked again.
    async fn canonical_root(&self, head: BlockHeader) -> Result<B256, client::Error> {
        let call = MerkleTreeHook::rootCall {}.abi_encode();
        let request = TransactionRequest::default().to(self.stream.hook).input(call.into());
        match self.chain.majority().simulate(&request, BlockId::hash(head.hash)).await {
            Ok(output) => {
                Ok(MerkleTreeHook::rootCall::abi_decode_returns_validate(&output)
                    .unwrap_or_default())
            }
            Err(error) if error.revert().is_some() => Ok(B256::ZERO),
            Err(error) => Err(error),
        }
    }
}
