//! The relayer's metrics, named as Hyperlane's where they mean the same.

use std::collections::HashMap;

use metrics::{counter, gauge, histogram};
use protocol::ids::Domain;

use super::delivery::Stored;

/// Counts what happens on the way to one destination.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    remote: String,
    names: HashMap<Domain, String>,
}

impl Metrics {
    pub(super) fn new(remote: String, names: HashMap<Domain, String>) -> Self {
        Self { remote, names }
    }

    fn origin(&self, domain: Domain) -> String {
        self.names.get(&domain).cloned().unwrap_or_else(|| domain.to_string())
    }

    /// How many messages are on their way, and how many of them wait for a signer.
    pub(super) fn queues(&self, all: usize, ready: usize) {
        let length = |queue: &'static str, length: usize| {
            gauge!(
                "hyperlane_submitter_queue_length",
                "remote" => self.remote.clone(), "queue_name" => queue
            )
            .set(length as f64);
        };
        length("all", all);
        length("submit_queue", ready);
    }

    /// A transaction is sent.
    pub(super) fn batch(&self, messages: usize) {
        histogram!("metalayer_relayer_batch_size", "remote" => self.remote.clone())
            .record(messages as f64);
    }

    /// The mailbox processed a message.
    pub(super) fn delivered(&self, message: &Stored, now: u64) {
        let origin = self.origin(message.origin);
        counter!(
            "hyperlane_messages_processed_count",
            "origin" => origin.clone(), "remote" => self.remote.clone()
        )
        .increment(1);
        histogram!(
            "metalayer_relayer_delivery_seconds",
            "origin" => origin, "remote" => self.remote.clone()
        )
        .record(now.saturating_sub(message.seen_at) as f64 / 1000.0);
    }

    /// A transaction did not deliver a message.
    pub(super) fn failed(&self) {
        counter!("metalayer_relayer_failed_submissions_total", "remote" => self.remote.clone())
            .increment(1);
    }

    /// A message was delivered after its origin block had gone.
    pub(super) fn delivered_orphan(&self, origin: Domain) {
        counter!("metalayer_relayer_delivered_orphans_total", "origin" => self.origin(origin))
            .increment(1);
    }

    /// A delivery was reorganized away.
    pub(super) fn undone(&self) {
        counter!("metalayer_relayer_undone_deliveries_total", "remote" => self.remote.clone())
            .increment(1);
    }

    /// A message can never be delivered.
    pub(super) fn parked(&self) {
        counter!("metalayer_relayer_parked_total", "remote" => self.remote.clone()).increment(1);
    }
}
