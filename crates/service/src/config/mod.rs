//! Configuration files: TOML in, typed values out, every fault reported at once.
//!
//! A type describes its own section by implementing [`FromToml`] on top of [`Section`]. Reading
//! goes on after a fault, so that one edit mends all of them. Any scalar may be written as
//! `"env:NAME"`, which stands for the value of that environment variable.
//!
//! ```
//! use service::config::{FromToml, Section, parse};
//!
//! #[derive(Debug)]
//! struct Limits {
//!     per_second: u32,
//! }
//!
//! impl FromToml for Limits {
//!     fn from_toml(section: &mut Section<'_>) -> Option<Self> {
//!         Some(Self { per_second: section.required("per_second", "requests a second, 1 or more")? })
//!     }
//! }
//!
//! let faults = parse::<Limits>("per_second = \"many\"\nburst = 3").unwrap_err();
//! assert_eq!(faults.faults().len(), 2); // the value, and the unknown key
//! ```

mod fault;
mod section;

use std::{cell::RefCell, path::Path};

pub use fault::{ConfigErrors, Fault};
pub use section::Section;

/// A value that is read from one table of a configuration file.
pub trait FromToml: Sized {
    /// Reads the value, or records every fault of the section and returns `None`.
    ///
    /// Read all keys before the first `?`, so that one run reports all faults.
    fn from_toml(section: &mut Section<'_>) -> Option<Self>;
}

/// Reads the configuration file at `path`.
///
/// # Errors
/// [`ConfigErrors`] with every fault: an unreadable or malformed file, a missing, wrong or unknown
/// key, an environment variable that is not set.
pub fn load<T: FromToml>(path: &Path) -> Result<T, ConfigErrors> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return Err(ConfigErrors::single(path, "a readable TOML file", &error.to_string()));
        }
    };
    read(path, &text, &|name| std::env::var(name).ok())
}

/// Reads a configuration held in memory; faults name the file `<memory>`.
///
/// # Errors
/// As [`load`].
pub fn parse<T: FromToml>(text: &str) -> Result<T, ConfigErrors> {
    read(Path::new("<memory>"), text, &|name| std::env::var(name).ok())
}

/// Looks an environment variable up; tests pass their own, since the real one is process-wide.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

fn read<T: FromToml>(path: &Path, text: &str, env: Environment<'_>) -> Result<T, ConfigErrors> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            return Err(ConfigErrors::single(path, "TOML", &syntax_fault(text, &error)));
        }
    };
    let faults = RefCell::new(Vec::new());
    let directory = path.parent().unwrap_or(Path::new(""));
    let value = {
        let mut root = Section::root(&table, &faults, directory, env);
        let value = T::from_toml(&mut root);
        root.refuse_unknown_keys();
        value
    };
    match (value, faults.into_inner()) {
        (Some(value), faults) if faults.is_empty() => Ok(value),
        (_, faults) => Err(ConfigErrors::new(path, faults)),
    }
}

/// The parser's message with its line, without the excerpt of the file (it may hold a secret).
fn syntax_fault(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

    use super::*;
    use crate::secret::Secret;

    #[derive(Debug)]
    struct Example {
        listen: SocketAddr,
        rate: u32,
        every: Duration,
        key: Secret,
        names: Vec<String>,
        chains: BTreeMap<String, Chain>,
    }

    #[derive(Debug)]
    struct Chain {
        rpc: url::Url,
        depth: Option<u64>,
    }

    impl FromToml for Chain {
        fn from_toml(section: &mut Section<'_>) -> Option<Self> {
            let rpc = section.required("rpc", "a URL");
            let depth = section.optional("depth", "a number of blocks");
            Some(Self { rpc: rpc?, depth })
        }
    }

    impl FromToml for Example {
        fn from_toml(section: &mut Section<'_>) -> Option<Self> {
            let listen = section.required("listen", "an address with a port");
            let rate = section.or_default("rate", 20, "requests a second");
            let every = section.duration_or("every", Duration::from_secs(1));
            let key = section.secret("key");
            let names = section.list("names", "names");
            let chains = section.sections("chains");
            Some(Self { listen: listen?, rate, every, key: key?, names, chains: chains? })
        }
    }

    fn env(name: &str) -> Option<String> {
        (name == "LISTEN").then(|| "127.0.0.1:80".to_owned())
    }

    #[test]
    fn a_complete_file_is_read_with_defaults_and_references() {
        let text = r#"
            listen = "env:LISTEN"
            every = "250ms"
            key = "0xabc"
            names = ["a", "b"]
            [chains.700001]
            rpc = "http://localhost:8545"
            depth = 3
            [chains.700002]
            rpc = "http://localhost:8546"
        "#;
        let example: Example = read(Path::new("x.toml"), text, &env).unwrap();
        assert_eq!(example.listen.port(), 80);
        assert_eq!(example.rate, 20);
        assert_eq!(example.every, Duration::from_millis(250));
        assert_eq!(example.key.expose(), "0xabc");
        assert_eq!(example.names, ["a", "b"]);
        assert_eq!(example.chains["700001"].depth, Some(3));
        assert_eq!(example.chains["700002"].rpc.port(), Some(8546));
    }

    #[test]
    fn every_fault_is_reported_with_file_key_given_and_expected() {
        let text = r#"
            listen = "env:ABSENT"
            rate = "lots"
            ever = "1s"
            key = 5
            [chains.1]
            rpc = "not a url"
            deep = 3
        "#;
        let errors = read::<Example>(Path::new("x.toml"), text, &env).unwrap_err();
        let report = errors.to_string();
        let keys: Vec<_> = errors.faults().iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["listen", "rate", "key", "chains.1.rpc", "chains.1.deep", "ever"]);
        assert!(report.contains("x.toml: listen: expected an address with a port"), "{report}");
        assert!(report.contains("ABSENT"), "{report}");
        assert!(report.contains("given \"lots\""), "{report}");
    }

    #[test]
    fn a_syntax_fault_never_shows_the_line() {
        let errors = read::<Example>(Path::new("x.toml"), "a = 1\nkey = 0xsecret", &env);
        let report = errors.unwrap_err().to_string();
        assert!(report.contains("line 2"), "{report}");
        assert!(!report.contains("secret"), "{report}");
    }
}
