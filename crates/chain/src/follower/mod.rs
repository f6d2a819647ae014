//! The logs of a chain, block by block, and the blocks that the chain takes back.
//!
//! A [`Follower`] is pulled: [`Follower::next`] waits for news and gives a [`Batch`]; once the consumer has written what it
//! made of it, it acknowledges the batch **in the same database transaction**. A crash in between repeats the batch, never
//! loses or half-applies it.
//!
//! * Far behind the tip, whole ranges are read at once; only blocks with logs come out.
//! * Above the final head every block is compared with the one below it by hash. When the chain has replaced blocks, they
//!   are handed out as [`Event::Removed`], newest first, before what came in their place.
//! * Nothing depends on a subscription: a WebSocket only wakes the follower earlier than its polling would.

mod cursor;
mod heads;
mod scan;

use std::{collections::VecDeque, time::Duration};

use alloy::{
    primitives::{Address, B256},
    rpc::types::{Filter, Log},
};
use protocol::ids::ChainId;
use tokio::time::Instant;
use url::Url;

use self::{cursor::Cursor, heads::Wake};
use crate::{
    client,
    client::{BlockHeader, ChainClient},
    db::{self, Db, Tx},
    finality::FinalityRule,
};

/// Follows the logs that match one filter, from a cursor that survives restarts.
#[derive(Debug)]
pub struct Follower {
    client: ChainClient,
    config: FollowerConfig,
    cursor: Cursor,
    wake: Wake,
    /// Handed out and not acknowledged.
    unacknowledged: Option<Batch>,
    next_poll: Instant,
}

/// What is followed, and how.
#[derive(Clone, Debug)]
pub struct FollowerConfig {
    /// Name of the cursor in the database: one per consumer and chain.
    pub name: String,
    /// Contracts whose logs are wanted; empty for all.
    pub addresses: Vec<Address>,
    /// First topics that are wanted (event signatures); empty for all.
    pub events: Vec<B256>,
    /// Where to begin when there is no cursor yet.
    pub start_block: u64,
    /// Only blocks that are final by this rule are handed out. `Instant` follows the tip.
    pub finality: FinalityRule,
    /// How often the chain is asked for a new head.
    pub poll: Duration,
    /// Most blocks in one log query. Halved while the node refuses.
    pub range: u64,
    /// How many blocks are remembered for comparison: the deepest reorg that can be taken back.
    pub window: u64,
    /// WebSocket URLs; new heads there end the wait for the next poll.
    pub ws: Vec<Url>,
}

impl FollowerConfig {
    /// Follows these events of these contracts at the tip, polling every 250 ms.
    pub fn new(name: impl Into<String>, start_block: u64) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            events: Vec::new(),
            start_block,
            finality: FinalityRule::Instant,
            poll: Duration::from_millis(250),
            range: 2_000,
            window: 256,
            ws: Vec::new(),
        }
    }

    fn filter(&self) -> Filter {
        let mut filter = Filter::new();
        if !self.addresses.is_empty() {
            filter = filter.address(self.addresses.clone());
        }
        if !self.events.is_empty() {
            filter = filter.event_signature(self.events.clone());
        }
        filter
    }
}

/// What happened to the chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The next block, with the logs that match. Near the tip blocks without logs are handed out too.
    Added(BlockLogs),
    /// A block that was handed out is not part of the chain any more. Newest first.
    Removed(BlockRef),
}

/// A block and its logs that match the filter, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockLogs {
    /// The block.
    pub block: BlockHeader,
    /// Its logs.
    pub logs: Vec<Log>,
}

/// Which block, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
}

/// Events to be applied together, in order; never empty unless it only moves the cursor over blocks without logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The events.
    pub events: Vec<Event>,
    /// The last block this batch speaks of: everything up to here has been handed out.
    pub through: Option<BlockRef>,
}

/// Why following stopped. Everything that can pass is waited out and logged instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The chain took back more blocks than are remembered.
    #[error("`{name}`: the chain replaced more than the {window} remembered blocks below {number}")]
    ReorgTooDeep {
        /// The cursor.
        name: String,
        /// Lowest remembered block.
        number: u64,
        /// How many are remembered.
        window: u64,
    },
    /// The chain refused in a way that does not pass.
    #[error(transparent)]
    Chain(#[from] client::Error),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Follower {
    /// Reads the cursor, or begins at the configured block.
    pub async fn start(db: Db, client: ChainClient, config: FollowerConfig) -> Result<Self, Error> {
        let cursor = Cursor::load(&db, &config, client.chain_id()).await?;
        let wake = Wake::start(config.ws.clone());
        Ok(Self { client, config, cursor, wake, unacknowledged: None, next_poll: Instant::now() })
    }

    /// Moves a cursor that no follower uses now back to `last`, or in front of the configured start: the blocks after it
    /// are handed out again. For a consumer that finds out that a node kept something back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn rewind(
        tx: &mut Tx,
        name: &str,
        chain_id: ChainId,
        last: Option<BlockRef>,
    ) -> Result<(), Error> {
        cursor::rewind(tx, name, chain_id, last).await
    }

    /// The last acknowledged block, or `None` before the first.
    pub fn position(&self) -> Option<BlockRef> {
        self.cursor.last()
    }

    /// Waits for news. Until it is acknowledged the same batch is given again. Safe to cancel.
    ///
    /// # Errors
    /// [`Error::ReorgTooDeep`], a failing database, or a chain error that does not pass. Unreachable or rate-limiting
    /// nodes are waited out.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            if let Some(batch) = &self.unacknowledged {
                return Ok(batch.clone());
            }
            if let Some(batch) = self.poll().await? {
                self.unacknowledged = Some(batch);
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.next_poll) => {}
                () = self.wake.woken() => {}
            }
        }
    }

    /// Asks the chain once: `None` when there is nothing new.
    async fn poll(&mut self) -> Result<Option<Batch>, Error> {
        self.next_poll = Instant::now() + self.config.poll;
        match scan::scan(&self.client, &mut self.config, &self.cursor).await {
            Ok(batch) => Ok(batch),
            Err(Error::Chain(error)) if passes(&error) => {
                tracing::warn!(follower = self.config.name, %error, "will try again");
                metrics::counter!("chain_follower_errors_total", "kind" => error.label())
                    .increment(1);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Moves the cursor past the batch that was handed out last, as part of the consumer's transaction. The move counts
    /// for [`Follower::next`] at once: when the transaction is rolled back, start the follower anew.
    pub async fn acknowledge(&mut self, tx: &mut Tx) -> Result<(), Error> {
        if let Some(batch) = &self.unacknowledged {
            self.cursor.advance(tx, batch).await?;
            self.unacknowledged = None;
        }
        Ok(())
    }
}

/// Whether asking again later may help. Blocks and logs are there for everybody: a node that says otherwise has a bad
/// moment (`internal error`, `header not found`), whatever code it gives it.
const fn passes(error: &client::Error) -> bool {
    error.is_retryable() || matches!(error, client::Error::Node { .. })
}

/// The remembered blocks, oldest first.
pub(crate) type Window = VecDeque<BlockRef>;
