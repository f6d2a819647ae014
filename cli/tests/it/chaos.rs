use serde_json::Value;

use crate::binary::{free_base, metalayer};

/// Set to any value for the long form: ten minutes at 20 transfers a second.
const LONG: &str = "METALAYER_LONG";

#[test]
fn nothing_is_lost_while_roles_are_killed_under_load() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let port_base = free_base()?.to_string();
    let (minutes, rate) =
        if std::env::var_os(LONG).is_some() { ("10", "20") } else { ("0.2", "4") };
    let picture = home.path().join("memory.svg");
    let output = metalayer(&["soak", "--minutes", minutes, "--rate", rate, "--json"], home.path())
        .args(["--chains", "2", "--kill", "3s", "--port-base", &port_base])
        .arg("--picture")
        .arg(&picture)
        .output()?;

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| eyre::eyre!("{error}: {}\n{told}", output.status))?;
    let count = |key: &str| report[key].as_u64().unwrap_or_default();
    assert!(count("kills") >= 2, "{report}");
    assert!(count("published") > 10, "{report}");
    assert_eq!(count("published"), count("claimed") + count("refunded"), "{report}\n{told}");
    assert_eq!(report["invariants"]["broken"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(output.status.success(), "{report}\n{told}");
    assert!(std::fs::read_to_string(picture)?.contains("<svg"), "no picture");
    Ok(())
}
