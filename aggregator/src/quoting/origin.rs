use std::{collections::BTreeMap, future::Future, time::Instant};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
};
use api::aggregator::{Cached, CachedPart};
use chain::ChainClient;
use futures::future;
use protocol::{abi::erc20, ids::ChainId};
use tokio::{
    sync::{Mutex, Semaphore},
    time::timeout,
};

use super::{Account, Route, Simulations};
use crate::cache::{Cache, Lifetimes};

/// Said of what was left out because the chain is asked too much already.
const BUSY: &str = "busy: too many quotes ask this chain at once";
/// Said of what was left out because the chain took too long.
const LATE: &str = "the chain did not answer in time";

/// What the origin chains say, kept for a while.
#[derive(Debug)]
pub(super) struct Origins {
    chains: BTreeMap<ChainId, Origin>,
    gas_prices: Cache<ChainId, u128>,
    accounts: Cache<Holding, Account>,
}

/// A chain that is asked for quotes, so many questions at once.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) client: ChainClient,
    places: Semaphore,
    simulations: Simulations,
    /// Who reads the gas price reads it for all who wait.
    reading_gas_price: Mutex<()>,
}

/// Of what an account's balance and allowance are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Holding {
    chain: ChainId,
    token: Address,
    owner: Address,
    spender: Address,
}

/// A value and its age.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<T> {
    pub(super) value: T,
    pub(super) age: Cached,
    fresh: bool,
}

impl<T> Known<T> {
    fn fresh(value: T, age: Cached) -> Self {
        Self { value, age, fresh: true }
    }

    fn aged((value, age): (T, Cached)) -> Self {
        Self { value, age, fresh: false }
    }

    /// Its age when it was not asked anew.
    pub(super) fn kept(&self) -> Option<Cached> {
        (!self.fresh).then_some(self.age)
    }
}

impl Origin {
    /// The chain's answer to a question, or why there is none.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = T>,
    ) -> Result<T, &'static str> {
        let place = timeout(self.simulations.wait, self.places.acquire());
        let Ok(Ok(_place)) = place.await else { return Err(BUSY) };
        timeout(self.simulations.deadline, question).await.map_err(|_| LATE)
    }
}

impl Origins {
    pub(super) fn new(
        clients: BTreeMap<ChainId, ChainClient>,
        lifetimes: Lifetimes,
        simulations: Simulations,
    ) -> Self {
        let origin = |client| Origin {
            client,
            places: Semaphore::new(simulations.at_once),
            simulations,
            reading_gas_price: Mutex::default(),
        };
        Self {
            chains: clients.into_iter().map(|(id, client)| (id, origin(client))).collect(),
            gas_prices: Cache::new(CachedPart::GasPrice, lifetimes.gas_prices),
            accounts: Cache::new(CachedPart::Account, lifetimes.accounts),
        }
    }

    pub(super) fn get(&self, chain: ChainId) -> Option<&Origin> {
        self.chains.get(&chain)
    }

    /// Wei for one unit of gas now; `None` when the chain does not say.
    pub(super) async fn gas_price(&self, chain: ChainId) -> Option<Known<u128>> {
        let origin = self.get(chain)?;
        let kept = || self.gas_prices.get(&chain, Instant::now()).map(Known::aged);
        if let Some(kept) = kept() {
            return Some(kept);
        }
        let reading = timeout(origin.simulations.wait, origin.reading_gas_price.lock());
        let _reading = reading.await.ok()?;
        if let Some(kept) = kept() {
            return Some(kept);
        }
        let now = Instant::now();
        let fees = timeout(origin.simulations.deadline, origin.client.fees()).await.ok()?;
        match fees {
            Ok(fees) => {
                let price = fees.base.saturating_add(fees.priority);
                self.gas_prices.put(chain, price, now);
                Some(Known::fresh(price, self.gas_prices.fresh()))
            }
            Err(error) => {
                tracing::warn!(chain = chain.0, %error, "cannot read the gas price");
                None
            }
        }
    }

    /// What the chain says of the sender, or why nothing is known.
    pub(super) async fn account(
        &self,
        route: &Route,
        spender: Address,
    ) -> Result<Known<Account>, String> {
        let owner = route.sender.ok_or("no sender was given")?;
        let origin = self.get(route.origin).ok_or("this server does not follow the chain")?;
        let (token, now) = (&route.token_in, Instant::now());
        let holding = Holding { chain: route.origin, token: token.address, owner, spender };
        if let Some(kept) = self.accounts.get(&holding, now) {
            return Ok(Known::aged(kept));
        }
        let (client, latest) = (&origin.client, BlockNumberOrTag::Latest);
        let state = origin.ask(async {
            // Another offer of this request, or another request, may have asked the same meanwhile.
            if let Some((account, _)) = self.accounts.get(&holding, Instant::now()) {
                return Ok((account.allowance, account.balance));
            }
            if token.is_native() {
                let balance = client.balance(owner, latest).await?;
                return Ok((U256::ZERO, balance));
            }
            let allowance = erc20::allowanceCall { owner, spender };
            let balance = erc20::balanceOfCall { account: owner };
            future::try_join(
                client.call(token.address, &allowance, latest),
                client.call(token.address, &balance, latest),
            )
            .await
        });
        match state.await? {
            Ok((allowance, balance)) => {
                let account = Account { address: owner, allowance, balance };
                self.accounts.put(holding, account, now);
                Ok(Known::fresh(account, self.accounts.fresh()))
            }
            Err(error) => {
                tracing::warn!(chain = route.origin.0, %error, "cannot read the sender's account");
                Err(format!("the chain did not answer: {error}"))
            }
        }
    }
}
