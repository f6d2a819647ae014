use std::{fs, path::Path};

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use super::ProgramsError;

const FILE_NAME: &str = "index.json";

/// What a folder of programs holds: `index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Hash of every source that the programs were compiled from.
    pub source_hash: B256,
    /// Every program, by name.
    pub programs: Vec<Entry>,
}

/// One program of an [`Index`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of its crate.
    pub name: String,
    /// Bytes of the WASM module.
    pub raw: usize,
    /// Bytes of the on-chain code: prefix and compressed module. Nothing for a faulty program.
    pub compressed: Option<usize>,
    /// Bytes that the on-chain code may have.
    pub limit: usize,
    /// Keccak-256 of the on-chain code. Nothing for a faulty program.
    pub code_hash: Option<B256>,
    /// Rules of activation that the program breaks; none for a good one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Index {
    pub(super) fn read(directory: &Path) -> Result<Self, ProgramsError> {
        let path = directory.join(FILE_NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(source) => return Err(ProgramsError::File { path, source }),
        };
        serde_json::from_slice(&text).map_err(|source| ProgramsError::Index { path, source })
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), ProgramsError> {
        let path = directory.join(FILE_NAME);
        let text = match serde_json::to_vec_pretty(self) {
            Ok(text) => text,
            Err(source) => return Err(ProgramsError::Index { path, source }),
        };
        fs::write(&path, text).map_err(|source| ProgramsError::File { path, source })
    }
}
