//! The task behind a sender: one loop that owns the nonce stream.
//!
//! The loop itself never waits for a node while it could sign: estimates and broadcasts run beside it and report back.

use std::collections::BTreeMap;

use alloy::{primitives::TxHash, signers::local::PrivateKeySigner};
use service::crash_point;
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
use crate::client::{self, BlockHeader, ChainClient, Fees, Rejection};

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
}

/// An unfinished request and who waits for it.
pub(super) struct Live {
    pub(super) entry: Entry,
    pub(super) status: watch::Sender<Status>,
    /// Whether an estimate runs for it.
    estimating: bool,
    /// Not estimated before: the last estimate failed, and the loop turns far more often than anything changes.
    estimate_at: Instant,
    /// When its newest attempt was handed out.
    pub(super) sent_at: Instant,
}

/// What a piece of work beside the loop reports.
enum Done {
    Priced {
        position: u64,
        gas: Result<u64, client::Error>,
        market: Result<Fees, client::Error>,
    },
    /// With its inclusion, on chains that mine at once.
    Sent {
        position: u64,
        hash: TxHash,
        result: Result<Option<Status>, Error>,
    },
    /// The newest final block, asked for because something was included.
    Head(Result<Option<BlockHeader>, client::Error>),
    Answered,
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
        let chain_nonce =
            client.nonce(signer.address(), alloy::eips::BlockNumberOrTag::Latest).await?;
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
        })
    }

    /// Works until every handle is gone. Failures of the database or the node are logged and tried again at the next
    /// tick: the journal says what is left to do.
    pub(super) async fn run(mut self) {
        self.resend_all();
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
                let (gas, market) = futures::join!(estimate, client.fees());
                Done::Priced { position, gas, market }
            });
        }
    }

    async fn finish(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Priced { position, gas, market } => {
                let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
                live.estimating = false;
                live.estimate_at = Instant::now() + self.config.poll;
                match (gas, market) {
                    (Ok(gas), Ok(market)) => self.sign_first(position, gas, market).await,
                    (Err(client::Error::Reverted { revert, .. }), _) => {
                        self.settle(position, Status::Refused(revert)).await
                    }
                    (Err(error), _) | (_, Err(error)) if error.is_retryable() => Err(error.into()),
                    (Err(client::Error::Node { message, code, .. }), _) => {
                        // Not enough money is no property of the request: it waits until there is.
                        let error = client::Error::Node {
                            method: "eth_estimateGas".to_owned(),
                            code,
                            message: message.clone(),
                        };
                        if Rejection::of(&error) == Some(Rejection::InsufficientFunds) {
                            return Err(error.into());
                        }
                        let revert = client::Revert { message, data: Default::default() };
                        self.settle(position, Status::Refused(revert)).await
                    }
                    (Err(error), _) | (_, Err(error)) => Err(error.into()),
                }
            }
            Done::Sent { position, hash, result } => {
                let error = match result {
                    Ok(Some(included)) => {
                        return watching::included(self, position, included).await;
                    }
                    Ok(None) => return Ok(()),
                    Err(error) => error,
                };
                tracing::debug!(%hash, %error, "a node did not take a transaction");
                match &error {
                    Error::Chain(refusal)
                        if Rejection::of(refusal) == Some(Rejection::NonceTooLow) =>
                    {
                        watching::look(self, position).await
                    }
                    _ => Err(error),
                }
            }
            Done::Head(head) => {
                self.asking_head = false;
                match head? {
                    Some(head) => watching::confirm_up_to(self, head).await,
                    None => Ok(()),
                }
            }
            Done::Answered => Ok(()),
        }
    }

    async fn sign_first(&mut self, position: u64, gas: u64, market: Fees) -> Result<(), Error> {
        let nonce = self.next_nonce;
        let offer = fees::first(self.config.fees, market);
        self.sign(position, Draft { nonce, gas, offer, cancels: false }).await?;
        // Taken only now: had the journal refused, the nonce would be a hole that blocks all later ones.
        self.next_nonce = nonce + 1;
        Ok(())
    }

    /// Offers more for a transaction that waits, or takes its nonce away.
    pub(super) async fn replace(
        &mut self,
        position: u64,
        market: Fees,
        cancels: bool,
    ) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
        live.sent_at = Instant::now();
        let entry = &live.entry;
        let (Some(nonce), Some(gas), Some(last)) = (entry.nonce, entry.gas, entry.attempts.last())
        else {
            return Ok(());
        };
        match fees::bump(self.config.fees, market, last.offer) {
            Some(offer) => self.sign(position, Draft { nonce, gas, offer, cancels }).await,
            // At the cap: the best offer is made, but a node may have forgotten it.
            None => {
                self.resend(position);
                Ok(())
            }
        }
    }

    async fn sign(&mut self, position: u64, draft: Draft) -> Result<(), Error> {
        let Some(live) = self.live.get_mut(&position) else { return Ok(()) };
        let attempt =
            signing::sign(&self.signer, self.client.chain_id(), &live.entry.request, draft)?;
        self.journal.sign(&live.entry.request.key, draft.nonce, draft.gas, &attempt).await?;
        crash_point!("sender.signed");
        live.entry.nonce = Some(draft.nonce);
        live.entry.gas = Some(draft.gas);
        live.set(Status::Pending { hash: attempt.hash });
        live.entry.attempts.push(attempt);
        self.resend(position);
        Ok(())
    }

    /// Hands the newest attempt to the nodes.
    pub(super) fn resend(&mut self, position: u64) {
        let Some(live) = self.live.get_mut(&position) else { return };
        live.sent_at = Instant::now();
        let Some(Attempt { hash, raw, .. }) = live.entry.attempts.last().cloned() else { return };
        let (client, journal) = (self.client.clone(), self.journal.clone());
        self.work.spawn(async move {
            let sent = match journal.flush().await {
                Ok(()) => client.send_raw(&raw).await.map_err(Error::from),
                Err(error) => Err(error),
            };
            crash_point!("sender.sent");
            let result = match sent {
                Ok(()) => Ok(watching::included_at_once(&client, hash).await),
                Err(error) => Err(error),
            };
            Done::Sent { position, hash, result }
        });
    }

    fn resend_all(&mut self) {
        let positions: Vec<u64> = self.live.keys().copied().collect();
        for position in positions {
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
                live.entry.nonce = None;
                live.entry.attempts.clear();
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

    /// Takes up a finished request whose transaction the chain has lost: what was signed is sent again.
    pub(super) async fn reopen(&mut self, mut entry: Entry) -> Result<(), Error> {
        let Some(newest) = entry.attempts.last() else { return Ok(()) };
        entry.status = Status::Pending { hash: newest.hash };
        self.journal.note(&[(entry.request.key.as_str(), &entry.status)]).await?;
        let position = entry.position;
        self.live.insert(position, Live::new(entry));
        self.resend(position);
        Ok(())
    }

    /// Somebody else used these nonces.
    pub(super) fn skip_nonces_below(&mut self, used: u64) {
        self.next_nonce = self.next_nonce.max(used);
    }

    pub(super) const fn address(&self) -> alloy::primitives::Address {
        self.signer.address()
    }

    /// The newest block that is final by the configured rule.
    pub(super) async fn final_head(&self) -> Result<Option<BlockHeader>, Error> {
        Ok(self.client.safe_head(self.config.confirm).await?)
    }
}

impl Live {
    fn new(entry: Entry) -> Self {
        let status = watch::Sender::new(entry.status.clone());
        let now = Instant::now();
        Self { entry, status, estimating: false, estimate_at: now, sent_at: now }
    }

    fn set(&mut self, status: Status) {
        self.entry.status = status.clone();
        self.status.send_replace(status);
    }
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
