//! The tests: every one of them, in the release profile that everything else shares.

use std::process::{Command, Stdio};

use eyre::{WrapErr, ensure};
use stylus_program::Programs;

use crate::remark;

/// Builds the programs, runs the tests with nextest when it is installed and with `cargo test`
/// otherwise, then the examples in the documentation.
pub(crate) fn run(arguments: &[String]) -> eyre::Result<()> {
    Programs::load_or_build()?;
    if has_nextest() {
        cargo(&["nextest", "run", "--release"], arguments)?;
        // nextest does not run examples; cargo test does, and has done so in the other branch.
        return if arguments.is_empty() {
            cargo(&["test", "--release", "--doc"], &[])
        } else {
            Ok(())
        };
    }
    remark("cargo-nextest is not installed; using cargo test");
    cargo(&["test", "--release"], arguments)
}

fn has_nextest() -> bool {
    let probe = Command::new("cargo")
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    probe.is_ok_and(|status| status.success())
}

fn cargo(command: &[&str], arguments: &[String]) -> eyre::Result<()> {
    let status = Command::new("cargo")
        .args(command)
        .args(arguments)
        .status()
        .wrap_err("cannot run cargo")?;
    ensure!(status.success(), "cargo {} failed ({status})", command.join(" "));
    Ok(())
}
