//! What the workspace depends on, as cargo resolves it.

use std::{collections::BTreeSet, process::Command};

use eyre::{WrapErr, ensure};
use serde::Deserialize;

use crate::{direction, licences, remark};

/// The answer of `cargo metadata`, as far as it is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
}

/// One package of the dependency graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The SPDX expression of its licence.
    pub(crate) license: Option<String>,
    /// Where it comes from; nothing for a path.
    pub(crate) source: Option<String>,
    /// Its manifest.
    pub(crate) manifest_path: String,
    /// What it asks for.
    pub(crate) dependencies: Vec<Dependency>,
}

/// One edge out of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package depended on.
    pub(crate) name: String,
    kind: Option<String>,
}

impl Metadata {
    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages of others.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| !self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// What the package itself depends on, tests and build scripts aside.
    pub(crate) fn normal_dependencies(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none())
            .map(|dependency| dependency.name.as_str())
    }
}

/// Checks direction, licences and registries; every fault is reported.
pub(crate) fn check() -> eyre::Result<()> {
    let metadata = read()?;
    let mut faults = direction::faults(&metadata);
    faults.extend(licences::faults(&metadata)?);
    ensure!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    remark(&format!(
        "{} crates of ours and {} of others: direction, licences and registries are in order",
        metadata.members().count(),
        metadata.foreign().count()
    ));
    Ok(())
}

fn read() -> eyre::Result<Metadata> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .wrap_err("cannot run cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {complaint}");
    serde_json::from_slice(&output.stdout).wrap_err("cannot read the answer of cargo metadata")
}
