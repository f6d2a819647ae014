//! Sending transactions so that a crash at any moment neither loses nor repeats one.
//!
//! A [`Sender`] owns one nonce stream: one key on one chain. Each request goes through four steps, and each step is in the
//! database before the next begins:
//!
//! 1. **written**: the request, under the caller's idempotency key. From here on it will be carried out, or given up
//!    for a reason that is written down too.
//! 2. **signed**: nonce, fee and the raw transaction. Only when that is on the disk does the first byte reach a node. After a crash the same
//!    bytes are sent again, so a request never takes two nonces.
//! 3. **included**: a receipt was seen. Not the end: the block may be reorganised away, and then the raw transaction is
//!    sent again.
//! 4. **confirmed**: the block is final by the configured rule.
//!
//! While a transaction waits and blocks come, its fee is raised, to three times the market's price at most; past its
//! deadline, and when no node takes it, it is replaced by an empty one with the same nonce.
//! Transactions are submitted in the order of requests without waiting for one another. A request whose gas estimate
//! depends on an earlier one must be submitted after that one is included.

mod fees;
mod journal;
mod lane;
mod request;
mod signing;
mod watching;

use std::{sync::Arc, time::Duration};

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use protocol::ids::ChainId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::{
    fees::FeePolicy,
    request::{Inclusion, Request, Status, Ticket},
};
use self::{
    journal::Journal,
    lane::{Lane, Submission},
};
use crate::{client, client::ChainClient, db, db::Db, finality::FinalityRule};

/// Sends the transactions of one key on one chain. Cheap to clone; the last clone that is dropped stops the work, which
/// the next start takes up again.
#[derive(Clone, Debug)]
pub struct Sender {
    submissions: mpsc::UnboundedSender<Submission>,
    address: Address,
    chain_id: ChainId,
    _stop: Arc<DropGuard>,
}

/// How a sender behaves.
#[derive(Clone, Debug)]
pub struct SenderConfig {
    /// When an included transaction counts as confirmed.
    pub confirm: FinalityRule,
    /// How often the chain is asked about transactions that are under way.
    pub poll: Duration,
    /// A transaction that is in no block after this time is sent again; with a higher fee when blocks have come meanwhile
    /// and the account can pay for it.
    pub bump_after: Duration,
    /// What is paid.
    pub fees: FeePolicy,
    /// Added to gas estimates, in percent: state may change between estimate and execution.
    pub gas_margin_percent: u64,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            confirm: FinalityRule::Instant,
            poll: Duration::from_millis(250),
            bump_after: Duration::from_secs(12),
            fees: FeePolicy::default(),
            gas_margin_percent: 20,
        }
    }
}

/// Why a request did not become a transaction, or is not one yet.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The idempotency key was used before, for something else.
    #[error("request `{key}` is in the journal with another content")]
    Conflict {
        /// The idempotency key.
        key: String,
    },
    /// The transaction would fail, or no node takes it: it was not executed and never will be.
    #[error("request `{key}` refused: {reason}")]
    Refused {
        /// The idempotency key.
        key: String,
        /// The revert, or the node's words.
        reason: client::Revert,
    },
    /// The deadline passed before a block took the transaction; its nonce went to an empty one, or it never had one.
    #[error("request `{key}` canceled: not in a block before its deadline")]
    Canceled {
        /// The idempotency key.
        key: String,
        /// The empty transaction, when there was one: its gas was paid.
        empty: Option<Box<Inclusion>>,
    },
    /// The key cannot sign.
    #[error("request `{key}` cannot be signed: {detail}")]
    Signing {
        /// The idempotency key.
        key: String,
        /// What the signer says.
        detail: String,
    },
    /// The sender has stopped; the journal keeps the request for the next start.
    #[error("the sender has stopped")]
    Stopped,
    /// The database refused.
    #[error("journal: {0}")]
    Journal(#[from] Arc<db::Error>),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] client::Error),
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        Self::Journal(Arc::new(error))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        db::Error::from(error).into()
    }
}

/// The earliest transaction of the account that the journal in `db` has as confirmed: a chain that does not know it is not
/// the chain that it was sent to.
///
/// # Errors
/// When the journal cannot be read.
pub async fn earliest_confirmed(
    db: Db,
    chain_id: ChainId,
    account: Address,
) -> Result<Option<Inclusion>, Error> {
    Journal::open(db, chain_id, account).await?.earliest().await
}

/// Not part of an `async fn`: so the loop is compiled here, and not again in every program that has a sender.
fn launch(lane: Lane, stop: CancellationToken) {
    tokio::spawn(async move { stop.run_until_cancelled(lane.run()).await });
}

impl Sender {
    /// Reads the journal, takes up what was under way, and starts to work.
    ///
    /// Only one sender may use a key on a chain at a time: a second one takes the same nonces.
    ///
    /// # Errors
    /// When the journal cannot be read or the chain cannot be asked for the account's nonce.
    pub async fn start(
        db: Db,
        client: ChainClient,
        signer: PrivateKeySigner,
        config: SenderConfig,
    ) -> Result<Self, Error> {
        let address = signer.address();
        let chain_id = client.chain_id();
        let journal = Journal::open(db, chain_id, address).await?;
        let (submissions, inbox) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let lane = Lane::resume(journal, client, signer, config, inbox).await?;
        launch(lane, stop.clone());
        Ok(Self { submissions, address, chain_id, _stop: Arc::new(stop.drop_guard()) })
    }

    /// The account that pays.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The chain.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Writes the request into the journal; when this returns it survives a crash.
    ///
    /// Submitting the same request again gives a ticket for the one that is already there, however far it is.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Journal`] or [`Error::Stopped`].
    pub async fn submit(&self, request: Request) -> Result<Ticket, Error> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission::New { request, reply };
        self.submissions.send(submission).map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// A ticket for the request that the journal has under this idempotency key, if it has one.
    ///
    /// # Errors
    /// [`Error::Journal`] or [`Error::Stopped`].
    pub async fn find(&self, key: impl Into<String>) -> Result<Option<Ticket>, Error> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission::Find { key: key.into(), reply };
        self.submissions.send(submission).map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Submits the request and waits until it is confirmed.
    ///
    /// # Errors
    /// As [`Sender::submit`] and [`Ticket::confirmed`]. A transaction that reverted in its block is no error: see
    /// [`Inclusion::success`].
    pub async fn send(&self, request: Request) -> Result<Inclusion, Error> {
        self.submit(request).await?.confirmed().await
    }
}
