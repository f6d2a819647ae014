use revm::primitives::U256;

use crate::vm::start::StartCost;

/// Version of the Stylus runtime that activation writes down.
pub(crate) const STYLUS_VERSION: u16 = 2;
/// Days after which a program must be activated again.
pub(crate) const EXPIRY_DAYS: u16 = 365;
/// Days after which the life of a program can be extended.
pub(crate) const KEEPALIVE_DAYS: u16 = 31;

const DAY: u64 = 24 * 60 * 60;

/// What a chain remembers of an activated program, by the hash of its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProgramRecord {
    /// Version of the runtime at activation.
    pub(crate) version: u16,
    /// Block time of the activation or of the last extension, in seconds.
    pub(crate) activated_at: u64,
    /// Bytes of the module.
    pub(crate) wasm_len: u32,
    /// Pages of memory at the start.
    pub(crate) footprint: u16,
    /// Whether the cache manager holds it.
    pub(crate) cached: bool,
    /// Gas of starting it; follows from `wasm_len`.
    pub(crate) start: StartCost,
}

impl ProgramRecord {
    /// The record of a module activated at block time `now`.
    pub(crate) fn activated(now: u64, wasm_len: usize, footprint: u16) -> Self {
        Self {
            version: STYLUS_VERSION,
            activated_at: now,
            wasm_len: u32::try_from(wasm_len).unwrap_or(u32::MAX),
            footprint,
            cached: false,
            start: StartCost::of(wasm_len),
        }
    }

    /// Seconds since the activation.
    pub(crate) const fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.activated_at)
    }

    pub(crate) const fn is_expired(&self, now: u64) -> bool {
        self.age(now) > EXPIRY_DAYS as u64 * DAY
    }

    pub(crate) const fn can_be_extended(&self, now: u64) -> bool {
        self.age(now) >= KEEPALIVE_DAYS as u64 * DAY
    }

    /// Seconds until it expires.
    pub(crate) const fn time_left(&self, now: u64) -> u64 {
        (EXPIRY_DAYS as u64 * DAY).saturating_sub(self.age(now))
    }

    pub(crate) const fn needs_upgrade(&self) -> bool {
        self.version != STYLUS_VERSION
    }

    /// The storage word: from the low end `version` (2 bytes), `activated_at` (8), `wasm_len` (4),
    /// `footprint` (2), `cached` (1). Zero is no record.
    pub(super) fn to_word(self) -> U256 {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&self.version.to_le_bytes());
        bytes[2..10].copy_from_slice(&self.activated_at.to_le_bytes());
        bytes[10..14].copy_from_slice(&self.wasm_len.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.footprint.to_le_bytes());
        bytes[16] = self.cached.into();
        U256::from_le_bytes(bytes)
    }

    /// Reads the storage word.
    pub(super) fn from_word(word: U256) -> Option<Self> {
        if word.is_zero() {
            return None;
        }
        let bytes: [u8; 32] = word.to_le_bytes();
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
        };
        let wasm_len = number(10, 14) as u32;
        Some(Self {
            version: number(0, 2) as u16,
            activated_at: number(2, 10),
            wasm_len,
            footprint: number(14, 16) as u16,
            cached: bytes[16] != 0,
            start: StartCost::of(wasm_len as usize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_storage() {
        let record =
            ProgramRecord { cached: true, ..ProgramRecord::activated(1_700_000_000, 130_000, 17) };
        assert_eq!(ProgramRecord::from_word(record.to_word()), Some(record));
        assert_eq!(ProgramRecord::from_word(U256::ZERO), None);
    }

    #[test]
    fn a_program_lives_a_year_and_can_be_extended_after_a_month() {
        let record = ProgramRecord::activated(1_000, 1, 1);
        let (month, year) = (1_000 + 31 * DAY, 1_000 + 365 * DAY);
        assert!(!record.can_be_extended(month - 1) && record.can_be_extended(month));
        assert!(!record.is_expired(year) && record.is_expired(year + 1));
        assert_eq!(record.time_left(year - 5), 5);
        assert_eq!(record.time_left(year + 5), 0);
    }
}
