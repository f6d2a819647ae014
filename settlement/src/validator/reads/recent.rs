//! What is known of the messages that were met last, in bounded memory.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use protocol::ids::MailboxMessageId;

/// Most messages that are remembered.
const CAPACITY: usize = 10_000;

/// Something about each of the last messages.
#[derive(Debug)]
pub(super) struct Recent<V>(Mutex<Entries<V>>);

#[derive(Debug)]
struct Entries<V> {
    known: HashMap<MailboxMessageId, V>,
    order: VecDeque<MailboxMessageId>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self(Mutex::new(Entries { known: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<V: Copy> Recent<V> {
    pub(super) fn get(&self, id: MailboxMessageId) -> Option<V> {
        self.0.lock().known.get(&id).copied()
    }

    /// Remembers it, in the place of the oldest when there are too many.
    pub(super) fn insert(&self, id: MailboxMessageId, value: V) {
        let mut entries = self.0.lock();
        if entries.known.insert(id, value).is_some() {
            return;
        }
        entries.order.push_back(id);
        if entries.order.len() > CAPACITY
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, U256};

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_for_the_newest() {
        let id = |number| MailboxMessageId(B256::from(U256::from(number)));
        let recent = Recent::default();
        for number in 0..CAPACITY + 10 {
            recent.insert(id(number), number);
        }
        recent.insert(id(10), 1);
        assert_eq!(recent.get(id(9)), None);
        assert_eq!(recent.get(id(10)), Some(1));
        assert_eq!(recent.get(id(CAPACITY + 9)), Some(CAPACITY + 9));
    }
}
