//! Intake: intents from the events of every chain, live and after any downtime.
//!
//! Events come at least once and from anybody; what is taken from them is only the content of an
//! intent, and its hash is recomputed. Everything else that matters is read from the chain when
//! the intent is judged. An order and the follower's cursor are written in one transaction.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{
    primitives::B256,
    rpc::types::Log,
    sol_types::{SolEvent, SolValue},
};
use chain::{
    Follower,
    db::Tx,
    follower::{self, BlockLogs, Event, FollowerConfig},
};
use protocol::{
    abi::{inbox, intent_source, prover},
    ids::{ChainId, IntentHash},
    intent::{Intent, Reward, Route, hash_route_bytes, intent_hash},
};
use service::clock::Clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::millis,
    order::Order,
    policy::Served,
    store::{self, Recorded, Store},
};

/// What an event of a chain means for us.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An intent was published.
    Published(Box<Intent>),
    /// Something happened to an intent; look again.
    About(IntentHash),
}

/// Why a published intent cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The event does not decode.
    #[error("the event does not decode")]
    Event,
    /// The route's bytes are no route, or not in the one form that an Inbox hashes.
    #[error("the route is not a canonical EVM route: no Inbox can ever fulfill it")]
    Route,
    /// The event's hash is not the hash of its content.
    #[error("the event says {given}, its content hashes to {expected}")]
    Hash {
        /// The event's word.
        given: IntentHash,
        /// The recomputed hash.
        expected: IntentHash,
    },
}

/// Why intake stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chain cannot be followed any more.
    #[error(transparent)]
    Follower(#[from] follower::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Rebuilds an intent from `IntentPublished` and recomputes its hash.
pub fn published(log: &Log) -> Result<Intent, Unreadable> {
    let event =
        intent_source::IntentPublished::decode_log(&log.inner).map_err(|_| Unreadable::Event)?.data;
    let reward = Reward {
        deadline: event.rewardDeadline,
        creator: event.creator,
        prover: event.prover,
        nativeAmount: event.rewardNativeAmount,
        tokens: event.rewardTokens,
    };
    let given = IntentHash(event.intentHash);
    let as_published =
        intent_hash(ChainId(event.destination), hash_route_bytes(&event.route), reward.hash());
    if as_published != given {
        return Err(Unreadable::Hash { given, expected: as_published });
    }
    let route = Route::abi_decode(&event.route).map_err(|_| Unreadable::Route)?;
    let intent = Intent { destination: event.destination, route, reward };
    // The Inbox hashes the canonical encoding; other bytes of the same route are another intent.
    if intent.hash() == given { Ok(intent) } else { Err(Unreadable::Route) }
}

/// What a log of one of our contracts means.
pub fn heard(log: &Log) -> Result<Option<Heard>, Unreadable> {
    let Some(topic) = log.topic0() else { return Ok(None) };
    let indexed = || log.topics().get(1).copied().map(IntentHash).map(Heard::About);
    Ok(match *topic {
        intent_source::IntentPublished::SIGNATURE_HASH => {
            Some(Heard::Published(Box::new(published(log)?)))
        }
        intent_source::IntentFunded::SIGNATURE_HASH
        | intent_source::IntentWithdrawn::SIGNATURE_HASH
        | intent_source::IntentRefunded::SIGNATURE_HASH => {
            let hash = log.data().data.get(..32).map(B256::from_slice);
            hash.map(|hash| Heard::About(IntentHash(hash)))
        }
        intent_source::Open::SIGNATURE_HASH
        | inbox::IntentFulfilled::SIGNATURE_HASH
        | prover::IntentProven::SIGNATURE_HASH
        | prover::IntentProofInvalidated::SIGNATURE_HASH => indexed(),
        _ => None,
    })
}

/// Follows one chain.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) chain: ChainId,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Where hashes go that are to be looked at.
    pub(crate) wake: mpsc::UnboundedSender<IntentHash>,
}

/// What a batch of blocks says.
#[derive(Debug, Default)]
struct News {
    /// Every intent that something was heard of, with its order where it was published. By hash: that is the
    /// order in which transactions write orders.
    orders: BTreeMap<IntentHash, Option<Order>>,
    /// Whether the chain took blocks back.
    is_reorganised: bool,
}

/// What is followed on a chain.
pub(crate) fn following(served: &Served, poll: std::time::Duration) -> FollowerConfig {
    let mut config = FollowerConfig::new(format!("solver:{}", served.id), served.start_block);
    config.addresses = vec![served.intent_source, served.inbox];
    config.addresses.extend(served.provers.keys());
    config.events = vec![
        intent_source::IntentPublished::SIGNATURE_HASH,
        intent_source::IntentFunded::SIGNATURE_HASH,
        intent_source::IntentWithdrawn::SIGNATURE_HASH,
        intent_source::IntentRefunded::SIGNATURE_HASH,
        intent_source::Open::SIGNATURE_HASH,
        inbox::IntentFulfilled::SIGNATURE_HASH,
        prover::IntentProven::SIGNATURE_HASH,
        prover::IntentProofInvalidated::SIGNATURE_HASH,
    ];
    config.poll = poll;
    config.ws = served.ws.clone();
    config
}

impl Intake {
    /// Follows until shutdown.
    ///
    /// # Errors
    /// When the chain takes back more than is remembered, or the store fails.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut follower: Follower,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        while let Some(batch) = shutdown.run_until_cancelled(follower.next()).await {
            let news = self.read(&batch?.events);
            let (mut tx, fresh) = store::repeated(|| self.write(&news)).await?;
            follower.acknowledge(&mut tx).await?;
            // What a power cut takes back is read from the chain again: the cursor goes with it.
            tx.commit_relaxed().await.map_err(store::Error::from)?;
            service::crash_point!("solver.intake.written");
            let chain = self.chain.to_string();
            metrics::counter!("solver_intents_total", "origin" => chain).increment(fresh);
            for hash in news.orders.into_keys() {
                // A closed channel means the engine has stopped; the store wakes it next time.
                let _ = self.wake.send(hash);
            }
        }
        Ok(())
    }

    /// What the events of a batch say.
    fn read(&self, events: &[Event]) -> News {
        let mut news = News::default();
        for event in events {
            match event {
                Event::Added(block) => self.read_block(block, &mut news),
                Event::Removed(block) => {
                    tracing::warn!(chain = %self.chain, number = block.number, "block removed");
                    news.is_reorganised = true;
                }
            }
        }
        news
    }

    fn read_block(&self, block: &BlockLogs, news: &mut News) {
        let now = millis(&self.clock);
        for log in &block.logs {
            match heard(log) {
                Ok(Some(Heard::Published(intent))) => {
                    let order = Order::new(self.chain, *intent, now);
                    news.orders.insert(order.hash, Some(order));
                }
                Ok(Some(Heard::About(hash))) => {
                    news.orders.entry(hash).or_default();
                }
                Ok(None) => {}
                Err(unreadable) => {
                    metrics::counter!("solver_unreadable_total").increment(1);
                    tracing::info!(chain = %self.chain, %unreadable, tx = ?log.transaction_hash, "event passed over");
                }
            }
        }
    }

    /// Writes news down in a transaction that is to be committed, and says how many orders are new.
    async fn write(&self, news: &News) -> Result<(Tx, u64), store::Error> {
        let now = millis(&self.clock);
        let mut tx = self.store.db().begin().await?;
        let mut fresh = 0;
        if news.is_reorganised {
            self.store.wake_chain_in(&mut tx, self.chain, now).await?;
        }
        for (hash, published) in &news.orders {
            if let Some(order) = published
                && self.store.record_in(&mut tx, order).await? == Recorded::New
            {
                fresh += 1;
            }
            self.store.wake_in(&mut tx, *hash, now).await?;
        }
        Ok((tx, fresh))
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes, Log as InnerLog, U256};
    use protocol::intent::{Call, TokenAmount};

    use super::*;

    fn intent() -> Intent {
        Intent {
            destination: 2,
            route: Route {
                salt: B256::repeat_byte(1),
                deadline: 100,
                portal: Address::repeat_byte(2),
                nativeAmount: U256::ONE,
                tokens: vec![TokenAmount { token: Address::repeat_byte(3), amount: U256::from(4) }],
                calls: vec![Call {
                    target: Address::repeat_byte(5),
                    data: Bytes::from_static(&[6]),
                    value: U256::ONE,
                }],
            },
            reward: Reward {
                deadline: 200,
                creator: Address::repeat_byte(7),
                prover: Address::repeat_byte(8),
                nativeAmount: U256::from(9),
                tokens: Vec::new(),
            },
        }
    }

    fn log(intent: &Intent, hash: IntentHash, route: Vec<u8>) -> Log {
        let event = intent_source::IntentPublished {
            intentHash: hash.0,
            destination: intent.destination,
            route: route.into(),
            creator: intent.reward.creator,
            prover: intent.reward.prover,
            rewardDeadline: intent.reward.deadline,
            rewardNativeAmount: intent.reward.nativeAmount,
            rewardTokens: intent.reward.tokens.clone(),
        };
        let inner = InnerLog { address: Address::ZERO, data: event.encode_log_data() };
        Log { inner, ..Log::default() }
    }

    #[test]
    fn a_published_intent_is_rebuilt() {
        let intent = intent();
        assert_eq!(published(&log(&intent, intent.hash(), intent.route.encode())), Ok(intent));
    }

    #[test]
    fn a_lying_hash_is_refused() {
        let intent = intent();
        let given = IntentHash(B256::repeat_byte(0xee));
        let outcome = published(&log(&intent, given, intent.route.encode()));
        assert_eq!(outcome, Err(Unreadable::Hash { given, expected: intent.hash() }));
    }

    #[test]
    fn a_route_that_no_inbox_can_hash_is_refused() {
        let intent = intent();
        let mut bytes = intent.route.encode();
        bytes.extend_from_slice(&[0; 32]);
        let published_hash =
            intent_hash(ChainId(2), hash_route_bytes(&bytes), intent.reward.hash());
        assert_eq!(published(&log(&intent, published_hash, bytes)), Err(Unreadable::Route));
        let junk = vec![1, 2, 3];
        let published_hash = intent_hash(ChainId(2), hash_route_bytes(&junk), intent.reward.hash());
        assert_eq!(published(&log(&intent, published_hash, junk)), Err(Unreadable::Route));
    }
}
