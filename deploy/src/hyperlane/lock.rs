//! What is pinned of the package.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use serde::Deserialize;

use super::{Contract, Error};

/// `hyperlane.lock.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Name on npm.
    pub package: String,
    /// Version.
    pub version: String,
    /// `sha512-<base64>` of the packed package.
    pub integrity: String,
    /// The contracts, by name.
    pub contracts: BTreeMap<String, Entry>,
}

/// One contract of the package.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The factory, inside the package.
    pub file: String,
    /// Length of the creation code.
    pub bytes: usize,
    /// keccak256 of the creation code.
    pub keccak256: B256,
}

impl Lock {
    /// The lock this program was built with.
    pub fn embedded() -> Result<Self, Error> {
        serde_json::from_str(include_str!("../../hyperlane.lock.json"))
            .map_err(|error| Error::Lock { detail: error.to_string() })
    }

    pub(super) fn entry(&self, contract: Contract) -> Result<&Entry, Error> {
        self.contracts
            .get(contract.name())
            .ok_or_else(|| Error::Lock { detail: format!("{} is missing", contract.name()) })
    }
}
