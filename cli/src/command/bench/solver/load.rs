//! Intents and quotes at a rate, with a solver in this process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::Filter,
    sol_types::SolEvent,
};
use api::{
    Amount,
    aggregator::AmountRequest,
    solver::{QuoteRequest, QuoteResponse},
};
use devnet::Event;
use eyre::ensure;
use protocol::{abi::inbox, ids::IntentHash};
use serde::Serialize;
use solver::Handle;
use tokio::{sync::broadcast::error::RecvError, task::JoinHandle};

use super::{
    Times,
    world::{DESTINATION, ORIGIN, TOKEN, World},
};

/// How long the last fills are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What became of the intents of one rate.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) offered: u32,
    pub(super) published: usize,
    pub(super) published_per_second: f64,
    pub(super) filled_per_second: f64,
    /// From the block that carries the intent to the fill's transaction at the node.
    pub(super) fill: Times,
}

/// Offers intents at a rate, whatever becomes of those before.
pub(super) async fn offer(
    world: &World,
    solver: &Handle,
    rate: u32,
    seconds: u32,
) -> eyre::Result<Outcome> {
    let arrivals = Arrivals::watch(world)?;
    let begun = Instant::now();
    let mut published: HashMap<IntentHash, Instant> = HashMap::new();
    for index in 0..rate * seconds {
        let due = begun + Duration::from_secs_f64(f64::from(index) / f64::from(rate));
        tokio::time::sleep_until(due.into()).await;
        let intent = world.intent(&format!("{rate} {index}"))?;
        let hash = tokio::task::block_in_place(|| world.publish(intent))?;
        published.insert(hash, Instant::now());
    }
    let offering = begun.elapsed();
    let deadline = Instant::now() + PATIENCE;
    let fills = loop {
        let fills = fills(world)?;
        let filled = published.keys().filter(|hash| fills.contains_key(*hash)).count();
        if filled == published.len() || Instant::now() > deadline {
            break fills;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let working = begun.elapsed();
    let seen = arrivals.stop().await?;
    let times: Vec<Duration> = (published.iter())
        .filter_map(|(hash, at)| Some(seen.get(fills.get(hash)?)?.saturating_duration_since(*at)))
        .collect();
    ensure!(!times.is_empty(), "nothing was filled: {:?}", solver.store().census().await?);
    Ok(Outcome {
        offered: rate,
        published: published.len(),
        published_per_second: published.len() as f64 / offering.as_secs_f64(),
        filled_per_second: times.len() as f64 / working.as_secs_f64(),
        fill: Times::of(times),
    })
}

/// The transaction of every fill.
fn fills(world: &World) -> eyre::Result<HashMap<IntentHash, B256>> {
    let filter = Filter::new()
        .address(world.at(DESTINATION)?.contracts.inbox)
        .event_signature(inbox::IntentFulfilled::SIGNATURE_HASH)
        .from_block(0);
    let logs = world.chain(DESTINATION)?.logs(&filter)?;
    let pair = |log: &alloy::rpc::types::Log| {
        Some((IntentHash(*log.topics().get(1)?), log.transaction_hash?))
    };
    Ok(logs.iter().filter_map(pair).collect())
}

/// When each transaction reached the destination's node.
struct Arrivals {
    task: JoinHandle<HashMap<B256, Instant>>,
    stop: tokio_util::sync::CancellationToken,
}

impl Arrivals {
    fn watch(world: &World) -> eyre::Result<Self> {
        let mut events = world.chain(DESTINATION)?.events();
        let stop = tokio_util::sync::CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut seen = HashMap::new();
            while let Some(event) = stopped.run_until_cancelled(events.recv()).await {
                match event {
                    Ok(Event::Pending(hash)) => {
                        seen.entry(hash).or_insert_with(Instant::now);
                    }
                    Ok(Event::Added(_) | Event::Removed(_)) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
            seen
        });
        Ok(Self { task, stop })
    }

    async fn stop(self) -> eyre::Result<HashMap<B256, Instant>> {
        self.stop.cancel();
        Ok(self.task.await?)
    }
}

/// Asks for quotes, one after the other.
pub(super) async fn quotes(world: &World, solver: &Handle, count: u32) -> eyre::Result<Times> {
    let request = QuoteRequest {
        origin_chain_id: ORIGIN,
        origin_token: world.token(ORIGIN)?,
        destination_chain_id: DESTINATION,
        destination_token: world.token(DESTINATION)?,
        amount: AmountRequest::ExactInput(Amount(U256::from(100 * TOKEN))),
        recipient: Some(Address::repeat_byte(0xee)),
        calls: Vec::new(),
        gasless: false,
        security: None,
        caller: None,
    };
    let url = format!("http://{}/v1/quotes", solver.api_addr());
    let client = reqwest::Client::new();
    let mut times = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let answer = client.post(&url).json(&request).send().await?.error_for_status()?;
        let answer: QuoteResponse = answer.json().await?;
        times.push(begun.elapsed());
        ensure!(answer.quotes.len() == 2, "expected two quotes: {:?}", answer.unavailable);
    }
    Ok(Times::of(times))
}
