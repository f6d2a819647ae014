//! What is wrong with a configuration file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Every fault found in one configuration file, in the order of reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    file: PathBuf,
    faults: Vec<Fault>,
}

/// One key that is missing, wrong or unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the key from the top of the file, with dots. Empty for the file as a whole.
    pub key: String,
    /// What would have been right.
    pub expected: String,
    /// What stands there instead; a secret is never repeated.
    pub given: String,
}

impl ConfigErrors {
    pub(super) fn new(file: &Path, faults: Vec<Fault>) -> Self {
        Self { file: file.to_owned(), faults }
    }

    pub(super) fn single(file: &Path, expected: &str, given: &str) -> Self {
        let fault =
            Fault { key: String::new(), expected: expected.to_owned(), given: given.to_owned() };
        Self::new(file, vec![fault])
    }

    /// All faults, at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {fault}", self.file.display())?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "expected {}, given {}", self.expected, self.given)
    }
}
