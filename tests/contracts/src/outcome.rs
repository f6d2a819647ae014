//! What a transaction or call came to, and assertions on it.

use alloy::{
    primitives::{Address, B256, Bytes, Log},
    sol_types::{SolCall, SolError, SolEvent},
};
use devnet::{CallOutcome, Receipt};

/// Success, output, logs and gas of a transaction or a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub success: bool,
    pub output: Bytes,
    pub logs: Vec<Log>,
    pub gas_used: u64,
    pub halt: Option<String>,
}

impl From<Receipt> for Outcome {
    fn from(receipt: Receipt) -> Self {
        Self {
            success: receipt.success,
            output: receipt.output,
            logs: receipt.logs,
            gas_used: receipt.gas_used,
            halt: receipt.halt,
        }
    }
}

impl From<CallOutcome> for Outcome {
    fn from(outcome: CallOutcome) -> Self {
        Self {
            success: outcome.success,
            output: outcome.output,
            logs: outcome.logs,
            gas_used: outcome.gas_used,
            halt: outcome.halt,
        }
    }
}

impl Outcome {
    /// Expects success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.success, "reverted with {} ({:?})", self.output, self.halt);
        self
    }

    /// Expects success and decodes the answer.
    #[track_caller]
    pub fn answer<C: SolCall>(self) -> C::Return {
        C::abi_decode_returns(&self.ok().output).expect("the answer decodes")
    }

    /// Expects a revert with exactly this error and these fields.
    #[track_caller]
    pub fn reverts<E: SolError>(self, error: E) {
        assert!(!self.success, "expected {}, succeeded", E::SIGNATURE);
        let expected = Bytes::from(error.abi_encode());
        assert_eq!(self.output, expected, "expected {} ({:?})", E::SIGNATURE, self.halt);
    }

    /// Expects a revert with exactly these data.
    #[track_caller]
    pub fn reverts_with(self, data: &[u8]) {
        assert!(!self.success, "expected a revert, succeeded");
        assert_eq!(self.output, Bytes::copy_from_slice(data), "{:?}", self.halt);
    }

    /// Expects a revert without data.
    #[track_caller]
    pub fn reverts_empty(self) {
        self.reverts_with(&[]);
    }

    /// The events of one kind, in order.
    pub fn events<E: SolEvent>(&self) -> Vec<E> {
        self.logs.iter().filter_map(|log| E::decode_log_data(&log.data).ok()).collect()
    }

    /// Expects success and exactly these logs, in this order.
    #[track_caller]
    pub fn logs(self, expected: Logs) -> Self {
        let this = self.ok();
        assert_eq!(this.logs, expected.0);
        this
    }

    /// First topic of every log, in order.
    pub fn topics(&self) -> Vec<B256> {
        self.logs.iter().filter_map(|log| log.topics().first().copied()).collect()
    }
}

/// Expected logs.
#[derive(Debug, Default, Clone)]
pub struct Logs(Vec<Log>);

impl Logs {
    pub fn none() -> Self {
        Self::default()
    }

    /// Then this event of this contract.
    pub fn then<E: SolEvent>(mut self, address: Address, event: E) -> Self {
        self.0.push(Log { address, data: event.encode_log_data() });
        self
    }
}
