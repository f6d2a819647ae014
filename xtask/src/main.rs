//! `cargo xtask`: what keeps the project in order, for people and for `.ci/run` alike.

mod dependencies;
mod direction;
mod licences;
mod links;
mod programs;
mod tests;

use std::{io::Write, process::ExitCode};

use eyre::bail;

const USAGE: &str = "usage: cargo xtask <command>

  test [ARGS]   run every test; ARGS go to the test runner
  dependencies  check who may depend on whom, licences and registries
  links         check that links between the documents lead somewhere
  programs      build the on-chain programs in two folders and compare them
  sizes         show the size of every on-chain program";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            remark(&format!("error: {report:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> eyre::Result<()> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments),
    };
    match command {
        "test" => tests::run(rest),
        "dependencies" => dependencies::check(),
        "links" => links::check(),
        "programs" => programs::compare(),
        "sizes" => programs::sizes(),
        "help" | "--help" | "-h" => {
            remark(USAGE);
            Ok(())
        }
        other => bail!("no command {other:?}\n{USAGE}"),
    }
}

/// Writes a line to stderr.
fn remark(text: &str) {
    // A closed stderr is no reason to stop working.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
