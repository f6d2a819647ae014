//! Stage two: one transaction for one message or for several, and what came of each.

use std::time::Duration;

use alloy::{
    primitives::{Address, Bytes, U256, keccak256},
    rpc::types::TransactionReceipt,
    sol_types::{SolCall as _, SolEvent as _},
};
use chain::{
    ChainClient, Sender,
    sender::{Request, Ticket},
};
use protocol::{
    abi::{batch::Call3Gas, hyperlane::Mailbox, multicall::aggregate3GasCall},
    ids::MailboxMessageId,
};

use super::{
    delivery::{Failure, Key, Process, Stored},
    prepare::process_call,
    verdict::{NotReady, Ready},
};

/// Gas of a batch besides its calls, and for each call.
const BATCH_GAS: (u64, u64) = (60_000, 15_000);
/// Bytes of a call in a batch besides metadata and message: heads, lengths and padding.
const CALL_BYTES: usize = 512;
/// Gas for a byte of call data.
const BYTE_GAS: u64 = 16;
/// How often, and how many times, a transaction is looked for that has left its block: its sender hands it out
/// again as soon as it has seen that.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 20;

/// A message with what its module wants to see.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) message: Stored,
    pub(super) ready: Ready,
}

impl Prepared {
    /// Its share of a batch's gas: the call, the way to it, and its bytes.
    fn gas_in_batch(&self) -> u64 {
        // A call may only use 63/64 of what is left, at every level.
        let inner = self.ready.gas_limit.saturating_add(BATCH_GAS.1);
        let bytes = self.ready.metadata.len() + self.message.envelope.len() + CALL_BYTES;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        inner.saturating_add(inner / 32).saturating_add(bytes.saturating_mul(BYTE_GAS))
    }
}

/// Gas limit of a transaction with all of these messages.
pub(super) fn batch_gas<'a>(batch: impl IntoIterator<Item = &'a Prepared>) -> u64 {
    let shares = batch.into_iter().map(Prepared::gas_in_batch);
    shares.fold(BATCH_GAS.0, u64::saturating_add)
}

/// What came of one message of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// The mailbox processed it.
    Processed(Process),
    /// The transaction was mined and paid for, and the mailbox did not process it.
    Failed(Failure),
    /// No transaction of it is known to be in a block.
    Unsent(NotReady),
}

/// Submits deliveries to one destination.
#[derive(Debug, Clone)]
pub(super) struct Submitter {
    pub(super) chain: ChainClient,
    pub(super) mailbox: Address,
    pub(super) multicall: Option<Address>,
}

impl Submitter {
    /// One transaction for all of `batch`.
    pub(super) fn request(&self, batch: &[Prepared]) -> Option<Request> {
        match (batch, self.multicall) {
            ([alone], _) => Some(self.single(alone)),
            (_, Some(multicall)) => Some(self.multi(multicall, batch)),
            (_, None) => None,
        }
    }

    /// Sends the request, waits until it is in a block, and tells what came of each of its messages.
    pub(super) async fn send(
        &self,
        sender: &Sender,
        request: Request,
        messages: Vec<Key>,
    ) -> Vec<(Key, Sent)> {
        match sender.submit(request).await {
            Ok(ticket) => {
                service::crash_point!("relayer.submit.after");
                self.follow(ticket, messages).await
            }
            Err(error) => unsent(messages, &NotReady::normal(error.to_string())),
        }
    }

    /// Takes up the request that the sender may have under this key, as [`Self::send`] would have gone on.
    pub(super) async fn resume(
        &self,
        sender: &Sender,
        request: &str,
        messages: Vec<Key>,
    ) -> Vec<(Key, Sent)> {
        match sender.find(request).await {
            Ok(Some(ticket)) => self.follow(ticket, messages).await,
            Ok(None) => unsent(messages, &NotReady::soon("its submission was interrupted")),
            Err(error) => unsent(messages, &NotReady::normal(error.to_string())),
        }
    }

    async fn follow(&self, ticket: Ticket, messages: Vec<Key>) -> Vec<(Key, Sent)> {
        match self.receipt(ticket).await {
            Ok(receipt) => {
                let all = U256::from(messages.len().max(1));
                let of = |key: Key| (key, outcome(&receipt, self.mailbox, key.id, all));
                messages.into_iter().map(of).collect()
            }
            Err(reason) => unsent(messages, &NotReady::normal(reason)),
        }
    }

    async fn receipt(&self, mut ticket: Ticket) -> Result<TransactionReceipt, String> {
        let mut missing = String::new();
        for _ in 0..LOOKS {
            let inclusion = ticket.included().await.map_err(|error| error.to_string())?;
            service::crash_point!("relayer.included");
            missing = match self.chain.receipt(inclusion.hash).await {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => format!("transaction {} left its block", inclusion.hash),
                Err(error) => error.to_string(),
            };
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(missing)
    }

    fn single(&self, prepared: &Prepared) -> Request {
        let data = process_call(&prepared.ready.metadata, &prepared.message).abi_encode();
        let Key { id, block } = prepared.message.key;
        let key = format!("process:{id}:{block}:{}", prepared.message.attempts);
        Request::call(key, self.mailbox, data).with_gas_limit(prepared.ready.gas_limit)
    }

    fn multi(&self, multicall: Address, batch: &[Prepared]) -> Request {
        let calls: Vec<Call3Gas> = batch
            .iter()
            .map(|prepared| Call3Gas {
                target: self.mailbox,
                allowFailure: true,
                value: U256::ZERO,
                gasLimit: prepared.ready.gas_limit,
                callData: process_call(&prepared.ready.metadata, &prepared.message)
                    .abi_encode()
                    .into(),
            })
            .collect();
        let mut parts = Vec::with_capacity(batch.len() * 68);
        for prepared in batch {
            parts.extend_from_slice(prepared.message.key.id.as_slice());
            parts.extend_from_slice(prepared.message.key.block.as_slice());
            parts.extend_from_slice(&prepared.message.attempts.to_be_bytes());
        }
        let data: Bytes = aggregate3GasCall { calls }.abi_encode().into();
        let key = format!("batch:{}", keccak256(parts));
        Request::call(key, multicall, data).with_gas_limit(batch_gas(batch))
    }
}

fn unsent(messages: Vec<Key>, reason: &NotReady) -> Vec<(Key, Sent)> {
    messages.into_iter().map(|key| (key, Sent::Unsent(reason.clone()))).collect()
}

/// Whether the receipt, of a transaction with so many messages, shows that the mailbox processed the message.
fn outcome(
    receipt: &TransactionReceipt,
    mailbox: Address,
    id: MailboxMessageId,
    messages: U256,
) -> Sent {
    let is_ours = |log: &alloy::rpc::types::Log| {
        log.address() == mailbox && log.topics() == [Mailbox::ProcessId::SIGNATURE_HASH, id.0]
    };
    let (Some(number), Some(hash)) = (receipt.block_number, receipt.block_hash) else {
        return Sent::Unsent(NotReady::normal("the transaction left its block"));
    };
    let tx = receipt.transaction_hash;
    if receipt.logs().iter().any(is_ours) {
        return Sent::Processed(Process { tx, number, hash });
    }
    let cost = U256::from(receipt.gas_used).saturating_mul(U256::from(receipt.effective_gas_price));
    Sent::Failed(Failure { tx, wei: cost.div_ceil(messages) })
}
