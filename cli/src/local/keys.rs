//! Whose keys the roles of a system sign with, and how configurations refer to them.

use std::{
    fmt, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, hex},
    signers::local::PrivateKeySigner,
};
use chain::KeySource;
use eyre::WrapErr;

use super::layout::{MNEMONIC, SOLVERS, VALIDATORS};

/// First account of the mnemonic that signs the finalized tier.
const FIRST_FINALIZED: u32 = 1 + VALIDATORS as u32;
/// Account of the mnemonic that the relayer pays with.
const RELAYER: u32 = 7;
/// First account of the mnemonic that a solver pays with.
const FIRST_SOLVER: u32 = 8;
/// First account of the mnemonic that no role uses.
const FIRST_USER: u32 = 10;
/// What binds quotes of a system on development keys, which keeps no secret.
const DEVELOPMENT_INTEGRITY: &str = "a-key-of-the-local-system-and-of-no-other";
/// Name of the file that holds what binds quotes.
const INTEGRITY_FILE: &str = "integrity.key";

/// Somebody who holds a key in the system. Numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A validator operator's key of the instant tier.
    Instant(u16),
    /// A validator operator's key of the finalized tier.
    Finalized(u16),
    /// The relayer.
    Relayer,
    /// A solver.
    Solver(u16),
    /// Somebody who moves money.
    User(u16),
}

impl Holder {
    /// Everybody who runs a part of the system.
    pub fn operators() -> impl Iterator<Item = Self> {
        (0..VALIDATORS)
            .map(Self::Instant)
            .chain((0..VALIDATORS).map(Self::Finalized))
            .chain([Self::Relayer])
            .chain((0..SOLVERS).map(Self::Solver))
    }

    /// Its account of the development mnemonic.
    const fn account(self) -> u32 {
        match self {
            Self::Instant(index) => 1 + index as u32,
            Self::Finalized(index) => FIRST_FINALIZED + index as u32,
            Self::Relayer => RELAYER,
            Self::Solver(index) => FIRST_SOLVER + index as u32,
            Self::User(index) => FIRST_USER + index as u32,
        }
    }

    /// Name of the file that holds its key.
    pub(crate) fn file(self) -> String {
        format!("{self}.key")
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(index) => write!(f, "validator-{}-instant", index + 1),
            Self::Finalized(index) => write!(f, "validator-{}-finalized", index + 1),
            Self::Relayer => f.write_str("relayer"),
            Self::Solver(index) => write!(f, "solver-{}", index + 1),
            Self::User(index) => write!(f, "user-{}", index + 1),
        }
    }
}

/// Where the keys of a system are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyring {
    /// Accounts of the development mnemonic: public, for development chains only.
    Development,
    /// One file each in this folder.
    Files(PathBuf),
}

impl Keyring {
    /// Keys in files of `folder`; those that are missing are made, for their owner's eyes only.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn create(folder: PathBuf, holders: impl Iterator<Item = Holder>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        for name in holders.map(Holder::file).chain([INTEGRITY_FILE.to_owned()]) {
            write_once(&folder.join(name))?;
        }
        Ok(Self::Files(folder))
    }

    /// How a configuration names the key.
    pub fn reference(&self, holder: Holder) -> String {
        match self {
            Self::Development => format!("mnemonic:{}:{MNEMONIC}", holder.account()),
            Self::Files(folder) => format!("file:{}", folder.join(holder.file()).display()),
        }
    }

    /// How a configuration names what binds quotes.
    pub(crate) fn integrity(&self) -> String {
        match self {
            Self::Development => DEVELOPMENT_INTEGRITY.to_owned(),
            Self::Files(folder) => format!("file:{}", folder.join(INTEGRITY_FILE).display()),
        }
    }

    /// The key itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn signer(&self, holder: Holder) -> eyre::Result<PrivateKeySigner> {
        let source: KeySource = self.reference(holder).parse()?;
        source.load().wrap_err_with(|| format!("key of {holder}"))
    }

    /// The account behind the key.
    ///
    /// # Errors
    /// As [`Self::signer`].
    pub fn address(&self, holder: Holder) -> eyre::Result<Address> {
        Ok(self.signer(holder)?.address())
    }
}

/// Writes a new random key, unless the file is there.
pub(super) fn write_once(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            writeln!(file, "{}", hex::encode(PrivateKeySigner::random().to_bytes()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use devnet::genesis::DEV_ADDRESSES;

    use super::*;

    #[test]
    fn development_keys_are_those_of_the_well_known_accounts() {
        let keys = Keyring::Development;
        let accounts: Vec<_> =
            Holder::operators().map(|holder| keys.address(holder).unwrap()).collect();
        assert_eq!(accounts, DEV_ADDRESSES[1..10]);
        assert_eq!(keys.address(Holder::User(0)).unwrap(), DEV_ADDRESSES[10]);
    }

    #[test]
    fn keys_in_files_are_made_once_and_only_for_their_owner() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let create = || Keyring::create(folder.path().to_owned(), Holder::operators()).unwrap();
        let first = create().address(Holder::Relayer).unwrap();
        assert_eq!(create().address(Holder::Relayer).unwrap(), first);
        assert_ne!(create().address(Holder::Solver(0)).unwrap(), first);
        for entry in fs::read_dir(folder.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
}
