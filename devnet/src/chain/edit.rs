//! Changes from outside of any transaction: what tests arrange.

use alloy::primitives::{Address, B256, Bytes, U256};

use super::{Chain, Error, Inner};
use crate::{
    persist::Record,
    state::{Changes, Holding},
};

impl Chain {
    /// Gives `address` exactly `balance` wei.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn set_balance(&self, address: Address, balance: U256) -> Result<(), Error> {
        self.edit(|inner, changes| {
            let holding = Holding { balance, ..inner.account(address) };
            changes.accounts.insert(address, Some(holding));
        })
    }

    /// Makes `nonce` the next nonce of `address`.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn set_nonce(&self, address: Address, nonce: u64) -> Result<(), Error> {
        self.edit(|inner, changes| {
            let holding = Holding { nonce, ..inner.account(address) };
            changes.accounts.insert(address, Some(holding));
        })
    }

    /// Puts `code` at `address`. A Stylus program put there still has to be activated.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn set_code(&self, address: Address, code: impl Into<Bytes>) -> Result<(), Error> {
        let code = code.into();
        self.edit(|inner, changes| {
            let code_hash = changes.insert_code(&code);
            let account = inner.account(address);
            // EIP-161 would clear a contract without nonce and balance when it is touched.
            let nonce = account.nonce.max(u64::from(!code.is_empty()));
            changes.accounts.insert(address, Some(Holding { nonce, code_hash, ..account }));
        })
    }

    /// Sets a storage slot.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn set_storage(&self, address: Address, slot: U256, value: U256) -> Result<(), Error> {
        self.edit(|_, changes| {
            changes.storage.insert((address, slot), value);
        })
    }

    /// Moves chain time forward: the next block is `seconds` later than it would have been.
    pub fn increase_time(&self, seconds: u64) {
        self.shared.inner.write().time.increase(seconds);
    }

    /// Sets the timestamp of the next block, in Unix seconds.
    ///
    /// # Errors
    /// [`Error::TimestampTooLow`] for a time before the head's.
    pub fn set_next_timestamp(&self, timestamp: u64) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        let previous = inner.ledger.head().header.timestamp;
        if timestamp < previous {
            return Err(Error::TimestampTooLow { given: timestamp, previous });
        }
        inner.time.set_next(timestamp);
        Ok(())
    }

    /// Sets the base fee of the next block and of those after it, in wei per gas.
    pub fn set_base_fee(&self, base_fee: u64) {
        self.shared.inner.write().base_fee = base_fee;
    }

    /// Sets who receives tips.
    pub fn set_coinbase(&self, coinbase: Address) {
        self.shared.inner.write().coinbase = coinbase;
    }

    /// Lets JSON-RPC send from `address` without its key.
    pub fn impersonate(&self, address: Address) {
        self.shared.inner.write().impersonated.insert(address);
    }

    /// Takes [`Self::impersonate`] back.
    pub fn stop_impersonating(&self, address: Address) {
        self.shared.inner.write().impersonated.remove(&address);
    }

    /// Lets JSON-RPC send from any account, or no longer.
    pub(crate) fn impersonate_all(&self, enabled: bool) {
        self.shared.inner.write().impersonates_all = enabled;
    }

    /// Drops a transaction from the pool; false when it was not there.
    pub fn drop_transaction(&self, hash: B256) -> bool {
        self.shared.inner.write().pool.remove(hash)
    }

    /// Empties the pool.
    pub fn drop_all_transactions(&self) {
        self.shared.inner.write().pool.clear();
    }

    /// Commits an edit on top of the head. The head's hash stays; its state is the edited one.
    pub(crate) fn edit(&self, edit: impl FnOnce(&Inner, &mut Changes)) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        let mut changes = Changes::default();
        edit(&inner, &mut changes);
        let version = inner.state.commit(&changes);
        inner.ledger.edited(version);
        inner.record(&Record::edit(&changes))
    }
}
