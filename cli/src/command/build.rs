use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use eyre::WrapErr;
use serde::Serialize;
use stylus_program::{Entry, Programs, Source};

use crate::{Output, output::Table};

#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// Use the programs in this folder instead of compiling them.
    #[arg(long, value_name = "DIR", env = stylus_program::PROGRAMS_VARIABLE)]
    programs: Option<PathBuf>,

    /// Only write the build recipe where `cargo stylus` reads it: contracts/.cargo/config.toml.
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
            return write_recipe(output);
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

/// `cargo stylus` cannot pass `--config`; cargo reads this file for builds inside `contracts/`.
fn write_recipe(output: Output) -> eyre::Result<ExitCode> {
    #[derive(Serialize)]
    struct Written<'a> {
        recipe: &'a Path,
    }

    let source = Source::find()?;
    let path = source.root().join("contracts/.cargo/config.toml");
    let recipe = fs::read_to_string(source.recipe())
        .wrap_err_with(|| source.recipe().display().to_string())?;
    fs::create_dir_all(source.root().join("contracts/.cargo"))
        .and_then(|()| fs::write(&path, recipe))
        .wrap_err_with(|| path.display().to_string())?;
    output.result(&Written { recipe: &path }, path.display())?;
    Output::remark("run cargo stylus inside contracts/<program> with RUSTC_BOOTSTRAP=1 set");
    Ok(ExitCode::SUCCESS)
}
