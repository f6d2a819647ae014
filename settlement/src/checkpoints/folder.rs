//! A validator's folder on the local file system: the side that writes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::format::{
    self, ANNOUNCEMENT, LATEST_INDEX, METADATA, Malformed, REORG_FLAG, ReorgFlag,
    SignedAnnouncement, SignedCheckpoint,
};

/// A file system that refuses, or a file that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// What it answered.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {source}")]
    Malformed {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        source: Malformed,
    },
    /// Another process writes to this folder.
    #[error("{path} is in use by another process: one key signs in one process only")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
}

/// One validator's folder for one chain and one tier. Only one process may hold it open.
///
/// Every write is atomic (a temporary file, fsync, rename) and the folder is synced before a write
/// returns, so that a reader never sees half a file and a crash never loses a published one.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    // Held for its lock, which the operating system drops with the process.
    _lease: File,
}

impl Folder {
    /// Opens the folder, creating it when absent, and takes its lease.
    ///
    /// # Errors
    /// [`FolderError::InUse`] when another process holds it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|source| io_error(&path, source))?;
        let lock = path.join(".lease");
        let lease = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|source| io_error(&lock, source))?;
        match lease.try_lock() {
            Ok(()) => Ok(Self { path, _lease: lease }),
            Err(fs::TryLockError::WouldBlock) => Err(FolderError::InUse { path: lock }),
            Err(fs::TryLockError::Error(source)) => Err(io_error(&lock, source)),
        }
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes checkpoints, then raises the latest index to `latest`.
    ///
    /// # Errors
    /// [`FolderError::Io`]: nothing or a part was published, and the index was not raised.
    pub fn publish(&self, checkpoints: &[SignedCheckpoint]) -> Result<(), FolderError> {
        let Some(last) = checkpoints.iter().map(|signed| signed.checkpoint.index).max() else {
            return Ok(());
        };
        for signed in checkpoints {
            let name = format::checkpoint_name(signed.checkpoint.index);
            let bytes = signed.to_json().map_err(|source| self.malformed(&name, source))?;
            self.write_unsynced(&name, &bytes)?;
        }
        self.sync()?;
        service::crash_point!("validator.publish.files");
        if self.latest_index()?.is_none_or(|index| index < last) {
            self.set_latest_index(last)?;
        }
        Ok(())
    }

    /// The highest published index, `None` before the first.
    ///
    /// # Errors
    /// When the file is there but not a decimal.
    pub fn latest_index(&self) -> Result<Option<u32>, FolderError> {
        self.read(LATEST_INDEX)?
            .map(|bytes| {
                format::parse_index(&bytes).map_err(|source| self.malformed(LATEST_INDEX, source))
            })
            .transpose()
    }

    /// The checkpoint published at `index`.
    ///
    /// # Errors
    /// When the file is there but not a signed checkpoint.
    pub fn checkpoint(&self, index: u32) -> Result<Option<SignedCheckpoint>, FolderError> {
        let name = format::checkpoint_name(index);
        self.read(&name)?
            .map(|bytes| {
                SignedCheckpoint::from_json(&bytes).map_err(|source| self.malformed(&name, source))
            })
            .transpose()
    }

    /// Takes back every checkpoint above `kept` (all, when `None`): the index is lowered first, so a
    /// reader that follows it never asks for a file that is about to go.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn truncate(&self, kept: Option<u32>) -> Result<(), FolderError> {
        let Some(latest) = self.latest_index()? else { return Ok(()) };
        let first = match kept {
            Some(kept) if kept >= latest => return Ok(()),
            Some(kept) => {
                self.set_latest_index(kept)?;
                kept.saturating_add(1)
            }
            None => {
                self.remove(LATEST_INDEX)?;
                0
            }
        };
        for index in first..=latest {
            self.remove(&format::checkpoint_name(index))?;
        }
        self.sync()
    }

    /// Writes the signed announcement.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn write_announcement(&self, announcement: &SignedAnnouncement) -> Result<(), FolderError> {
        let bytes =
            announcement.to_json().map_err(|source| self.malformed(ANNOUNCEMENT, source))?;
        self.write(ANNOUNCEMENT, &bytes)
    }

    /// Writes the file that names the agent's version.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn write_metadata(&self, version: &str) -> Result<(), FolderError> {
        let metadata = serde_json::json!({ "git_sha": version });
        let bytes = serde_json::to_vec_pretty(&metadata)
            .map_err(|source| self.malformed(METADATA, source.into()))?;
        self.write(METADATA, &bytes)
    }

    /// Raises the flag that halts this validator and every official relayer.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn raise_reorg_flag(&self, flag: &ReorgFlag) -> Result<(), FolderError> {
        let bytes = serde_json::to_vec_pretty(flag)
            .map_err(|source| self.malformed(REORG_FLAG, source.into()))?;
        self.write(REORG_FLAG, &bytes)
    }

    /// Whether the reorg flag is up. Its content does not matter, only that it exists.
    pub fn has_reorg_flag(&self) -> bool {
        self.path.join(REORG_FLAG).exists()
    }

    /// Keeps what had been signed at `index` before a reorg of the fast tier. Evidence of an earlier
    /// reorg at the same index stays: the list grows.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn keep_evidence(
        &self,
        index: u32,
        evidence: serde_json::Value,
    ) -> Result<(), FolderError> {
        let name = format::evidence_name(index);
        let wrong = |source: serde_json::Error| self.malformed(&name, source.into());
        let mut entries: Vec<serde_json::Value> = match self.read(&name)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(wrong)?,
            None => Vec::new(),
        };
        if !entries.contains(&evidence) {
            entries.push(evidence);
        }
        let bytes = serde_json::to_vec_pretty(&entries).map_err(wrong)?;
        self.write(&name, &bytes)
    }

    /// Writes that everything up to `index` is published, without the files.
    pub(crate) fn claim_published(&self, index: u32) -> Result<(), FolderError> {
        self.set_latest_index(index)
    }

    fn set_latest_index(&self, index: u32) -> Result<(), FolderError> {
        self.write(LATEST_INDEX, index.to_string().as_bytes())
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error(&path, source)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        self.write_unsynced(name, bytes)?;
        self.sync()
    }

    /// Writes a file atomically; the new name is durable only after [`Folder::sync`].
    fn write_unsynced(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(name);
        let temporary = self.path.join(format!(".{name}.tmp"));
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|source| io_error(&path, source))
    }

    fn remove(&self, name: &str) -> Result<(), FolderError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(io_error(&path, source)),
        }
    }

    fn sync(&self) -> Result<(), FolderError> {
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| io_error(&self.path, source))
    }

    fn malformed(&self, name: &str, source: Malformed) -> FolderError {
        FolderError::Malformed { path: self.path.join(name), source }
    }
}

fn io_error(path: &Path, source: io::Error) -> FolderError {
    FolderError::Io { path: path.to_path_buf(), source }
}
