use std::{io, process::ExitCode};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Args;

#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell: bash, zsh, fish, elvish or powershell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> eyre::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Args::command(), "metalayer", &mut script);
        io::Write::write_all(&mut io::stdout().lock(), &script)?;
        Ok(ExitCode::SUCCESS)
    }
}
