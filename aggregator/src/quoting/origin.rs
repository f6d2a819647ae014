use std::{collections::BTreeMap, time::Instant};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
};
use api::aggregator::{Cached, CachedPart};
use chain::ChainClient;
use futures::future;
use protocol::{abi::erc20, ids::ChainId};

use super::{Account, Route};
use crate::cache::{Cache, Lifetimes};

/// What the origin chains say, kept for a while.
#[derive(Debug)]
pub(super) struct Origins {
    clients: BTreeMap<ChainId, ChainClient>,
    gas_prices: Cache<ChainId, u128>,
    accounts: Cache<Holding, Account>,
}

/// Of what an account's balance and allowance are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Holding {
    chain: ChainId,
    token: Address,
    owner: Address,
    spender: Address,
}

/// A value, and its age when it was not asked anew.
pub(super) type Known<T> = (T, Option<Cached>);

impl Origins {
    pub(super) fn new(clients: BTreeMap<ChainId, ChainClient>, lifetimes: Lifetimes) -> Self {
        Self {
            clients,
            gas_prices: Cache::new(CachedPart::GasPrice, lifetimes.gas_prices),
            accounts: Cache::new(CachedPart::Account, lifetimes.accounts),
        }
    }

    pub(super) fn client(&self, chain: ChainId) -> Option<&ChainClient> {
        self.clients.get(&chain)
    }

    /// Wei for one unit of gas now; `None` when the chain does not say.
    pub(super) async fn gas_price(&self, chain: ChainId) -> Option<Known<u128>> {
        let (client, now) = (self.client(chain)?, Instant::now());
        if let Some((price, age)) = self.gas_prices.get(&chain, now) {
            return Some((price, Some(age)));
        }
        match client.fees().await {
            Ok(fees) => {
                let price = fees.base.saturating_add(fees.priority);
                self.gas_prices.put(chain, price, now);
                Some((price, None))
            }
            Err(error) => {
                tracing::warn!(chain = chain.0, %error, "cannot read the gas price");
                None
            }
        }
    }

    /// What the chain says of the sender; `None` without a sender or when the chain does not answer.
    pub(super) async fn account(&self, route: &Route, spender: Address) -> Option<Known<Account>> {
        let (client, owner) = (self.client(route.origin)?, route.sender?);
        let (token, now) = (&route.token_in, Instant::now());
        let holding = Holding { chain: route.origin, token: token.address, owner, spender };
        if let Some((account, age)) = self.accounts.get(&holding, now) {
            return Some((account, Some(age)));
        }
        let latest = BlockNumberOrTag::Latest;
        let state = if token.is_native() {
            client.balance(owner, latest).await.map(|balance| (U256::ZERO, balance))
        } else {
            let allowance = erc20::allowanceCall { owner, spender };
            let balance = erc20::balanceOfCall { account: owner };
            future::try_join(
                client.call(token.address, &allowance, latest),
                client.call(token.address, &balance, latest),
            )
            .await
        };
        match state {
            Ok((allowance, balance)) => {
                let account = Account { address: owner, allowance, balance };
                self.accounts.put(holding, account, now);
                Some((account, None))
            }
            Err(error) => {
                tracing::warn!(chain = route.origin.0, %error, "cannot read the sender's account");
                None
            }
        }
    }
}
