//! Dispatch and its price.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{Frame, Revert, Writer, external};
use protocol::{
    abi::hyperlane::Mailbox,
    abi::router::{
        BodyTooLarge, InsufficientFee, InvalidFinality, InvalidGasLimit, InvalidHookMetadata,
        InvalidRecipient, MetalayerDispatch, NonceExhausted, Paused, ReadDomainUnsupported,
        ReadTooLarge, RefundFailed, RouterNotEnrolled, TierUnsupported, TooManyReads,
    },
    finality::{Tier, TierMask},
    ids::Domain,
    message::{Header, Read, encode},
    read::{MAX_CALL_DATA_LEN, MAX_READS},
    words::padded,
};
use stylus_sdk::{alloy_primitives::aliases::U32, prelude::*};

use crate::{Router, records::Record};

/// The longest body that may be dispatched, in bytes.
const MAX_BODY_LEN: usize = 64 * 1024;

/// The gas that the quotes without a gas limit assume.
const DEFAULT_GAS_LIMIT: u64 = 100_000;

/// What delivering any read costs beside the recipient: the aggregation, ReadIsm and its signatures.
const READS_GAS: u64 = 150_000;

/// What delivering one read costs: call data, transient storage and copies of a 4,096-byte result.
const GAS_PER_READ: u64 = 130_000;

/// A message that someone wants sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) destination: u32,
    pub(crate) recipient: B256,
    pub(crate) reads: Vec<Read<'a>>,
    pub(crate) body: &'a [u8],
    pub(crate) tier: Tier,
    pub(crate) gas_limit: U256,
}

impl<'a> Outgoing<'a> {
    /// Reads the arguments of the six-argument forms.
    pub(crate) fn read(recipient: B256, a: Frame<'a>) -> Result<Self, Revert> {
        let (count, elements) = a.array(2, 1)?;
        let read_operation = |index| -> Result<Read<'a>, Revert> {
            let read = elements.tuple(index)?;
            Ok(Read {
                domain: Domain(read.uint32(0)?),
                target: read.address(1)?,
                call_data: read.bytes(2)?,
            })
        };
        let finality = u8::try_from(a.uint64(4)?).map_err(|_| Revert::empty())?;
        Ok(Self {
            destination: a.uint32(0)?,
            recipient,
            reads: (0..count).map(read_operation).collect::<Result<_, _>>()?,
            body: a.bytes(3)?,
            tier: Tier::try_from(finality).map_err(|_| InvalidFinality { finality })?,
            gas_limit: a.uint(5)?,
        })
    }

    /// Reads the arguments of the three- and four-argument quotes: no reads, the cheapest tier.
    pub(crate) fn read_plain(a: Frame<'a>, gas_limit: U256) -> Result<Self, Revert> {
        Ok(Self {
            destination: a.uint32(0)?,
            recipient: a.word(1)?,
            reads: Vec::new(),
            body: a.bytes(2)?,
            tier: Tier::Instant,
            gas_limit,
        })
    }
}

/// The gas limit in somebody's hook metadata; the only part of it that is used.
pub(crate) fn gas_limit_of(metadata: &[u8]) -> Result<U256, Revert> {
    match metadata.split_first_chunk::<2>() {
        None if metadata.is_empty() => Ok(U256::from(DEFAULT_GAS_LIMIT)),
        Some(([0, 1], rest)) => {
            let gas_limit = rest.get(32..64).map(U256::from_be_slice);
            Ok(gas_limit.unwrap_or(U256::from(DEFAULT_GAS_LIMIT)))
        }
        _ => Err(InvalidHookMetadata {}.into()),
    }
}

impl Router {
    /// The price of a message whose tier is known.
    pub(crate) fn quote_checked(&self, out: &Outgoing<'_>) -> Result<U256, Revert> {
        self.check_tier(out)?;
        self.quote_plain(out)
    }

    /// The price of a message at whatever tier: the price depends on none.
    pub(crate) fn quote_plain(&self, out: &Outgoing<'_>) -> Result<U256, Revert> {
        let remote = self.check(out)?;
        self.quote_from(out, self.vm().msg_sender().into_word(), remote)
    }

    /// The price of a message in the name of `sender`.
    pub(crate) fn quote_from(
        &self,
        out: &Outgoing<'_>,
        sender: B256,
        remote: B256,
    ) -> Result<U256, Revert> {
        let message = self.encode(out, sender, self.nonce.get().to());
        let metadata = hook_metadata(gas_sold(out), self.vm().msg_sender());
        self.quote_bytes(out.destination, remote, &message, &metadata)
    }

    /// Checks and sends what the caller wants sent. Returns the message id.
    pub(crate) fn dispatch(&mut self, out: &Outgoing<'_>) -> Result<B256, Revert> {
        if self.is_paused() {
            return Err(Paused {}.into());
        }
        self.check_tier(out)?;
        let remote = self.check(out)?;
        self.send(out, self.vm().msg_sender().into_word(), remote)
    }

    /// Sends a message in the name of `sender`, paid by the caller, who gets back what is left of the value.
    pub(crate) fn send(
        &mut self,
        out: &Outgoing<'_>,
        sender: B256,
        remote: B256,
    ) -> Result<B256, Revert> {
        let vm = self.vm().clone();
        let caller = vm.msg_sender();
        let nonce: u32 = self.nonce.get().to();
        let message = self.encode(out, sender, nonce);
        let id = keccak256(&message);
        let next = nonce.checked_add(1).ok_or(NonceExhausted {})?;
        self.nonce.set(U32::from(next));
        let record = Record { domain: out.destination, tier: out.tier.byte(), mark: 0 };
        self.dispatched.insert(id, record.word());
        // Nothing is written below this line.

        let metadata = hook_metadata(gas_sold(out), caller);
        let fee = self.quote_bytes(out.destination, remote, &message, &metadata)?;
        let given = vm.msg_value();
        let rest = given.checked_sub(fee).ok_or(InsufficientFee { required: fee, given })?;
        let data = mailbox_data(
            Mailbox::dispatch_1Call::SELECTOR,
            out.destination,
            remote,
            &message,
            &metadata,
        );
        let answer = external::call(&vm, self.mailbox.get(), fee, &data)?;
        let mailbox_id = Frame(&answer).word(0)?;
        let destination = B256::from(U256::from(out.destination));
        let data = Writer::new(4 + padded(message.len()) / 32)
            .word(sender)
            .word(mailbox_id)
            .size(0x60)
            .bytes(&message);
        external::log(
            &vm,
            &[MetalayerDispatch::SIGNATURE_HASH, id, destination, out.recipient],
            data.as_slice(),
        );
        if !rest.is_zero() && !external::send(&vm, caller, rest, &[]) {
            return Err(RefundFailed { caller, amount: rest }.into());
        }
        Ok(id)
    }

    /// What the mailbox and its hooks ask for a message.
    fn quote_bytes(
        &self,
        destination: u32,
        remote: B256,
        message: &[u8],
        metadata: &[u8],
    ) -> Result<U256, Revert> {
        let selector = Mailbox::quoteDispatch_1Call::SELECTOR;
        let data = mailbox_data(selector, destination, remote, message, metadata);
        Ok(Frame(&external::view(self.vm(), self.mailbox.get(), &data)?).uint(0)?)
    }

    /// The router of an enrolled domain.
    pub(crate) fn enrolled(&self, domain: u32) -> Result<B256, Revert> {
        let router = self.remote(domain).router.get();
        if router.is_zero() { Err(RouterNotEnrolled { domain }.into()) } else { Ok(router) }
    }

    fn check_tier(&self, out: &Outgoing<'_>) -> Result<(), Revert> {
        self.enrolled(out.destination)?;
        let tiers = self.remote(out.destination).tiers.get().to();
        if TierMask::new(tiers).is_some_and(|mask| mask.contains(out.tier)) {
            Ok(())
        } else {
            Err(TierUnsupported { domain: out.destination, finality: out.tier.byte() }.into())
        }
    }

    /// Everything that does not depend on the tier. Returns the router of the destination.
    fn check(&self, out: &Outgoing<'_>) -> Result<B256, Revert> {
        let remote = self.enrolled(out.destination)?;
        at_most(out.reads.len(), MAX_READS, |count, limit| TooManyReads { count, limit })?;
        for read in &out.reads {
            at_most(read.call_data.len(), MAX_CALL_DATA_LEN, |length, limit| ReadTooLarge {
                length,
                limit,
            })?;
            let domain = read.domain.0;
            if !self.remote(domain).readable.get() {
                return Err(ReadDomainUnsupported { domain }.into());
            }
        }
        at_most(out.body.len(), MAX_BODY_LEN, |length, limit| BodyTooLarge { length, limit })?;
        if out.gas_limit.is_zero() {
            return Err(InvalidGasLimit {}.into());
        }
        if out.recipient.is_zero() || out.recipient == remote {
            return Err(InvalidRecipient {}.into());
        }
        Ok(remote)
    }

    fn encode(&self, out: &Outgoing<'_>, sender: B256, nonce: u32) -> Vec<u8> {
        let header = Header {
            tier: out.tier,
            nonce,
            origin: Domain(self.local_domain()),
            sender,
            destination: Domain(out.destination),
            recipient: out.recipient,
        };
        encode(&header, &out.reads, out.body)
    }
}

/// What the paymaster is asked for: the recipient's gas, and that of the reads.
fn gas_sold(out: &Outgoing<'_>) -> U256 {
    let overhead = match out.reads.len() as u64 {
        0 => 0,
        reads => READS_GAS + GAS_PER_READ * reads,
    };
    out.gas_limit.saturating_add(U256::from(overhead))
}

/// Hyperlane's standard hook metadata, variant 1: no value, the gas limit, and who is refunded.
fn hook_metadata(gas_limit: U256, refund: Address) -> [u8; 86] {
    let mut metadata = [0; 86];
    metadata[1] = 1;
    metadata[34..66].copy_from_slice(&gas_limit.to_be_bytes::<32>());
    metadata[66..].copy_from_slice(refund.as_slice());
    metadata
}

/// Call data of the mailbox's four-argument `dispatch` and `quoteDispatch`.
fn mailbox_data(
    selector: [u8; 4],
    destination: u32,
    remote: B256,
    message: &[u8],
    metadata: &[u8],
) -> Vec<u8> {
    let message_size = 32 + padded(message.len());
    Writer::call(selector, 8 + message_size / 32)
        .uint64(destination.into())
        .word(remote)
        .size(0x80)
        .size(0x80 + message_size)
        .bytes(message)
        .bytes(metadata)
        .finish()
}

fn at_most<E: Into<Revert>>(
    given: usize,
    limit: usize,
    error: impl FnOnce(U256, U256) -> E,
) -> Result<(), Revert> {
    if given > limit { Err(error(U256::from(given), U256::from(limit)).into()) } else { Ok(()) }
}
