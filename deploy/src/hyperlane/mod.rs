//! Hyperlane's own core contracts, as published on npm.
//!
//! The package is fetched once with the machine's own `npm pack` (no script of it runs, nothing is installed), its sha512 is
//! compared with `hyperlane.lock.json`, the creation codes are cut out of it as text and kept in the user's cache folder.
//! Whatever the source (package, cache, or a folder given by `--hyperlane-dir`) each code is compared with the lock by
//! keccak256 before it is used.

mod lock;
mod package;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy::{
    hex,
    primitives::{B256, Bytes, keccak256},
};

pub use self::lock::{Entry, Lock};

/// A contract of the package that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are Hyperlane's and OpenZeppelin's")]
pub enum Contract {
    Mailbox,
    MerkleTreeHook,
    InterchainGasPaymaster,
    StorageGasOracle,
    ValidatorAnnounce,
    StaticMessageIdMultisigIsmFactory,
    StaticMerkleRootMultisigIsmFactory,
    StaticAggregationIsmFactory,
    StaticAggregationHookFactory,
    DomainRoutingIsmFactory,
    StorageMessageIdMultisigIsm,
    StaticMessageIdWeightedMultisigIsmFactory,
    ProxyAdmin,
    TransparentUpgradeableProxy,
    TimelockController,
    TestRecipient,
    PausableIsm,
    NoopIsm,
    TrustedRelayerIsm,
    ProtocolFee,
}

impl Contract {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Mailbox,
        Self::MerkleTreeHook,
        Self::InterchainGasPaymaster,
        Self::StorageGasOracle,
        Self::ValidatorAnnounce,
        Self::StaticMessageIdMultisigIsmFactory,
        Self::StaticMerkleRootMultisigIsmFactory,
        Self::StaticAggregationIsmFactory,
        Self::StaticAggregationHookFactory,
        Self::DomainRoutingIsmFactory,
        Self::StorageMessageIdMultisigIsm,
        Self::StaticMessageIdWeightedMultisigIsmFactory,
        Self::ProxyAdmin,
        Self::TransparentUpgradeableProxy,
        Self::TimelockController,
        Self::TestRecipient,
        Self::PausableIsm,
        Self::NoopIsm,
        Self::TrustedRelayerIsm,
        Self::ProtocolFee,
    ];

    /// Its name in the package.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mailbox => "Mailbox",
            Self::MerkleTreeHook => "MerkleTreeHook",
            Self::InterchainGasPaymaster => "InterchainGasPaymaster",
            Self::StorageGasOracle => "StorageGasOracle",
            Self::ValidatorAnnounce => "ValidatorAnnounce",
            Self::StaticMessageIdMultisigIsmFactory => "StaticMessageIdMultisigIsmFactory",
            Self::StaticMerkleRootMultisigIsmFactory => "StaticMerkleRootMultisigIsmFactory",
            Self::StaticAggregationIsmFactory => "StaticAggregationIsmFactory",
            Self::StaticAggregationHookFactory => "StaticAggregationHookFactory",
            Self::DomainRoutingIsmFactory => "DomainRoutingIsmFactory",
            Self::StorageMessageIdMultisigIsm => "StorageMessageIdMultisigIsm",
            Self::StaticMessageIdWeightedMultisigIsmFactory => {
                "StaticMessageIdWeightedMultisigIsmFactory"
            }
            Self::ProxyAdmin => "ProxyAdmin",
            Self::TransparentUpgradeableProxy => "TransparentUpgradeableProxy",
            Self::TimelockController => "TimelockController",
            Self::TestRecipient => "TestRecipient",
            Self::PausableIsm => "PausableIsm",
            Self::NoopIsm => "NoopIsm",
            Self::TrustedRelayerIsm => "TrustedRelayerIsm",
            Self::ProtocolFee => "ProtocolFee",
        }
    }
}

/// Creation codes of every [`Contract`], checked.
#[derive(Clone, Debug)]
pub struct Artifacts {
    version: String,
    codes: BTreeMap<Contract, Bytes>,
}

/// The published code cannot be had, or is not what the lock says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lock file of this program is damaged.
    #[error("hyperlane.lock.json: {detail}")]
    Lock {
        /// What is wrong.
        detail: String,
    },
    /// There is no cache folder for this user.
    #[error("this user has no cache folder: name one with --hyperlane-dir or XDG_CACHE_HOME")]
    NoCacheFolder,
    /// A file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A tool that fetches or unpacks the package failed.
    #[error("`{command}` failed: {detail} (a machine without network takes --hyperlane-dir)")]
    Tool {
        /// The command.
        command: String,
        /// What it said.
        detail: String,
    },
    /// The package is not the one that was pinned.
    #[error("{path}: integrity {given}, the lock says {expected}")]
    Integrity {
        /// The package.
        path: PathBuf,
        /// Of the lock.
        expected: String,
        /// Of the file.
        given: String,
    },
    /// A factory of the package holds no creation code.
    #[error("{path} holds no creation code")]
    NoBytecode {
        /// The factory.
        path: PathBuf,
    },
    /// The creation code is not the one that was pinned.
    #[error("{contract}: creation code {given}, the lock says {expected}")]
    Code {
        /// The contract.
        contract: &'static str,
        /// Of the lock.
        expected: B256,
        /// Of what was found.
        given: B256,
    },
}

impl Artifacts {
    /// The codes from `folder` (the package itself, unpacked, or as the `.tgz` that `npm pack` makes), or without one from
    /// the user's cache, which is filled from npm when it is empty. Blocks while it reads, and fetches at most once.
    pub fn load_or_fetch(folder: Option<&Path>) -> Result<Self, Error> {
        let lock = Lock::embedded()?;
        let codes = match folder {
            Some(folder) => package::read_folder(&lock, folder)?,
            None => package::read_cache(&lock)?,
        };
        Ok(Self { version: lock.version, codes })
    }

    /// Version of the package.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Creation code, without constructor arguments.
    pub fn creation_code(&self, contract: Contract) -> Bytes {
        self.codes.get(&contract).cloned().unwrap_or_default()
    }
}

/// Reads a code as text and compares it with the lock.
fn checked(lock: &Lock, contract: Contract, text: &str) -> Result<Bytes, Error> {
    let code: Bytes = hex::decode(text.trim()).unwrap_or_default().into();
    let given = keccak256(&code);
    let expected = lock.entry(contract)?.keccak256;
    if given == expected {
        Ok(code)
    } else {
        Err(Error::Code { contract: contract.name(), expected, given })
    }
}
