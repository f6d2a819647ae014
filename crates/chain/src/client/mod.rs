//! Reading a chain through one or more RPC URLs.
//!
//! Every read goes to the endpoint that is well; when it is slow a second one is asked too (the first answer wins), when
//! it fails the next one is asked at once. Where a single liar must not matter, [`ChainClient::with_quorum`] asks all and
//! believes only an answer that enough of them give.

mod answer;
mod endpoint;
mod error;
mod request;

use std::{sync::Arc, time::Duration};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes, TxHash, U256},
    rpc::types::{Filter, Log, Transaction, TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
};
use futures::future::BoxFuture;
use protocol::ids::ChainId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

pub use self::error::{Error, Revert};
use self::{
    answer::{Header, Logs},
    endpoint::Endpoint,
    request::Reads,
};
use crate::finality::{FinalityRule, Heads, Tag, safe_head};

/// One chain, read through its RPC URLs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChainClient {
    endpoints: Arc<[Arc<Endpoint>]>,
    chain_id: ChainId,
    reads: Reads,
    options: ClientOptions,
}

/// How patient a client is.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Longest time for one request at one endpoint.
    pub timeout: Duration,
    /// A second endpoint is asked when the first has not answered by then.
    pub hedge_after: Duration,
    /// How often a request that failed everywhere is tried again, with growing pauses.
    pub retries: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(20), hedge_after: Duration::from_secs(1), retries: 4 }
    }
}

/// What we use of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Hash of the block below.
    pub parent_hash: B256,
    /// Seconds since 1970, as the chain says.
    pub timestamp: u64,
    /// Wei per gas that every transaction of the block pays.
    pub base_fee: u64,
    /// Most gas that its transactions may use together.
    #[serde(default)]
    pub gas_limit: u64,
}

/// What a transaction pays per gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Base fee of the newest block.
    pub base: u128,
    /// Tip that the node suggests.
    pub priority: u128,
}

impl ChainClient {
    /// A client for the chain with this id. Does no I/O: see [`ChainClient::check_chain_id`].
    ///
    /// # Errors
    /// [`Error::NoEndpoint`] without URLs, [`Error::Transport`] when the HTTP client cannot be built.
    pub fn new(chain_id: ChainId, urls: &[Url], options: ClientOptions) -> Result<Self, Error> {
        if urls.is_empty() {
            return Err(Error::NoEndpoint { chain_id: chain_id.0 });
        }
        let http =
            reqwest::Client::builder().timeout(options.timeout).tcp_nodelay(true).build().map_err(
                |error| Error::Transport {
                    method: "client".to_owned(),
                    endpoint: "all".to_owned(),
                    detail: error.to_string(),
                },
            )?;
        let endpoints =
            urls.iter().map(|url| Arc::new(Endpoint::new(url.clone(), http.clone()))).collect();
        Ok(Self { endpoints, chain_id, reads: Reads::Hedged, options })
    }

    /// A client for whatever chain the URLs serve; all of them must serve the same.
    ///
    /// # Errors
    /// As [`ChainClient::new`] and [`ChainClient::check_chain_id`].
    pub async fn connect(urls: &[Url], options: ClientOptions) -> Result<Self, Error> {
        let mut client = Self::new(ChainId(0), urls, options)?;
        let id: U256 = client.request("eth_chainId", &json!([])).await?;
        client.chain_id = ChainId(id.saturating_to());
        client.check_chain_id().await?;
        Ok(client)
    }

    /// The same chain, but an answer counts only when `required` endpoints give it.
    ///
    /// Answers are compared after decoding, blocks and logs without what differs between honest nodes of different
    /// makers. Endpoints that rest for long are left alone: the others decide. `1` is an ordinary read.
    #[must_use]
    pub fn with_quorum(&self, required: usize) -> Self {
        let reads = if required > 1 { Reads::Quorum(required) } else { Reads::Hedged };
        Self { reads, ..self.clone() }
    }

    /// The chain this client was made for.
    pub const fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// The RPC URLs, in order of preference. They may hold API keys: never log them.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        self.endpoints.iter().map(|endpoint| &endpoint.url)
    }

    /// Asks every endpoint for its chain id. Endpoints that cannot be reached are passed over while one can.
    ///
    /// # Errors
    /// [`Error::WrongChain`] for the first that serves another chain; the last failure when none answers.
    pub async fn check_chain_id(&self) -> Result<(), Error> {
        let params = request::encode("eth_chainId", &json!([]))?;
        let mut failure = None;
        let mut reached = false;
        for endpoint in self.endpoints.iter() {
            match endpoint.ask::<U256>("eth_chainId", &params).await {
                Ok(given) => {
                    let given = given.saturating_to();
                    if given != self.chain_id.0 {
                        let expected = self.chain_id.0;
                        return Err(Error::WrongChain {
                            endpoint: endpoint.name(),
                            expected,
                            given,
                        });
                    }
                    reached = true;
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !reached => Err(error),
            _ => Ok(()),
        }
    }

    /// The block, or `None` when the node has none under this id.
    pub async fn block(&self, id: impl Into<BlockId>) -> Result<Option<BlockHeader>, Error> {
        let header: Option<Header> = match id.into() {
            BlockId::Hash(hash) => {
                self.request("eth_getBlockByHash", &json!([hash.block_hash, false])).await?
            }
            BlockId::Number(number) => {
                self.request("eth_getBlockByNumber", &json!([number, false])).await?
            }
        };
        Ok(header.map(BlockHeader::from))
    }

    /// The newest block. An endpoint that has none at all is as one that does not answer.
    pub async fn latest(&self) -> Result<BlockHeader, Error> {
        let params = json!([BlockNumberOrTag::Latest, false]);
        let header: Header = self.request("eth_getBlockByNumber", &params).await?;
        Ok(header.into())
    }

    /// The newest block that is final by `rule`, or `None` while there is none.
    ///
    /// Asks only for the tags that the rule reads; the decision itself is [`safe_head`]'s.
    pub async fn safe_head(&self, rule: FinalityRule) -> Result<Option<BlockHeader>, Error> {
        match rule {
            FinalityRule::Tag(Tag::Finalized) => self.block(BlockNumberOrTag::Finalized).await,
            FinalityRule::Tag(Tag::Safe) => self.block(BlockNumberOrTag::Safe).await,
            FinalityRule::Tag(Tag::Latest) | FinalityRule::Instant | FinalityRule::Blocks(0) => {
                self.latest().await.map(Some)
            }
            FinalityRule::Blocks(_) => {
                let latest = self.latest().await?.number;
                match safe_head(rule, Heads { latest, ..Heads::default() }) {
                    Some(number) => self.block(number).await,
                    None => Ok(None),
                }
            }
        }
    }

    /// Logs that match the filter, in the order of the chain.
    pub async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, Error> {
        let logs: Logs = self.request("eth_getLogs", &json!([filter])).await?;
        Ok(logs.0)
    }

    /// The receipt, or `None` while the transaction is in no block.
    pub async fn receipt(&self, hash: TxHash) -> Result<Option<TransactionReceipt>, Error> {
        self.request("eth_getTransactionReceipt", &json!([hash])).await
    }

    /// The transaction, or `None` when the node does not know it.
    pub async fn transaction(&self, hash: TxHash) -> Result<Option<Transaction>, Error> {
        self.request("eth_getTransactionByHash", &json!([hash])).await
    }

    /// Wei held by the account.
    pub async fn balance(&self, account: Address, at: impl Into<BlockId>) -> Result<U256, Error> {
        self.request("eth_getBalance", &json!([account, at.into()])).await
    }

    /// How many transactions the account has sent as of the block (of the pool too, with `pending`).
    pub async fn nonce(&self, account: Address, at: impl Into<BlockId>) -> Result<u64, Error> {
        let nonce: U256 =
            self.request("eth_getTransactionCount", &json!([account, at.into()])).await?;
        Ok(nonce.saturating_to())
    }

    /// Code of the account; empty for an account without.
    pub async fn code(&self, account: Address, at: impl Into<BlockId>) -> Result<Bytes, Error> {
        self.request("eth_getCode", &json!([account, at.into()])).await
    }

    /// One storage slot of the account.
    pub async fn storage(
        &self,
        account: Address,
        slot: U256,
        at: impl Into<BlockId>,
    ) -> Result<B256, Error> {
        self.request("eth_getStorageAt", &json!([account, slot, at.into()])).await
    }

    /// Calls a contract function from nobody, without value.
    ///
    /// # Errors
    /// [`Error::Reverted`] with the contract's error, [`Error::Decode`] when the answer is no such return value (an
    /// account without code answers with nothing).
    pub async fn call<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        at: impl Into<BlockId>,
    ) -> Result<C::Return, Error> {
        let request = TransactionRequest::default().to(to).input(call.abi_encode().into());
        let output = self.simulate(&request, at).await?;
        C::abi_decode_returns_validate(&output).map_err(|error| Error::Decode {
            what: format!("{} of {to}", C::SIGNATURE),
            detail: format!("{error}: answered {output}"),
        })
    }

    /// Executes a transaction request without sending it and gives what it returns.
    pub async fn simulate(
        &self,
        request: &TransactionRequest,
        at: impl Into<BlockId>,
    ) -> Result<Bytes, Error> {
        self.request("eth_call", &json!([request, at.into()])).await
    }

    /// Gas that the request needs on top of the newest block (with the chain's own data fee, where it has one).
    pub async fn estimate(&self, request: &TransactionRequest) -> Result<u64, Error> {
        let gas: U256 =
            self.request("eth_estimateGas", &json!([request, BlockNumberOrTag::Latest])).await?;
        Ok(gas.saturating_to())
    }

    /// What a transaction pays now.
    pub async fn fees(&self) -> Result<Fees, Error> {
        Ok(self.market().await?.1)
    }

    /// The newest block, and what a transaction pays after it.
    pub(crate) async fn market(&self) -> Result<(BlockHeader, Fees), Error> {
        let nothing = json!([]);
        let priority = self.request("eth_maxPriorityFeePerGas", &nothing);
        let (latest, priority) = futures::join!(self.latest(), priority);
        let latest = latest?;
        let priority: U256 = match priority {
            Ok(priority) => priority,
            // Not every node serves the method; chains without a tip market take zero.
            Err(Error::Node { .. }) => U256::ZERO,
            Err(error) => return Err(error),
        };
        let base = u128::from(latest.base_fee);
        Ok((latest, Fees { base, priority: priority.saturating_to() }))
    }

    /// Hands a signed transaction to every endpoint.
    ///
    /// # Errors
    /// The node's refusal (see [`Rejection::of`]) when no endpoint took it and none had it already.
    pub async fn send_raw(&self, raw: &[u8]) -> Result<(), Error> {
        request::broadcast(&self.endpoints, raw).await
    }

    /// Any other JSON-RPC method. `R` is what the answer is decoded into.
    pub async fn request<R>(
        &self,
        method: &'static str,
        params: &serde_json::Value,
    ) -> Result<R, Error>
    where
        R: serde::de::DeserializeOwned + PartialEq + Send,
    {
        let params = request::encode(method, params)?;
        match self.reads {
            Reads::Hedged => request::hedged(&self.endpoints, &self.options, method, &params).await,
            Reads::Quorum(required) => {
                request::quorum(&self.endpoints, &self.options, required, method, &params).await
            }
        }
    }

    /// Does `work`, which asks several things that have to fit together, with one endpoint alone; with another one from the
    /// beginning when that one is slow or fails. Each request is retried by itself: a long piece of work at a node that
    /// limits its rate would never be done otherwise.
    pub(crate) async fn at_one<'a, T: Send>(
        &'a self,
        work: impl Fn(Self) -> BoxFuture<'a, Result<T, Error>> + Send + Sync,
    ) -> Result<T, Error> {
        let ask = |endpoint| work(self.only(endpoint, self.options.retries));
        request::race(&self.endpoints, self.options.hedge_after, ask).await
    }

    /// One client per endpoint, which asks once and does not try again.
    pub(crate) fn one_by_one(&self) -> impl Iterator<Item = Self> {
        self.endpoints.iter().map(|endpoint| self.only(endpoint, 0))
    }

    fn only(&self, endpoint: &Arc<Endpoint>, retries: u32) -> Self {
        Self {
            endpoints: Arc::from([Arc::clone(endpoint)]),
            chain_id: self.chain_id,
            reads: Reads::Hedged,
            options: ClientOptions { retries, ..self.options.clone() },
        }
    }
}

/// Why a node did not take a signed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It has the transaction already.
    AlreadyKnown,
    /// The nonce was used by a transaction that is in a block.
    NonceTooLow,
    /// Another transaction with this nonce waits, and this one does not pay enough more.
    Underpriced,
    /// The account cannot pay for it.
    InsufficientFunds,
    /// No node of the chain takes it, now or later: it asks for more gas than a transaction may, brings less than it
    /// costs before it runs, or is too large.
    Impossible,
}

impl Rejection {
    /// The reason behind an error of [`ChainClient::send_raw`] or [`ChainClient::estimate`], where the node's words are
    /// the usual ones.
    pub fn of(error: &Error) -> Option<Self> {
        let Error::Node { message, .. } = error else { return None };
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["already known", "known transaction", "already imported"]) {
            Some(Self::AlreadyKnown)
        } else if says(&["nonce too low", "nonce is too low"]) {
            Some(Self::NonceTooLow)
        } else if says(&["underpriced", "fee too low", "less than block base fee"]) {
            Some(Self::Underpriced)
        } else if says(&["insufficient funds", "insufficient balance"]) {
            Some(Self::InsufficientFunds)
        } else if says(&[
            "exceeds block gas limit",
            "gas required exceeds allowance",
            "transaction gas limit",
            "intrinsic gas too low",
            "insufficient gas for floor data gas cost",
            "max initcode size exceeded",
            "oversized data",
        ]) {
            Some(Self::Impossible)
        } else {
            None
        }
    }
}
