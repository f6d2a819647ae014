use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use service::{clock::Clock, health::Component};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Due, Failed, Hooks, Secrets, Target, WebhookConfig, signature, target::PublicResolver,
};
use crate::orders::StoreError;

/// Requests to one webhook at once: a receiver that hangs holds up only its own events.
const AT_ONCE: usize = 4;
/// Pause between two looks for what is due.
const LOOK: Duration = Duration::from_millis(200);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// How often old deliveries are forgotten.
const PRUNE: Duration = Duration::from_secs(600);

/// Sends what is due, until the receivers have taken it.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    in_flight: BTreeMap<String, Arc<AtomicUsize>>,
    pruned: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    hooks: Hooks,
    secrets: Secrets,
    config: WebhookConfig,
    http: reqwest::Client,
    clock: Clock,
}

impl Sender {
    /// A sender of these webhooks' deliveries.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(
        hooks: Hooks,
        secrets: Secrets,
        config: WebhookConfig,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, past our check.
            .no_proxy()
            .timeout(config.timeout)
            .https_only(!config.allow_private);
        if !config.allow_private {
            http = http.dns_resolver(Arc::new(PublicResolver));
        }
        let shared = Shared { hooks, secrets, config, http: http.build()?, clock };
        Ok(Self { shared: Arc::new(shared), in_flight: BTreeMap::new(), pruned: None })
    }

    /// Sends until `shutdown`, and waits for what is being sent then.
    ///
    /// # Errors
    /// Never: a database that fails is tried again, and health says so.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        health: Component,
    ) -> Result<(), StoreError> {
        let mut sending = JoinSet::new();
        while !shutdown.is_cancelled() {
            match self.begin(&mut sending).await {
                Ok(()) => health.ok(),
                Err(error) => {
                    tracing::warn!(%error, "cannot send webhooks");
                    health.failing(error.to_string());
                }
            }
            while sending.try_join_next().is_some() {}
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        sending.join_all().await;
        Ok(())
    }

    async fn begin(&mut self, sending: &mut JoinSet<()>) -> Result<(), StoreError> {
        let Shared { hooks, config, clock, .. } = &*self.shared;
        let now = clock.since_epoch();
        // Twice the time-out: the attempt is over, or its sender is dead.
        let until = now + config.timeout * 2;
        self.in_flight.retain(|_, count| count.load(Ordering::Relaxed) > 0);
        for webhook in hooks.waiting(now).await? {
            let count = self.in_flight.entry(webhook.clone()).or_default();
            let free = AT_ONCE.saturating_sub(count.load(Ordering::Relaxed));
            if free == 0 {
                continue;
            }
            for due in hooks.claim(&webhook, free, now, until).await? {
                count.fetch_add(1, Ordering::Relaxed);
                let (shared, count) = (Arc::clone(&self.shared), Arc::clone(count));
                sending.spawn(async move {
                    shared.deliver(due).await;
                    count.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        if self.pruned.is_none_or(|pruned| pruned.elapsed() > PRUNE) {
            hooks.prune(now).await?;
            self.pruned = Some(Instant::now());
        }
        Ok(())
    }
}

impl Shared {
    async fn deliver(&self, due: Due) {
        let outcome = self.attempt(&due).await.map_err(|error| {
            let next = self.pause_after(due.attempt).map(|pause| self.clock.since_epoch() + pause);
            tracing::info!(
                delivery = due.id,
                attempt = due.attempt,
                error,
                "webhook not delivered"
            );
            Failed { error, next }
        });
        let label = match &outcome {
            Ok(()) => "delivered",
            Err(Failed { next: Some(_), .. }) => "failed",
            Err(Failed { next: None, .. }) => "dead",
        };
        metrics::counter!("metalayer_aggregator_webhook_attempts_total", "outcome" => label)
            .increment(1);
        if let Err(error) = self.hooks.tried(&due, outcome).await {
            // The claim runs out and it is sent again: the receiver knows it by its id.
            tracing::warn!(%error, delivery = due.id, "cannot write down how a delivery ended");
        }
    }

    async fn attempt(&self, due: &Due) -> Result<(), String> {
        let target = Target::new(&due.url, self.config.allow_private);
        let target = target.map_err(|fault| fault.to_string())?;
        let now = self.clock.unix();
        let secret = self.secrets.of(&due.webhook);
        let response = self
            .http
            .post(target.url().clone())
            .header("content-type", "application/json")
            .header("metalayer-delivery", &due.id)
            .header(signature::HEADER, signature::sign(&secret, now, &due.body))
            .body(due.body.clone())
            .send()
            .await
            .map_err(|error| describe(&error.without_url()))?;
        // What it says beside the status is not read: it could be endless.
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("the receiver answered {status}")) }
    }

    /// How long to wait after this attempt; `None` after the last.
    fn pause_after(&self, attempt: u64) -> Option<Duration> {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = self.config.first_retry.saturating_mul(2_u32.saturating_pow(doublings));
        (attempt < u64::from(self.config.attempts)).then_some(pause.min(LONGEST_PAUSE))
    }
}

/// An error with its causes: the outermost says only that sending failed.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}
