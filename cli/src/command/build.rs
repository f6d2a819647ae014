use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;
use stylus_program::{Entry, Programs, Source};

use crate::{Output, output::Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// Use the programs in this folder instead of compiling them.
    #[arg(long, value_name = "DIR", env = stylus_program::PROGRAMS_VARIABLE)]
    programs: Option<PathBuf>,

    /// Only make ready what `cargo stylus` needs: the build recipe in contracts/.cargo/config.toml,
    /// and a target folder.
    #[arg(long, conflicts_with = "programs")]
    cargo_stylus: bool,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    programs: &'a [Entry],
}

impl Build {
    pub(super) fn run(self, output: Output) -> eyre::Result<ExitCode> {
        if self.cargo_stylus {
            return prepare_cargo_stylus(output);
        }
        let programs = match &self.programs {
            Some(directory) => Programs::load(directory)?,
            None => Programs::build(&Source::find()?)?,
        };
        let entries = &programs.index().programs;
        output.result(&Report { programs: entries }, table(entries))?;
        for entry in entries {
            for fault in &entry.faults {
                Output::remark(format_args!("{}: {fault}", entry.name));
            }
        }
        let is_good = entries.iter().all(|entry| entry.faults.is_empty());
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(["program", "wasm", "code", "limit", "used", "code hash", "chain"]);
    for entry in entries {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.row([
            entry.name.clone(),
            entry.raw.to_string(),
            shown(entry.compressed.map(|size| size.to_string())),
            entry.limit.to_string(),
            shown(entry.compressed.map(|size| format!("{} %", size * 100 / entry.limit))),
            shown(entry.code_hash.map(|hash| hash.to_string())),
            if entry.faults.is_empty() { "accepts" } else { "refuses" }.to_owned(),
        ]);
    }
    table
}

/// `cargo stylus` cannot pass `--config`: cargo reads a file for builds inside `contracts/`.
fn prepare_cargo_stylus(output: Output) -> eyre::Result<ExitCode> {
    #[derive(Serialize)]
    struct Prepared<'a> {
        target: &'a Path,
    }

    let target = Source::find()?.prepare_cargo_stylus()?;
    output.result(&Prepared { target: &target }, target.display())?;
    Output::remark(
        "run cargo stylus inside contracts/<program> with RUSTC_BOOTSTRAP=1 and this CARGO_TARGET_DIR",
    );
    Ok(ExitCode::SUCCESS)
}
