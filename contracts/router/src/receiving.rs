//! Delivery.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256, b256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{Frame, Revert, Writer, external, module, transient};
use protocol::{
    abi::{
        read_ism, recipient,
        router::{
            AlreadyDelivered, EnvelopeMismatch, InvalidRecipient, MetalayerDelivered, OnlyMailbox,
            ReadResultsMissing, RecipientNotContract, TierRefused, UnauthorizedRouter,
        },
    },
    ids::address_of,
    message::{Message, Reads},
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::{Router, records::Record};

/// The longest revert data of a recipient that is passed on, in bytes.
const MAX_REVERT_LEN: usize = 4096;

/// keccak256("metalayer.delivery"): the first of three transient words about the delivery that is running.
const DELIVERY: B256 = b256!("0x9fc351a60a903e4d26cf1d44a3b61e2353e62e40906717debf0251581aa2c48a");

/// What a recipient can ask about the message it is being given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) id: B256,
    pub(crate) finality: u8,
    /// When the reads were executed; zero without reads.
    pub(crate) timestamp: u64,
    /// Bit `i` for a failed read `i`.
    pub(crate) failed_reads: B256,
}

impl Delivery {
    /// The innermost one that is running; all zero outside.
    pub(crate) fn current() -> Self {
        let second = transient::load(transient::slot(DELIVERY, 1));
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&second[24..]);
        Self {
            id: transient::load(DELIVERY),
            finality: second[23],
            timestamp: u64::from_be_bytes(timestamp),
            failed_reads: transient::load(transient::slot(DELIVERY, 2)),
        }
    }

    fn enter(self) {
        let mut second = B256::ZERO;
        second[23] = self.finality;
        second[24..].copy_from_slice(&self.timestamp.to_be_bytes());
        transient::store(DELIVERY, self.id);
        transient::store(transient::slot(DELIVERY, 1), second);
        transient::store(transient::slot(DELIVERY, 2), self.failed_reads);
    }
}

impl Router {
    /// Takes the body of an envelope from the mailbox, which has had it verified.
    pub(crate) fn handle(&mut self, origin: u32, sender: B256, bytes: &[u8]) -> Result<(), Revert> {
        let vm = self.vm().clone();
        let caller = vm.msg_sender();
        if caller != self.mailbox.get() {
            return Err(OnlyMailbox { caller }.into());
        }
        if !self.accepts(origin, sender) {
            return Err(UnauthorizedRouter { origin, sender }.into());
        }
        let message = Message::parse(bytes).map_err(module::malformed)?;
        let header = message.header;
        if header.origin.0 != origin || header.destination.0 != self.local_domain() {
            return Err(EnvelopeMismatch {}.into());
        }
        let id = message.id().0;
        if Record::read(self.delivered.get(id)).is_some() {
            return Err(AlreadyDelivered { messageId: id }.into());
        }
        let recipient = address_of(header.recipient).ok_or(InvalidRecipient {})?;
        let accepted = self.accepted_tiers(recipient);
        let given = header.tier.byte();
        if !accepted.contains(header.tier) {
            return Err(TierRefused { requiredMask: accepted.bits(), given }.into());
        }
        let is_control = recipient == vm.contract_address();
        let mark = if is_control { Record::CONTROL } else { 0 };
        self.delivered.insert(id, Record { domain: origin, tier: given, mark }.word());
        external::log(
            &vm,
            &[MetalayerDelivered::SIGNATURE_HASH, id, U256::from(origin).into(), header.recipient],
            &[],
        );
        if is_control {
            return self.take_confirmations(sender, &message);
        }
        if !external::has_code(&vm, recipient) {
            return Err(RecipientNotContract { recipient }.into());
        }
        // Nothing is written below this line.

        let mut delivery = Delivery { id, finality: given, ..Delivery::default() };
        let answer =
            if message.reads.is_empty() { Vec::new() } else { self.take_results(&mut delivery)? };
        let results =
            results_in(&answer, message.reads.len()).ok_or(ReadResultsMissing { messageId: id })?;
        let outer = Delivery::current();
        delivery.enter();
        let data = handle_data(&message, &results);
        external::deliver(&vm, recipient, vm.msg_value(), &data, MAX_REVERT_LEN)?;
        outer.enter();
        Ok(())
    }

    /// What ReadIsm verified earlier in this transaction. Returns its whole answer.
    fn take_results(&self, delivery: &mut Delivery) -> Result<Vec<u8>, Revert> {
        let vm = self.vm();
        let read_ism = self.read_ism.get();
        if !external::has_code(vm, read_ism) {
            return Err(ReadResultsMissing { messageId: delivery.id }.into());
        }
        let data = Writer::call(read_ism::takeCall::SELECTOR, 1).word(delivery.id).finish();
        let answer = external::call(vm, read_ism, U256::ZERO, &data)?;
        delivery.timestamp = Frame(&answer).uint64(0)?;
        delivery.failed_reads = Frame(&answer).word(1)?;
        Ok(answer)
    }
}

/// The results in ReadIsm's answer: one for each read, or nothing at all.
fn results_in(answer: &[u8], reads: usize) -> Option<Vec<&[u8]>> {
    if reads == 0 {
        return Some(Vec::new());
    }
    let (count, elements) = Frame(answer).array(2, 1).ok()?;
    if count != reads {
        return None;
    }
    (0..count).map(|index| elements.bytes(index).ok()).collect()
}

/// Call data of the recipient's `handle`.
fn handle_data(message: &Message<'_>, results: &[&[u8]]) -> Vec<u8> {
    let body_size = 32 + padded(message.body.len());
    let reads_size = reads_size(message.reads);
    let size = body_size + reads_size + message.bytes().len();
    let mut writer = Writer::call(recipient::handleCall::SELECTOR, 8 + size / 32)
        .uint64(message.header.origin.0.into())
        .word(message.header.sender)
        .size(0xa0)
        .size(0xa0 + body_size)
        .size(0xa0 + body_size + reads_size)
        .bytes(message.body)
        .size(message.reads.len());
    let mut offset = 32 * message.reads.len();
    for read in message.reads.iter() {
        writer = writer.size(offset);
        offset += 128 + padded(read.call_data.len());
    }
    for read in message.reads.iter() {
        writer = writer
            .uint64(read.domain.0.into())
            .address(read.target)
            .size(0x60)
            .bytes(read.call_data);
    }
    writer.bytes_array(results).finish()
}

/// Bytes of an encoded array of reads.
fn reads_size(reads: Reads<'_>) -> usize {
    32 + reads.iter().map(|read| 160 + padded(read.call_data.len())).sum::<usize>()
}
