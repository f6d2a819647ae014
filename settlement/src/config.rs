//! Keys that the configurations of both roles share.

use std::collections::BTreeMap;

use chain::{KeySource, Manifest};
use protocol::ids::ChainId;
use service::config::{FromToml, Section};

/// The deployment manifest at the path under `manifest`.
pub(crate) fn manifest(section: &mut Section<'_>) -> Option<Manifest> {
    let path = section.path("manifest")?;
    match Manifest::load(&path) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            section.fault("manifest", "a deployment manifest", &error.to_string());
            None
        }
    }
}

/// A key reference, as [`KeySource`] reads them, or `env:` and `file:` references to a raw key. What
/// was given is never repeated.
pub(crate) fn key(section: &mut Section<'_>, name: &str) -> Option<KeySource> {
    let reference = section.optional_secret(name)?;
    match reference.expose().parse() {
        Ok(source) => Some(source),
        Err(_) => {
            let expected = "env:NAME, file:PATH or keystore:PATH?password=env:NAME";
            section.fault(name, expected, "something else");
            None
        }
    }
}

/// Tables by chain id: `[<name>.700001]`.
pub(crate) fn by_chain_id<T: FromToml>(
    section: &mut Section<'_>,
    name: &str,
) -> Option<BTreeMap<ChainId, T>> {
    let mut by_id = BTreeMap::new();
    for (key, value) in section.sections::<T>(name)? {
        match key.parse() {
            Ok(id) => {
                by_id.insert(ChainId(id), value);
            }
            Err(_) => {
                section.fault(&format!("{name}.{key}"), "a chain id", &key);
                return None;
            }
        }
    }
    Some(by_id)
}

/// Several key references; see [`key`]. `env:` and `file:` references are resolved by [`KeySource`].
pub(crate) fn keys(section: &mut Section<'_>, name: &str) -> Option<Vec<KeySource>> {
    let expected = "key references: file:PATH or keystore:PATH?password=env:NAME";
    let texts = section.required_list::<String>(name, expected)?;
    let keys: Option<Vec<KeySource>> = texts.iter().map(|text| text.parse().ok()).collect();
    if keys.is_none() {
        section.fault(name, expected, "something else");
    }
    keys
}
