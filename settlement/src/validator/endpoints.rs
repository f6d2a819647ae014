//! One chain as several RPCs see it: what enough of them agree on.
//!
//! Every RPC is asked every time, and whoever answers is heard. But none holds the others up: once a majority
//! has answered the rest have a short grace, and one that failed or kept silent is not waited for
//! again before it has rested.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy::eips::BlockNumberOrTag;
use chain::{
    ChainClient, FinalityRule,
    client::{BlockHeader, ClientOptions, Error},
};
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Longest time for one request to one RPC.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often the only RPC is asked again. Of several, none is: the others answer, and the next look asks all.
const LONE_RETRIES: u32 = 2;
/// How long an RPC may take longer for its head than a majority: a moment later its block counts anyway.
const HEAD_GRACE: Duration = Duration::from_millis(250);
/// Rest after a first failure, doubled with each that follows.
const FIRST_REST: Duration = Duration::from_secs(1);
/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The endpoints of one chain.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    /// The first answer of any, asked with patience.
    any: ChainClient,
    /// What a majority answers alike.
    majority: ChainClient,
    each: Arc<[Rpc]>,
}

/// One RPC and how it has behaved lately.
#[derive(Debug)]
struct Rpc {
    client: ChainClient,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Rpc {
    fn is_well(&self) -> bool {
        self.rest.lock().until.is_none_or(|until| until <= Instant::now())
    }

    /// Whoever refuses, or lags, has answered.
    fn note<T>(&self, answer: &Result<T, Error>) {
        match answer {
            Err(Error::Transport { .. } | Error::RateLimited { .. }) => self.failed(),
            Ok(_) | Err(_) => *self.rest.lock() = Rest::default(),
        }
    }

    fn failed(&self) {
        let mut rest = self.rest.lock();
        let pause = FIRST_REST.saturating_mul(1 << rest.failures.min(5)).min(LONGEST_REST);
        rest.failures = rest.failures.saturating_add(1);
        rest.until = Some(Instant::now() + pause);
    }
}

/// An answer, and which RPC gives it.
type Answer<'a, T> = BoxFuture<'a, (usize, Result<T, Error>)>;

impl Endpoints {
    pub(super) fn new(any: &ChainClient) -> Result<Self, Error> {
        let urls: Vec<Url> = any.urls().cloned().collect();
        let retries = if urls.len() > 1 { 0 } else { LONE_RETRIES };
        let options = ClientOptions { timeout: TIMEOUT, retries, ..ClientOptions::default() };
        let each = urls
            .iter()
            .map(|url| {
                let url = std::slice::from_ref(url);
                let client = ChainClient::new(any.chain_id(), url, options.clone())?;
                Ok(Rpc { client, rest: Mutex::default() })
            })
            .collect::<Result<Arc<[Rpc]>, Error>>()?;
        let majority = ChainClient::new(any.chain_id(), &urls, options)?;
        let majority = majority.with_quorum(each.len() / 2 + 1);
        Ok(Self { any: any.clone(), majority, each })
    }

    /// For what is checked afterwards: the first answer.
    pub(super) const fn any(&self) -> &ChainClient {
        &self.any
    }

    /// For what is believed: the answer of a majority.
    pub(super) const fn majority(&self) -> &ChainClient {
        &self.majority
    }

    /// Each in its turn, for what is compared with the others afterwards: whoever hides something or fails
    /// is not asked the next time.
    pub(super) fn by_turns(&self, turn: usize) -> &ChainClient {
        let position = turn.checked_rem(self.each.len());
        position.and_then(|position| self.each.get(position)).map_or(&self.any, |rpc| &rpc.client)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.each.len()
    }

    /// How many make a majority.
    pub(super) fn required(&self) -> usize {
        self.each.len() / 2 + 1
    }

    /// What each answers. Once a majority has answered, those that are well have `grace` to do so.
    pub(super) fn ask<'a, T: Send + 'a>(
        &'a self,
        grace: Duration,
        question: impl Fn(&'a ChainClient) -> BoxFuture<'a, Result<T, Error>>,
    ) -> BoxFuture<'a, Vec<Result<T, Error>>> {
        let asked = self.each.iter().enumerate().map(|(position, rpc)| -> Answer<'a, T> {
            let answer = question(&rpc.client);
            async move { (position, answer.await) }.boxed()
        });
        self.hear(asked.collect(), grace).boxed()
    }

    async fn hear<T: Send>(
        &self,
        mut asked: FuturesUnordered<Answer<'_, T>>,
        grace: Duration,
    ) -> Vec<Result<T, Error>> {
        let well = self.each.iter().enumerate().filter(|(_, rpc)| rpc.is_well());
        let mut awaited: BTreeSet<usize> = well.map(|(position, _)| position).collect();
        let (mut answers, mut given, mut deadline) = (Vec::new(), 0, None);
        loop {
            let next = match deadline {
                Some(deadline) => timeout_at(deadline, asked.next()).await.unwrap_or_default(),
                None => asked.next().await,
            };
            let Some((position, answer)) = next else { break };
            awaited.remove(&position);
            if let Some(rpc) = self.each.get(position) {
                rpc.note(&answer);
            }
            given += usize::from(is_given(&answer));
            answers.push(answer);
            if given >= self.required() {
                if awaited.is_empty() {
                    break;
                }
                deadline.get_or_insert_with(|| Instant::now() + grace);
            }
        }
        awaited.iter().filter_map(|position| self.each.get(*position)).for_each(Rpc::failed);
        answers
    }

    /// Whether an RPC takes every block for final: the block that `rule` names is never older than the one that
    /// was the newest a moment before.
    ///
    /// # Errors
    /// What one of them says, when none answers.
    pub(super) async fn all_is_final(&self, rule: FinalityRule) -> Result<bool, Error> {
        let looks = self.each.iter().map(|rpc| all_is_final(&rpc.client, rule));
        let (mut fault, mut known) = (None, false);
        for answer in join_all(looks).await {
            match answer {
                Ok(true) => return Ok(true),
                Ok(false) => known = true,
                Err(error) => fault = Some(error),
            }
        }
        fault.filter(|_| !known).map_or(Ok(false), Err)
    }

    /// The newest block that a majority has reached by `rule`: no single endpoint can make a block look
    /// final before it is, and none that lags or is silent holds the others up.
    ///
    /// # Errors
    /// What one of them says, when fewer than a majority answer.
    pub(super) async fn head(&self, rule: FinalityRule) -> Result<Option<BlockHeader>, Error> {
        if let [only] = &*self.each {
            return only.client.safe_head(rule).await;
        }
        let answers = self.ask(HEAD_GRACE, |rpc| rpc.safe_head(rule).boxed()).await;
        let mut numbers: Vec<u64> = Vec::new();
        let (mut answered, mut fault) = (0, None);
        for answer in answers {
            match answer {
                Ok(head) => {
                    answered += 1;
                    numbers.extend(head.map(|head| head.number));
                }
                Err(error) => fault = Some(error),
            }
        }
        if let Some(error) = fault.filter(|_| answered < self.required()) {
            return Err(error);
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        match numbers.get(self.required() - 1) {
            Some(number) => self.majority.block(BlockNumberOrTag::Number(*number)).await,
            None => Ok(None),
        }
    }
}

/// Whether the RPC has answered the question: a revert is an answer too.
fn is_given<T>(answer: &Result<T, Error>) -> bool {
    answer.as_ref().err().is_none_or(|error| error.revert().is_some())
}

/// How often one RPC is looked at before its word about finality is believed, or it counts as silent.
const LOOKS: u32 = 3;

/// As [`Endpoints::all_is_final`], for one of them.
async fn all_is_final(rpc: &ChainClient, rule: FinalityRule) -> Result<bool, Error> {
    let mut seen = look(rpc, rule).await;
    for _ in 1..LOOKS {
        if matches!(seen, Ok(false)) {
            break;
        }
        let again = look(rpc, rule).await;
        if again.is_ok() || seen.is_err() {
            seen = again;
        }
    }
    seen
}

/// The newest block first: one that comes between the two questions must not make the other look older.
async fn look(rpc: &ChainClient, rule: FinalityRule) -> Result<bool, Error> {
    let latest = rpc.latest().await?;
    let safe = rpc.safe_head(rule).await?;
    // Genesis is final everywhere.
    Ok(latest.number > 0 && safe.is_some_and(|safe| safe.number >= latest.number))
}
