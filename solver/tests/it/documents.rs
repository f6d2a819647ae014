//! Alert rules and dashboard ask only for metrics that the solver records.

use std::{collections::BTreeSet, fs, path::Path};

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

/// Every word that begins like a metric of ours.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("solver_"))
        .collect()
}

#[test]
fn every_alert_has_an_entry_in_the_run_book() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations/solver");
    let rules = fs::read_to_string(folder.join("alerts.yaml")).unwrap();
    let book = fs::read_to_string(folder.join("README.md")).unwrap();
    let alerts: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    for alert in alerts {
        assert!(book.contains(&format!("| {alert} |")), "{alert} is not in the run book");
    }
}

/// The metrics whose rise the rules ask for.
fn watched(rules: &str) -> BTreeSet<&str> {
    let asked = rules.split("increase(").skip(1).chain(rules.split("rate(").skip(1));
    asked.filter_map(|rest| metrics(rest.split(['{', '[']).next()?).pop_first()).collect()
}

#[test]
fn every_counter_of_the_rules_begins_at_zero() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = fs::read_to_string(root.join("../docs/operations/solver/alerts.yaml")).unwrap();
    let code = fs::read_to_string(root.join("src/counters.rs")).unwrap();
    let begun = metrics(&code);
    let watched = watched(&rules);
    assert!(watched.len() >= 8, "{watched:?}");
    let missing: Vec<_> = watched.difference(&begun).collect();
    assert!(missing.is_empty(), "{missing:?} come into being with their first event");
}

#[test]
fn every_metric_of_the_operators_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    let recorded = metrics(&code);
    for name in ["alerts.yaml", "dashboard.json", "README.md"] {
        let path = root.join("../docs/operations/solver").join(name);
        let document = fs::read_to_string(path).unwrap();
        let asked = metrics(&document);
        assert!(!asked.is_empty(), "{name} names no metric");
        let missing: Vec<_> = asked.difference(&recorded).collect();
        assert!(missing.is_empty(), "{name} asks for {missing:?}");
    }
}
