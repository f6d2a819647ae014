//! What the router remembers of a message, in one word.

use alloy_primitives::B256;
use protocol::finality::Tier;

/// A message that was dispatched or delivered.
///
/// | byte | what |
/// |---|---|
/// | 31 | tier |
/// | 27..31 | the other chain's domain |
/// | 26 | 1: the record exists |
/// | 25 | delivered: 1 for a control message · dispatched: 1 + tier of the confirmation, 0 for none |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The domain it went to, or came from.
    pub(crate) domain: u32,
    /// The byte its sender chose.
    pub(crate) tier: u8,
    /// See the table.
    pub(crate) mark: u8,
}

impl Record {
    /// The mark of a delivered control message.
    pub(crate) const CONTROL: u8 = 1;

    /// The record in a word; nothing when none was written.
    pub(crate) fn read(word: B256) -> Option<Self> {
        let [mark, exists, d0, d1, d2, d3, tier] = *word.last_chunk::<7>()?;
        (exists == 1).then(|| Self { domain: u32::from_be_bytes([d0, d1, d2, d3]), tier, mark })
    }

    /// The word.
    pub(crate) fn word(self) -> B256 {
        let mut word = B256::ZERO;
        word[25] = self.mark;
        word[26] = 1;
        word[27..31].copy_from_slice(&self.domain.to_be_bytes());
        word[31] = self.tier;
        word
    }

    /// The tier at which delivery was confirmed.
    pub(crate) fn confirmation(self) -> Option<Tier> {
        self.mark.checked_sub(1).and_then(|tier| Tier::try_from(tier).ok())
    }

    /// The record with a confirmation at this tier; nothing when it already has one as strong.
    pub(crate) fn confirmed_at(self, tier: Tier) -> Option<Self> {
        let stronger = self.confirmation().is_none_or(|known| !known.at_least(tier));
        stronger.then(|| Self { mark: tier.byte() + 1, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_word_and_an_empty_word_is_none() {
        let record = Record { domain: 700_001, tier: 1, mark: 0 };
        assert_eq!(Record::read(record.word()), Some(record));
        assert_eq!(Record::read(B256::ZERO), None);
    }

    #[test]
    fn a_confirmation_only_grows_stronger() {
        let record = Record { domain: 1, tier: 1, mark: 0 };
        assert_eq!(record.confirmation(), None);
        let instant = record.confirmed_at(Tier::Instant).unwrap();
        assert_eq!(instant.confirmation(), Some(Tier::Instant));
        assert_eq!(instant.confirmed_at(Tier::Instant), None);
        let finalized = instant.confirmed_at(Tier::Finalized).unwrap();
        assert_eq!(finalized.confirmed_at(Tier::Espresso), None);
        assert_eq!(finalized.confirmed_at(Tier::Instant), None);
    }
}
