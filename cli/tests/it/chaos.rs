use serde_json::Value;

use crate::binary::{free_base, metalayer};

/// Set to any value for the long form: ten minutes instead of one.
const LONG: &str = "METALAYER_LONG";
/// Transfers a second.
const RATE: &str = "20";

#[test]
fn nothing_is_lost_while_roles_are_killed_under_load() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let port_base = free_base()?.to_string();
    let minutes = if std::env::var_os(LONG).is_some() { "10" } else { "1" };
    let picture = home.path().join("memory.svg");
    let output = metalayer(&["soak", "--minutes", minutes, "--rate", RATE, "--json"], home.path())
        .args(["--chains", "2", "--kill", "3s", "--port-base", &port_base])
        .arg("--picture")
        .arg(&picture)
        .output()?;

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| eyre::eyre!("{error}: {}\n{told}", output.status))?;
    let count = |key: &str| report[key].as_u64().unwrap_or_default();
    assert!(count("kills") >= 10, "{report}");
    assert!(count("published") > 200, "{report}");
    assert_eq!(count("published"), count("claimed") + count("refunded"), "{report}\n{told}");
    assert_eq!(report["invariants"]["broken"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(output.status.success(), "{report}\n{told}");
    assert!(std::fs::read_to_string(picture)?.contains("<svg"), "no picture");
    Ok(())
}
