//! Licences and origins of what we depend on, after the lists in `deny.toml`.

use std::fs;

use eyre::WrapErr;
use serde::Deserialize;

use crate::dependencies::Metadata;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// `deny.toml`, as far as it is used here.
#[derive(Debug, Deserialize)]
struct Deny {
    licenses: Licences,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// One crate that may have further licences.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Every foreign crate with a licence or a registry that `deny.toml` does not allow.
pub(crate) fn faults(metadata: &Metadata) -> eyre::Result<Vec<String>> {
    let text = fs::read_to_string("deny.toml").wrap_err("deny.toml")?;
    let deny: Deny = toml::from_str(&text).wrap_err("deny.toml")?;
    let mut faults = Vec::new();
    for package in metadata.foreign() {
        let (name, version) = (&package.name, &package.version);
        let further = deny.licenses.exceptions.iter().filter(|exception| exception.name == *name);
        let allowed: Vec<_> = further
            .flat_map(|exception| &exception.allow)
            .chain(&deny.licenses.allow)
            .map(String::as_str)
            .collect();
        match &package.license {
            Some(expression) if is_satisfied(expression, &allowed) => {}
            other => faults.push(format!("{name} {version}: licence {other:?} is not allowed")),
        }
        if package.source.as_deref() != Some(REGISTRY) {
            faults.push(format!("{name} {version}: comes from {:?}", package.source));
        }
    }
    Ok(faults)
}

/// Whether an SPDX expression can be met with the allowed licences. The old form with a slash
/// means OR.
fn is_satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<_> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    parser.either() && parser.tokens.is_empty()
}

/// Recursive descent over what is left of the expression.
struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl Parser<'_> {
    fn either(&mut self) -> bool {
        let mut met = self.all();
        while self.take("OR") {
            // Both sides are read whatever the first says.
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.either();
            return self.take(")") && met;
        }
        let Some((licence, rest)) = self.tokens.split_first() else { return false };
        self.tokens = rest;
        if self.take("WITH") {
            let Some((exception, rest)) = self.tokens.split_first() else { return false };
            self.tokens = rest;
            return self.allowed.contains(&format!("{licence} WITH {exception}").as_str())
                || self.allowed.contains(licence);
        }
        self.allowed.contains(licence)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if *first == word => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_as_spdx_says() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for met in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_satisfied(met, &allowed), "{met}");
        }
        for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT", "", "MIT OR"] {
            let lenient = unmet == "MIT OR";
            assert_eq!(is_satisfied(unmet, &allowed), lenient, "{unmet}");
        }
    }
}
