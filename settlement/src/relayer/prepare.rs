//! Stage one: is the message delivered, deliverable, paid for, and what does its module want to see?

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
    rpc::types::{Filter, TransactionRequest},
    sol_types::{SolCall as _, SolEvent as _},
};
use chain::{ChainClient, client};
use parking_lot::Mutex;
use protocol::{
    abi::hyperlane::{InterchainGasPaymaster, Mailbox},
    ids::{MailboxMessageId, address_of},
    message::Envelope,
};

use super::{
    delivery::{Process, Stored},
    gas::{Cost, GasPolicy},
    metadata::Builder,
    verdict::{NotReady, Ready, Verdict, is_malformed},
};

/// How long a recipient's choice of module is remembered.
const ISM_TTL: Duration = Duration::from_secs(10);
/// In which attempts a message is looked for at its destination: the first, and every so many.
const LOOKED_FOR: u32 = 16;
/// How long the destination's gas price is remembered.
const PRICE_TTL: Duration = Duration::from_secs(2);

/// What preparing messages for one destination needs.
#[derive(Debug)]
pub(super) struct Preparer {
    pub(super) chain: ChainClient,
    pub(super) mailbox: Address,
    pub(super) start_block: u64,
    /// Who would submit: some modules look at it.
    pub(super) from: Address,
    pub(super) builder: Builder,
    pub(super) policy: GasPolicy,
    isms: Mutex<HashMap<Address, (Instant, Address)>>,
    price: Mutex<Option<(Instant, u128)>>,
}

impl Preparer {
    pub(super) fn new(
        (chain, mailbox, start_block): (ChainClient, Address, u64),
        from: Address,
        builder: Builder,
        policy: GasPolicy,
    ) -> Self {
        let (isms, price) = (Mutex::default(), Mutex::default());
        Self { chain, mailbox, start_block, from, builder, policy, isms, price }
    }

    /// Looks at a message once.
    pub(super) async fn prepare(&self, message: &Stored) -> Verdict {
        match self.verdict(message).await {
            Ok(verdict) => verdict,
            Err(reason) => Verdict::Wait(reason),
        }
    }

    async fn verdict(&self, message: &Stored) -> Result<Verdict, NotReady> {
        // One that waits is looked for only now and then: were it delivered, its estimate would fail.
        if message.attempts.is_multiple_of(LOOKED_FOR)
            && let Some(verdict) = self.delivered(message).await?
        {
            return Ok(verdict);
        }
        let envelope = match Envelope::parse(&message.envelope) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Verdict::Park(error.to_string())),
        };
        let Some(recipient) = address_of(envelope.recipient) else {
            return Ok(Verdict::Park(format!("{} is no EVM address", envelope.recipient)));
        };
        let ism = self.ism_of(recipient).await?;
        if !self.policy.needs_cost() {
            self.check_payment(message, None).await?;
        }
        let metadata = self.builder.build(ism, message).await?;
        let gas = match self.estimate(&metadata, message).await {
            Ok(gas) => gas,
            Err(error) if error.revert().is_some_and(is_malformed) => {
                return Ok(Verdict::Park(error.to_string()));
            }
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
        Ok(Verdict::Ready(Ready { metadata, gas }))
    }

    /// What follows when the mailbox has the message already.
    async fn delivered(&self, message: &Stored) -> Result<Option<Verdict>, NotReady> {
        let id = message.key.id;
        if !self.is_delivered(id).await? {
            return Ok(None);
        }
        Ok(Some(match self.find_process(id).await? {
            Some(process) => Verdict::Delivered(process),
            None => Verdict::Wait(NotReady::soon("delivered, but its log is not there yet")),
        }))
    }

    /// Whether the mailbox has processed the message, as of the newest block.
    pub(super) async fn is_delivered(&self, id: MailboxMessageId) -> Result<bool, client::Error> {
        let call = Mailbox::deliveredCall { messageId: id.0 };
        self.chain.call(self.mailbox, &call, BlockNumberOrTag::Latest).await
    }

    /// Where the message was processed. The mailbox's own record of it counts parent-chain blocks on
    /// rollups, so the log is looked for instead.
    pub(super) async fn find_process(
        &self,
        id: MailboxMessageId,
    ) -> Result<Option<Process>, client::Error> {
        let filter = Filter::new()
            .address(self.mailbox)
            .event_signature(Mailbox::ProcessId::SIGNATURE_HASH)
            .topic1(id.0)
            .from_block(self.start_block);
        let logs = self.chain.logs(&filter).await?;
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
        let ism = self.chain.call(self.mailbox, &call, BlockNumberOrTag::Latest).await?;
        self.isms.lock().insert(recipient, (Instant::now(), ism));
        Ok(ism)
    }

    async fn estimate(&self, metadata: &[u8], message: &Stored) -> Result<u64, client::Error> {
        let call = process_call(metadata, message);
        let request = TransactionRequest::default()
            .from(self.from)
            .to(self.mailbox)
            .input(call.abi_encode().into());
        self.chain.estimate(&request).await
    }

    /// A revert without data is often a recipient without code, which somebody may still deploy.
    async fn explain(&self, error: client::Error, recipient: Address) -> NotReady {
        let silent = error.revert().is_some_and(|revert| revert.data.is_empty());
        if silent
            && let Ok(code) = self.chain.code(recipient, BlockNumberOrTag::Latest).await
            && code.is_empty()
        {
            return NotReady::slow(format!("recipient {recipient} has no code"));
        }
        error.into()
    }

    async fn check_payment(&self, message: &Stored, gas: Option<u64>) -> Result<(), NotReady> {
        if self.policy == GasPolicy::None {
            return Ok(());
        }
        let validators = self.builder.validators.get(&message.origin);
        let validators =
            validators.ok_or_else(|| NotReady::slow("its origin is not configured"))?;
        let paid = validators.store().paid(message.key.id, message.destination).await?;
        let cost = match gas {
            Some(gas) => Some(Cost {
                gas,
                gas_price: self.gas_price().await?,
                exchange_rate: self.exchange_rate(message).await?,
            }),
            None => None,
        };
        self.policy.check(paid, cost).map_err(|unpaid| NotReady::slow(unpaid.to_string()))
    }

    async fn gas_price(&self) -> Result<u128, NotReady> {
        if let Some((since, price)) = *self.price.lock()
            && since.elapsed() < PRICE_TTL
        {
            return Ok(price);
        }
        let fees = self.chain.fees().await?;
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
    pub(super) async fn recheck(
        &self,
        id: MailboxMessageId,
    ) -> Result<Option<Process>, client::Error> {
        match self.is_delivered(id).await? {
            true => self.find_process(id).await,
            false => Ok(None),
        }
    }

    /// Hash of the destination's block with this number.
    pub(super) async fn block_hash(&self, number: u64) -> Result<Option<B256>, client::Error> {
        Ok(self.chain.block(number).await?.map(|block| block.hash))
    }
}

/// The call that delivers a message.
pub(super) fn process_call(metadata: &[u8], message: &Stored) -> Mailbox::processCall {
    Mailbox::processCall { metadata: metadata.to_vec().into(), message: message.envelope.clone() }
}
