//! One table of a configuration file, read key by key.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use toml::{Table, Value};

use super::{Environment, Fault, FromToml};
use crate::secret::Secret;

const DURATION: &str = "a duration such as \"250ms\" or \"1h\"";

/// A table under reading. Each accessor records its fault and lets reading go on.
pub struct Section<'a> {
    table: &'a Table,
    path: String,
    known: BTreeSet<String>,
    faults: &'a RefCell<Vec<Fault>>,
    directory: &'a Path,
    env: Environment<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn root(
        table: &'a Table,
        faults: &'a RefCell<Vec<Fault>>,
        directory: &'a Path,
        env: Environment<'a>,
    ) -> Self {
        Self { table, path: String::new(), known: BTreeSet::new(), faults, directory, env }
    }

    /// The last part of this section's own key: the chain id in `[chains.700001]`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The folder that holds the file: relative paths are meant from there.
    pub fn folder(&self) -> &'a Path {
        self.directory
    }

    /// Whether `key` stands in this section, as a scalar or as a table.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The names of all keys, for tables whose keys are the user's own.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.table.keys().map(String::as_str)
    }

    /// A scalar that must be there. `expected` completes "expected …" in the fault.
    pub fn required<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<T> {
        if !self.has(key) {
            self.fault(key, expected, "nothing");
        }
        self.optional(key, expected)
    }

    /// A scalar that may be left out; `None` as well when it is faulty, which is recorded.
    pub fn optional<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<T> {
        let value = self.value(key)?;
        self.scalar(key, value, expected)
    }

    /// A scalar with a default; also the default when it is faulty, which is recorded.
    pub fn or_default<T: FromStr>(&mut self, key: &str, default: T, expected: &str) -> T {
        self.optional(key, expected).unwrap_or(default)
    }

    /// A list of scalars; empty when left out.
    pub fn list<T: FromStr>(&mut self, key: &str, expected: &str) -> Vec<T> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(|item| self.scalar(key, item, expected)).collect()
            }
            Some(other) => {
                self.fault(key, &format!("a list of {expected}"), &shown(other));
                Vec::new()
            }
        }
    }

    /// A list of scalars that holds at least one.
    pub fn required_list<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<Vec<T>> {
        let faults_before = self.faults.borrow().len();
        let items = self.list(key, expected);
        if items.is_empty() && self.faults.borrow().len() == faults_before {
            self.fault(key, &format!("a list of {expected}, at least one"), "nothing");
        }
        (!items.is_empty()).then_some(items)
    }

    /// A duration in human units, such as `"250ms"`.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.required::<humantime::Duration>(key, DURATION).map(Into::into)
    }

    /// A duration in human units, with a default.
    pub fn duration_or(&mut self, key: &str, default: Duration) -> Duration {
        self.optional::<humantime::Duration>(key, DURATION).map_or(default, Into::into)
    }

    /// A path, resolved against the folder that holds the file.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.required::<PathBuf>(key, "a path").map(|path| self.directory.join(path))
    }

    /// A path that may be left out, resolved against the folder that holds the file.
    pub fn optional_path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional::<PathBuf>(key, "a path").map(|path| self.directory.join(path))
    }

    /// A secret that must be there: `"env:NAME"`, `"file:PATH"`, or the secret itself (for local
    /// systems only). A file's surrounding white space is dropped.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        if !self.has(key) {
            self.fault(key, "a secret: \"env:NAME\" or \"file:PATH\"", "nothing");
        }
        self.optional_secret(key)
    }

    /// A secret that may be left out; see [`Self::secret`].
    pub fn optional_secret(&mut self, key: &str) -> Option<Secret> {
        let value = self.value(key)?;
        let Value::String(text) = value else {
            self.fault(key, "a secret: \"env:NAME\" or \"file:PATH\"", "a value of another type");
            return None;
        };
        if let Some(path) = text.strip_prefix("file:") {
            let path = self.directory.join(path);
            return match std::fs::read_to_string(&path) {
                Ok(content) => Some(Secret::new(content.trim())),
                Err(error) => {
                    self.fault(key, "a readable file", &format!("{}: {error}", path.display()));
                    None
                }
            };
        }
        self.resolved(key, text, "a secret").map(Secret::new)
    }

    /// A table that must be there.
    pub fn section<T: FromToml>(&mut self, key: &str) -> Option<T> {
        if !self.has(key) {
            // Reading an empty table reports what is missing inside, not only that it is missing.
            let empty = Table::new();
            let faults_before = self.faults.borrow().len();
            let value = self.child(key, &empty);
            if value.is_none() && self.faults.borrow().len() == faults_before {
                self.fault(key, "a table", "nothing");
            }
            return value;
        }
        self.optional_section(key)
    }

    /// A table that may be left out; `None` as well when it is faulty, which is recorded.
    pub fn optional_section<T: FromToml>(&mut self, key: &str) -> Option<T> {
        match self.value(key)? {
            Value::Table(table) => self.child(key, table),
            other => {
                self.fault(key, "a table", &shown(other));
                None
            }
        }
    }

    /// A table of tables, keyed by name: `[chains.700001]`. Empty when left out, `None` when one
    /// of them is faulty.
    pub fn sections<T: FromToml>(&mut self, key: &str) -> Option<BTreeMap<String, T>> {
        match self.value(key) {
            None => Some(BTreeMap::new()),
            Some(Value::Table(tables)) => {
                let read: Vec<_> = tables
                    .iter()
                    .map(|(name, value)| (name, self.named(&format!("{key}.{name}"), value)))
                    .collect();
                read.into_iter().map(|(name, value)| Some((name.clone(), value?))).collect()
            }
            Some(other) => {
                self.fault(key, "a table of tables", &shown(other));
                None
            }
        }
    }

    /// A list of tables: `[[sources]]`. Empty when left out, `None` when one of them is faulty.
    pub fn tables<T: FromToml>(&mut self, key: &str) -> Option<Vec<T>> {
        match self.value(key) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => {
                let read: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| self.named(&format!("{key}.{index}"), value))
                    .collect();
                read.into_iter().collect()
            }
            Some(other) => {
                self.fault(key, "a list of tables", &shown(other));
                None
            }
        }
    }

    /// Records a fault of `key` that only the caller can see, such as two keys at odds.
    pub fn fault(&mut self, key: &str, expected: &str, given: &str) {
        self.known.insert(key.to_owned());
        self.faults.borrow_mut().push(Fault {
            key: self.full(key),
            expected: expected.to_owned(),
            given: given.to_owned(),
        });
    }

    pub(super) fn refuse_unknown_keys(&mut self) {
        let unknown: Vec<_> =
            self.table.keys().filter(|key| !self.known.contains(*key)).cloned().collect();
        let known: Vec<_> = self.known.iter().map(String::as_str).collect();
        let expected = format!("one of {}", known.join(", "));
        for key in unknown {
            self.fault(&key, &expected, "an unknown key");
        }
    }

    fn value(&mut self, key: &str) -> Option<&'a Value> {
        self.known.insert(key.to_owned());
        self.table.get(key)
    }

    fn scalar<T: FromStr>(&mut self, key: &str, value: &Value, expected: &str) -> Option<T> {
        let text = match value {
            Value::String(text) => self.resolved(key, text, expected)?,
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other @ (Value::Datetime(_) | Value::Array(_) | Value::Table(_)) => {
                self.fault(key, expected, &shown(other));
                return None;
            }
        };
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                self.fault(key, expected, &shown(value));
                None
            }
        }
    }

    /// The text itself, or the value of the environment variable it refers to.
    fn resolved(&mut self, key: &str, text: &str, expected: &str) -> Option<String> {
        let Some(name) = text.strip_prefix("env:") else { return Some(text.to_owned()) };
        let value = (self.env)(name);
        if value.is_none() {
            let given = format!("\"env:{name}\", and {name} is not set in the environment");
            self.fault(key, expected, &given);
        }
        value
    }

    fn named<T: FromToml>(&mut self, key: &str, value: &'a Value) -> Option<T> {
        match value {
            Value::Table(table) => self.child(key, table),
            other => {
                self.fault(key, "a table", &shown(other));
                None
            }
        }
    }

    fn child<T: FromToml>(&mut self, key: &str, table: &Table) -> Option<T> {
        let mut child = Section {
            table,
            path: self.full(key),
            known: BTreeSet::new(),
            faults: self.faults,
            directory: self.directory,
            env: self.env,
        };
        let value = T::from_toml(&mut child);
        child.refuse_unknown_keys();
        value
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl fmt::Debug for Section<'_> {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section").field("path", &self.path).finish_non_exhaustive()
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        scalar => scalar.to_string(),
    }
}
