//! Reading and writing the ABI's 32-byte words.
//!
//! A codec without a type per signature: on chain every byte of a program is paid for at each call, and a program that
//! decodes thirty signatures through generic codecs does not fit. What it reads is as strict as Solidity's decoder:
//! numbers and addresses must be in range, offsets and lengths inside the data; unusual offsets and trailing bytes
//! are accepted. What it writes is canonical.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};

/// The data do not decode. On chain this is a revert without data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the data are not the expected ABI encoding")
    }
}

impl core::error::Error for Malformed {}

/// A sequence of words that starts at a tuple's or an array's head. Offsets in it are relative to its start.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a>(pub &'a [u8]);

impl<'a> Frame<'a> {
    /// The word at `index`.
    ///
    /// # Errors
    /// [`Malformed`] when the data end before it.
    pub fn word(self, index: usize) -> Result<B256, Malformed> {
        let start = index.checked_mul(32).ok_or(Malformed)?;
        self.0.get(start..).and_then(|rest| rest.get(..32)).map(B256::from_slice).ok_or(Malformed)
    }

    /// The number at `index`.
    ///
    /// # Errors
    /// As [`Self::word`].
    pub fn uint(self, index: usize) -> Result<U256, Malformed> {
        self.word(index).map(Into::into)
    }

    /// The number at `index`, which must fit in `bits` bits.
    ///
    /// # Errors
    /// [`Malformed`] when it does not, or is not there.
    pub fn uint_of(self, index: usize, bits: usize) -> Result<U256, Malformed> {
        self.uint(index)
            .and_then(|uint| if uint.bit_len() > bits { Err(Malformed) } else { Ok(uint) })
    }

    /// The `uint64` at `index`.
    ///
    /// # Errors
    /// As [`Self::uint_of`].
    pub fn uint64(self, index: usize) -> Result<u64, Malformed> {
        let word = self.word(index)?;
        let (high, low) = word.split_at(24);
        let low = low.try_into().map_err(|_| Malformed)?;
        if is_zero(high) { Ok(u64::from_be_bytes(low)) } else { Err(Malformed) }
    }

    /// The `uint32` at `index`.
    ///
    /// # Errors
    /// As [`Self::uint_of`].
    pub fn uint32(self, index: usize) -> Result<u32, Malformed> {
        u32::try_from(self.uint64(index)?).map_err(|_| Malformed)
    }

    /// The `bool` at `index`.
    ///
    /// # Errors
    /// As [`Self::uint_of`].
    pub fn boolean(self, index: usize) -> Result<bool, Malformed> {
        match self.uint64(index)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// The address at `index`, whose upper 96 bits must be clear.
    ///
    /// # Errors
    /// As [`Self::uint_of`].
    pub fn address(self, index: usize) -> Result<Address, Malformed> {
        address_of(self.word(index)?).ok_or(Malformed)
    }

    /// What the offset at `index` points to: a dynamic tuple.
    ///
    /// # Errors
    /// [`Malformed`] when it points outside the data.
    pub fn tuple(self, index: usize) -> Result<Self, Malformed> {
        let offset = self.length(index)?;
        self.0.get(offset..).map(Frame).ok_or(Malformed)
    }

    /// The `bytes` whose offset is at `index`.
    ///
    /// # Errors
    /// [`Malformed`] when they reach outside the data.
    pub fn bytes(self, index: usize) -> Result<&'a [u8], Malformed> {
        let tail = self.tuple(index)?;
        let length = tail.length(0)?;
        tail.0.get(32..).and_then(|rest| rest.get(..length)).ok_or(Malformed)
    }

    /// The array whose offset is at `index`: its length, and the frame of its elements, of which each takes
    /// `words_each` words in the head (one for elements of dynamic size).
    ///
    /// # Errors
    /// [`Malformed`] when it reaches outside the data, so that no length is believed before the data are there.
    pub fn array(self, index: usize, words_each: usize) -> Result<(usize, Self), Malformed> {
        let tail = self.tuple(index)?;
        let length = tail.length(0)?;
        let elements = tail.0.get(32..).ok_or(Malformed)?;
        let size = length.checked_mul(32 * words_each).ok_or(Malformed)?;
        if size > elements.len() { Err(Malformed) } else { Ok((length, Frame(elements))) }
    }

    /// The elements of an [`array`](Self::array), each as `read` reads it from their frame by its number.
    ///
    /// # Errors
    /// As [`Self::array`], and the first error of `read`.
    pub fn collect<T>(
        self,
        index: usize,
        words_each: usize,
        read: impl Fn(Self, usize) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let (length, elements) = self.array(index, words_each)?;
        // The data are there, so no length takes more room than in proportion to them. A loop, because collecting an
        // iterator of results takes twice the code.
        let mut items = Vec::with_capacity(length);
        for element in 0..length {
            items.push(read(elements, element)?);
        }
        Ok(items)
    }

    /// The array of words whose offset is at `index`.
    ///
    /// # Errors
    /// As [`Self::array`].
    pub fn words(self, index: usize) -> Result<Vec<B256>, Malformed> {
        self.collect(index, 1, Self::word)
    }

    fn length(self, index: usize) -> Result<usize, Malformed> {
        usize::try_from(self.uint64(index)?).map_err(|_| Malformed)
    }
}

/// The address in a word, when its upper 96 bits are clear.
pub fn address_of(word: B256) -> Option<Address> {
    is_zero(&word[..12]).then(|| Address::from_word(word))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Words written one after the other. Offsets are the caller's to compute.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts without a selector, with room for `words` words.
    pub fn new(words: usize) -> Self {
        Self(Vec::with_capacity(32 * words))
    }

    /// Starts call data of the function with this selector, with room for `words` words.
    pub fn call(selector: [u8; 4], words: usize) -> Self {
        let mut data = Vec::with_capacity(4 + 32 * words);
        data.extend_from_slice(&selector);
        Self(data)
    }

    /// Appends a word.
    pub fn word(mut self, word: B256) -> Self {
        self.0.extend_from_slice(word.as_slice());
        self
    }

    /// Appends an address, left-padded.
    pub fn address(self, address: Address) -> Self {
        self.word(address.into_word())
    }

    /// Appends a number.
    pub fn uint(self, number: U256) -> Self {
        self.word(number.into())
    }

    /// Appends a number of at most 64 bits.
    pub fn uint64(self, number: u64) -> Self {
        let mut word = B256::ZERO;
        word[24..].copy_from_slice(&number.to_be_bytes());
        self.word(word)
    }

    /// Appends an offset or a length.
    pub fn size(self, size: usize) -> Self {
        self.uint64(size as u64)
    }

    /// Appends the length of `bytes`, the bytes, and zeroes up to the next word.
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut this = self.size(bytes.len());
        this.0.extend_from_slice(bytes);
        this.0.resize(this.0.len() + padded(bytes.len()) - bytes.len(), 0);
        this
    }

    /// Appends an array of `bytes`: its length, an offset for each item, then the items.
    pub fn bytes_array<T: AsRef<[u8]>>(self, items: &[T]) -> Self {
        let mut this = self.size(items.len());
        let mut offset = 32 * items.len();
        for item in items {
            this = this.size(offset);
            offset += 32 + padded(item.as_ref().len());
        }
        for item in items {
            this = this.bytes(item.as_ref());
        }
        this
    }

    /// The words written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The finished bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// `length` rounded up to whole words.
pub const fn padded(length: usize) -> usize {
    length.div_ceil(32) * 32
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U256};
    use alloy_sol_types::SolValue;

    use super::*;

    #[test]
    fn reads_what_the_standard_codec_writes() {
        let value = (
            7_u64,
            Address::repeat_byte(1),
            true,
            Bytes::from_static(b"metalayer"),
            alloc::vec![B256::repeat_byte(2), B256::repeat_byte(3)],
        );
        let data = value.abi_encode_params();
        let frame = Frame(&data);
        assert_eq!(frame.uint64(0), Ok(7));
        assert_eq!(frame.address(1), Ok(Address::repeat_byte(1)));
        assert_eq!(frame.boolean(2), Ok(true));
        assert_eq!(frame.bytes(3), Ok(&b"metalayer"[..]));
        assert_eq!(frame.words(4), Ok(value.4));
    }

    #[test]
    fn writes_what_the_standard_codec_reads() {
        let items = [Bytes::from_static(b""), Bytes::from_static(&[9; 33])];
        let data = Writer::new(8).size(32).bytes_array(&items).finish();
        assert_eq!(<alloc::vec::Vec<Bytes>>::abi_decode_validate(&data), Ok(items.to_vec()));
        assert_eq!(data, items.to_vec().abi_encode());
    }

    #[test]
    fn refuses_values_out_of_range() {
        let dirty = B256::repeat_byte(0xff);
        let frame = Frame(dirty.as_slice());
        assert_eq!(frame.uint64(0), Err(Malformed));
        assert_eq!(frame.uint32(0), Err(Malformed));
        assert_eq!(frame.boolean(0), Err(Malformed));
        assert_eq!(frame.address(0), Err(Malformed));
        assert_eq!(frame.uint_of(0, 255), Err(Malformed));
        assert_eq!(frame.uint_of(0, 256), Ok(U256::MAX));
        let two = U256::from(2).to_be_bytes::<32>();
        assert_eq!(Frame(&two).boolean(0), Err(Malformed));
    }

    #[test]
    fn refuses_what_reaches_outside_the_data() {
        assert_eq!(Frame(&[0; 31]).word(0), Err(Malformed));
        let data = Writer::new(2).size(32).size(1).finish();
        assert_eq!(Frame(&data).bytes(0), Err(Malformed));
        assert!(Frame(&data).array(0, 1).is_err());
        let far = Writer::new(1).size(33).finish();
        assert!(Frame(&far).tuple(0).is_err());
        let huge = Writer::new(2).size(32).uint64(u64::MAX).finish();
        assert!(Frame(&huge).array(0, 2).is_err());
        assert!(Frame(&huge).words(0).is_err());
    }
}
