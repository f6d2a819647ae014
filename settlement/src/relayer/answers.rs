//! What modules said of a message, remembered while it waits for signatures: it is looked at several times a second.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use parking_lot::Mutex;
use protocol::ids::MailboxMessageId;

/// How long an answer is remembered.
const TTL: Duration = Duration::from_secs(10);
/// Most answers that are remembered.
const MOST: usize = 4_096;

/// Answers of one kind, by module and message.
#[derive(Debug)]
pub(super) struct Answers<T>(Mutex<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    answers: HashMap<(Address, MailboxMessageId), (Instant, T)>,
    /// When the old ones were last thrown away.
    swept: Instant,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { answers: HashMap::new(), swept: Instant::now() }))
    }
}

impl<T: Clone> Answers<T> {
    pub(super) fn get(&self, module: Address, id: MailboxMessageId) -> Option<T> {
        let known = self.0.lock();
        let (since, answer) = known.answers.get(&(module, id))?;
        (since.elapsed() < TTL).then(|| answer.clone())
    }

    pub(super) fn keep(&self, module: Address, id: MailboxMessageId, answer: T) {
        let mut known = self.0.lock();
        if known.swept.elapsed() > TTL {
            known.answers.retain(|_, (since, _)| since.elapsed() < TTL);
            known.swept = Instant::now();
        }
        if known.answers.len() >= MOST {
            known.answers.clear();
        }
        known.answers.insert((module, id), (Instant::now(), answer));
    }

    pub(super) fn forget(&self, id: MailboxMessageId) {
        self.0.lock().answers.retain(|(_, known), _| *known != id);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    #[test]
    fn answers_are_of_one_module_and_one_message_and_bounded() {
        let id =
            |number: usize| MailboxMessageId(B256::from(alloy::primitives::U256::from(number)));
        let (one, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let answers = Answers::default();
        answers.keep(one, id(1), 11);
        answers.keep(other, id(1), 21);
        answers.keep(one, id(2), 12);
        assert_eq!((answers.get(one, id(1)), answers.get(other, id(2))), (Some(11), None));
        answers.forget(id(1));
        assert_eq!((answers.get(other, id(1)), answers.get(one, id(2))), (None, Some(12)));
        for number in 0..2 * MOST {
            answers.keep(one, id(number), number);
        }
        assert!(answers.0.lock().answers.len() <= MOST);
        assert_eq!(answers.get(one, id(2 * MOST - 1)), Some(2 * MOST - 1));
    }
}
