//! A chain's log on disk: one JSON record a line, only ever appended.
//!
//! The first line says which chain the file is of; every other line is a block with the state it
//! changed, an edit, or a rollback. A process that is killed leaves at most one unfinished last
//! line, which the next start cuts off: everything before it was acknowledged as it stands.
//!
//! The log is never compacted, with a bounded history neither: it grows with each block and each
//! transaction, and a start reads all of it. A chain for weeks of load is better started anew, from a
//! dump of its state.

mod dump;
mod record;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use alloy::primitives::B256;
pub(crate) use dump::{dump, restore};
pub(crate) use record::Record;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{block::Ledger, config::ChainConfig, state::State};

/// Version of the format.
const FORMAT: u32 = 1;

/// Why a chain's log could not be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The log.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is of another chain, or its genesis was made otherwise.
    #[error(
        "{path} holds chain {given_chain} with genesis {given}, expected chain {expected_chain} with genesis {expected}"
    )]
    OtherChain {
        /// The log.
        path: PathBuf,
        /// Chain id in the file.
        given_chain: u64,
        /// Chain id configured.
        expected_chain: u64,
        /// Genesis hash in the file.
        given: B256,
        /// Genesis hash that the configuration makes.
        expected: B256,
    },
    /// A line in the middle of the file is not a record.
    #[error("{path}, line {line}: {reason}")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Preamble {
    format: u32,
    chain_id: u64,
    genesis: B256,
    genesis_timestamp: u64,
}

/// What a log brings back.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    pub(crate) ledger: Ledger,
    pub(crate) forks: u64,
}

/// An open log.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// The genesis timestamp of the chain in `path`, `None` when there is no such file.
    pub(crate) fn genesis_timestamp(path: &Path) -> Result<Option<u64>, Error> {
        let io_error = |source| Error::Io { path: path.into(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(error)),
        };
        let mut line = String::new();
        BufReader::new(file).read_line(&mut line).map_err(io_error)?;
        if !line.ends_with('\n') {
            return Ok(None);
        }
        let preamble: Preamble = parse(path, 1, line.as_bytes())?;
        Ok(Some(preamble.genesis_timestamp))
    }

    /// Opens or makes the log, and applies what it holds on top of `loaded`, a chain at genesis.
    pub(crate) fn open(
        path: &Path,
        mut loaded: Loaded,
        config: &ChainConfig,
    ) -> Result<(Self, Loaded), Error> {
        let io_error = |source| Error::Io { path: path.into(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io_error)?;
        let mut reader = BufReader::new(&file);
        let (mut whole, mut number, mut line) = (0_u64, 0_usize, Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(io_error)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            number += 1;
            if number == 1 {
                check_preamble(path, &parse(path, 1, &line)?, &loaded, config)?;
            } else {
                let record: Record = parse(path, number, &line)?;
                record.apply(&mut loaded).map_err(|reason| Error::Damaged {
                    path: path.into(),
                    line: number,
                    reason,
                })?;
                if let Some(keep) = config.history
                    && let Some(oldest) = loaded.ledger.prune(keep)
                {
                    loaded.state.prune(oldest);
                }
            }
            whole += read as u64;
        }
        file.set_len(whole).map_err(io_error)?;
        file.seek(SeekFrom::End(0)).map_err(io_error)?;
        let mut journal = Self { path: path.into(), file };
        if whole == 0 {
            let genesis = loaded.ledger.head();
            journal.write(&Preamble {
                format: FORMAT,
                chain_id: config.chain_id,
                genesis: genesis.hash,
                genesis_timestamp: genesis.header.timestamp,
            })?;
        }
        Ok((journal, loaded))
    }

    /// Adds a record; it survives this process from then on.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), Error> {
        self.write(record)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let io_error = |source| Error::Io { path: self.path.clone(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| io_error(error.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(io_error)
    }
}

fn check_preamble(
    path: &Path,
    preamble: &Preamble,
    loaded: &Loaded,
    config: &ChainConfig,
) -> Result<(), Error> {
    let expected = loaded.ledger.head().hash;
    if preamble.format != FORMAT {
        let reason = format!("format {}, expected {FORMAT}", preamble.format);
        return Err(Error::Damaged { path: path.into(), line: 1, reason });
    }
    if preamble.chain_id != config.chain_id || preamble.genesis != expected {
        return Err(Error::OtherChain {
            path: path.into(),
            given_chain: preamble.chain_id,
            expected_chain: config.chain_id,
            given: preamble.genesis,
            expected,
        });
    }
    Ok(())
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path, line: usize, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Damaged {
        path: path.into(),
        line,
        reason: error.to_string(),
    })
}
