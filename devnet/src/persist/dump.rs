//! A state in one piece, to take from one chain to another.
//!
//! The form is JSON, as hexadecimal bytes: an object from address to balance, nonce, code and
//! storage.

use std::collections::BTreeMap;

use alloy::primitives::{Address, Bytes, U256};

use crate::{chain::Chain, genesis::Account};

/// Every account of the chain as of now.
///
/// # Errors
/// When it cannot be written as JSON.
pub(crate) fn dump(chain: &Chain) -> Result<Bytes, String> {
    let accounts = {
        let inner = chain.read();
        inner.state.accounts_at(inner.state.latest())
    };
    serde_json::to_vec(&accounts).map(Bytes::from).map_err(|error| error.to_string())
}

/// Sets every account of a dump on top of what the chain holds; accounts that the dump does not
/// name stay.
///
/// # Errors
/// When it is no dump, or the chain cannot be written to disk.
pub(crate) fn restore(chain: &Chain, dump: &[u8]) -> Result<(), String> {
    let accounts: BTreeMap<Address, Account> =
        serde_json::from_slice(dump).map_err(|error| error.to_string())?;
    let result = chain.edit(|inner, changes| {
        let now = inner.state.accounts_at(inner.state.latest());
        for (address, account) in &accounts {
            let old = now.get(address).into_iter().flat_map(|account| account.storage.keys());
            // Slots that the dump leaves out are zero there.
            changes.storage.extend(old.map(|key| ((*address, *key), U256::ZERO)));
            changes.insert_account(*address, account);
        }
    });
    result.map_err(|error| error.to_string())
}
