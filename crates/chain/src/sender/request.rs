//! What is asked of a sender, and how far it is.

use alloy::primitives::{Address, B256, Bytes, TxHash, U256};
use tokio::sync::watch;

use super::Error;
use crate::client::Revert;

/// One transaction to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Idempotency key: unique per key and chain, chosen by the caller so that it names the *reason* (`fulfill:0x…`).
    pub key: String,
    /// Who is called; `None` creates a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Call data, or creation code.
    pub data: Bytes,
    /// Gas limit; `None` to estimate. With a limit the transaction is sent even if it would revert.
    pub gas_limit: Option<u64>,
    /// Chain time (seconds) after which the transaction must no longer be sent, and is replaced when it was.
    pub deadline: Option<u64>,
}

impl Request {
    /// A call without value, gas estimated, without deadline.
    pub fn call(key: impl Into<String>, to: Address, data: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            to: Some(to),
            value: U256::ZERO,
            data: data.into(),
            gas_limit: None,
            deadline: None,
        }
    }

    /// With this value.
    #[must_use]
    pub const fn with_value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    /// With this gas limit instead of an estimate.
    #[must_use]
    pub const fn with_gas_limit(mut self, gas_limit: u64) -> Self {
        self.gas_limit = Some(gas_limit);
        self
    }

    /// Given up after this chain time (seconds).
    #[must_use]
    pub const fn with_deadline(mut self, deadline: u64) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// In the journal, without a nonce.
    Queued,
    /// Signed and handed to the nodes, in no block yet (or no longer).
    Pending {
        /// Hash of the newest attempt; an earlier one may be mined instead.
        hash: TxHash,
    },
    /// In a block that is not final.
    Included(Inclusion),
    /// In a final block.
    Confirmed(Inclusion),
    /// It would have failed and was not sent, or no node took it and an empty transaction has its nonce.
    Refused(Revert),
    /// Given up at its deadline. The empty transaction that took its nonce, when there was one: its gas was paid.
    Canceled(Option<Inclusion>),
}

impl Status {
    /// Whether it will not change any more.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Confirmed(_) | Self::Refused(_) | Self::Canceled(_) => true,
            Self::Queued | Self::Pending { .. } | Self::Included(_) => false,
        }
    }
}

/// Where a transaction was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Hash of the attempt that was mined.
    pub hash: TxHash,
    /// Number of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei per gas it paid.
    pub gas_price: u128,
    /// Whether it was executed without reverting.
    pub success: bool,
}

/// Follows one request. Dropping it changes nothing about the request.
#[derive(Clone, Debug)]
pub struct Ticket {
    key: String,
    status: watch::Receiver<Status>,
}

impl Ticket {
    pub(super) const fn new(key: String, status: watch::Receiver<Status>) -> Self {
        Self { key, status }
    }

    /// The idempotency key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How far the request is now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the transaction is in a block. A reorg may still take it out.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Canceled`], or [`Error::Stopped`].
    pub async fn included(&mut self) -> Result<Inclusion, Error> {
        self.wait(|status| match status {
            Status::Included(inclusion) => Some(inclusion.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until the transaction is in a final block.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Canceled`], or [`Error::Stopped`].
    pub async fn confirmed(&mut self) -> Result<Inclusion, Error> {
        self.wait(|_| None).await
    }

    async fn wait(
        &mut self,
        enough: impl Fn(&Status) -> Option<Inclusion>,
    ) -> Result<Inclusion, Error> {
        loop {
            let seen = self.status.borrow_and_update().clone();
            match &seen {
                Status::Confirmed(inclusion) => return Ok(inclusion.clone()),
                Status::Refused(reason) => {
                    return Err(Error::Refused { key: self.key.clone(), reason: reason.clone() });
                }
                Status::Canceled(empty) => {
                    let empty = empty.clone().map(Box::new);
                    return Err(Error::Canceled { key: self.key.clone(), empty });
                }
                Status::Queued | Status::Pending { .. } | Status::Included(_) => {}
            }
            if let Some(inclusion) = enough(&seen) {
                return Ok(inclusion);
            }
            self.status.changed().await.map_err(|_| Error::Stopped)?;
        }
    }
}
