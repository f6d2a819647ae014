//! Results of a message, kept until the transaction ends.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256};
use parts::{Revert, transient};
use protocol::{
    abi::read_ism::{ReadResultsMissing, ResultsConflict},
    ids::MessageId,
};

/// The results of one message, in transient storage from the message's id on: what was attested (hash), how many words
/// there are to take, and the words.
pub(crate) struct Results(MessageId);

impl Results {
    /// Those of a message.
    pub(crate) const fn of(message: MessageId) -> Self {
        Self(message)
    }

    /// Keeps an answer. The same one again changes nothing.
    ///
    /// # Errors
    /// `ResultsConflict(id)` for another one in the same transaction.
    pub(crate) fn keep(self, hash: B256, answer: impl FnOnce() -> Vec<u8>) -> Result<(), Revert> {
        let kept = transient::load(self.slot(0));
        if kept == hash {
            return Ok(());
        }
        if !kept.is_zero() {
            return Err(ResultsConflict { messageId: self.0.0 }.into());
        }
        let answer = answer();
        let (words, _) = answer.as_chunks::<32>();
        transient::store(self.slot(0), hash);
        transient::store(self.slot(1), B256::from(U256::from(words.len())));
        for (index, word) in words.iter().enumerate() {
            transient::store(self.slot(2 + index), B256::new(*word));
        }
        Ok(())
    }

    /// Gives the answer away, once.
    ///
    /// # Errors
    /// `ReadResultsMissing(id)`.
    pub(crate) fn take(self) -> Result<Vec<u8>, Revert> {
        let count: usize = U256::from_be_bytes(transient::load(self.slot(1)).0).saturating_to();
        if count == 0 {
            return Err(ReadResultsMissing { messageId: self.0.0 }.into());
        }
        transient::store(self.slot(1), B256::ZERO);
        let mut answer = Vec::with_capacity(32 * count);
        for index in 0..count {
            answer.extend_from_slice(transient::load(self.slot(2 + index)).as_slice());
        }
        Ok(answer)
    }

    fn slot(&self, index: usize) -> B256 {
        transient::slot(self.0.0, index)
    }
}
