//! One destination: messages come in, are prepared side by side, submitted in batches, and watched until
//! their block is final.
//!
//! Three stages because each can undo the one before: what was prepared may be refused when it is
//! submitted, and what was submitted may leave its block until that is final. Everything is driven by
//! completion: no stage waits for the slowest of several messages.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::B256;
use chain::{FinalityRule, Sender, db};
use service::crash_point;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Failure, Key, Process, State, Stored, Submission},
    metrics::Metrics,
    origin::{News, now_millis},
    prepare::Preparer,
    retry,
    store::Store,
    submit::{Prepared, Sent, Submitter, batch_gas},
    verdict::{NotReady, Verdict},
    watch::{Look, Watch, Watched},
};

/// Most messages prepared at the same time.
const MAX_PREPARING: usize = 64;
/// Transactions under way for one signer.
const IN_FLIGHT: usize = 3;
/// How often delivered messages are compared with the destination's chain.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);

/// How long a message is looked for at its destination after its origin block went.
const ORPHANED_WITHIN: Duration = Duration::from_secs(600);
/// Most messages that are looked for so.
const MAX_ORPHANS: usize = 256;
/// After so many transactions that were paid for and did not deliver it, a message is tried rarely.
const MAX_FAILURES: u32 = 3;

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
    watch: Watch,
    watching: JoinSet<Look>,
    /// The newest final block of the last look.
    final_block: Option<(u64, B256)>,
    /// Messages whose origin block went, and since when: what was submitted may still be delivered.
    orphans: HashMap<Key, Instant>,
    /// Messages of which a transaction may have been mined: the mailbox is asked for them first.
    unsure: HashSet<Key>,
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
        let preparer = Arc::new(preparer);
        let watch = Watch {
            preparer: Arc::clone(&preparer),
            store: store.clone(),
            destination,
            finality: options.finality,
        };
        let mut lane = Self {
            preparer,
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
            watch,
            watching: JoinSet::new(),
            final_block: None,
            orphans: HashMap::new(),
            unsure: HashSet::new(),
            store,
        };
        let since = now_millis().saturating_sub(ORPHANED_WITHIN.as_millis() as u64);
        for orphan in lane.store.orphans(destination, since, MAX_ORPHANS).await? {
            lane.orphans.insert(orphan.key, Instant::now());
        }
        let mut submitted = Vec::new();
        for message in lane.store.unfinished(destination).await? {
            match message.state {
                State::Submitted => submitted.push(message.key),
                State::Pending => {
                    lane.unsure.insert(message.key);
                }
                _ => {}
            }
            lane.accept(message);
        }
        lane.resume(submitted).await?;
        Ok(lane)
    }

    /// Takes up what was handed to senders before, each request once: another transaction for a message
    /// would be paid for too.
    async fn resume(&mut self, submitted: Vec<Key>) -> Result<(), LaneError> {
        let mut requests: BTreeMap<(usize, String), Vec<Key>> = BTreeMap::new();
        for key in submitted {
            let submission = self.store.submission(key).await?;
            let known = submission.and_then(|Submission { signer, request }| {
                let is_of = |(sender, _): &(Sender, usize)| sender.address() == signer;
                Some((self.senders.iter().position(is_of)?, request))
            });
            match known {
                Some(request) => requests.entry(request).or_default().push(key),
                // Somebody else delivered it, or the key is not ours any more.
                None => self.try_anew(key),
            }
        }
        for ((position, request), keys) in requests {
            let Some((sender, busy)) = self.senders.get_mut(position) else { continue };
            *busy += 1;
            let (sender, submitter) = (sender.clone(), self.submitter.clone());
            self.sending
                .spawn(async move { (position, submitter.resume(&sender, &request, keys).await) });
        }
        Ok(())
    }

    fn try_anew(&mut self, key: Key) {
        let Some(message) = self.messages.get_mut(&key) else { return };
        message.state = State::Pending;
        self.unsure.insert(key);
        self.due.push(Reverse((message.next_at, key)));
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
        self.orphans.remove(&message.key);
        if message.state == State::Pending && !self.messages.contains_key(&message.key) {
            self.due.push(Reverse((message.next_at, message.key)));
        }
        self.messages.entry(message.key).or_insert(message);
    }

    /// The message's origin block is gone: nothing more is done for it but to see whether it arrives.
    fn forget(&mut self, key: Key) {
        if self.messages.remove(&key).is_some() && self.orphans.len() < MAX_ORPHANS {
            self.orphans.insert(key, Instant::now());
        }
        self.unsure.remove(&key);
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
            let ask_first = self.unsure.remove(&key);
            self.preparing.spawn(async move { (key, preparer.prepare(&message, ask_first).await) });
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
            Verdict::Delivered(process) => {
                crash_point!("relayer.delivered.before");
                self.delivered(key, process);
                self.write(&[key]).await?;
                crash_point!("relayer.delivered.after");
                Ok(())
            }
            Verdict::Wait(reason) => match self.wait(key, reason) {
                Worth::Writing => self.write(&[key]).await,
                Worth::Nothing => Ok(()),
            },
            Verdict::Park(reason) => {
                tracing::warn!(mailbox_id = %key.id, reason, "message parked");
                message.state = State::Parked;
                message.reason = reason;
                self.write(&[key]).await?;
                self.metrics.parked();
                self.messages.remove(&key);
                Ok(())
            }
        }
    }

    /// Writes these messages as they are now, in one transaction.
    async fn write(&self, keys: &[Key]) -> Result<(), LaneError> {
        Ok(self.store.update(&self.known(keys)).await?)
    }

    fn known(&self, keys: &[Key]) -> Vec<&Stored> {
        keys.iter().filter_map(|key| self.messages.get(key)).collect()
    }

    /// Tries again later. Waits that pass by themselves are not written down each time: a restart loses
    /// nothing but their count.
    fn wait(&mut self, key: Key, reason: NotReady) -> Worth {
        let Some(message) = self.messages.get_mut(&key) else { return Worth::Nothing };
        message.state = State::Pending;
        message.attempts = message.attempts.saturating_add(1);
        let delay = retry::jittered(reason.pace, message.attempts);
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        message.next_at = now_millis().saturating_add(delay);
        self.due.push(Reverse((message.next_at, key)));
        let passes_by_itself = reason.pace == retry::Pace::Soon && message.attempts % 16 != 0;
        message.reason = reason.reason;
        if passes_by_itself { Worth::Nothing } else { Worth::Writing }
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
            let keys: Vec<Key> = batch.iter().map(|prepared| prepared.message.key).collect();
            let Some(request) = self.submitter.request(&batch) else {
                for key in keys {
                    self.wait(key, NotReady::slow("there is no contract for batches"));
                }
                continue;
            };
            for key in &keys {
                if let Some(message) = self.messages.get_mut(key) {
                    message.state = State::Submitted;
                    message.reason = String::from("submitted");
                }
            }
            let submission = Submission { signer: sender.address(), request: request.key.clone() };
            self.store.submit(&self.known(&keys), &submission).await?;
            crash_point!("relayer.submit.before");
            self.senders[position].1 += 1;
            self.metrics.batch(batch.len());
            let submitter = self.submitter.clone();
            self.sending
                .spawn(async move { (position, submitter.send(&sender, request, keys).await) });
        }
        Ok(())
    }

    /// The next messages for one transaction, as many as it has gas for; one that failed in a batch before
    /// goes alone.
    fn next_batch(&mut self) -> Vec<Prepared> {
        let most = if self.submitter.multicall.is_some() { self.options.max_batch } else { 1 };
        let ceiling = self.preparer.known_ceiling();
        let mut batch: Vec<Prepared> = Vec::new();
        while batch.len() < most.max(1) {
            let Some(next) = self.ready.front() else { break };
            let fits = !next.message.alone && batch_gas(batch.iter().chain([next])) <= ceiling;
            if !batch.is_empty() && !fits {
                break;
            }
            batch.extend(self.ready.pop_front());
            if batch.last().is_some_and(|last| last.message.alone) {
                break;
            }
        }
        batch
    }

    async fn sent(&mut self, position: usize, sent: Vec<(Key, Sent)>) -> Result<(), LaneError> {
        self.senders[position].1 -= 1;
        let (was_batch, mut changed) = (sent.len() > 1, Vec::with_capacity(sent.len()));
        for (key, outcome) in sent {
            match outcome {
                Sent::Processed(process) if !self.messages.contains_key(&key) => {
                    // Its origin block went while it was being submitted.
                    self.orphan_delivered(key, process).await?;
                }
                Sent::Processed(process) => {
                    self.delivered(key, process);
                    changed.push(key);
                }
                Sent::Failed(failure) => {
                    self.failed(key, failure, was_batch).await?;
                    changed.push(key);
                }
                Sent::Unsent(reason) => {
                    if self.messages.contains_key(&key) {
                        self.unsure.insert(key);
                    }
                    self.wait(key, reason);
                    changed.push(key);
                }
            }
        }
        crash_point!("relayer.delivered.before");
        self.write(&changed).await?;
        crash_point!("relayer.delivered.after");
        Ok(())
    }

    /// A transaction was paid for and did not deliver the message: again alone, and in the end rarely.
    async fn failed(
        &mut self,
        key: Key,
        failure: Failure,
        was_batch: bool,
    ) -> Result<(), LaneError> {
        self.metrics.failed();
        let count = self.store.keep_failure(key.id, failure).await?.transactions;
        let Some(message) = self.messages.get_mut(&key) else { return Ok(()) };
        message.alone |= was_batch;
        self.unsure.insert(key);
        let reason =
            format!("{count} transactions did not deliver it, the last was {}", failure.tx);
        let reason = match count < MAX_FAILURES {
            true => NotReady::normal(reason),
            false => NotReady::rarely(reason),
        };
        self.wait(key, reason);
        Ok(())
    }

    async fn orphan_delivered(&mut self, key: Key, process: Process) -> Result<(), LaneError> {
        self.orphans.remove(&key);
        if let Some(origin) = self.store.delivered_orphan(key, process).await? {
            tracing::warn!(%origin, mailbox_id = %key.id, "delivered after its origin block went");
            self.metrics.delivered_orphan(origin);
        }
        Ok(())
    }

    fn delivered(&mut self, key: Key, process: Process) {
        let Some(message) = self.messages.get_mut(&key) else { return };
        let now = now_millis();
        if message.delivered_at.is_none() {
            self.metrics.delivered(message, now);
        }
        message.state = State::Delivered;
        message.process = Some(process);
        message.delivered_at.get_or_insert(now);
        message.reason = format!("delivered in block {}, waiting for its finality", process.number);
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
        self.orphans.retain(|_, since| since.elapsed() < ORPHANED_WITHIN);
        let (watch, known) = (self.watch.clone(), self.final_block);
        let orphans: Vec<Key> = self.orphans.keys().copied().collect();
        self.watching.spawn(async move { watch.look(known, delivered, orphans).await });
    }

    async fn watched(&mut self, look: Look) -> Result<(), LaneError> {
        let Look { watched, undone, head } = look;
        self.final_block = head;
        let mut changed: Vec<Key> = watched.iter().map(|(key, _)| *key).collect();
        let (mut done, mut gone) = (Vec::new(), Vec::new());
        for message in undone {
            tracing::error!(mailbox_id = %message.key.id, "its delivery was final and is gone");
            changed.push(message.key);
            gone.push(message.key);
            self.messages.insert(message.key, message);
        }
        for (key, became) in watched {
            if let Watched::Orphan(process) = became {
                self.orphan_delivered(key, process).await?;
            }
            let Some(message) = self.messages.get_mut(&key) else { continue };
            match became {
                Watched::Orphan(_) => {}
                Watched::Final => {
                    message.state = State::Done;
                    message.reason = String::from("delivered in a final block");
                    done.push(key);
                }
                Watched::Moved(process) => message.process = Some(process),
                Watched::Gone => {
                    tracing::warn!(mailbox_id = %key.id, "its delivery was reorganized away");
                    gone.push(key);
                }
            }
        }
        for key in &gone {
            let Some(message) = self.messages.get_mut(key) else { continue };
            self.metrics.undone();
            message.process = None;
            message.state = State::Submitted;
            message.reason = String::from("its delivery was reorganized away");
        }
        self.write(&changed).await?;
        for key in done {
            self.messages.remove(&key);
        }
        // Its sender sends a transaction again that left its block.
        self.resume(gone).await
    }
}

/// Whether a change has to survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Writing,
    Nothing,
}
