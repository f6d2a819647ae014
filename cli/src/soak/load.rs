//! People who move money, many at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    rpc::types::BlockNumberOrTag,
    sol_types::SolCall,
};
use api::{
    Client,
    aggregator::{AmountRequest, Preference, Quote, QuoteRequest, Security, Step, TransactionStep},
};
use chain::manifest::ChainManifest;
use eyre::{OptionExt, WrapErr};
use futures::future::try_join_all;
use parking_lot::Mutex as Lock;
use protocol::abi::erc20;
use tokio::sync::Mutex;

use super::{Target, watch::Watch};
use crate::{
    local::{self, Holder, Keyring},
    wallet::{Call, Wallet},
};

/// Accounts that send, of those that have money from the beginning.
const USERS: u16 = 10;
/// Wei of a transfer of native currency.
const NATIVE: u64 = 10_000_000_000_000_000;
/// Smallest units of a transfer of test tokens: thirty of them.
const TOKENS: u64 = 30_000_000;
/// Gas of an approval, at most.
const APPROVAL_GAS: u64 = 500_000;

/// Everybody who sends, and what came of it.
#[derive(Debug)]
pub(super) struct Load {
    api: Client,
    chains: Vec<ChainManifest>,
    /// By account and chain.
    lanes: BTreeMap<(u16, u64), Lane>,
    outcome: Lock<Outcome>,
}

/// One account on one chain. Its transactions follow one another.
#[derive(Debug)]
struct Lane {
    wallet: Wallet,
    /// The next nonce; unknown after a refusal.
    nonce: Mutex<Option<u64>>,
}

/// What came of asking and sending.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// How long each quote took.
    pub(super) quotes: Vec<Duration>,
    /// Transfers that were tried.
    pub(super) tried: u64,
    /// Why nothing was sent, and how often.
    pub(super) failures: BTreeMap<String, u64>,
}

impl Load {
    /// Everybody with an allowance for their tokens.
    pub(super) async fn prepare(target: &Target) -> eyre::Result<Self> {
        let chains: Vec<_> = target.manifest.chains.values().cloned().collect();
        let mut lanes = BTreeMap::new();
        for chain in &chains {
            for user in 0..USERS {
                let signer = Keyring::Development.signer(Holder::User(user))?;
                let wallet = Wallet::new(signer, local::client(chain)?);
                let lane = Lane { wallet, nonce: Mutex::new(None) };
                lanes.insert((user, chain.chain_id.0), lane);
            }
        }
        let allow = async |chain: &ChainManifest| -> eyre::Result<()> {
            let Some(token) = chain.contracts.test_token else { return Ok(()) };
            let here = lanes.iter().filter(|((_, id), _)| *id == chain.chain_id.0);
            let approval = approval(token, chain.contracts.intent_source);
            try_join_all(here.map(|(_, lane)| lane.wallet.send(approval.clone()))).await?;
            Ok(())
        };
        try_join_all(chains.iter().map(allow)).await?;
        let api = Client::new(target.api.clone())?;
        Ok(Self { api, chains, lanes, outcome: Lock::default() })
    }

    /// The transfer with this number: accounts, directions and tokens take turns.
    pub(super) async fn transfer(&self, number: u64, watch: &Watch) {
        self.outcome.lock().tried += 1;
        if let Err((stage, error)) = self.try_transfer(number, watch).await {
            let cause = format!("{stage}: {}", cause(&error));
            *self.outcome.lock().failures.entry(cause).or_default() += 1;
        }
    }

    async fn try_transfer(
        &self,
        number: u64,
        watch: &Watch,
    ) -> Result<(), (&'static str, eyre::Report)> {
        let (user, request) = self.request(number).map_err(|error| ("plan", error))?;
        let begun = Instant::now();
        let quote = self.quote(&request).await.map_err(|error| ("quote", error))?;
        self.outcome.lock().quotes.push(begun.elapsed());
        let lane = self.lanes.get(&(user, request.origin_chain_id)).ok_or_eyre("no such lane");
        let lane = lane.map_err(|error| ("plan", error))?;
        let transaction = lane.send(&quote).await.map_err(|error| ("send", error))?;
        let submitted = self.api.submit(quote, Some(transaction)).await;
        // The chains have it already: whether the aggregator heard of it decides nothing.
        let submitted = submitted.map_err(|error| ("submit", error.into()))?;
        watch.expect(submitted.id);
        Ok(())
    }

    async fn quote(&self, request: &QuoteRequest) -> eyre::Result<Quote> {
        let answer = self.api.quote(request).await?;
        let reason = answer.unavailable.first().map(|provider| provider.message.clone());
        answer
            .quotes
            .into_iter()
            .next()
            .ok_or_else(|| eyre::eyre!(reason.unwrap_or_else(|| "nobody quotes".to_owned())))
    }

    fn request(&self, number: u64) -> eyre::Result<(u16, QuoteRequest)> {
        let count = self.chains.len();
        let turn = usize::try_from(number)?;
        let user = u16::try_from(number % u64::from(USERS))?;
        let origin = self.chains.get(turn % count).ok_or_eyre("no chain")?;
        // Every direction in turn.
        let step = 1 + (turn / count) % (count - 1);
        let destination = self.chains.get((turn + step) % count).ok_or_eyre("no chain")?;
        let tokens = origin.contracts.test_token.zip(destination.contracts.test_token);
        // Neighbours in time take different tokens, and so does one direction the next time.
        let tokens = tokens.filter(|_| (turn / (count * (count - 1)) + turn) % 2 == 1);
        let (origin_token, destination_token) = tokens.unwrap_or_default();
        let amount = if tokens.is_some() { TOKENS } else { NATIVE };
        let sender = Keyring::Development.address(Holder::User(user))?;
        let request = QuoteRequest {
            origin_chain_id: origin.chain_id.0,
            origin_token,
            destination_chain_id: destination.chain_id.0,
            destination_token,
            amount: AmountRequest::ExactInput(U256::from(amount).into()),
            sender: Some(sender),
            recipient: None,
            refund_address: None,
            preference: Preference::Recommended,
            security: Some(Security::Instant),
            slippage_bps: 50,
            gasless: false,
            calls: Vec::new(),
            providers: Vec::new(),
        };
        Ok((user, request))
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome.lock().clone()
    }
}

impl Lane {
    /// Signs and sends every step, without waiting for blocks; the hash of the last.
    async fn send(&self, quote: &Quote) -> eyre::Result<alloy::primitives::B256> {
        let mut nonce = self.nonce.lock().await;
        let mut last = None;
        for step in &quote.steps {
            let Step::Transaction(step) = step else { eyre::bail!("a step wants a signature") };
            let next = match *nonce {
                Some(next) => next,
                None => self.wallet.nonce(BlockNumberOrTag::Pending).await?,
            };
            // Forgotten unless the node takes it.
            *nonce = None;
            last = Some(self.wallet.submit(call(step), next).await?);
            *nonce = Some(next + 1);
        }
        last.ok_or_eyre("the quote has no transaction").wrap_err("quote")
    }
}

fn call(step: &TransactionStep) -> Call {
    Call { to: step.to, data: step.data.clone(), value: step.value.0, gas_limit: step.gas_limit }
}

fn approval(token: Address, spender: Address) -> Call {
    let call = erc20::approveCall { spender, value: U256::MAX };
    Call {
        to: token,
        data: call.abi_encode().into(),
        value: U256::ZERO,
        gas_limit: Some(APPROVAL_GAS),
    }
}

/// The first words of an error, without what differs from one time to the next.
fn cause(error: &eyre::Report) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    let words = text.split_whitespace();
    let kept = words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    kept.take(12).collect::<Vec<_>>().join(" ")
}
