//! Stage two: one transaction for one message or for several, and what came of each.

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    rpc::types::TransactionReceipt,
    sol_types::{SolCall as _, SolEvent as _},
};
use chain::{ChainClient, Sender, sender::Request};
use protocol::{
    abi::{batch::Call3Gas, hyperlane::Mailbox, multicall::aggregate3GasCall},
    ids::MailboxMessageId,
};

use super::{
    delivery::{Key, Process, Stored},
    prepare::process_call,
    verdict::Ready,
};

/// Added to the estimate of each message, in percent: state may change until it is executed.
const GAS_MARGIN_PERCENT: u64 = 25;
/// Gas of a batch besides its calls, and for each call.
const BATCH_GAS: (u64, u64) = (60_000, 15_000);

/// A message with what its module wants to see.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) message: Stored,
    pub(super) ready: Ready,
}

impl Prepared {
    pub(super) fn gas_limit(&self) -> u64 {
        self.ready.gas.saturating_add(self.ready.gas.saturating_mul(GAS_MARGIN_PERCENT) / 100)
    }
}

/// What came of one message of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// The mailbox processed it.
    Processed(Process),
    /// It did not, although the transaction was mined or could not be made.
    Failed(String),
}

/// Submits deliveries to one destination.
#[derive(Debug, Clone)]
pub(super) struct Submitter {
    pub(super) chain: ChainClient,
    pub(super) mailbox: Address,
    pub(super) multicall: Option<Address>,
}

impl Submitter {
    /// Sends one transaction for all of `batch` and waits until it is in a block.
    pub(super) async fn send(&self, sender: &Sender, batch: &[Prepared]) -> Vec<(Key, Sent)> {
        let outcome = self.try_send(sender, batch).await;
        batch
            .iter()
            .map(|prepared| {
                let sent = match &outcome {
                    Ok(receipt) => processed(receipt, self.mailbox, prepared.message.key.id),
                    Err(reason) => Sent::Failed(reason.clone()),
                };
                (prepared.message.key, sent)
            })
            .collect()
    }

    async fn try_send(
        &self,
        sender: &Sender,
        batch: &[Prepared],
    ) -> Result<TransactionReceipt, String> {
        let request = match (batch, self.multicall) {
            ([alone], _) => self.single(alone),
            (_, Some(multicall)) => self.multi(multicall, batch),
            (_, None) => return Err(String::from("no multicall contract for a batch")),
        };
        let mut ticket = sender.submit(request).await.map_err(|error| error.to_string())?;
        service::crash_point!("relayer.submit.after");
        let inclusion = ticket.included().await.map_err(|error| error.to_string())?;
        service::crash_point!("relayer.included");
        self.chain
            .receipt(inclusion.hash)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| String::from("the transaction left its block"))
    }

    fn single(&self, prepared: &Prepared) -> Request {
        let data = process_call(&prepared.ready.metadata, &prepared.message).abi_encode();
        let Key { id, block } = prepared.message.key;
        let key = format!("process:{id}:{block}:{}", prepared.message.attempts);
        Request::call(key, self.mailbox, data).with_gas_limit(prepared.gas_limit())
    }

    fn multi(&self, multicall: Address, batch: &[Prepared]) -> Request {
        let calls: Vec<Call3Gas> = batch
            .iter()
            .map(|prepared| Call3Gas {
                target: self.mailbox,
                allowFailure: true,
                value: U256::ZERO,
                gasLimit: prepared.gas_limit(),
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
        // A call may only use 63/64 of what is left, at every level.
        let inner: u64 =
            batch.iter().map(|prepared| prepared.gas_limit().saturating_add(BATCH_GAS.1)).sum();
        let gas = BATCH_GAS.0.saturating_add(inner).saturating_add(inner / 32).saturating_add(
            // The call data itself: 16 gas a byte, or 40 at the floor price.
            u64::try_from(data.len()).unwrap_or(u64::MAX).saturating_mul(16),
        );
        let key = format!("batch:{}", keccak256(parts));
        Request::call(key, multicall, data).with_gas_limit(gas)
    }
}

/// Whether the receipt shows that the mailbox processed the message.
fn processed(receipt: &TransactionReceipt, mailbox: Address, id: MailboxMessageId) -> Sent {
    let is_ours = |log: &alloy::rpc::types::Log| {
        log.address() == mailbox && log.topics() == [Mailbox::ProcessId::SIGNATURE_HASH, id.0]
    };
    let (Some(number), Some(hash)) = (receipt.block_number, receipt.block_hash) else {
        return Sent::Failed(String::from("the transaction left its block"));
    };
    if receipt.logs().iter().any(is_ours) {
        return Sent::Processed(Process { tx: receipt.transaction_hash, number, hash });
    }
    let tx: B256 = receipt.transaction_hash;
    Sent::Failed(format!("not processed by transaction {tx}"))
}
