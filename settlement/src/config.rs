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

/// A key reference that may be left out, as [`KeySource`] reads them, or `env:` and `file:` references to
/// a raw key. What was given is never repeated; relative paths are meant from the folder of the file.
pub(crate) fn key(section: &mut Section<'_>, name: &str) -> Option<KeySource> {
    let reference = section.optional_secret(name)?;
    match reference.expose().parse::<KeySource>() {
        Ok(source) => Some(source.within(section.folder())),
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
