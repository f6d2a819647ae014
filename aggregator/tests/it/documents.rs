//! Alert rules, dashboard and run book ask only for metrics that the aggregator records.

use std::{collections::BTreeSet, fs, path::Path};

/// How the names of its metrics begin: its own, and those of the parts that read chains.
const PREFIXES: [&str; 3] = ["metalayer_aggregator_", "chain_rpc_", "chain_follower_"];

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Every word that begins like a metric.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

fn document(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations/aggregator");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn every_alert_has_an_entry_in_the_run_book() {
    let (rules, book) = (document("alerts.yml"), document("README.md"));
    let alerts: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        assert!(book.contains(&format!("| {alert} |")), "{alert} is not in the run book");
    }
}

#[test]
fn every_metric_of_the_operators_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "../crates/chain/src"] {
        sources(&root.join(folder), &mut code);
    }
    let recorded = metrics(&code);
    for name in ["alerts.yml", "dashboard.json", "README.md"] {
        let document = document(name);
        let asked = metrics(&document);
        assert!(!asked.is_empty(), "{name} names no metric");
        let missing: Vec<_> = asked.difference(&recorded).collect();
        assert!(missing.is_empty(), "{name} asks for {missing:?}");
    }
}

#[test]
fn the_dashboard_is_json() {
    let dashboard: serde_json::Value = serde_json::from_str(&document("dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| !panels.is_empty()));
}
