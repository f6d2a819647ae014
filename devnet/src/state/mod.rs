//! The accounts and storage of a chain, as of now and as of any earlier version within history.

mod history;
mod view;

use std::collections::{BTreeMap, VecDeque};

use alloy::primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use history::History;
use revm::state::{AccountInfo, Bytecode, EvmState};
use serde::{Deserialize, Serialize};
pub(crate) use view::{BlockHashes, StateView};

use crate::genesis::Account;

/// A point in the life of a [`State`]: each commit (a transaction, or an edit from outside)
/// makes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Version(pub(crate) u64);

/// What an account holds besides storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code_hash: B256,
}

impl Default for Holding {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK256_EMPTY }
    }
}

impl Holding {
    /// An account that EIP-161 treats as absent.
    pub(crate) fn is_empty(&self) -> bool {
        self.balance.is_zero() && self.nonce == 0 && self.is_codeless()
    }

    /// No contract and no program.
    pub(crate) fn is_codeless(&self) -> bool {
        self.code_hash == KECCAK256_EMPTY
    }
}

/// New values of accounts, storage slots and code, in key order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// `None` removes the account.
    pub(crate) accounts: BTreeMap<Address, Option<Holding>>,
    pub(crate) storage: BTreeMap<(Address, U256), U256>,
    pub(crate) codes: BTreeMap<B256, Bytes>,
}

impl Changes {
    /// What executing one transaction changed.
    pub(crate) fn of_execution(state: EvmState) -> Self {
        let mut changes = Self::default();
        for (address, account) in state {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                // Since EIP-6780 only a contract created in this transaction is removed: nothing
                // of its storage was ever committed.
                changes.accounts.insert(address, None);
                continue;
            }
            let AccountInfo { balance, nonce, code_hash, code, .. } = account.info;
            let holding = Holding { balance, nonce, code_hash };
            changes.accounts.insert(address, (!holding.is_empty()).then_some(holding));
            if let Some(code) = code
                && code_hash != KECCAK256_EMPTY
            {
                changes.codes.insert(code_hash, code.original_bytes());
            }
            for (key, slot) in account.storage {
                if slot.is_changed() {
                    changes.storage.insert((address, key), slot.present_value);
                }
            }
        }
        changes
    }

    /// Sets everything of a genesis account.
    pub(crate) fn insert_account(&mut self, address: Address, account: &Account) {
        let code_hash = self.insert_code(&account.code);
        let holding = Holding { balance: account.balance, nonce: account.nonce, code_hash };
        self.accounts.insert(address, Some(holding));
        self.storage.extend(account.storage.iter().map(|(key, value)| ((address, *key), *value)));
    }

    /// Adds `code` and returns its hash.
    pub(crate) fn insert_code(&mut self, code: &Bytes) -> B256 {
        if code.is_empty() {
            return KECCAK256_EMPTY;
        }
        let hash = keccak256(code);
        self.codes.insert(hash, code.clone());
        hash
    }

    /// A digest of the changes, chained onto `previous`: the commitment that headers carry as
    /// their state root.
    pub(crate) fn digest(&self, previous: B256) -> B256 {
        let mut bytes = Vec::with_capacity(32 + 92 * self.accounts.len() + 84 * self.storage.len());
        bytes.extend(previous);
        for (address, holding) in &self.accounts {
            bytes.extend(address);
            let holding = holding.unwrap_or_default();
            bytes.extend(holding.balance.to_be_bytes::<32>());
            bytes.extend(holding.nonce.to_be_bytes());
            bytes.extend(holding.code_hash);
        }
        for ((address, key), value) in &self.storage {
            bytes.extend(address);
            bytes.extend(key.to_be_bytes::<32>());
            bytes.extend(value.to_be_bytes::<32>());
        }
        keccak256(bytes)
    }
}

/// Which keys a version touched.
#[derive(Debug)]
struct Touched {
    accounts: Vec<Address>,
    storage: Vec<(Address, U256)>,
}

/// Accounts, storage and code with their past.
#[derive(Debug, Default)]
pub(crate) struct State {
    accounts: AddressMap<History<Option<Holding>>>,
    storage: AddressMap<HashMap<U256, History<U256>>>,
    codes: B256Map<Bytecode>,
    /// What each version touched, oldest first, ending with the latest.
    journal: VecDeque<Touched>,
    latest: Version,
}

impl State {
    /// The version that the last commit made.
    pub(crate) const fn latest(&self) -> Version {
        self.latest
    }

    /// The oldest version that can still be read.
    pub(crate) fn oldest(&self) -> Version {
        Version(self.latest.0.saturating_sub(self.journal.len() as u64))
    }

    /// Makes `changes` the next version.
    pub(crate) fn commit(&mut self, changes: &Changes) -> Version {
        self.latest.0 += 1;
        let version = self.latest;
        for (hash, code) in &changes.codes {
            self.codes.entry(*hash).or_insert_with(|| Bytecode::new_raw(code.clone()));
        }
        for (address, holding) in &changes.accounts {
            self.accounts.entry(*address).or_default().push(version, *holding);
        }
        for ((address, key), value) in &changes.storage {
            let slots = self.storage.entry(*address).or_default();
            slots.entry(*key).or_default().push(version, *value);
        }
        self.journal.push_back(Touched {
            accounts: changes.accounts.keys().copied().collect(),
            storage: changes.storage.keys().copied().collect(),
        });
        version
    }

    /// Forgets every version after `version`.
    pub(crate) fn rollback(&mut self, version: Version) {
        while self.latest > version {
            let Some(touched) = self.journal.pop_back() else { break };
            self.latest.0 -= 1;
            for address in touched.accounts {
                if let Some(history) = self.accounts.get_mut(&address) {
                    history.truncate(self.latest);
                    if history.is_empty() {
                        self.accounts.remove(&address);
                    }
                }
            }
            for (address, key) in touched.storage {
                if let Some(slots) = self.storage.get_mut(&address)
                    && let Some(history) = slots.get_mut(&key)
                {
                    history.truncate(self.latest);
                    if history.is_empty() {
                        slots.remove(&key);
                    }
                }
            }
        }
    }

    /// Makes versions before `version` unreadable and frees what only they needed.
    pub(crate) fn prune(&mut self, version: Version) {
        while self.oldest() < version {
            let Some(touched) = self.journal.pop_front() else { break };
            let oldest = self.oldest();
            for address in touched.accounts {
                if let Some(history) = self.accounts.get_mut(&address)
                    && history.forget_before(oldest, &None)
                {
                    self.accounts.remove(&address);
                }
            }
            for (address, key) in touched.storage {
                if let Some(slots) = self.storage.get_mut(&address)
                    && let Some(history) = slots.get_mut(&key)
                    && history.forget_before(oldest, &U256::ZERO)
                {
                    slots.remove(&key);
                }
            }
        }
    }

    /// The account at `version`; `None` when it does not exist.
    pub(crate) fn account(&self, address: Address, version: Version) -> Option<Holding> {
        self.accounts.get(&address)?.at(version).copied().flatten()
    }

    /// A storage slot at `version`, zero when never set.
    pub(crate) fn slot(&self, address: Address, key: U256, version: Version) -> U256 {
        let slot = self.storage.get(&address).and_then(|slots| slots.get(&key)?.at(version));
        slot.copied().unwrap_or_default()
    }

    /// Code by its hash, empty when unknown.
    pub(crate) fn code(&self, hash: B256) -> Bytecode {
        self.codes.get(&hash).cloned().unwrap_or_default()
    }

    /// Every account that exists at `version`, with its storage, in address order.
    pub(crate) fn accounts_at(&self, version: Version) -> BTreeMap<Address, Account> {
        let mut accounts = BTreeMap::new();
        for (address, history) in &self.accounts {
            let Some(holding) = history.at(version).copied().flatten() else { continue };
            let storage = self.storage.get(address).map(|slots| {
                let slots = slots.iter().map(|(key, history)| (*key, history.at(version)));
                slots
                    .filter_map(|(key, value)| Some((key, *value?)))
                    .filter(|(_, value)| !value.is_zero())
                    .collect()
            });
            accounts.insert(
                *address,
                Account {
                    balance: holding.balance,
                    nonce: holding.nonce,
                    code: self.code(holding.code_hash).original_bytes(),
                    storage: storage.unwrap_or_default(),
                },
            );
        }
        accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_slot(value: u64) -> Changes {
        let mut changes = Changes::default();
        changes.storage.insert((Address::ZERO, U256::ZERO), U256::from(value));
        changes.accounts.insert(
            Address::ZERO,
            Some(Holding { balance: U256::from(value), ..Holding::default() }),
        );
        changes
    }

    fn read(state: &State, version: u64) -> (u64, u64) {
        let version = Version(version);
        let balance = state.account(Address::ZERO, version).unwrap_or_default().balance;
        (state.slot(Address::ZERO, U256::ZERO, version).to(), balance.to())
    }

    #[test]
    fn every_version_reads_its_own_value() {
        let mut state = State::default();
        for value in 1..=3 {
            state.commit(&with_slot(value * 10));
        }
        assert_eq!([0, 1, 2, 3].map(|v| read(&state, v).0), [0, 10, 20, 30]);
        assert_eq!([0, 1, 2, 3].map(|v| read(&state, v).1), [0, 10, 20, 30]);
    }

    #[test]
    fn rollback_restores_the_older_version() {
        let mut state = State::default();
        state.commit(&with_slot(10));
        state.commit(&with_slot(20));
        state.rollback(Version(1));
        assert_eq!((state.latest(), read(&state, 1)), (Version(1), (10, 10)));
        state.rollback(Version(0));
        assert!(state.accounts.is_empty());
    }

    #[test]
    fn prune_keeps_what_later_versions_read() {
        let mut state = State::default();
        for value in [10, 20, 0, 40] {
            state.commit(&with_slot(value));
        }
        state.prune(Version(2));
        assert_eq!(
            (state.oldest(), read(&state, 2), read(&state, 4)),
            (Version(2), (20, 20), (40, 40))
        );
        assert_eq!(read(&state, 3), (0, 0));
    }
}
