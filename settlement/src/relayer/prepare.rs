//! Stage one: is the message delivered, deliverable, paid for, and what does its module want to see?

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    rpc::types::{Filter, TransactionRequest},
    sol_types::{SolCall as _, SolEvent as _},
};
use chain::{ChainClient, client};
use parking_lot::Mutex;
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, Mailbox},
    ids::{Domain, MailboxMessageId, address_of},
    message::Envelope,
};

use super::{
    delivery::{Process, Stored},
    gas::{Cost, Funds, GasPolicy, in_origin_token},
    metadata::Builder,
    store::Store,
    verdict::{NotReady, Ready, Verdict, malformed},
};

/// How long a recipient's choice of module is remembered.
const ISM_TTL: Duration = Duration::from_secs(10);
/// In which attempts a message is looked for at its destination: the first, and every so many.
const LOOKED_FOR: u32 = 16;
/// How long the destination's gas price is remembered.
const PRICE_TTL: Duration = Duration::from_secs(2);
/// How long the gas limit of its blocks is remembered.
const CEILING_TTL: Duration = Duration::from_secs(600);
/// A transaction may take one part in so many of a block's gas.
const BLOCK_SHARE: u64 = 2;
/// Longest that one message is prepared: modules, servers and folders of strangers are asked for it.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);
/// Most recipients whose choice of module is remembered.
const MAX_ISMS: usize = 4_096;
/// Added to the estimate of each message, in percent: state may change until it is executed.
const GAS_MARGIN_PERCENT: u64 = 25;

/// Where messages are delivered, and with what means.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub(super) chain: ChainClient,
    pub(super) domain: Domain,
    pub(super) mailbox: Address,
    /// First block that can hold a delivery.
    pub(super) start_block: u64,
    pub(super) router: Address,
    pub(super) store: Store,
    /// Who would submit: some modules look at it.
    pub(super) from: Address,
    /// Most gas of one transaction, as configured.
    pub(super) max_gas: u64,
}

/// What preparing messages for one destination needs.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) to: Destination,
    pub(super) builder: Builder,
    pub(super) policy: GasPolicy,
    isms: Mutex<HashMap<Address, (Instant, Address)>>,
    price: Mutex<Option<(Instant, u128)>>,
    ceiling: Mutex<Option<(Instant, u64)>>,
}

impl Preparer {
    pub(super) fn new(to: Destination, builder: Builder, policy: GasPolicy) -> Self {
        let (isms, price, ceiling) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { to, builder, policy, isms, price, ceiling }
    }

    /// Looks at a message once; with `ask_first` the mailbox is asked for it before anything else.
    pub(super) async fn prepare(&self, message: &Stored, ask_first: bool) -> Verdict {
        match tokio::time::timeout(PREPARED_WITHIN, self.verdict(message, ask_first)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(reason)) => Verdict::Wait(reason),
            Err(_) => {
                let reason = format!("could not be prepared within {PREPARED_WITHIN:?}");
                Verdict::Wait(NotReady::normal(reason))
            }
        }
    }

    async fn verdict(&self, message: &Stored, ask_first: bool) -> Result<Verdict, NotReady> {
        // The mailbox is asked about one that waits only now and then: were it delivered, its estimate would
        // fail, or the indexer would have seen it.
        let is_looked_for = ask_first
            || message.attempts.is_multiple_of(LOOKED_FOR)
            || self.find_process(message.key.id).await?.is_some();
        if is_looked_for && let Some(verdict) = self.delivered(message).await? {
            return Ok(verdict);
        }
        let envelope = match Envelope::parse(&message.envelope) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Verdict::Park(error.to_string())),
        };
        if let Some(reason) = malformed(&envelope, self.to.router) {
            return Ok(Verdict::Park(reason));
        }
        let Some(recipient) = address_of(envelope.recipient) else {
            return Ok(Verdict::Park(format!("{} is no EVM address", envelope.recipient)));
        };
        self.check_payment(message, None).await?;
        let ism = self.ism_of(recipient).await?;
        let metadata = self.builder.build(ism, message).await?;
        let gas = match self.estimate(&metadata, message).await {
            Ok(gas) => gas,
            Err(error) => {
                if let Some(verdict) = self.delivered(message).await? {
                    return Ok(verdict);
                }
                // The recipient may have chosen another module meanwhile, or the module changed.
                self.isms.lock().remove(&recipient);
                self.builder.forget(message.key.id);
                return Err(self.explain(error, recipient).await);
            }
        };
        if self.policy.needs_cost() {
            self.check_payment(message, Some(gas)).await?;
        }
        let gas_limit = gas.saturating_add(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100);
        let ceiling = self.gas_ceiling().await?;
        if gas_limit > ceiling {
            return Err(NotReady::slow(format!(
                "needs {gas_limit} gas, one transaction may take {ceiling}"
            )));
        }
        Ok(Verdict::Ready(Ready { metadata, gas_limit }))
    }

    /// What follows when the mailbox has the message already.
    async fn delivered(&self, message: &Stored) -> Result<Option<Verdict>, NotReady> {
        let id = message.key.id;
        if !self.is_delivered(id).await? {
            return Ok(None);
        }
        Ok(Some(match self.located(id).await? {
            Some(process) => Verdict::Delivered(process),
            None => Verdict::Wait(NotReady::normal("delivered, but its log is not there yet")),
        }))
    }

    /// Whether the mailbox has processed the message, as of the newest block.
    pub(super) async fn is_delivered(&self, id: MailboxMessageId) -> Result<bool, client::Error> {
        let call = Mailbox::deliveredCall { messageId: id.0 };
        self.to.chain.call(self.to.mailbox, &call, BlockNumberOrTag::Latest).await
    }

    /// Where the message was processed, as the destination's own indexer read it: the mailbox's record
    /// counts parent-chain blocks on rollups, and searching a whole chain for a log is refused by most nodes.
    async fn find_process(&self, id: MailboxMessageId) -> Result<Option<Process>, NotReady> {
        Ok(self.to.store.processed(self.to.domain, id).await?)
    }

    /// Where a message that is delivered was processed. The indexer may have passed that block before it wrote
    /// deliveries down, so the chain is asked too; a node that refuses so wide a query leaves it to the indexer.
    async fn located(&self, id: MailboxMessageId) -> Result<Option<Process>, NotReady> {
        if let Some(process) = self.find_process(id).await? {
            return Ok(Some(process));
        }
        Ok(self.search_process(id).await.unwrap_or_else(|error| {
            tracing::debug!(
                destination = %self.to.domain, mailbox_id = %id, %error,
                "the log of a delivery cannot be searched for"
            );
            None
        }))
    }

    /// Where the message was processed, from the logs of the whole chain.
    async fn search_process(&self, id: MailboxMessageId) -> Result<Option<Process>, client::Error> {
        let filter = Filter::new()
            .address(self.to.mailbox)
            .event_signature(Mailbox::ProcessId::SIGNATURE_HASH)
            .topic1(id.0)
            .from_block(self.to.start_block);
        let logs = self.to.chain.logs(&filter).await?;
        Ok(logs.last().and_then(|log| {
            Some(Process {
                tx: log.transaction_hash?,
                number: log.block_number?,
                hash: log.block_hash?,
            })
        }))
    }

    async fn ism_of(&self, recipient: Address) -> Result<Address, NotReady> {
        if let Some((since, ism)) = self.isms.lock().get(&recipient)
            && since.elapsed() < ISM_TTL
        {
            return Ok(*ism);
        }
        let call = Mailbox::recipientIsmCall { recipient };
        let ism = self.to.chain.call(self.to.mailbox, &call, BlockNumberOrTag::Latest).await?;
        let mut isms = self.isms.lock();
        if isms.len() >= MAX_ISMS {
            isms.clear();
        }
        isms.insert(recipient, (Instant::now(), ism));
        Ok(ism)
    }

    async fn estimate(&self, metadata: &[u8], message: &Stored) -> Result<u64, client::Error> {
        let call = process_call(metadata, message);
        let request = TransactionRequest::default()
            .from(self.to.from)
            .to(self.to.mailbox)
            .input(call.abi_encode().into());
        self.to.chain.estimate(&request).await
    }

    /// A revert without data is often a recipient without code, which somebody may still deploy.
    async fn explain(&self, error: client::Error, recipient: Address) -> NotReady {
        let silent = error.revert().is_some_and(|revert| revert.data.is_empty());
        if silent
            && let Ok(code) = self.to.chain.code(recipient, BlockNumberOrTag::Latest).await
            && code.is_empty()
        {
            return NotReady::slow(format!("recipient {recipient} has no code"));
        }
        error.into()
    }

    /// Whether the message has paid: without the estimated `gas`, as far as it can be told before anything
    /// is built.
    async fn check_payment(&self, message: &Stored, gas: Option<u64>) -> Result<(), NotReady> {
        if self.policy == GasPolicy::None {
            return Ok(());
        }
        let store = &self.to.store;
        let paid = store.paid(message.key.id, message.destination).await?;
        let failed = store.failures(message.key.id).await?.wei;
        let spent = match failed.is_zero() {
            true => U256::ZERO,
            false => in_origin_token(failed, self.exchange_rate(message).await?),
        };
        let cost = match gas {
            Some(gas) => Some(Cost {
                gas,
                gas_price: self.gas_price().await?,
                exchange_rate: self.exchange_rate(message).await?,
            }),
            None => None,
        };
        let funds = Funds { paid, spent };
        self.policy.check(funds, cost).map_err(|unpaid| NotReady::slow(unpaid.to_string()))
    }

    /// Most gas of one transaction: what is configured, and no more than a part of a block's.
    async fn gas_ceiling(&self) -> Result<u64, NotReady> {
        if let Some((since, ceiling)) = *self.ceiling.lock()
            && since.elapsed() < CEILING_TTL
        {
            return Ok(ceiling);
        }
        let block = self.to.chain.latest().await?;
        let ceiling = self.to.max_gas.min(block.gas_limit / BLOCK_SHARE);
        *self.ceiling.lock() = Some((Instant::now(), ceiling));
        Ok(ceiling)
    }

    /// Most gas of one transaction, as far as it is known. It is, once a message is ready.
    pub(super) fn known_ceiling(&self) -> u64 {
        self.ceiling.lock().map_or(self.to.max_gas, |(_, ceiling)| ceiling)
    }

    async fn gas_price(&self) -> Result<u128, NotReady> {
        if let Some((since, price)) = *self.price.lock()
            && since.elapsed() < PRICE_TTL
        {
            return Ok(price);
        }
        let fees = self.to.chain.fees().await?;
        let price = fees.base.saturating_add(fees.priority);
        *self.price.lock() = Some((Instant::now(), price));
        Ok(price)
    }

    /// The origin's oracle on the worth of this destination's token.
    async fn exchange_rate(&self, message: &Stored) -> Result<u128, NotReady> {
        let validators = self.builder.validators.get(&message.origin);
        let origin =
            validators.ok_or_else(|| NotReady::slow("its origin is not configured"))?.origin();
        let call = InterchainGasPaymaster::getExchangeRateAndGasPriceCall {
            _destinationDomain: message.destination.0,
        };
        let igp = origin.manifest.contracts.igp;
        let answer = origin.chain.call(igp, &call, BlockNumberOrTag::Latest).await?;
        Ok(answer.tokenExchangeRate)
    }

    /// Where the message stands on this destination's branch of now: `None` when it is not delivered.
    pub(super) async fn recheck(&self, id: MailboxMessageId) -> Result<Option<Process>, NotReady> {
        match self.is_delivered(id).await? {
            true => match self.located(id).await? {
                None => Err(NotReady::soon("delivered, but its log is not there yet")),
                found => Ok(found),
            },
            false => Ok(None),
        }
    }

    /// Hash of the destination's block with this number.
    pub(super) async fn block_hash(&self, number: u64) -> Result<Option<B256>, client::Error> {
        Ok(self.to.chain.block(number).await?.map(|block| block.hash))
    }
}

/// The call that delivers a message.
pub(super) fn process_call(metadata: &[u8], message: &Stored) -> Mailbox::processCall {
    Mailbox::processCall { metadata: metadata.to_vec().into(), message: message.envelope.clone() }
}
