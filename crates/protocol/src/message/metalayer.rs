//! The Metalayer's own message: the body of an envelope between two routers.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, keccak256};

use super::{Malformed, VERSION, split};
use crate::{
    abi::messaging::ReadOperation,
    finality::Tier,
    ids::{Domain, MessageId},
};

const HEADER_LEN: usize = 82;

/// Where a message comes from, where it goes, and how sure its validators must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tier its sender chose.
    pub tier: Tier,
    /// The counter of the router that dispatched it.
    pub nonce: u32,
    /// Where it was dispatched.
    pub origin: Domain,
    /// The application that dispatched it.
    pub sender: B256,
    /// Where it is delivered.
    pub destination: Domain,
    /// The application that receives it.
    pub recipient: B256,
}

/// A Metalayer message.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | version, 3 |
/// | 1 | 1 | finality tier |
/// | 2 | 4 | nonce |
/// | 6 | 4 | origin domain |
/// | 10 | 32 | sender |
/// | 42 | 4 | destination domain |
/// | 46 | 32 | recipient |
/// | 78 | 4 | number of reads |
/// | 82 | 28 + n each | reads: domain (4), target (20), length (4), call data (n) |
/// | … | … | body |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Everything but reads and body.
    pub header: Header,
    /// The reads that travel with it.
    pub reads: Reads<'a>,
    /// What the recipient receives.
    pub body: &'a [u8],
    bytes: &'a [u8],
}

/// The reads of a message that has been parsed, so that every length in it is known to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// One read operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    /// The chain it is executed on.
    pub domain: Domain,
    /// The contract that is called.
    pub target: Address,
    /// What it is called with.
    pub call_data: &'a [u8],
}

impl<'a> Message<'a> {
    /// Bytes in front of the reads.
    pub const HEADER_LEN: usize = HEADER_LEN;

    /// Reads a message.
    ///
    /// # Errors
    /// Truncated bytes, a version other than 3, a finality byte above 2, or reads longer than the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = split::<HEADER_LEN>(bytes)?;
        let (&[version, finality], fixed) = split(fixed)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let tier = Tier::try_from(finality).map_err(|unknown| Malformed::Finality(unknown.0))?;
        let (nonce, fixed) = split(fixed)?;
        let (origin, fixed) = split(fixed)?;
        let (sender, fixed) = split(fixed)?;
        let (destination, fixed) = split(fixed)?;
        let (recipient, fixed) = split(fixed)?;
        let (count, _) = split(fixed)?;
        let count = u32::from_be_bytes(*count);

        let mut body = rest;
        for _ in 0..count {
            (_, body) = Read::parse(body)?;
        }
        let reads = Reads { count, bytes: &rest[..rest.len() - body.len()] };
        let header = Header {
            tier,
            nonce: u32::from_be_bytes(*nonce),
            origin: Domain(u32::from_be_bytes(*origin)),
            sender: B256::new(*sender),
            destination: Domain(u32::from_be_bytes(*destination)),
            recipient: B256::new(*recipient),
        };
        Ok(Self { header, reads, body, bytes })
    }

    /// keccak256 of the bytes it was parsed from.
    pub fn id(&self) -> MessageId {
        MessageId(keccak256(self.bytes))
    }

    /// The bytes it was parsed from.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Reads<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The reads, in order.
    pub fn iter(&self) -> impl Iterator<Item = Read<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (read, tail) = Read::parse(rest).ok()?;
            rest = tail;
            Some(read)
        })
    }

    /// The reads as the contracts' interface has them.
    pub fn to_operations(&self) -> Vec<ReadOperation> {
        self.iter().map(ReadOperation::from).collect()
    }
}

impl<'a> Read<'a> {
    const HEADER_LEN: usize = 28;

    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let (domain, rest) = split(bytes)?;
        let (target, rest) = split::<20>(rest)?;
        let (len, rest) = split(rest)?;
        let len = u32::from_be_bytes(*len) as usize;
        let Some((call_data, rest)) = rest.split_at_checked(len) else {
            return Err(Malformed::Truncated { expected: len, given: rest.len() });
        };
        let domain = Domain(u32::from_be_bytes(*domain));
        Ok((Self { domain, target: Address::new(*target), call_data }, rest))
    }
}

impl From<Read<'_>> for ReadOperation {
    fn from(read: Read<'_>) -> Self {
        Self {
            domain: read.domain.0,
            target: read.target,
            callData: read.call_data.to_vec().into(),
        }
    }
}

impl<'a> From<&'a ReadOperation> for Read<'a> {
    fn from(read: &'a ReadOperation) -> Self {
        Self { domain: Domain(read.domain), target: read.target, call_data: &read.callData }
    }
}

/// The bytes of a message, written in one pass.
///
/// Lengths are written as 32 bits: a caller that takes reads from strangers bounds their number and size first.
pub fn encode(header: &Header, reads: &[Read<'_>], body: &[u8]) -> Vec<u8> {
    let reads_len: usize = reads.iter().map(|read| Read::HEADER_LEN + read.call_data.len()).sum();
    let mut bytes = Vec::with_capacity(Message::HEADER_LEN + reads_len + body.len());
    bytes.extend_from_slice(&[VERSION, header.tier.byte()]);
    bytes.extend_from_slice(&header.nonce.to_be_bytes());
    bytes.extend_from_slice(&header.origin.0.to_be_bytes());
    bytes.extend_from_slice(header.sender.as_slice());
    bytes.extend_from_slice(&header.destination.0.to_be_bytes());
    bytes.extend_from_slice(header.recipient.as_slice());
    bytes.extend_from_slice(&(reads.len() as u32).to_be_bytes());
    for read in reads {
        bytes.extend_from_slice(&read.domain.0.to_be_bytes());
        bytes.extend_from_slice(read.target.as_slice());
        bytes.extend_from_slice(&(read.call_data.len() as u32).to_be_bytes());
        bytes.extend_from_slice(read.call_data);
    }
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256, hex};
    use proptest::prelude::*;

    use super::*;

    fn header(tier: Tier, nonce: u32) -> Header {
        Header {
            tier,
            nonce,
            origin: Domain(8453),
            sender: Address::repeat_byte(0x11).into_word(),
            destination: Domain(1155),
            recipient: Address::repeat_byte(0x22).into_word(),
        }
    }

    // Both made by running the library of the compatible system in a local EVM.
    const WITHOUT_READS: &[u8] = &hex!(
        "03000000000700002105000000000000000000000000111111111111111111111111111111111111111100000483000000000000000000000000222222222222222222222222222222222222222200000000deadbeef"
    );
    const WITH_READS: &[u8] = &hex!(
        "030100000008000021050000000000000000000000001111111111111111111111111111111111111111000004830000000000000000000000002222222222222222222222222222222222222222000000020000000133333333333333333333333333333333333333330000000418160ddd0000a4b1444444444444444444444444444444444444444400000000cafe"
    );

    #[test]
    fn golden_message_without_reads() {
        assert_eq!(encode(&header(Tier::Instant, 7), &[], &hex!("deadbeef")), WITHOUT_READS);
        let message = Message::parse(WITHOUT_READS).unwrap();
        assert_eq!(message.header, header(Tier::Instant, 7));
        assert!(message.reads.is_empty());
        assert_eq!(
            message.id().0,
            b256!("0x6ebd33430e5b8c526a344a363650211dad1c4dd4e718c9e49302e1f9a9afbd40")
        );
    }

    #[test]
    fn golden_message_with_two_reads() {
        let reads = [
            ReadOperation {
                domain: 1,
                target: address!("0x3333333333333333333333333333333333333333"),
                callData: hex!("18160ddd").into(),
            },
            ReadOperation {
                domain: 42161,
                target: address!("0x4444444444444444444444444444444444444444"),
                callData: Default::default(),
            },
        ];
        let borrowed = reads.each_ref().map(Read::from);
        assert_eq!(encode(&header(Tier::Finalized, 8), &borrowed, &hex!("cafe")), WITH_READS);
        let message = Message::parse(WITH_READS).unwrap();
        assert_eq!(message.reads.to_operations(), reads);
        assert_eq!(message.body, hex!("cafe"));
        assert_eq!(
            message.id().0,
            b256!("0x3e59e9b9a53e706894de8dc23a72abbc19ab804a762a12f9b434d8b49ee352a8")
        );
    }

    #[test]
    fn a_read_may_not_reach_beyond_the_message() {
        let mut bytes = WITH_READS.to_vec();
        // The second read's length: one byte more than body and rest hold.
        let at = bytes.len() - 6;
        bytes[at..at + 4].copy_from_slice(&3_u32.to_be_bytes());
        assert_eq!(Message::parse(&bytes), Err(Malformed::Truncated { expected: 3, given: 2 }));
        bytes[78..82].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Message::parse(&bytes).is_err());
    }

    #[test]
    fn other_versions_and_unknown_tiers_are_refused() {
        let mut bytes = WITHOUT_READS.to_vec();
        bytes[1] = 3;
        assert_eq!(Message::parse(&bytes), Err(Malformed::Finality(3)));
        bytes[0] = 2;
        assert_eq!(Message::parse(&bytes), Err(Malformed::Version(2)));
    }

    prop_compose! {
        fn any_read()(
            domain: u32,
            target: [u8; 20],
            data in prop::collection::vec(any::<u8>(), 0..40),
        ) -> ReadOperation {
            ReadOperation { domain, target: target.into(), callData: data.into() }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_parses_back(
            finality in 0_u8..3,
            nonce: u32,
            (origin, destination) in any::<(u32, u32)>(),
            (sender, recipient) in any::<([u8; 32], [u8; 32])>(),
            reads in prop::collection::vec(any_read(), 0..5),
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let header = Header {
                tier: Tier::try_from(finality).unwrap(),
                nonce,
                origin: Domain(origin),
                sender: sender.into(),
                destination: Domain(destination),
                recipient: recipient.into(),
            };
            let borrowed: Vec<_> = reads.iter().map(Read::from).collect();
            let bytes = encode(&header, &borrowed, &body);
            let message = Message::parse(&bytes).unwrap();
            prop_assert_eq!(message.header, header);
            prop_assert_eq!(message.reads.len(), reads.len());
            prop_assert_eq!(message.reads.to_operations(), reads);
            prop_assert_eq!(message.body, &body[..]);
        }

        #[test]
        fn hostile_bytes_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            looks_right: bool,
        ) {
            if looks_right && bytes.len() > 82 {
                bytes[0] = VERSION;
                bytes[1] %= 3;
                bytes[78..81].fill(0);
            }
            if let Ok(message) = Message::parse(&bytes) {
                prop_assert_eq!(message.reads.iter().count(), message.reads.len());
                let reads: Vec<_> = message.reads.iter().collect();
                prop_assert_eq!(encode(&message.header, &reads, message.body), bytes.clone());
            }
        }
    }
}
