//! Booking: what a mined transaction moved, read from its receipt.

use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};
use chain::sender::{Inclusion, Request, Status};
use prices::Usd;
use protocol::{
    abi::{erc20, hyperlane, inbox},
    ids::{ChainId, IntentHash},
    puppet,
};

use super::{Engine, Fault};
use crate::{
    money::{Asset, Rounding, value},
    order::Order,
    receipt::Receipt,
    store::{Entry, EntryKind, Outgoing},
};

/// Blocks that one question for logs spans: as many as nodes with a narrow limit allow.
const SPAN: u64 = 2_000;

/// A fill of ours that was found on its chain.
#[derive(Debug)]
pub(super) struct FoundFill {
    pub(super) wallet: Address,
    pub(super) time: u64,
    pub(super) inclusion: Inclusion,
    value: U256,
}

impl FoundFill {
    /// The transaction as if it had come from the outbox.
    pub(super) fn outgoing(&self, order: &Order) -> Outgoing {
        let request = Request::call(order.fill_key(), Address::ZERO, Vec::new());
        Outgoing {
            chain: order.destination(),
            wallet: self.wallet,
            request: request.with_value(self.value),
        }
    }
}

impl Engine {
    /// Entries of a fill that is mined, whether it worked or not.
    pub(super) async fn book_fill(
        &self,
        order: &Order,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
    ) -> Result<Vec<Entry>, Fault> {
        let receipt = self.receipt(outgoing.chain, inclusion.hash).await?;
        let native = Asset::native(outgoing.chain);
        let mut book = Book::new(self, outgoing.wallet, inclusion.hash);
        book.cost(order.hash, EntryKind::FillGas, native, receipt.gas_paid(inclusion));
        if inclusion.success {
            for leg in order.spends() {
                book.cost(order.hash, EntryKind::Route, leg.asset, leg.amount);
            }
            let sent = outgoing.request.value.saturating_sub(order.route().nativeAmount);
            book.cost(order.hash, EntryKind::ProofFee, native, message_fee(&receipt, sent));
        }
        Ok(book.entries)
    }

    /// Entries of the empty transaction that took a fill's nonce away.
    pub(super) async fn book_empty(
        &self,
        order: &Order,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
    ) -> Result<Vec<Entry>, Fault> {
        let receipt = self.receipt(outgoing.chain, inclusion.hash).await?;
        let native = Asset::native(outgoing.chain);
        let mut book = Book::new(self, outgoing.wallet, inclusion.hash);
        book.cost(order.hash, EntryKind::FillGas, native, receipt.gas_paid(inclusion));
        Ok(book.entries)
    }

    /// Entries of a proof batch: gas and fee shared alike.
    pub(super) async fn book_proof(
        &self,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
        orders: &[Order],
    ) -> Result<Vec<Entry>, Fault> {
        let receipt = self.receipt(outgoing.chain, inclusion.hash).await?;
        let native = Asset::native(outgoing.chain);
        let mut book = Book::new(self, outgoing.wallet, inclusion.hash);
        book.shared(orders, EntryKind::ProofGas, native, receipt.gas_paid(inclusion));
        if inclusion.success {
            let fee = message_fee(&receipt, outgoing.request.value);
            book.shared(orders, EntryKind::ProofFee, native, fee);
        }
        Ok(book.entries)
    }

    /// Entries of a withdrawal or challenge: gas shared alike, and what each vault paid out.
    pub(super) async fn book_withdrawal(
        &self,
        outgoing: &Outgoing,
        inclusion: &Inclusion,
        orders: &[Order],
        paid: &[(Order, Address)],
    ) -> Result<Vec<Entry>, Fault> {
        let receipt = self.receipt(outgoing.chain, inclusion.hash).await?;
        let native = Asset::native(outgoing.chain);
        let mut book = Book::new(self, outgoing.wallet, inclusion.hash);
        book.shared(orders, EntryKind::ClaimGas, native, receipt.gas_paid(inclusion));
        for (order, claimant) in paid {
            book.wallet = *claimant;
            for leg in order.earns() {
                let amount = if leg.asset.is_native() {
                    self.native_paid(order, leg.amount, inclusion.block_number).await
                } else {
                    let vault = self.vault(order);
                    transferred(&receipt.logs, leg.asset.token, vault, *claimant)
                };
                book.income(order.hash, leg.asset, amount);
            }
        }
        Ok(book.entries)
    }

    /// What an amount that we receive is worth now; nothing while no price is believed.
    pub(crate) fn income_worth(&self, asset: Asset, amount: U256) -> Usd {
        self.valuer.valued(asset, amount).map_or(Usd::ZERO, |v| {
            value(amount, v.decimals, v.price.low, Rounding::Down).unwrap_or_default()
        })
    }

    pub(crate) fn cost_worth(&self, asset: Asset, amount: U256) -> Usd {
        self.valuer.valued(asset, amount).map_or(Usd::ZERO, |v| {
            value(amount, v.decimals, v.price.high, Rounding::Up).unwrap_or_default()
        })
    }

    /// The vault of an order.
    pub(super) fn vault(&self, order: &Order) -> Address {
        let source = self.policy.chain(order.origin).map(|c| c.intent_source).unwrap_or_default();
        puppet::vault(source, order.hash)
    }

    /// What a vault paid of a native reward: what it held before, at most what was promised.
    async fn native_paid(&self, order: &Order, promised: U256, block: u64) -> U256 {
        let Ok(link) = self.network.link(order.origin) else { return promised };
        let before = link.client.balance(self.vault(order), block.saturating_sub(1)).await;
        // Funded and withdrawn in one block: the balance before says nothing.
        before.ok().filter(|b| !b.is_zero()).map_or(promised, |b| b.min(promised))
    }

    /// The fill that the Inbox's event names.
    pub(super) async fn find_fill(&self, order: &Order) -> Result<FoundFill, Fault> {
        let link = self.network.link(order.destination())?;
        let missing = || Fault::Inconsistent(format!("no fill event of {}", order.hash));
        let hash = match self.fill_in_journal(order).await? {
            Some(hash) => Some(hash),
            None => self.fill_in_logs(order).await?,
        };
        let hash = hash.ok_or_else(missing)?;
        let (receipt, transaction) =
            tokio::try_join!(link.client.receipt(hash), link.client.transaction(hash))?;
        let (receipt, transaction) = receipt.zip(transaction).ok_or_else(missing)?;
        let number = receipt.block_number.ok_or_else(missing)?;
        let block = link.client.block(number).await?.ok_or_else(missing)?;
        Ok(FoundFill {
            wallet: receipt.from,
            time: block.timestamp,
            value: alloy::consensus::Transaction::value(&transaction),
            inclusion: Inclusion {
                hash,
                block_number: number,
                block_hash: block.hash,
                gas_used: receipt.gas_used,
                gas_price: receipt.effective_gas_price,
                success: receipt.status(),
            },
        })
    }

    /// The transaction of a fill that our own journal knows, and the chain too.
    async fn fill_in_journal(&self, order: &Order) -> Result<Option<B256>, Fault> {
        let link = self.network.link(order.destination())?;
        for attempt in (1..=order.attempt).rev() {
            for wallet in &link.wallets {
                let Some(ticket) = wallet.find(order.fill_key_of(attempt)).await? else { continue };
                let (Status::Included(inclusion) | Status::Confirmed(inclusion)) = ticket.status()
                else {
                    continue;
                };
                if inclusion.success && link.client.receipt(inclusion.hash).await?.is_some() {
                    return Ok(Some(inclusion.hash));
                }
            }
        }
        Ok(None)
    }

    /// The transaction that emitted the Inbox's event, from the head backwards: nodes limit how many blocks one question
    /// may span.
    async fn fill_in_logs(&self, order: &Order) -> Result<Option<B256>, Fault> {
        let chain = self.policy.chain(order.destination());
        let chain = chain.ok_or_else(|| Fault::Inconsistent("destination is not served".into()))?;
        let link = self.network.link(order.destination())?;
        let filter = Filter::new()
            .address(chain.inbox)
            .event_signature(inbox::IntentFulfilled::SIGNATURE_HASH)
            .topic1(order.hash.0);
        let mut to = link.head().block.number;
        loop {
            let from = to.saturating_sub(SPAN - 1).max(chain.start_block);
            let logs = link.client.logs(&filter.clone().from_block(from).to_block(to)).await?;
            if let Some(log) = logs.last() {
                return Ok(log.transaction_hash);
            }
            if from <= chain.start_block {
                return Ok(None);
            }
            to = from - 1;
        }
    }

    /// What a transaction took from its wallet for gas and for posting its data.
    pub(crate) async fn gas_of(
        &self,
        chain: ChainId,
        inclusion: &Inclusion,
    ) -> Result<U256, Fault> {
        Ok(self.receipt(chain, inclusion.hash).await?.gas_paid(inclusion))
    }

    async fn receipt(&self, chain: ChainId, tx: B256) -> Result<Receipt, Fault> {
        Ok(Receipt::of(&self.network.link(chain)?.client, tx).await?)
    }
}

/// Entries of one transaction.
struct Book<'a> {
    engine: &'a Engine,
    wallet: Address,
    tx: B256,
    at: u64,
    entries: Vec<Entry>,
}

impl<'a> Book<'a> {
    fn new(engine: &'a Engine, wallet: Address, tx: B256) -> Self {
        Self { engine, wallet, tx, at: engine.now(), entries: Vec::new() }
    }

    fn cost(&mut self, intent: IntentHash, kind: EntryKind, asset: Asset, amount: U256) {
        let usd = -self.engine.cost_worth(asset, amount);
        self.push(intent, kind, asset, amount, usd);
    }

    fn income(&mut self, intent: IntentHash, asset: Asset, amount: U256) {
        let usd = self.engine.income_worth(asset, amount);
        self.push(intent, EntryKind::Reward, asset, amount, usd);
    }

    /// Splits a cost; the first bears what does not divide.
    fn shared(&mut self, orders: &[Order], kind: EntryKind, asset: Asset, amount: U256) {
        let count = U256::from(orders.len().max(1));
        let (share, rest) = (amount / count, amount % count);
        for (index, order) in orders.iter().enumerate() {
            let extra = if index == 0 { rest } else { U256::ZERO };
            self.cost(order.hash, kind, asset, share + extra);
        }
    }

    fn push(&mut self, intent: IntentHash, kind: EntryKind, asset: Asset, amount: U256, usd: Usd) {
        if amount.is_zero() {
            return;
        }
        let (tx, wallet, at) = (self.tx, self.wallet, self.at);
        let position = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.entries.push(Entry { tx, position, intent, wallet, asset, kind, amount, usd, at });
    }
}

/// What the message cost: what the paymaster took, since the prover gives back what was too much.
/// Where no paymaster reports, all that was sent.
fn message_fee(receipt: &Receipt, sent: U256) -> U256 {
    let mut payments = receipt.logs.iter().filter_map(|log| {
        hyperlane::InterchainGasPaymaster::GasPayment::decode_log(&log.inner)
            .ok()
            .map(|event| event.data.payment)
    });
    match payments.next() {
        None => sent,
        Some(first) => payments.fold(first, U256::saturating_add).min(sent),
    }
}

fn transferred(logs: &[Log], token: Address, from: Address, to: Address) -> U256 {
    logs.iter()
        .filter(|log| log.address() == token)
        .filter_map(|log| erc20::Transfer::decode_log(&log.inner).ok())
        .filter(|event| event.data.from == from && event.data.to == to)
        .fold(U256::ZERO, |sum, event| sum.saturating_add(event.data.value))
}
