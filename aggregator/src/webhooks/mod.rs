//! Telling others of changed orders: written down with the change, signed, sent until it is taken
//! or given up, and kept on a list then.

mod sender;
mod signature;
mod store;
mod target;

use std::time::Duration;

pub use sender::Sender;
pub use signature::{HEADER, Secrets, sign};
pub(crate) use store::enqueue;
pub use store::{Due, Failed, Hooks, NewHook};
pub use target::{Target, TargetFault};

/// How deliveries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Whether plain `http` and addresses of private networks may be called: for tests, and where
    /// the receivers are neighbours.
    pub allow_private: bool,
    /// How long a receiver may take.
    pub timeout: Duration,
    /// How often an event is tried.
    pub attempts: u32,
    /// Pause before the second attempt; each further one is twice as long, an hour at most.
    pub first_retry: Duration,
}

impl Default for WebhookConfig {
    /// Ten attempts within three quarters of an hour: longer than a deployment of the receiver takes.
    fn default() -> Self {
        Self {
            allow_private: false,
            timeout: Duration::from_secs(10),
            attempts: 10,
            first_retry: Duration::from_secs(5),
        }
    }
}
