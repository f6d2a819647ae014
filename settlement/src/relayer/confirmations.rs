//! Telling origins what was delivered: many ids in one message, at the finalized tier, once each
//! delivery is final. Confirmations are messages themselves but not confirmable, so this ends.
//!
//! Each origin is told by itself. One that refuses is told less at once, until the one delivery that it
//! refuses is found and left for later.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, U256, keccak256},
    sol_types::SolCall as _,
};
use chain::{
    Sender, client,
    sender::{self, Request, Status, Ticket},
};
use protocol::{
    abi::router,
    finality::Tier,
    ids::Domain,
    message::{Envelope, Message},
};
use service::retry::Backoff;
use tokio_util::sync::CancellationToken;

use super::{
    delivery::{Key, Stored},
    origin::Origin,
    store::Store,
};

/// How often confirmations are sent.
const EVERY: Duration = Duration::from_secs(2);
/// Most ids in one confirmation: what the router takes.
const MAX_IDS: usize = 256;
/// Longest wait after refusals.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// When a delivery that was refused alone is tried again.
const HELD_FOR: Duration = Duration::from_secs(600);

/// Confirms the deliveries of one destination.
#[derive(Debug)]
pub(super) struct Confirmer {
    pub(super) destination: std::sync::Arc<Origin>,
    pub(super) store: Store,
    pub(super) sender: Sender,
}

/// Why deliveries are not confirmed yet.
#[derive(Debug, thiserror::Error)]
enum ConfirmError {
    #[error(transparent)]
    Db(#[from] chain::db::Error),
    #[error(transparent)]
    Chain(#[from] client::Error),
    #[error(transparent)]
    Send(#[from] sender::Error),
    #[error("confirmation {0} reverted")]
    Reverted(B256),
}

impl ConfirmError {
    /// Whether it may be the fault of one of the deliveries.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Reverted(_) | Self::Send(sender::Error::Refused { .. }) => true,
            Self::Chain(error) => error.revert().is_some(),
            Self::Db(_) | Self::Send(_) => false,
        }
    }
}

/// How one origin took its confirmations so far.
#[derive(Debug)]
struct Course {
    /// Most ids of the next one.
    most: usize,
    /// Deliveries that were refused alone, and since when they are left out.
    held: HashMap<Key, Instant>,
    backoff: Backoff,
    next: Instant,
}

impl Default for Course {
    fn default() -> Self {
        let (held, backoff) = (HashMap::new(), Backoff::new(EVERY, MAX_WAIT));
        Self { most: MAX_IDS, held, backoff, next: Instant::now() }
    }
}

impl Course {
    fn confirmed(&mut self) {
        self.most = self.most.saturating_mul(2).min(MAX_IDS);
        self.backoff = Backoff::new(EVERY, MAX_WAIT);
    }

    fn failed(&mut self, messages: &[Key], is_refusal: bool) {
        self.next = Instant::now() + self.backoff.wait();
        if !is_refusal {
            return;
        }
        self.most = (messages.len() / 2).max(1);
        if let [alone] = messages {
            self.held.insert(*alone, Instant::now());
        }
    }
}

impl Confirmer {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        let mut courses = BTreeMap::new();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.confirm_all(&mut courses).await {
                tracing::warn!(
                    destination = self.destination.name, %error,
                    "deliveries are not confirmed yet"
                );
            }
        }
    }

    /// Confirms to every origin that waits for it and is not left alone after a failure.
    async fn confirm_all(
        &self,
        courses: &mut BTreeMap<Domain, Course>,
    ) -> Result<(), ConfirmError> {
        for origin in self.store.unconfirmed_origins(self.destination.domain).await? {
            let course = courses.entry(origin).or_default();
            if course.next > Instant::now() {
                continue;
            }
            course.held.retain(|_, since| since.elapsed() < HELD_FOR);
            let messages = self.next(origin, course).await?;
            if messages.is_empty() {
                continue;
            }
            match self.confirm(origin, &messages).await {
                Ok(()) => {
                    self.store.set_confirmed(&messages).await?;
                    course.confirmed();
                }
                Err(error) => {
                    tracing::warn!(
                        destination = self.destination.name, %origin, %error,
                        deliveries = messages.len(), "deliveries are not confirmed yet"
                    );
                    let keys: Vec<Key> = messages.iter().map(|message| message.key).collect();
                    course.failed(&keys, error.is_refusal());
                }
            }
        }
        Ok(())
    }

    /// The deliveries of the next confirmation. What cannot be confirmed is noted as done.
    async fn next(&self, origin: Domain, course: &Course) -> Result<Vec<Stored>, ConfirmError> {
        let way = (origin, self.destination.domain);
        let unconfirmed = self.store.unconfirmed(way, course.most + course.held.len()).await?;
        let (messages, done): (Vec<_>, Vec<_>) =
            unconfirmed.into_iter().partition(|message| self.is_confirmable(message));
        self.store.set_confirmed(&done).await?;
        let told = messages.into_iter().filter(|message| !course.held.contains_key(&message.key));
        Ok(told.take(course.most).collect())
    }

    /// Messages of our router's, except its own control messages.
    fn is_confirmable(&self, message: &Stored) -> bool {
        let router = self.destination.manifest.contracts.router.into_word();
        let Ok(envelope) = Envelope::parse(&message.envelope) else { return false };
        let Ok(inner) = Message::parse(envelope.body) else { return false };
        envelope.recipient == router && inner.header.recipient != router
    }

    async fn confirm(&self, origin: Domain, messages: &[Stored]) -> Result<(), ConfirmError> {
        let ids: Vec<B256> =
            messages.iter().filter_map(|message| message.message_id).map(|id| id.0).collect();
        let set = format!("confirm:{origin}:{}", keccak256(ids.concat()));
        let mut ticket = match self.attempt(set).await? {
            // Sent before a restart, perhaps for another fee.
            (_, Some(ticket)) => ticket,
            (key, None) => self.sender.submit(self.request(key, origin, ids).await?).await?,
        };
        let inclusion = ticket.included().await?;
        if !inclusion.success {
            return Err(ConfirmError::Reverted(inclusion.hash));
        }
        metrics::counter!(
            "metalayer_relayer_confirmed_total",
            "destination" => self.destination.name.clone()
        )
        .increment(messages.len() as u64);
        Ok(())
    }

    /// The key of the attempt at a set that is under way or has succeeded, with its ticket, or of the next one. The
    /// sender remembers for good what became of an attempt, so one that failed is followed by another.
    async fn attempt(&self, set: String) -> Result<(String, Option<Ticket>), sender::Error> {
        // Attempts were not numbered at first, and a journal may hold such a one.
        if let Some(ticket) = self.sender.find(set.as_str()).await?
            && !has_failed(&ticket.status())
        {
            return Ok((set, Some(ticket)));
        }
        let mut attempt = 0_u32;
        loop {
            let key = format!("{set}:{attempt}");
            match self.sender.find(key.as_str()).await? {
                Some(ticket) if has_failed(&ticket.status()) => {
                    attempt = attempt.saturating_add(1);
                }
                found => return Ok((key, found)),
            }
        }
    }

    async fn request(
        &self,
        key: String,
        origin: Domain,
        ids: Vec<B256>,
    ) -> Result<Request, ConfirmError> {
        let (origin, count) = (origin.0, U256::from(ids.len()));
        let finality = Tier::Finalized.byte();
        let router = self.destination.manifest.contracts.router;
        let quote = router::quoteConfirmCall { originDomain: origin, count, finality };
        let chain = &self.destination.chain;
        let fee = chain.call(router, &quote, BlockNumberOrTag::Latest).await?;
        let call = router::confirmCall { originDomain: origin, ids, finality };
        Ok(Request::call(key, router, call.abi_encode()).with_value(fee))
    }
}

/// Whether an attempt has come to nothing for good.
const fn has_failed(status: &Status) -> bool {
    match status {
        Status::Refused(_) | Status::Canceled(_) => true,
        Status::Confirmed(inclusion) => !inclusion.success,
        Status::Queued | Status::Pending { .. } | Status::Included(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::MailboxMessageId;

    use super::*;

    fn keys(count: u64) -> Vec<Key> {
        let key = |number| Key {
            id: MailboxMessageId(B256::from(U256::from(number))),
            block: B256::ZERO,
        };
        (0..count).map(key).collect()
    }

    #[test]
    fn refusals_narrow_down_to_the_one_that_is_refused() {
        let mut course = Course::default();
        let all = keys(MAX_IDS as u64);
        let mut tries = 0;
        while course.held.is_empty() {
            course.failed(&all[..course.most], true);
            tries += 1;
        }
        assert_eq!(tries, 9);
        assert!(course.held.contains_key(&all[0]));
        course.confirmed();
        assert_eq!(course.most, 2);
    }

    #[test]
    fn an_outage_narrows_nothing() {
        let mut course = Course::default();
        course.failed(&keys(1), false);
        assert_eq!(course.most, MAX_IDS);
        assert!(course.held.is_empty() && course.next > Instant::now());
    }
}
