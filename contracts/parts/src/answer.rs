//! Answers of one word or one text.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256};

use crate::Writer;

/// A word.
pub fn word(word: B256) -> Vec<u8> {
    Vec::from(word.0)
}

/// An address, left-padded.
pub fn address(address: Address) -> Vec<u8> {
    word(address.into_word())
}

/// A number of at most 64 bits.
pub fn number(number: u64) -> Vec<u8> {
    Writer::new(1).uint64(number).finish()
}

/// A truth value.
pub fn boolean(boolean: bool) -> Vec<u8> {
    number(boolean.into())
}

/// A text.
pub fn text(text: &str) -> Vec<u8> {
    Writer::new(3).size(0x20).bytes(text.as_bytes()).finish()
}
