//! What goes wrong between a client and its node, on request.
//!
//! A rule names methods and a fault. Rules are looked at in the order in which they were set, and
//! every one that matches applies: latency adds up, a lying answer may come late.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// One way to fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Fault {
    /// The answer comes this much later.
    Latency {
        /// Milliseconds.
        millis: u64,
    },
    /// A JSON-RPC error instead of an answer.
    Error {
        /// Its code.
        #[serde(default = "server_error")]
        code: i64,
        /// Its message.
        #[serde(default = "injected")]
        message: String,
    },
    /// The connection breaks without an answer.
    Drop,
    /// The request is executed, and then the connection breaks without an answer.
    DropAnswer,
    /// HTTP status 429; over WebSocket an error with code -32005.
    RateLimit,
    /// The node has not seen the last blocks yet.
    Stale {
        /// How many.
        blocks: u64,
    },
    /// Logs that exist are left out of the answer.
    OmitLogs {
        /// Leave out every n-th; 1 leaves out all.
        #[serde(default = "one")]
        every: usize,
    },
    /// Logs that were never emitted are in the answer, at the place of a real block.
    ForgeLogs {
        /// What they claim.
        logs: Vec<ForgedLog>,
    },
}

/// A log that no contract emitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgedLog {
    /// The contract that is said to have emitted it.
    pub address: Address,
    /// Its topics.
    #[serde(default)]
    pub topics: Vec<B256>,
    /// Its data.
    #[serde(default)]
    pub data: Bytes,
}

/// When a fault happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// Methods, each in full or with a trailing `*`; none means all. Methods named `devnet_*` are
    /// never disturbed.
    #[serde(default)]
    pub methods: Vec<String>,
    /// What happens.
    pub fault: Fault,
    /// How often, from 0 to 1; always when absent. Drawn from the network's seed.
    #[serde(default)]
    pub probability: Option<f64>,
    /// After how many times the rule is spent; never when absent.
    #[serde(default)]
    pub times: Option<u64>,
}

impl FaultRule {
    /// `fault`, on every call of `methods`.
    #[must_use]
    pub fn new(methods: &[&str], fault: Fault) -> Self {
        let methods = methods.iter().map(|&method| method.to_owned()).collect();
        Self { methods, fault, probability: None, times: None }
    }

    /// Only for the next `times` calls.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    fn matches(&self, method: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => method.starts_with(prefix),
            None => method == pattern,
        };
        self.methods.is_empty() || self.methods.iter().any(fits)
    }
}

/// The rules of one chain's server.
#[derive(Debug)]
pub(crate) struct Faults(Mutex<Active>);

#[derive(Debug)]
struct Active {
    rules: Vec<FaultRule>,
    dice: StdRng,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Active { rules: Vec::new(), dice: StdRng::seed_from_u64(seed) }))
    }

    pub(crate) fn set(&self, rule: FaultRule) {
        self.0.lock().rules.push(rule);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().rules.clear();
    }

    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        self.0.lock().rules.clone()
    }

    /// The faults that a call of `method` meets.
    pub(crate) fn on(&self, method: &str) -> Vec<Fault> {
        let mut active = self.0.lock();
        let Active { rules, dice } = &mut *active;
        if rules.is_empty() || method.starts_with("devnet_") {
            return Vec::new();
        }
        let mut faults = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.matches(method)) {
            if rule.probability.is_some_and(|chance| dice.random::<f64>() >= chance) {
                continue;
            }
            rule.times = rule.times.map(|times| times.saturating_sub(1));
            faults.push(rule.fault.clone());
        }
        rules.retain(|rule| rule.times != Some(0));
        faults
    }
}

/// The latency of all `faults` together.
pub(crate) fn latency(faults: &[Fault]) -> Duration {
    let millis = |fault: &Fault| if let Fault::Latency { millis } = fault { *millis } else { 0 };
    Duration::from_millis(faults.iter().map(millis).sum())
}

const fn server_error() -> i64 {
    -32_000
}

fn injected() -> String {
    "injected fault".into()
}

const fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_methods_and_wear_out() {
        let faults = Faults::new(0);
        faults.set(FaultRule::new(&["eth_get*"], Fault::RateLimit).times(2));
        faults.set(FaultRule::new(&["eth_call"], Fault::Latency { millis: 5 }));
        assert_eq!(faults.on("eth_getLogs"), [Fault::RateLimit]);
        assert_eq!(faults.on("eth_call"), [Fault::Latency { millis: 5 }]);
        assert_eq!(faults.on("eth_chainId"), []);
        assert_eq!(faults.on("eth_getBalance"), [Fault::RateLimit]);
        assert_eq!(faults.on("eth_getBalance"), []);
        assert_eq!(faults.rules().len(), 1);
    }

    #[test]
    fn the_means_to_end_faults_are_never_disturbed() {
        let faults = Faults::new(0);
        faults.set(FaultRule::new(&[], Fault::Drop));
        assert_eq!(faults.on("devnet_clearFaults"), []);
        assert_eq!(faults.on("eth_chainId"), [Fault::Drop]);
    }

    #[test]
    fn rules_are_written_as_json() {
        let rule: FaultRule = serde_json::from_str(
            r#"{"methods":["eth_getLogs"],"fault":{"kind":"stale","blocks":3},"probability":0.5}"#,
        )
        .unwrap();
        assert_eq!(rule.fault, Fault::Stale { blocks: 3 });
        assert!(serde_json::from_str::<FaultRule>(r#"{"fault":{"kind":"nope"}}"#).is_err());
    }
}
