//! Executing reads before anyone asks for them: a node may have dropped the state of an anchor by the time
//! the anchor is final.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use alloy::{
    primitives::{B256, Bytes},
    rpc::types::Filter,
    sol_types::SolEvent as _,
};
use protocol::{
    abi::hyperlane::Mailbox,
    ids::{Domain, MailboxMessageId},
};
use tokio_util::sync::CancellationToken;

use super::{Attestor, ReadChain, ReadRefusal, execute::Seen};

/// How far back dispatches are looked for at the start, and most blocks in one query of logs.
const RECENT: u64 = 2_000;
/// Blocks at the tip that are looked at again each time: another branch may have taken their place.
const OVERLAP: u64 = 16;
/// Most messages whose anchors are waited for.
const MAX_WAITING: usize = 1_000;
/// Most looks at a message whose chains make no block: it is executed when it is asked for.
const MAX_LOOKS: u32 = 3_000;
/// How many looks pass before a message that is executed is compared with the chains again.
const LOOKS_BETWEEN: u32 = 8;

/// Executes the reads of messages from one origin.
#[derive(Debug)]
pub(in super::super) struct Early {
    attestor: Arc<Attestor>,
    origin: Domain,
    interval: Duration,
    next: Option<u64>,
    seen: HashSet<(MailboxMessageId, B256)>,
    order: VecDeque<(MailboxMessageId, B256)>,
    waiting: Vec<Waiting>,
}

/// A message whose reads are not executed yet.
#[derive(Debug)]
struct Waiting {
    id: MailboxMessageId,
    block: B256,
    envelope: Bytes,
    looks: u32,
    is_drafted: bool,
}

impl Early {
    pub(in super::super) fn new(
        attestor: Arc<Attestor>,
        origin: Domain,
        interval: Duration,
    ) -> Self {
        let (seen, order, waiting) = (HashSet::new(), VecDeque::new(), Vec::new());
        Self { attestor, origin, interval, next: None, seen, order, waiting }
    }

    pub(in super::super) async fn run(mut self, shutdown: CancellationToken) {
        let attestor = Arc::clone(&self.attestor);
        let Some(origin) = attestor.chains.get(&self.origin) else {
            return shutdown.cancelled().await;
        };
        while !shutdown.is_cancelled() {
            let round = async {
                if let Err(refusal) = self.look(origin).await {
                    tracing::debug!(origin = %self.origin, %refusal, "reads are not looked for");
                }
                self.execute(origin).await;
                tokio::time::sleep(self.interval).await;
            };
            shutdown.run_until_cancelled(round).await;
        }
    }

    /// Finds new messages with reads.
    async fn look(&mut self, origin: &ReadChain) -> Result<(), ReadRefusal> {
        let latest = origin.chain.any().latest().await?.number;
        let next = self.next.unwrap_or_else(|| latest.saturating_sub(RECENT));
        if latest < next {
            return Ok(());
        }
        let to = latest.min(next.saturating_add(RECENT));
        let filter = Filter::new()
            .address(origin.manifest.contracts.mailbox)
            .event_signature(Mailbox::Dispatch::SIGNATURE_HASH)
            .from_block(next.saturating_sub(OVERLAP))
            .to_block(to);
        for log in origin.chain.any().logs(&filter).await? {
            let Some(block) = log.block_hash else { continue };
            let Ok(dispatch) = Mailbox::Dispatch::decode_log(&log.inner) else { continue };
            let bytes = dispatch.data.message;
            let Some((envelope, message)) = origin.parse(&bytes) else { continue };
            let id = envelope.id();
            let tier = message.header.tier;
            if !self.attestor.keys.contains_key(&tier.byte()) {
                continue;
            }
            self.attestor.sighted.insert(id, tier);
            if self.waiting.len() < MAX_WAITING && self.is_new((id, block)) {
                self.waiting.push(Waiting {
                    id,
                    block,
                    envelope: bytes,
                    looks: 0,
                    is_drafted: false,
                });
            }
        }
        self.next = Some(to.saturating_add(1));
        Ok(())
    }

    fn is_new(&mut self, found: (MailboxMessageId, B256)) -> bool {
        if !self.seen.insert(found) {
            return false;
        }
        self.order.push_back(found);
        if self.order.len() > 2 * MAX_WAITING
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    /// Executes what can be executed by now, until the anchors are those of the tier.
    async fn execute(&mut self, origin: &ReadChain) {
        let mut left = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            waiting.looks += 1;
            if waiting.is_drafted && waiting.looks % LOOKS_BETWEEN != 0 {
                left.push(waiting);
                continue;
            }
            match self.draft(origin, &mut waiting).await {
                Ok(()) | Err(ReadRefusal::Unknown(_)) => {}
                Err(ReadRefusal::Pending(_) | ReadRefusal::Unavailable(_)) => {
                    if waiting.looks < MAX_LOOKS {
                        left.push(waiting);
                    }
                }
            }
        }
        self.waiting = left;
    }

    async fn draft(&self, origin: &ReadChain, waiting: &mut Waiting) -> Result<(), ReadRefusal> {
        let Waiting { id, block, .. } = *waiting;
        let by_hash = alloy::eips::BlockId::hash(block);
        let Some(dispatched) = origin.chain.majority().block(by_hash).await? else {
            return Err(ReadRefusal::Unknown("its block is gone"));
        };
        let parsed = origin.parse(&waiting.envelope);
        let (_, message) = parsed.ok_or(ReadRefusal::Unknown("not a message with reads"))?;
        let attestor = &self.attestor;
        let anchors = attestor.anchors(origin, &message, dispatched, Seen::AtTip).await?;
        let draft = attestor.record.draft(id, block).await?;
        if draft.is_none_or(|draft| draft.anchors != anchors) {
            let results = attestor.execute(&message, anchors.clone()).await?;
            attestor.record.keep_draft(id, block, &results).await?;
            metrics::counter!(
                "metalayer_validator_early_reads_total", "origin" => self.origin.to_string()
            )
            .increment(1);
        }
        waiting.is_drafted = true;
        let tier = Seen::AtTier(message.header.tier);
        let at_tier = attestor.anchors(origin, &message, dispatched, tier).await?;
        if at_tier == anchors {
            return Ok(());
        }
        Err(ReadRefusal::Pending("the anchors of the tier are others yet".to_owned()))
    }
}
