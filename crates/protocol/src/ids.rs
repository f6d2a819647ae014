//! Identities that must never be swapped: each has its own type.

use alloy_primitives::{Address, B256, wrap_fixed_bytes};

wrap_fixed_bytes!(
    /// Identity of an intent: keccak256 of destination, [`RouteHash`] and [`RewardHash`].
    ///
    /// Not a message id, although it often travels inside one.
    pub struct IntentHash<32>;
);

wrap_fixed_bytes!(
    /// keccak256 of the encoded route. Not the intent's identity: two intents may share a route.
    pub struct RouteHash<32>;
);

wrap_fixed_bytes!(
    /// keccak256 of the encoded reward. Not the intent's identity: two intents may share a reward.
    pub struct RewardHash<32>;
);

wrap_fixed_bytes!(
    /// Identity of a Metalayer message: keccak256 of its bytes, as returned by `dispatch`.
    ///
    /// Not the id that checkpoints, gas payments and the mailbox know: that is [`MailboxMessageId`].
    pub struct MessageId<32>;
);

wrap_fixed_bytes!(
    /// Identity of a Hyperlane envelope: keccak256 of its bytes.
    ///
    /// Not the id of the Metalayer message inside it: that is [`MessageId`].
    pub struct MailboxMessageId<32>;
);

/// A messaging network id. Joined with a [`ChainId`] only by an explicit map, never by a cast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Domain(pub u32);

/// An EIP-155 chain id as the intent protocol carries it (64 bits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct ChainId(pub u64);

/// Whoever may withdraw a reward, as 32 bytes: an address padded on the left, or an identity of
/// another kind of chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Claimant(pub B256);

/// The 32 bytes do not hold an address: one of the first twelve is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress(pub B256);

impl core::fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is not an address padded to 32 bytes", self.0)
    }
}

impl core::error::Error for NotAnAddress {}

impl core::fmt::Display for Domain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::fmt::Display for ChainId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::fmt::Display for Claimant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Address> for Claimant {
    fn from(address: Address) -> Self {
        Self(address.into_word())
    }
}

impl TryFrom<Claimant> for Address {
    type Error = NotAnAddress;

    fn try_from(claimant: Claimant) -> Result<Self, NotAnAddress> {
        address_of(claimant.0).ok_or(NotAnAddress(claimant.0))
    }
}

/// The address in a 32-byte word, or nothing when one of the first twelve bytes is set.
pub fn address_of(word: B256) -> Option<Address> {
    let (padding, address) = word.split_at(12);
    padding.iter().all(|byte| *byte == 0).then(|| Address::from_slice(address))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, b256};

    use super::*;

    #[test]
    fn a_claimant_is_an_address_only_with_twelve_zero_bytes_in_front() {
        let solver = address!("0x00000000000000000000000000000000000000ff");
        assert_eq!(Address::try_from(Claimant::from(solver)), Ok(solver));
        let foreign = b256!("0x000000000000000000000001ffffffffffffffffffffffffffffffffffffffff");
        assert_eq!(Address::try_from(Claimant(foreign)), Err(NotAnAddress(foreign)));
    }
}
