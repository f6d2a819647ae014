//! The on-chain programs: the same bytes wherever they are built, and how large they are.

use std::{fs, io::Write, path::Path, process::Command};

use eyre::{WrapErr, bail, ensure};
use stylus_program::{Index, Programs, Source};

use crate::remark;

/// Builds the workspace's programs here and again from a copy in another folder; a difference is
/// an error.
pub(crate) fn compare() -> eyre::Result<()> {
    let source = Source::find()?;
    let here = Programs::build(&source)?;
    // Another depth and another name, so that a path of any length would show.
    let folder = tempfile::Builder::new().prefix("second-folder-").tempdir()?;
    let root = folder.path().join("nested/copy");
    copy_tracked(source.root(), &root)?;
    let target = root.join("target");
    let there = Programs::build(&Source::at(root).with_target(target))?;

    let different = differences(here.index(), there.index());
    if !different.is_empty() {
        bail!("programs differ between two folders: {}", different.join(", "));
    }
    remark(&format!("{} programs, the same bytes in both folders", here.index().programs.len()));
    Ok(())
}

/// Writes a line a program: its sizes and the share of the limit.
pub(crate) fn sizes() -> eyre::Result<()> {
    let programs = Programs::load_or_build()?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{:<16} {:>8} {:>8} {:>8}", "program", "wasm", "code", "limit")?;
    let mut refused = Vec::new();
    for entry in &programs.index().programs {
        let (raw, compressed) = (entry.raw, entry.compressed.unwrap_or_default());
        writeln!(stdout, "{:<16} {raw:>8} {compressed:>8} {:>8}", entry.name, entry.limit)?;
        refused.extend(entry.faults.iter().map(|fault| format!("{}: {fault}", entry.name)));
    }
    ensure!(refused.is_empty(), "a chain would refuse\n{}", refused.join("\n"));
    Ok(())
}

fn differences(here: &Index, there: &Index) -> Vec<String> {
    let hash = |index: &Index, name: &str| {
        let entry = index.programs.iter().find(|entry| entry.name == name);
        entry.map(|entry| entry.code_hash)
    };
    let names = here.programs.iter().chain(&there.programs).map(|entry| entry.name.clone());
    let mut names: Vec<_> = names.filter(|name| hash(here, name) != hash(there, name)).collect();
    names.sort();
    names.dedup();
    names
}

/// Copies the files that git knows, as they are in the working tree.
fn copy_tracked(from: &Path, to: &Path) -> eyre::Result<()> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(from)
        .output()
        .wrap_err("cannot run git")?;
    ensure!(listing.status.success(), "git ls-files failed ({})", listing.status);
    for name in String::from_utf8(listing.stdout)?.split_terminator('\0') {
        let source = from.join(name);
        if !source.is_file() {
            continue;
        }
        let copy = to.join(name);
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&source, &copy).wrap_err_with(|| source.display().to_string())?;
    }
    Ok(())
}
