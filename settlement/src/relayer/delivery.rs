//! One message on its way, as it is stored.

use alloy::primitives::{Address, B256, Bytes, TxHash, U256};
use protocol::ids::{Domain, MailboxMessageId, MessageId};

/// Which dispatch of a message: a reorg can bring the same mailbox id in another block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) id: MailboxMessageId,
    /// Hash of the origin block that dispatched it.
    pub(super) block: B256,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Being prepared. Next: [`Self::Submitted`], [`Self::Delivered`] or [`Self::Parked`].
    Pending,
    /// A `process` transaction is with the sender. Next: [`Self::Delivered`] or [`Self::Pending`].
    Submitted,
    /// The mailbox says it is delivered, in a block that can still go. Next: [`Self::Done`], or
    /// [`Self::Submitted`] when it went: the sender sends what it signed again.
    Delivered,
    /// Delivered in a final block. The end.
    Done,
    /// No delivery can ever succeed. The end.
    Parked,
    /// Its origin block is gone. The end, unless the block comes back.
    Orphaned,
    /// It was delivered, and then its origin block went: the risk of the instant tier. The end.
    DeliveredOrphan,
}

impl State {
    pub(super) const ALL: [Self; 7] = [
        Self::Pending,
        Self::Submitted,
        Self::Delivered,
        Self::Done,
        Self::Parked,
        Self::Orphaned,
        Self::DeliveredOrphan,
    ];

    /// The word in the database and in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Orphaned => "orphaned",
            Self::DeliveredOrphan => "delivered_orphan",
        }
    }
}

/// Where a message was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) tx: TxHash,
    pub(super) number: u64,
    pub(super) hash: B256,
}

/// A mined transaction that did not deliver a message, and the message's share of what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) tx: TxHash,
    /// Wei of the destination.
    pub(super) wei: U256,
}

/// All transactions that did not deliver a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) transactions: u32,
    /// Wei of the destination.
    pub(super) wei: U256,
}

/// Who was asked to send the transaction that a message is in, and under which idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Submission {
    pub(super) signer: Address,
    pub(super) request: String,
}

/// A message with all that is known of it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) key: Key,
    pub(super) block_number: u64,
    /// The dispatching transaction.
    pub(super) tx: TxHash,
    pub(super) origin: Domain,
    pub(super) destination: Domain,
    pub(super) nonce: u32,
    /// Set when the body is a Metalayer message.
    pub(super) message_id: Option<MessageId>,
    pub(super) envelope: Bytes,
    /// Milliseconds since 1970.
    pub(super) seen_at: u64,
    pub(super) state: State,
    /// Attempts that did not deliver it.
    pub(super) attempts: u32,
    /// When it is tried again, in milliseconds since 1970.
    pub(super) next_at: u64,
    /// What it waits for, or why it ended.
    pub(super) reason: String,
    /// It failed in a batch once and is sent alone since.
    pub(super) alone: bool,
    pub(super) process: Option<Process>,
    /// Milliseconds since 1970.
    pub(super) delivered_at: Option<u64>,
    /// A confirmation has been sent to its origin.
    pub(super) confirmed: bool,
}
