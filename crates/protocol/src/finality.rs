//! How sure the validators must be before they vouch for a message.

/// The finality tier of a message: the byte its sender chose.
///
/// Tiers are **not ordered by number**; compare them with [`Tier::strength`]. The type implements no `Ord`
/// for that reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[repr(u8)]
pub enum Tier {
    /// The sequencer's word.
    Instant = 0,
    /// The origin block is final on the parent chain.
    Finalized = 1,
    /// Confirmed by an external confirmation layer.
    Espresso = 2,
}

/// A set of tiers; bit `n` stands for the tier with number `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TierMask(u8);

/// The byte names no tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTier(pub u8);

impl Tier {
    /// Every tier, weakest first.
    pub const ALL: [Self; 3] = [Self::Instant, Self::Espresso, Self::Finalized];

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Position in the order of trust: instant, then espresso, then finalized.
    pub const fn strength(self) -> u8 {
        match self {
            Self::Instant => 0,
            Self::Espresso => 1,
            Self::Finalized => 2,
        }
    }

    /// Whether a proof at this tier says at least as much as one at `other`.
    pub const fn at_least(self, other: Self) -> bool {
        self.strength() >= other.strength()
    }

    /// The set that holds only this tier.
    pub const fn mask(self) -> TierMask {
        TierMask(1 << self.byte())
    }
}

impl TryFrom<u8> for Tier {
    type Error = UnknownTier;

    fn try_from(byte: u8) -> Result<Self, UnknownTier> {
        match byte {
            0 => Ok(Self::Instant),
            1 => Ok(Self::Finalized),
            2 => Ok(Self::Espresso),
            other => Err(UnknownTier(other)),
        }
    }
}

impl core::fmt::Display for Tier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Instant => "instant",
            Self::Finalized => "finalized",
            Self::Espresso => "espresso",
        })
    }
}

impl core::fmt::Display for UnknownTier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} names no finality tier (0, 1 or 2)", self.0)
    }
}

impl core::error::Error for UnknownTier {}

impl TierMask {
    /// No tier.
    pub const NONE: Self = Self(0);
    /// Every tier there is.
    pub const ALL: Self = Self(0b111);

    /// The set with these bits, or nothing when a bit stands for no tier.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits, as the contracts store them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the tier belongs to the set.
    pub const fn contains(self, tier: Tier) -> bool {
        self.0 & tier.mask().0 != 0
    }

    /// Whether every tier of this set belongs to `other`.
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The tiers of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The tiers of the set, weakest first.
    pub fn tiers(self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(move |tier| self.contains(*tier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_not_the_number_on_the_wire() {
        assert!(Tier::Finalized.at_least(Tier::Espresso));
        assert!(!Tier::Espresso.at_least(Tier::Finalized));
        assert!(Tier::Espresso.at_least(Tier::Instant));
        assert!(Tier::Instant.at_least(Tier::Instant));
    }

    #[test]
    fn every_tier_survives_its_byte_and_no_other_byte_is_one() {
        for byte in 0..=u8::MAX {
            match Tier::try_from(byte) {
                Ok(tier) => assert_eq!(tier.byte(), byte),
                Err(unknown) => assert!(byte > 2 && unknown == UnknownTier(byte)),
            }
        }
    }

    #[test]
    fn masks_hold_what_was_put_in() {
        assert_eq!(TierMask::new(0b1000), None);
        let both = Tier::Instant.mask().union(Tier::Finalized.mask());
        assert_eq!(both.bits(), 0b011);
        assert!(both.tiers().eq([Tier::Instant, Tier::Finalized]));
        assert!(both.is_subset_of(TierMask::ALL) && !TierMask::ALL.is_subset_of(both));
        assert!(!TierMask::NONE.contains(Tier::Instant));
    }
}
