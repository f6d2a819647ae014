//! The JSON files of `vectors/`, or of the folder named by `VECTORS_DIR`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::Value;

/// Checks one case; the second argument is the file it stands in.
pub(crate) type Check = fn(&Value, &Value);

/// A folder of vectors.
pub(crate) struct Folder {
    path: PathBuf,
    is_own: bool,
    files: Vec<Value>,
}

impl Folder {
    pub(crate) fn open() -> Self {
        let other = env::var_os("VECTORS_DIR").map(PathBuf::from);
        let is_own = other.is_none();
        let path = other.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"));
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|name| name.extension().is_some_and(|extension| extension == "json"));
        names.sort();
        let files = names
            .iter()
            .map(|name| serde_json::from_slice(&fs::read(name).unwrap()).unwrap())
            .collect();
        Self { path, is_own, files }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether these are the project's own vectors, in which no section may be missing.
    pub(crate) const fn is_own(&self) -> bool {
        self.is_own
    }

    /// The files that have a section.
    pub(crate) fn files_with<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a Value> {
        self.files.iter().filter(move |file| file.pointer(section).is_some())
    }

    /// Checks every case of a section in every file; returns how many there were.
    pub(crate) fn each(&self, section: &str, check: Check) -> usize {
        let mut count = 0;
        for file in self.files_with(section) {
            let found = &file[section.split('/').nth(1).unwrap()];
            let found = section.split('/').nth(2).map_or(found, |inner| &found[inner]);
            let cases = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
            for case in cases {
                check(case, file);
            }
            count += cases.len();
        }
        count
    }
}

/// Reads a field, and names it when it is not what it should be.
pub(crate) trait Field {
    fn text(&self, key: &str) -> &str;
    fn bytes(&self, key: &str) -> Bytes {
        self.text(key).parse().unwrap()
    }
    fn word(&self, key: &str) -> B256 {
        self.text(key).parse().unwrap()
    }
    fn address(&self, key: &str) -> Address {
        self.text(key).parse().unwrap()
    }
    fn uint(&self, key: &str) -> U256;
    fn number(&self, key: &str) -> u64 {
        self.uint(key).to()
    }
    fn list(&self, key: &str) -> &[Value];
}

impl Field for Value {
    fn text(&self, key: &str) -> &str {
        self[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {self}"))
    }

    fn uint(&self, key: &str) -> U256 {
        match &self[key] {
            Self::String(text) => text.parse().unwrap(),
            Self::Number(number) => U256::from(number.as_u64().unwrap()),
            other => panic!("{key} is no number: {other}"),
        }
    }

    fn list(&self, key: &str) -> &[Value] {
        self[key].as_array().unwrap_or_else(|| panic!("{key} is no list in {self}"))
    }
}
