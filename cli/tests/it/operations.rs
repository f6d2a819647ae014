//! Alert rules, dashboards and run books ask only for metrics that the services record, and explain every alert.

use std::{collections::BTreeSet, fs, path::Path};

use eyre::ensure;

/// What an operator of a role is given, and where its metrics come from.
struct Operations {
    /// Folder below `docs/operations`.
    folder: &'static str,
    rules: &'static str,
    /// How the names of its metrics begin.
    prefixes: &'static [&'static str],
    /// Where the code is that records them.
    sources: &'static [&'static str],
}

const ROLES: [Operations; 3] = [
    Operations {
        folder: "settlement",
        rules: "alerts.yml",
        prefixes: &["hyperlane_", "metalayer_"],
        sources: &["settlement/src"],
    },
    Operations {
        folder: "solver",
        rules: "alerts.yaml",
        prefixes: &["solver_"],
        sources: &["solver/src"],
    },
    // Its own, and those of the parts that read chains.
    Operations {
        folder: "aggregator",
        rules: "alerts.yml",
        prefixes: &["metalayer_aggregator_", "chain_rpc_", "chain_follower_"],
        sources: &["aggregator/src", "crates/chain/src"],
    },
];

impl Operations {
    fn document(&self, name: &str) -> eyre::Result<String> {
        Ok(fs::read_to_string(root().join("docs/operations").join(self.folder).join(name))?)
    }

    /// Every word that begins like a metric.
    fn metrics<'a>(&self, text: &'a str) -> BTreeSet<&'a str> {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| self.prefixes.iter().any(|prefix| word.starts_with(prefix)))
            .collect()
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read_all(folder: &Path, text: &mut String) -> eyre::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, text)?;
        } else {
            text.push_str(&fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn every_alert_has_an_entry_in_its_run_book() -> eyre::Result<()> {
    for role in ROLES {
        let (rules, book) = (role.document(role.rules)?, role.document("README.md")?);
        let alerts: Vec<_> =
            rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        ensure!(alerts.len() >= 8, "{}: {alerts:?}", role.folder);
        for alert in alerts {
            ensure!(book.contains(&format!("| {alert} |")), "{alert} is not in the run book");
        }
    }
    Ok(())
}

#[test]
fn every_metric_of_the_operators_documents_exists() -> eyre::Result<()> {
    for role in ROLES {
        let mut code = String::new();
        for folder in role.sources {
            read_all(&root().join(folder), &mut code)?;
        }
        let recorded = role.metrics(&code);
        for name in [role.rules, "dashboard.json", "README.md"] {
            let document = role.document(name)?;
            let asked = role.metrics(&document);
            ensure!(!asked.is_empty(), "{}/{name} names no metric", role.folder);
            let missing: Vec<_> = asked.difference(&recorded).collect();
            ensure!(missing.is_empty(), "{}/{name} asks for {missing:?}", role.folder);
        }
    }
    Ok(())
}

#[test]
fn every_dashboard_is_json() -> eyre::Result<()> {
    for role in ROLES {
        let dashboard: serde_json::Value = serde_json::from_str(&role.document("dashboard.json")?)?;
        let panels = dashboard["panels"].as_array();
        ensure!(panels.is_some_and(|panels| !panels.is_empty()), "{}", role.folder);
    }
    Ok(())
}

/// The metrics whose rise the rules ask for.
fn watched<'a>(role: &Operations, rules: &'a str) -> BTreeSet<&'a str> {
    let asked = rules.split("increase(").skip(1).chain(rules.split("rate(").skip(1));
    asked.filter_map(|rest| role.metrics(rest.split(['{', '[']).next()?).pop_first()).collect()
}

#[test]
fn every_counter_of_the_solvers_rules_begins_at_zero() -> eyre::Result<()> {
    let [_, solver, _] = ROLES;
    let rules = solver.document(solver.rules)?;
    let code = fs::read_to_string(root().join("solver/src/counters.rs"))?;
    let (watched, begun) = (watched(&solver, &rules), solver.metrics(&code));
    ensure!(watched.len() >= 8, "{watched:?}");
    let missing: Vec<_> = watched.difference(&begun).collect();
    ensure!(missing.is_empty(), "{missing:?} come into being with their first event");
    Ok(())
}
