//! When each transfer reached each stage, as the chains show it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    primitives::B256,
    rpc::types::{BlockNumberOrTag, Filter, Log},
    sol_types::SolEvent,
};
use chain::{ChainClient, manifest::ChainManifest};
use parking_lot::Mutex;
use protocol::abi::{inbox, intent_source, prover};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::local;

/// Pause between two looks at a chain: much less than its block time.
const LOOK: Duration = Duration::from_millis(50);

/// When a transfer was first seen at each stage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stages {
    pub(super) published: Option<Instant>,
    pub(super) filled: Option<Instant>,
    pub(super) proven: Option<Instant>,
    pub(super) claimed: Option<Instant>,
    pub(super) refunded: bool,
}

/// What all chains have shown. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    stages: BTreeMap<B256, Stages>,
    expected: BTreeSet<B256>,
}

impl Watch {
    /// A transfer that somebody sent.
    pub(super) fn expect(&self, id: B256) {
        self.0.lock().expected.insert(id);
    }

    /// Notes what a chain shows, until told to stop.
    pub(super) async fn follow(self, chain: ChainManifest, stop: CancellationToken) {
        let Ok(client) = local::client(&chain) else { return };
        let mut next = None;
        while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
            // A chain that does not answer is asked again; what it shows then counts from then on.
            if let Err(error) = self.look(&client, &chain, &mut next).await {
                tracing::debug!(chain = %chain.chain_id, %error, "not seen yet");
            }
        }
    }

    async fn look(
        &self,
        client: &ChainClient,
        chain: &ChainManifest,
        next: &mut Option<u64>,
    ) -> Result<(), chain::client::Error> {
        let Some(latest) = client.block(BlockNumberOrTag::Latest).await? else { return Ok(()) };
        let from = next.unwrap_or(latest.number);
        if from > latest.number {
            return Ok(());
        }
        let contracts = &chain.contracts;
        let filter = Filter::new()
            .address(vec![
                contracts.intent_source,
                contracts.inbox,
                contracts.meta_prover_instant,
                contracts.meta_prover_finalized,
            ])
            .from_block(from)
            .to_block(latest.number);
        let logs = client.logs(&filter).await?;
        let now = Instant::now();
        let mut seen = self.0.lock();
        for log in &logs {
            seen.note(log, now);
        }
        *next = Some(latest.number + 1);
        Ok(())
    }

    /// Transfers sent that are neither paid nor refunded yet.
    pub(super) fn unfinished(&self) -> usize {
        let seen = self.0.lock();
        let open = seen.transfers().filter(|stages| stages.claimed.is_none() && !stages.refunded);
        open.count()
    }

    /// Every transfer that was sent or published.
    pub(super) fn transfers(&self) -> Vec<Stages> {
        self.0.lock().transfers().collect()
    }

    /// For a person who waits.
    pub(super) fn summary(&self) -> String {
        let seen = self.0.lock();
        let count = |has: fn(&Stages) -> bool| seen.transfers().filter(has).count();
        format!(
            "published {}, filled {}, claimed {}",
            count(|stages| stages.published.is_some()),
            count(|stages| stages.filled.is_some()),
            count(|stages| stages.claimed.is_some())
        )
    }
}

impl Seen {
    fn transfers(&self) -> impl Iterator<Item = Stages> {
        let unseen = self.expected.iter().filter(|id| !self.stages.contains_key(*id));
        self.stages.values().copied().chain(unseen.map(|_| Stages::default()))
    }

    fn note(&mut self, log: &Log, now: Instant) {
        let Some(topic) = log.topic0().copied() else { return };
        let log = &log.inner;
        let (id, set): (_, fn(&mut Stages, Instant)) = match topic {
            intent_source::IntentPublished::SIGNATURE_HASH => {
                let event = intent_source::IntentPublished::decode_log_validate(log);
                (event.map(|event| event.intentHash), |stages, now| {
                    stages.published.get_or_insert(now);
                })
            }
            inbox::IntentFulfilled::SIGNATURE_HASH => {
                let event = inbox::IntentFulfilled::decode_log_validate(log);
                (event.map(|event| event.intentHash), |stages, now| {
                    stages.filled.get_or_insert(now);
                })
            }
            prover::IntentProven::SIGNATURE_HASH => {
                let event = prover::IntentProven::decode_log_validate(log);
                (event.map(|event| event.intentHash), |stages, now| {
                    stages.proven.get_or_insert(now);
                })
            }
            intent_source::IntentWithdrawn::SIGNATURE_HASH => {
                let event = intent_source::IntentWithdrawn::decode_log_validate(log);
                (event.map(|event| event.intentHash), |stages, now| {
                    stages.claimed.get_or_insert(now);
                })
            }
            intent_source::IntentRefunded::SIGNATURE_HASH => {
                let event = intent_source::IntentRefunded::decode_log_validate(log);
                (event.map(|event| event.intentHash), |stages, _| stages.refunded = true)
            }
            _ => return,
        };
        if let Ok(id) = id {
            set(self.stages.entry(id).or_default(), now);
        }
    }
}
