//! The task behind a sender: one loop that owns the nonce stream.
//!
//! The loop itself never waits for a node while it could sign: estimates and broadcasts run beside it and report back.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, TxHash, U256},
    signers::local::PrivateKeySigner,
};
use service::{crash_point, retry::Backoff};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::{
    Error, Request, SenderConfig, Ticket, fees,
    journal::{Attempt, Entry, Journal},
    request::Status,
    signing::{self, Draft},
    watching::{self, Standing},
};
use crate::client::{self, BlockHeader, ChainClient, Fees, Rejection, Revert};

/// How often the account's balance is read for its gauge.
const BALANCE_EVERY: Duration = Duration::from_secs(30);

/// What a handle asks of the loop.
#[derive(Debug)]
pub(super) enum Submission {
    /// Write this request into the journal.
    New { request: Request, reply: oneshot::Sender<Result<Ticket, Error>> },
    /// Look for the request under this key.
    Find { key: String, reply: oneshot::Sender<Result<Option<Ticket>, Error>> },
}

/// The nonce stream of one key on one chain.
pub(super) struct Lane {
    pub(super) journal: Journal,
    pub(super) client: ChainClient,
    signer: PrivateKeySigner,
    pub(super) config: SenderConfig,
    inbox: mpsc::UnboundedReceiver<Submission>,
    /// Unfinished requests by position: the order in which nonces are given.
    pub(super) live: BTreeMap<u64, Live>,
    next_nonce: u64,
    next_position: u64,
    work: JoinSet<Done>,
    /// Whether the final head is being asked for beside the loop.
    asking_head: bool,
    pub(super) standing: Standing,
    /// Number of the newest block that was seen.
    pub(super) head: u64,
}

/// An unfinished request and who waits for it.
pub(super) struct Live {
    pub(super) entry: Entry,
    status: watch::Sender<Status>,
    /// Whether an estimate runs for it.
    estimating: bool,
    /// Not estimated before: the last estimate failed, and the loop turns far more often than anything changes.
    estimate_at: Instant,
    estimates: Backoff,
    /// When its newest attempt was handed out; `None` when that is still to be done.
    pub(super) sent_at: Option<Instant>,
    /// The newest block at that time.
    sent_after: u64,
    /// Whether a node took any of its attempts, as far as this process knows.
    accepted: bool,
    /// Why the nodes refused the newest attempt, when they did.
    rejection: Option<Rejection>,
    /// Endpoints disagree about who used its nonce: not asked again before.
    pub(super) doubted_until: Instant,
}

/// What a piece of work beside the loop reports.
enum Done {
    Priced {
        position: u64,
        gas: Result<u64, client::Error>,
        market: Result<(BlockHeader, Fees), client::Error>,
    },
    /// `hash` is the newest attempt then.
    Sent {
        position: u64,
        hash: TxHash,
        result: Result<Taken, Error>,
    },
    /// The newest final block, asked for because something was included.
    Head(Result<Option<BlockHeader>, client::Error>),
    /// What the account has, in wei.
    Balance(Result<U256, client::Error>),
    Answered,
}

/// The attempt that a node took: the newest, or an older one that the account can pay for.
struct Taken {
    hash: TxHash,
    /// On chains that mine at once.
    included: Option<Status>,
}

impl Lane {
    pub(super) async fn resume(
        journal: Journal,
        client: ChainClient,
        signer: PrivateKeySigner,
        config: SenderConfig,
        inbox: mpsc::UnboundedReceiver<Submission>,
    ) -> Result<Self, Error> {
        let (journal_nonce, next_position) = journal.next().await?;
        let chain_nonce = client.nonce(signer.address(), BlockNumberOrTag::Latest).await?;
        let live = journal
            .unfinished()
            .await?
            .into_iter()
            .map(|entry| (entry.position, Live::new(entry)))
            .collect();
        Ok(Self {
            journal,
            client,
            signer,
            config,
            inbox,
            live,
            next_nonce: chain_nonce.max(journal_nonce),
            next_position,
            work: JoinSet::new(),
            asking_head: false,
            standing: Standing::default(),
            head: 0,
        })
    }

    /// Works until every handle is gone. Failures of the database or the node are logged and tried again at the next
    /// tick: the journal says what is left to do.
    pub(super) async fn run(mut self) {
        self.read_balance_after(Duration::ZERO);
        let mut tick = tokio::time::interval(self.config.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let outcome = tokio::select! {
                submission = self.inbox.recv() => match submission {
                    Some(submission) => {
                        self.accept(submission).await;
                        Ok(())
                    }
                    None => return,
                },
                Some(done) = self.work.join_next(), if !self.work.is_empty() => match done {
                    Ok(done) => self.finish(done).await,
                    Err(panic) => {
                        tracing::error!(%panic, "work of a sender failed");
                        Ok(())
                    }
                },
                _ = tick.tick(), if !self.live.is_empty() => watching::advance(&mut self).await,
            };
            if let Err(error) = outcome {
                metrics::counter!("chain_sender_errors_total").increment(1);
                tracing::warn!(sender = %self.signer.address(), %error, "sender, will try again");
            }
            self.price_next();
        }
    }

    async fn accept(&mut self, submission: Submission) {
        // Nobody has to wait for the answer; a request is in the journal all the same.
        match submission {
            Submission::New { request, reply } => match self.ticket(request).await {
                Ok(ticket) => {
                    // The answer says that the request survives a power cut; the work on it need not wait for that.
                    let journal = self.journal.clone();
                    self.work.spawn(async move {
                        reply.send(journal.flush().await.map(|()| ticket)).ok();
                        Done::Answered
                    });
                }
                Err(error) => {
                    reply.send(Err(error)).ok();
                }
            },
            Submission::Find { key, reply } => {
                let known = self.known(&key).await;
                reply.send(known.map(|known| known.map(|(_, ticket)| ticket))).ok();
            }
        }
    }

    /// The request under a key, with a ticket for it.
    async fn known(&self, key: &str) -> Result<Option<(Request, Ticket)>, Error> {
        let live = self.live.values().find(|live| live.entry.request.key == key);
        if let Some(live) = live {
            let ticket = Ticket::new(key.to_owned(), live.status.subscribe());
            return Ok(Some((live.entry.request.clone(), ticket)));
        }
        let entry = self.journal.find(key).await?;
        Ok(entry.map(|entry| {
            let status = watch::Sender::new(entry.status).subscribe();
            (entry.request, Ticket::new(key.to_owned(), status))
        }))
    }

    async fn ticket(&mut self, request: Request) -> Result<Ticket, Error> {
        let key = request.key.clone();
        if let Some((known, ticket)) = self.known(&key).await? {
            return same(&known, &request).map(|()| ticket);
        }
        let position = self.next_position;
        self.journal.insert(&request, position).await?;
        crash_point!("sender.written");
        self.next_position += 1;
        let live = Live::new(Entry::queued(request, position));
        let ticket = Ticket::new(key, live.status.subscribe());
        self.live.insert(position, live);
        Ok(ticket)
    }

    /// Starts estimates for requests that have no nonce yet.
    fn price_next(&mut self) {
        let (sender, now) = (self.signer.address(), Instant::now());
        for (position, live) in &mut self.live {
            let is_waiting = live.entry.status == Status::Queued && !live.estimating;
            if !is_waiting || now < live.estimate_at {
                continue;
            }
            live.estimating = true;
            let (position, client) = (*position, self.client.clone());
            let request = live.entry.request.clone();
            let margin = self.config.gas_margin_percent;
            self.work.spawn(async move {
                let estimate = signing::gas(&client, sender, &request, margin);
                let (gas, market) = futures::join!(estimate, client.market());
                Done::Priced { position, gas, market }
            });
        }
    }

    async fn finish(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Priced { position, gas, market } => self.priced(position, gas, market).await,
            Done::Sent { position, hash, result } => self.sent(position, hash, result).await,
            Done::Head(head) => {
                self.asking_head = false;
                match head? {
                    Some(head) => watching::confirm_up_to(self, head).await,
                    None => Ok(()),
                }
            }
            Done::Balance(balance) => {
                self.read_balance_after(BALANCE_EVERY);
                self.report_balance(balance?);
                Ok(())
            }
            Done::Answered => Ok(()),
        }
    }

    /// Signs what could be estimated, and refuses what would fail.
    async fn priced(
        &mut self,
        position: u64,
        gas: Result<u64, client::Error>,
        market: Result<(BlockHeader, Fees), client::Error>,
    ) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
        live.estimating = false;
        live.estimate_at = Instant::now() + live.estimates.wait();
        let refusal = match (gas, market) {
            // The next round says so to those who wait.
            (Ok(_), Ok((head, _))) if live.is_given_up(head) => return Ok(()),
            (Ok(gas), Ok((head, _))) if gas > head.gas_limit => {
                refusal(format!("asks for {gas} gas, and a whole block has {}", head.gas_limit))
            }
            (Ok(gas), Ok((head, fees))) => {
                self.head = self.head.max(head.number);
                return self.sign_first(position, gas, fees).await;
            }
            (Err(client::Error::Reverted { revert, .. }), _) => revert,
            (Err(error), _) if Rejection::of(&error) == Some(Rejection::Impossible) => {
                refusal(error.to_string())
            }
            // Anything else is no property of the request: the node has a bad moment, whatever code it gives that, or
            // there is not enough money. It waits until that is over.
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        };
        self.settle(position, Status::Refused(refusal)).await
    }

    /// Takes note of what the nodes said to a transaction that was handed to them.
    async fn sent(
        &mut self,
        position: u64,
        hash: TxHash,
        result: Result<Taken, Error>,
    ) -> Result<(), Error> {
        let rejection = match &result {
            Ok(taken) if taken.hash != hash => Some(Rejection::InsufficientFunds),
            Err(Error::Chain(error)) => Rejection::of(error),
            Ok(_) | Err(_) => None,
        };
        let mut is_hopeless = false;
        if let Some(live) = self.live.get_mut(&position) {
            live.accepted |= result.is_ok();
            let newest = live.entry.attempts.last().filter(|attempt| attempt.hash == hash);
            if let Some(newest) = newest {
                live.rejection = rejection;
                is_hopeless = rejection == Some(Rejection::Impossible)
                    && !live.accepted
                    && !newest.cancels
                    && live.entry.refusal.is_none();
            }
        }
        let error = match result {
            Ok(Taken { included: Some(included), .. }) => {
                return watching::included(self, position, included).await;
            }
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        tracing::debug!(%hash, %error, "a node did not take a transaction");
        if is_hopeless {
            return self.refuse(position, refusal(error.to_string())).await;
        }
        match rejection {
            Some(Rejection::NonceTooLow) => watching::look(self, position).await,
            _ => Err(error),
        }
    }

    /// No node will ever take what was signed: its nonce goes to an empty transaction in the next round, or everything
    /// after it would wait for ever.
    async fn refuse(&mut self, position: u64, refusal: Revert) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
        let key = &live.entry.request.key;
        self.journal.refuse(key, &refusal).await?;
        tracing::warn!(key, reason = refusal.message, "no node takes it: its nonce is given away");
        live.entry.refusal = Some(refusal);
        Ok(())
    }

    async fn sign_first(&mut self, position: u64, gas: u64, market: Fees) -> Result<(), Error> {
        let nonce = self.next_nonce;
        let offer = fees::first(self.config.fees, market);
        self.sign(position, Draft { nonce, gas, offer, cancels: false }).await?;
        // Taken only now: had the journal refused, the nonce would be a hole that blocks all later ones.
        self.next_nonce = nonce + 1;
        Ok(())
    }

    /// Does something for a transaction that no block has taken for a while.
    pub(super) async fn urge(&mut self, position: u64, market: Fees) -> Result<(), Error> {
        let Some(live) = self.live.get(&position) else { return Ok(()) };
        let Some(last) = live.draft() else { return Ok(()) };
        metrics::counter!("chain_sender_bumps_total").increment(1);
        let policy = self.config.fees;
        let offer = match live.rejection {
            // Who cannot pay for this cannot pay for more. A cheaper one takes the place of none that nodes have.
            Some(Rejection::InsufficientFunds) if !live.accepted => {
                let cheapest = live.entry.to_send().map(|attempt| attempt.offer.max_fee).min();
                cheapest.and_then(|cheapest| fees::lower(policy, market, cheapest))
            }
            Some(Rejection::InsufficientFunds) => None,
            Some(Rejection::Underpriced) => fees::bump(policy, market, last.offer),
            // No block has come that could have taken it: the fee is not why it waits.
            _ if self.head <= live.sent_after => None,
            _ => fees::bump(policy, market, last.offer),
        };
        match offer {
            Some(offer) => self.sign(position, Draft { offer, ..last }).await,
            // The best offer is made, but a node may have forgotten it.
            None => {
                self.resend(position);
                Ok(())
            }
        }
    }

    /// Gives the nonce of a request to an empty transaction.
    pub(super) async fn cancel(&mut self, position: u64, market: Fees) -> Result<(), Error> {
        let Some(last) = self.live.get(&position).and_then(Live::draft) else { return Ok(()) };
        let margin = self.config.gas_margin_percent;
        let gas = signing::gas_of_empty(&self.client, self.address(), margin).await?;
        let offer = fees::cancel(self.config.fees, market, last.offer);
        self.sign(position, Draft { gas, offer, cancels: true, ..last }).await
    }

    async fn sign(&mut self, position: u64, draft: Draft) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
        let attempt =
            signing::sign(&self.signer, self.client.chain_id(), &live.entry.request, draft)?;
        self.journal.sign(&live.entry.request.key, draft.nonce, draft.gas, &attempt).await?;
        crash_point!("sender.signed");
        live.entry.nonce = Some(draft.nonce);
        live.entry.gas = Some(draft.gas);
        live.rejection = None;
        live.set(Status::Pending { hash: attempt.hash });
        live.entry.attempts.push(attempt);
        self.resend(position);
        Ok(())
    }

    /// Hands the newest attempt to the nodes.
    pub(super) fn resend(&mut self, position: u64) {
        let Some(live) = self.live.get_mut(&position) else { return };
        live.sent_at = Some(Instant::now());
        live.sent_after = self.head;
        let mut attempts = live.entry.to_send().cloned();
        let Some(newest) = attempts.next() else { return };
        let (hash, older): (TxHash, Vec<Attempt>) = (newest.hash, attempts.collect());
        let (client, journal) = (self.client.clone(), self.journal.clone());
        self.work.spawn(async move {
            let sent = match journal.flush().await {
                Ok(()) => send_payable(&client, &newest, &older).await.map_err(Error::from),
                Err(error) => Err(error),
            };
            crash_point!("sender.sent");
            let result = match sent {
                Ok(hash) => {
                    let included = watching::included_at_once(&client, hash).await;
                    Ok(Taken { hash, included })
                }
                Err(error) => Err(error),
            };
            Done::Sent { position, hash, result }
        });
    }

    /// Hands out what an earlier process had signed and what a reorg took out of its block, unless it is given up.
    pub(super) fn send_unsent(&mut self, latest: BlockHeader) {
        let is_due = |live: &Live| {
            let is_pending = matches!(live.entry.status, Status::Pending { .. });
            is_pending && live.sent_at.is_none() && !live.is_given_up(latest)
        };
        let due: Vec<u64> =
            self.live.iter().filter(|(_, live)| is_due(live)).map(|(at, _)| *at).collect();
        for position in due {
            self.resend(position);
        }
    }

    /// Writes a status, tells those who wait, and forgets the request when it is final.
    pub(super) async fn settle(&mut self, position: u64, status: Status) -> Result<(), Error> {
        self.settle_all(vec![(position, status)]).await
    }

    /// As [`Self::settle`], of several in one transaction.
    pub(super) async fn settle_all(&mut self, settled: Vec<(u64, Status)>) -> Result<(), Error> {
        let live = &self.live;
        let noted: Vec<(&str, &Status)> = (settled.iter())
            .filter_map(|(position, status)| {
                Some((live.get(position)?.entry.request.key.as_str(), status))
            })
            .collect();
        if noted.is_empty() {
            return Ok(());
        }
        self.journal.note(&noted).await?;
        crash_point!("sender.noted");
        for (position, status) in settled {
            let Some(live) = self.live.get_mut(&position) else { continue };
            let is_final = status.is_final();
            if status == Status::Queued {
                let request = live.entry.request.clone();
                live.start_again(Entry::queued(request, position));
            }
            live.set(status);
            if is_final {
                self.live.remove(&position);
            }
        }
        Ok(())
    }

    /// Asks for the newest final block beside the loop; what is included at or below it is done then. One question
    /// serves all that are included meanwhile: the next round asks again for those it came too early for.
    pub(super) fn ask_final_head(&mut self) {
        if std::mem::replace(&mut self.asking_head, true) {
            return;
        }
        let (client, rule) = (self.client.clone(), self.config.confirm);
        self.work.spawn(async move { Done::Head(client.safe_head(rule).await) });
    }

    /// Reads the account's balance beside the loop, after a pause.
    fn read_balance_after(&mut self, pause: Duration) {
        let (client, account) = (self.client.clone(), self.address());
        self.work.spawn(async move {
            tokio::time::sleep(pause).await;
            Done::Balance(client.balance(account, BlockNumberOrTag::Latest).await)
        });
    }

    fn report_balance(&self, wei: U256) {
        let labels = [
            ("chain", self.client.chain_id().to_string()),
            ("address", self.address().to_string()),
        ];
        metrics::gauge!("chain_sender_balance_ether", &labels).set(f64::from(wei) / 1e18);
    }

    /// Takes up a finished request whose transaction the chain has lost: what was signed is sent again.
    pub(super) async fn reopen(&mut self, mut entry: Entry) -> Result<(), Error> {
        let Some(newest) = entry.attempts.last() else { return Ok(()) };
        entry.status = Status::Pending { hash: newest.hash };
        self.journal.note(&[(entry.request.key.as_str(), &entry.status)]).await?;
        self.live.insert(entry.position, Live::new(entry));
        Ok(())
    }

    /// Somebody else used these nonces.
    pub(super) fn skip_nonces_below(&mut self, used: u64) {
        self.next_nonce = self.next_nonce.max(used);
    }

    pub(super) const fn address(&self) -> Address {
        self.signer.address()
    }

    /// The newest block that is final by the configured rule.
    pub(super) async fn final_head(&self) -> Result<Option<BlockHeader>, Error> {
        Ok(self.client.safe_head(self.config.confirm).await?)
    }
}

impl Live {
    fn new(entry: Entry) -> Self {
        let status = watch::Sender::new(shown(&entry));
        let now = Instant::now();
        Self {
            entry,
            status,
            estimating: false,
            estimate_at: now,
            estimates: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            sent_at: None,
            sent_after: 0,
            accepted: false,
            rejection: None,
            doubted_until: now,
        }
    }

    /// Forgets what was signed; those who wait stay.
    fn start_again(&mut self, entry: Entry) {
        let status = std::mem::replace(self, Self::new(entry)).status;
        self.status = status;
    }

    fn set(&mut self, status: Status) {
        self.entry.status = status;
        self.status.send_replace(shown(&self.entry));
    }

    /// What its newest attempt was made of.
    fn draft(&self) -> Option<Draft> {
        let Entry { nonce, gas, attempts, .. } = &self.entry;
        let last = attempts.last()?;
        Some(Draft { nonce: (*nonce)?, gas: (*gas)?, offer: last.offer, cancels: last.cancels })
    }

    /// Whether it must not be handed out any more: past its deadline, or because no node takes it. Its nonce, if it has
    /// one, is then to be given to an empty transaction.
    pub(super) fn is_given_up(&self, latest: BlockHeader) -> bool {
        let is_late = self.entry.request.deadline.is_some_and(|end| latest.timestamp > end);
        (is_late || self.entry.refusal.is_some()) && !self.entry.is_canceling()
    }
}

/// What those are told who wait for a request. The empty transaction in a block is not what they asked for: they hear of it
/// when it is final.
fn shown(entry: &Entry) -> Status {
    match &entry.status {
        Status::Included(inclusion) if entry.is_empty_one(inclusion) => {
            Status::Pending { hash: inclusion.hash }
        }
        status => status.clone(),
    }
}

/// Hands out the newest attempt; where the account cannot pay for it, an older one that it can pay for. Gives the one that
/// a node took.
async fn send_payable(
    client: &ChainClient,
    newest: &Attempt,
    older: &[Attempt],
) -> Result<TxHash, client::Error> {
    let refused = match client.send_raw(&newest.raw).await {
        Ok(()) => return Ok(newest.hash),
        Err(error) => error,
    };
    if Rejection::of(&refused) == Some(Rejection::InsufficientFunds) {
        for attempt in older {
            if client.send_raw(&attempt.raw).await.is_ok() {
                return Ok(attempt.hash);
            }
        }
    }
    Err(refused)
}

fn refusal(message: String) -> Revert {
    Revert { message, data: Bytes::default() }
}

fn same(known: &Request, given: &Request) -> Result<(), Error> {
    // The deadline and the gas limit are how, not what: a caller may compute them anew after a restart.
    let what = |request: &Request| (request.to, request.value, request.data.clone());
    if what(known) == what(given) {
        Ok(())
    } else {
        Err(Error::Conflict { key: given.key.clone() })
    }
}
