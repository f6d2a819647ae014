//! Work on one chain: what does not hold yet is remedied, a step at a time.

use std::{collections::BTreeSet, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{U256, keccak256},
    signers::local::PrivateKeySigner,
};
use chain::{
    ChainClient, Db, FinalityRule, Sender, client,
    sender::{self, Request, SenderConfig, Status, Ticket},
};
use futures::{
    StreamExt, TryStreamExt,
    future::{BoxFuture, FutureExt, try_join_all},
    stream,
};
use service::crash_point;
use tokio::time::{Instant, sleep};

use crate::{
    activation,
    apply::{Error, Target},
    fact::{Fact, Phase, Remedy, Seen, Value},
    plan,
};

/// Facts looked at, and fees asked for, at the same time.
pub(crate) const PARALLEL_READS: usize = 16;
/// Remedies sent in one run for a fact that does not come true.
const TRIES: u32 = 3;
/// How long a transaction may take to get into a block before the deployer's balance is looked at.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time between two looks at transactions under way.
const SLOWEST_POLL: Duration = Duration::from_secs(2);
/// Shortest one: chains of the local system make a block every quarter of a second.
const FASTEST_POLL: Duration = Duration::from_millis(25);
/// Blocks over which the time between blocks is measured.
const MEASURED_BLOCKS: u64 = 100;

/// Works on one chain.
pub(crate) struct Crew<'a> {
    pub(crate) name: &'a str,
    pub(crate) client: &'a ChainClient,
    sender: Sender,
    pub(crate) facts: Vec<Fact>,
}

/// A fact that does not hold, and how far its remedies are.
struct Open<'f> {
    fact: &'f Fact,
    /// Under which the journal has, or gets, the next remedy.
    number: u32,
    /// Remedies that this run sent.
    tries: u32,
}

/// A remedy on its way.
struct Ordered<'f> {
    fact: &'f Fact,
    ticket: Ticket,
    /// Wei that it takes, roughly.
    cost: U256,
    is_last_try: bool,
}

impl<'a> Crew<'a> {
    pub(crate) async fn start(
        name: &'a str,
        target: &'a Target,
        journal: &Db,
        signer: &PrivateKeySigner,
        facts: Vec<Fact>,
    ) -> Result<Self, Error> {
        let client = &target.client;
        let failed = |cause| Error::Chain { chain: name.to_owned(), cause };
        client.check_chain_id().await.map_err(failed)?;
        let config = SenderConfig {
            confirm: FinalityRule::Instant,
            poll: poll_interval(client).await.map_err(failed)?,
            ..SenderConfig::default()
        };
        let sender = Sender::start(journal.clone(), client.clone(), signer.clone(), config).await;
        let sender = sender.map_err(|cause| Error::Send {
            chain: name.to_owned(),
            what: "starting".to_owned(),
            cause: Box::new(cause),
        })?;
        Ok(Self { name, client, sender, facts })
    }

    /// Makes the facts of one phase hold: the remedies of a step are sent together and waited for together.
    pub(crate) async fn finish(&self, phase: Phase) -> Result<(), Error> {
        let steps: BTreeSet<u8> = self.of_phase(phase).map(|fact| fact.step).collect();
        for step in steps {
            let facts = self.of_phase(phase).filter(|fact| fact.step == step);
            self.make_true(facts.map(|fact| Open { fact, number: 0, tries: 0 }).collect()).await?;
        }
        Ok(())
    }

    fn of_phase(&self, phase: Phase) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |fact| fact.phase == phase)
    }

    async fn make_true(&self, mut open: Vec<Open<'_>>) -> Result<(), Error> {
        loop {
            open = self.still_open(open).await?;
            if open.is_empty() {
                return Ok(());
            }
            let mut values = Vec::new();
            for remedy in open.iter().filter_map(|open| open.fact.remedy.as_ref()) {
                values.push(self.value(remedy));
            }
            let values: Vec<U256> =
                stream::iter(values).buffered(PARALLEL_READS).try_collect().await?;
            let fees = self.client.fees().await.map_err(|cause| self.unasked(cause))?;
            let gas_price = fees.base + fees.priority;
            let mut ordered = Vec::new();
            for (open, value) in open.iter_mut().zip(values) {
                ordered.extend(self.order(open, value, gas_price).await?);
            }
            let waits: Vec<_> =
                ordered.into_iter().map(|ordered| self.carried_out(ordered).boxed()).collect();
            try_join_all(waits).await?;
        }
    }

    /// Those that do not hold, if something can be done about every one of them.
    async fn still_open<'f>(&self, facts: Vec<Open<'f>>) -> Result<Vec<Open<'f>>, Error> {
        let looked_at: Vec<&Fact> = facts.iter().map(|open| open.fact).collect();
        let seen = self.look_at(&looked_at).await?;
        let mut still = Vec::new();
        for (open, seen) in facts.into_iter().zip(seen) {
            let Seen::Otherwise(seen) = seen else { continue };
            if open.fact.remedy.is_none() || open.tries == TRIES {
                let (chain, what) = (self.name.to_owned(), open.fact.what.clone());
                return Err(Error::Unfixable { chain, what, seen });
            }
            still.push(open);
        }
        Ok(still)
    }

    /// What each fact looks like now.
    pub(crate) async fn look_at(&self, facts: &[&Fact]) -> Result<Vec<Seen>, Error> {
        look_at(self.client, facts).await.map_err(|cause| self.unasked(cause))
    }

    /// Writes the remedy into the journal. Under a number that the journal knows from an earlier run nothing is sent anew:
    /// what is under way, or was carried out, is waited for. If the fact does not hold even so, somebody undid it since or
    /// it reverted, and the next number is free; so is the number after one under which nothing was sent in the end.
    async fn order<'f>(
        &self,
        open: &mut Open<'f>,
        value: U256,
        gas_price: u128,
    ) -> Result<Option<Ordered<'f>>, Error> {
        let fact = open.fact;
        let Some(remedy) = &fact.remedy else { return Ok(None) };
        let failed = |cause| self.unsent(fact, cause);
        loop {
            let key = format!("deploy:{}:{}:{}", fact.what, keccak256(&remedy.data), open.number);
            open.number += 1;
            let ticket = match self.sender.find(key.clone()).await.map_err(failed)? {
                Some(known) if is_unsent(&known.status()) => continue,
                Some(known) => known,
                None => {
                    tracing::info!(chain = self.name, fact = fact.what, "deploying");
                    open.tries += 1;
                    crash_point!("deploy.remedy");
                    let request = Request::call(key, remedy.to, remedy.data.clone());
                    self.sender.submit(request.with_value(value)).await.map_err(failed)?
                }
            };
            let cost = value + U256::from(plan::gas_of(remedy)) * U256::from(gas_price);
            let is_last_try = open.tries == TRIES;
            return Ok(Some(Ordered { fact, ticket, cost, is_last_try }));
        }
    }

    /// Waits for a remedy.
    async fn carried_out(&self, mut ordered: Ordered<'_>) -> Result<(), Error> {
        let watched = ordered.ticket.clone();
        let sent = tokio::select! {
            sent = ordered.ticket.confirmed() => sent,
            poor = self.notice_poverty(&watched, ordered.cost) => return poor,
        };
        let sent = sent.map_err(|cause| self.unsent(ordered.fact, cause))?;
        crash_point!("deploy.remedied");
        if sent.success {
            return Ok(());
        }
        let (chain, what) = (self.name.to_owned(), ordered.fact.what.clone());
        if ordered.is_last_try {
            return Err(Error::Reverted { chain, what, hash: sent.hash });
        }
        // Another transaction of the same step may have changed what its gas was estimated on.
        tracing::warn!(chain, what, hash = %sent.hash, "reverted, looking again");
        Ok(())
    }

    /// Returns only when a transaction gets into no block and the deployer lacks the money for it. The cost is a rough one:
    /// much too little is noticed soon, somewhat too little when the transaction has had all the time it needs.
    async fn notice_poverty(&self, ticket: &Ticket, cost: U256) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            sleep(PATIENCE).await;
            if !matches!(ticket.status(), Status::Queued | Status::Pending { .. }) {
                continue;
            }
            let deployer = self.sender.address();
            let balance = self.client.balance(deployer, BlockNumberOrTag::Latest).await;
            let balance = balance.map_err(|cause| self.unasked(cause))?;
            let enough = if begun.elapsed() < 6 * PATIENCE { cost / U256::from(4) } else { cost };
            if balance < enough {
                let chain = self.name.to_owned();
                return Err(Error::NotEnoughMoney { chain, deployer, balance, cost });
            }
        }
    }

    fn value<'r>(&'r self, remedy: &'r Remedy) -> BoxFuture<'r, Result<U256, Error>> {
        async move {
            match &remedy.value {
                Value::None => Ok(U256::ZERO),
                Value::Activation { code } => {
                    let fee = activation::fee(self.client, self.sender.address(), code).await;
                    fee.map_err(|cause| self.unasked(cause))
                }
            }
        }
        .boxed()
    }

    fn unsent(&self, fact: &Fact, cause: sender::Error) -> Error {
        let (chain, what) = (self.name.to_owned(), fact.what.clone());
        Error::Send { chain, what, cause: Box::new(cause) }
    }

    fn unasked(&self, cause: client::Error) -> Error {
        Error::Chain { chain: self.name.to_owned(), cause }
    }
}

/// What each fact looks like now, in their order.
pub(crate) async fn look_at(
    client: &ChainClient,
    facts: &[&Fact],
) -> Result<Vec<Seen>, client::Error> {
    let looks: Vec<_> = facts.iter().map(|fact| fact.probe.look(client).boxed()).collect();
    stream::iter(looks).buffered(PARALLEL_READS).try_collect().await
}

/// Whether the journal has given a request up without a transaction of it.
const fn is_unsent(status: &Status) -> bool {
    match status {
        Status::Refused(_) | Status::Canceled(_) => true,
        Status::Queued | Status::Pending { .. } | Status::Included(_) | Status::Confirmed(_) => {
            false
        }
    }
}

/// A fraction of the chain's time between blocks: a local chain is not waited for longer than needed, a slow one not asked
/// without end.
async fn poll_interval(client: &ChainClient) -> Result<Duration, client::Error> {
    let latest = client.latest().await?;
    let earlier = latest.number.saturating_sub(MEASURED_BLOCKS);
    let Some(earlier) = client.block(earlier).await? else { return Ok(FASTEST_POLL) };
    let elapsed = Duration::from_secs(latest.timestamp.saturating_sub(earlier.timestamp));
    let blocks = u32::try_from(latest.number - earlier.number).unwrap_or(u32::MAX).max(1);
    Ok((elapsed / blocks / 5).clamp(FASTEST_POLL, SLOWEST_POLL))
}
