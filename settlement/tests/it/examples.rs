//! The example configurations are complete and say nothing that is not read.

use std::path::Path;

use settlement::{relayer::RelayerConfig, validator::ValidatorConfig};

/// Copies an example beside a manifest and the key files it names.
fn with_surroundings(example: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    std::fs::copy(source, folder.path().join(example)).unwrap();
    let manifest = serde_json::json!({
        "format": chain::manifest::FORMAT, "metalayer": "0", "hyperlane": null, "chains": {},
    });
    std::fs::write(folder.path().join("manifest.json"), manifest.to_string()).unwrap();
    for key in ["instant.key", "finalized.key"] {
        std::fs::write(folder.path().join(key), format!("0x{}\n", "11".repeat(32))).unwrap();
    }
    folder
}

#[test]
fn the_validators_example_is_read() {
    let folder = with_surroundings("validator.toml");
    let path = folder.path().join("validator.toml");
    let config: ValidatorConfig = service::config::load(&path).unwrap();
    assert_eq!(config.keys.len(), 2);
    assert!(config.storage.starts_with(folder.path()));
}

#[test]
fn the_relayers_example_is_read() {
    let folder = with_surroundings("relayer.toml");
    let path = folder.path().join("relayer.toml");
    let config: RelayerConfig = service::config::load(&path).unwrap();
    assert_eq!(config.signers.len(), 1);
    assert!(!config.fetch.allow_private);
}
