//! The validator's metrics, named as Hyperlane's where they mean the same.

use metrics::{Counter, Gauge, counter, gauge};

use super::attest::{SETBACKS, Stream};

#[derive(Clone)]
pub(super) struct Metrics {
    chain: String,
    tier: String,
    observed: Gauge,
    processed: Gauge,
    mismatch: Counter,
    reorged: Counter,
    halted: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(super) fn new(stream: &Stream) -> Self {
        let (chain, tier) = (stream.chain_name.clone(), stream.tier.to_string());
        let gauge =
            |name: &'static str| gauge!(name, "chain" => chain.clone(), "tier" => tier.clone());
        let counter =
            |name: &'static str| counter!(name, "chain" => chain.clone(), "tier" => tier.clone());
        let metrics = Self {
            observed: gauge("hyperlane_block_height"),
            processed: gauge!(
                "hyperlane_latest_checkpoint",
                "phase" => "validator_processed", "chain" => chain.clone(), "tier" => tier.clone()
            ),
            mismatch: counter("hyperlane_merkle_root_mismatch"),
            reorged: counter("metalayer_validator_reorged_checkpoints_total"),
            halted: gauge("metalayer_validator_halted"),
            chain: chain.clone(),
            tier: tier.clone(),
        };
        metrics.halted.set(0.0);
        metrics.mismatch.increment(0);
        // A rule that asks by how much a counter has risen would miss the event with which it comes into being.
        for reason in SETBACKS {
            metrics.setbacks(reason).increment(0);
        }
        metrics
    }

    /// The newest block that may be signed.
    pub(super) fn observed(&self, block: u64) {
        self.observed.set(block as f64);
    }

    /// The highest index published.
    pub(super) fn published(&self, index: u32) {
        self.processed.set(f64::from(index));
    }

    /// A root was refused.
    pub(super) fn root_mismatch(&self) {
        self.mismatch.increment(1);
    }

    /// A look at the chain ended early.
    pub(super) fn setback(&self, reason: &'static str) {
        self.setbacks(reason).increment(1);
    }

    fn setbacks(&self, reason: &'static str) -> Counter {
        let (chain, tier) = (self.chain.clone(), self.tier.clone());
        counter!(
            "metalayer_validator_setbacks_total",
            "chain" => chain, "tier" => tier, "reason" => reason
        )
    }

    /// Signed checkpoints were taken back.
    pub(super) fn reorged(&self, count: usize) {
        self.reorged.increment(count as u64);
    }

    /// An operator has to act.
    pub(super) fn halted(&self) {
        self.halted.set(1.0);
    }
}
