//! One destination: messages come in, are prepared side by side, submitted in batches, and watched until
//! their block is final.
//!
//! Three stages because each can undo the one before: what was prepared may be refused when it is
//! submitted, and what was submitted may leave its block until that is final. Everything is driven by
//! completion: no stage waits for the slowest of several messages.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chain::{FinalityRule, Sender, db};
use service::crash_point;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Key, Process, State, Stored},
    metrics::Metrics,
    origin::{News, now_millis},
    prepare::Preparer,
    retry,
    store::Store,
    submit::{Prepared, Sent, Submitter},
    verdict::{NotReady, Verdict},
};

/// Most messages prepared at the same time.
const MAX_PREPARING: usize = 64;
/// Transactions under way for one signer.
const IN_FLIGHT: usize = 3;
/// How often delivered messages are compared with the destination's chain.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);

/// Why a destination is not served any more.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// A stage ended abnormally.
    #[error("a stage ended abnormally: {0}")]
    Join(#[from] tokio::task::JoinError),
}

/// How a destination is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneOptions {
    /// Most messages in one transaction.
    pub(super) max_batch: usize,
    /// When a delivery counts as final.
    pub(super) finality: FinalityRule,
}

/// Serves one destination.
#[derive(Debug)]
pub(super) struct Lane {
    store: Store,
    preparer: Arc<Preparer>,
    submitter: Submitter,
    options: LaneOptions,
    metrics: Metrics,
    inbox: mpsc::UnboundedReceiver<News>,
    messages: HashMap<Key, Stored>,
    due: BinaryHeap<Reverse<(u64, Key)>>,
    preparing: JoinSet<(Key, Verdict)>,
    ready: VecDeque<Prepared>,
    senders: Vec<(Sender, usize)>,
    sending: JoinSet<(usize, Vec<(Key, Sent)>)>,
    watching: JoinSet<Vec<(Key, Watched)>>,
}

/// What became of a delivered message.
#[derive(Debug, Clone, Copy)]
enum Watched {
    Final,
    /// In another block than before.
    Moved(Process),
    Gone,
}

impl Lane {
    /// Takes up what is not finished.
    pub(super) async fn load(
        store: Store,
        (preparer, submitter): (Preparer, Submitter),
        senders: Vec<Sender>,
        (options, metrics): (LaneOptions, Metrics),
        (destination, inbox): (protocol::ids::Domain, mpsc::UnboundedReceiver<News>),
    ) -> Result<Self, LaneError> {
        let mut lane = Self {
            preparer: Arc::new(preparer),
            submitter,
            options,
            metrics,
            inbox,
            messages: HashMap::new(),
            due: BinaryHeap::new(),
            preparing: JoinSet::new(),
            ready: VecDeque::new(),
            senders: senders.into_iter().map(|sender| (sender, 0)).collect(),
            sending: JoinSet::new(),
            watching: JoinSet::new(),
            store,
        };
        for mut message in lane.store.unfinished(destination).await? {
            if message.state == State::Submitted {
                // The sender takes up what was sent; whether it was delivered is asked first.
                message.state = State::Pending;
            }
            lane.accept(message);
        }
        Ok(lane)
    }

    /// Serves until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) -> Result<(), LaneError> {
        let mut confirm = tokio::time::interval(CONFIRM_EVERY);
        confirm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            self.start_preparing();
            self.start_sending().await?;
            self.metrics.queues(self.messages.len(), self.ready.len());
            let next_due = self.until_due();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                news = self.inbox.recv() => match news {
                    Some(News::Added(message)) => self.accept(*message),
                    Some(News::Orphaned(key)) => self.forget(key),
                    None => return Ok(()),
                },
                Some(done) = self.preparing.join_next() => {
                    let (key, verdict) = done?;
                    self.prepared(key, verdict).await?;
                }
                Some(done) = self.sending.join_next() => {
                    let (position, sent) = done?;
                    self.sent(position, sent).await?;
                }
                Some(done) = self.watching.join_next() => self.watched(done?).await?,
                _ = confirm.tick() => self.start_watching(),
                () = tokio::time::sleep(next_due) => {}
            }
        }
    }

    fn accept(&mut self, message: Stored) {
        if message.state == State::Pending && !self.messages.contains_key(&message.key) {
            self.due.push(Reverse((message.next_at, message.key)));
        }
        self.messages.entry(message.key).or_insert(message);
    }

    /// The message's origin block is gone: nothing more is done for it.
    fn forget(&mut self, key: Key) {
        self.messages.remove(&key);
        self.ready.retain(|prepared| prepared.message.key != key);
    }

    fn until_due(&self) -> Duration {
        let idle = Duration::from_secs(3600);
        if self.preparing.len() >= MAX_PREPARING {
            return idle;
        }
        self.due
            .peek()
            .map_or(idle, |Reverse((at, _))| Duration::from_millis(at.saturating_sub(now_millis())))
    }

    fn start_preparing(&mut self) {
        let now = now_millis();
        while self.preparing.len() < MAX_PREPARING
            && self.due.peek().is_some_and(|Reverse((at, _))| *at <= now)
        {
            let Some(Reverse((_, key))) = self.due.pop() else { return };
            let Some(message) = self.messages.get(&key) else { continue };
            let (preparer, message) = (Arc::clone(&self.preparer), message.clone());
            self.preparing.spawn(async move { (key, preparer.prepare(&message).await) });
        }
    }

    async fn prepared(&mut self, key: Key, verdict: Verdict) -> Result<(), LaneError> {
        let Some(message) = self.messages.get_mut(&key) else { return Ok(()) };
        match verdict {
            Verdict::Ready(ready) => {
                let prepared = Prepared { message: message.clone(), ready };
                self.ready.push_back(prepared);
                Ok(())
            }
            Verdict::Delivered(process) => self.delivered(key, process).await,
            Verdict::Wait(reason) => self.wait(key, reason).await,
            Verdict::Park(reason) => {
                tracing::warn!(mailbox_id = %key.id, reason, "message parked");
                message.state = State::Parked;
                message.reason = reason;
                self.store.update(message).await?;
                self.metrics.parked();
                self.messages.remove(&key);
                Ok(())
            }
        }
    }

    /// Tries again later. Waits that pass by themselves are not written down each time: a restart loses
    /// nothing but their count.
    async fn wait(&mut self, key: Key, reason: NotReady) -> Result<(), LaneError> {
        let Some(message) = self.messages.get_mut(&key) else { return Ok(()) };
        message.state = State::Pending;
        message.attempts = message.attempts.saturating_add(1);
        let delay = retry::jittered(reason.pace, message.attempts);
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        message.next_at = now_millis().saturating_add(delay);
        let worth_writing = reason.pace != retry::Pace::Soon || message.attempts % 16 == 0;
        message.reason = reason.reason;
        if worth_writing {
            self.store.update(message).await?;
        }
        self.due.push(Reverse((message.next_at, key)));
        Ok(())
    }

    /// Hands what is ready to free signers, as many messages to a transaction as allowed.
    async fn start_sending(&mut self) -> Result<(), LaneError> {
        while !self.ready.is_empty() {
            let free = self.senders.iter().enumerate().min_by_key(|(_, (_, busy))| *busy);
            let Some((position, (sender, busy))) = free else { return Ok(()) };
            if *busy >= IN_FLIGHT {
                return Ok(());
            }
            let sender = sender.clone();
            let batch = self.next_batch();
            for prepared in &batch {
                if let Some(message) = self.messages.get_mut(&prepared.message.key) {
                    message.state = State::Submitted;
                    message.reason = String::from("submitted");
                    self.store.update(message).await?;
                }
            }
            crash_point!("relayer.submit.before");
            self.senders[position].1 += 1;
            self.metrics.batch(batch.len());
            let submitter = self.submitter.clone();
            self.sending.spawn(async move { (position, submitter.send(&sender, &batch).await) });
        }
        Ok(())
    }

    /// The next messages for one transaction; one that failed in a batch before goes alone.
    fn next_batch(&mut self) -> Vec<Prepared> {
        let most = if self.submitter.multicall.is_some() { self.options.max_batch } else { 1 };
        let mut batch: Vec<Prepared> = Vec::new();
        while batch.len() < most.max(1) {
            match self.ready.front() {
                Some(next) if next.message.alone && !batch.is_empty() => break,
                Some(_) => batch.extend(self.ready.pop_front()),
                None => break,
            }
            if batch.last().is_some_and(|last| last.message.alone) {
                break;
            }
        }
        batch
    }

    async fn sent(&mut self, position: usize, sent: Vec<(Key, Sent)>) -> Result<(), LaneError> {
        self.senders[position].1 -= 1;
        let was_batch = sent.len() > 1;
        for (key, outcome) in sent {
            if !self.messages.contains_key(&key)
                && let Sent::Processed(process) = outcome
            {
                // Its origin block went while it was being submitted.
                self.store.delivered_orphan(key, process).await?;
                continue;
            }
            match outcome {
                Sent::Processed(process) => self.delivered(key, process).await?,
                Sent::Failed(reason) => {
                    self.metrics.failed();
                    if let Some(message) = self.messages.get_mut(&key) {
                        message.alone |= was_batch;
                    }
                    self.wait(key, NotReady::normal(reason)).await?;
                }
            }
        }
        Ok(())
    }

    async fn delivered(&mut self, key: Key, process: Process) -> Result<(), LaneError> {
        crash_point!("relayer.delivered.before");
        let Some(message) = self.messages.get_mut(&key) else { return Ok(()) };
        let now = now_millis();
        if message.delivered_at.is_none() {
            self.metrics.delivered(message, now);
        }
        message.state = State::Delivered;
        message.process = Some(process);
        message.delivered_at.get_or_insert(now);
        message.reason = format!("delivered in block {}, waiting for its finality", process.number);
        self.store.update(message).await?;
        crash_point!("relayer.delivered.after");
        Ok(())
    }

    /// Compares delivered messages whose block should be final with the destination's chain.
    fn start_watching(&mut self) {
        if !self.watching.is_empty() {
            return;
        }
        let delivered: Vec<(Key, Process)> = self
            .messages
            .values()
            .filter(|message| message.state == State::Delivered)
            .filter_map(|message| Some((message.key, message.process?)))
            .collect();
        if delivered.is_empty() {
            return;
        }
        let (preparer, finality) = (Arc::clone(&self.preparer), self.options.finality);
        self.watching.spawn(async move { watch(&preparer, finality, delivered).await });
    }

    async fn watched(&mut self, watched: Vec<(Key, Watched)>) -> Result<(), LaneError> {
        for (key, became) in watched {
            let Some(message) = self.messages.get_mut(&key) else { continue };
            match became {
                Watched::Final => {
                    message.state = State::Done;
                    message.reason = String::from("delivered in a final block");
                    self.store.update(message).await?;
                    self.messages.remove(&key);
                }
                Watched::Moved(process) => {
                    message.process = Some(process);
                    self.store.update(message).await?;
                }
                Watched::Gone => {
                    tracing::warn!(mailbox_id = %key.id, "its delivery was reorganized away");
                    self.metrics.undone();
                    message.process = None;
                    self.wait(key, NotReady::soon("its delivery was reorganized away")).await?;
                }
            }
        }
        Ok(())
    }
}

/// Looks at the block of each delivery. What cannot be asked now is asked next time.
async fn watch(
    preparer: &Preparer,
    finality: FinalityRule,
    delivered: Vec<(Key, Process)>,
) -> Vec<(Key, Watched)> {
    let Ok(Some(head)) = preparer.chain.safe_head(finality).await else { return Vec::new() };
    let mut hashes = HashMap::new();
    let mut watched = Vec::new();
    for (key, process) in delivered {
        if let std::collections::hash_map::Entry::Vacant(entry) = hashes.entry(process.number) {
            let Ok(hash) = preparer.block_hash(process.number).await else { continue };
            entry.insert(hash);
        }
        let Some(Some(hash)) = hashes.get(&process.number) else { continue };
        if *hash == process.hash {
            if process.number <= head.number {
                watched.push((key, Watched::Final));
            }
            continue;
        }
        match preparer.recheck(key.id).await {
            Ok(Some(process)) => watched.push((key, Watched::Moved(process))),
            Ok(None) => watched.push((key, Watched::Gone)),
            Err(_) => {}
        }
    }
    watched
}
