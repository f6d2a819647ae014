//! The page about deployments, walked through in a folder of its own.

use std::{fs, io::Write, path::PathBuf};

use eyre::OptionExt;
use tempfile::TempDir;

use super::{
    is_name,
    page::{self, Form, Shown},
};
use crate::binary::{Running, free_base, metalayer};

/// The configuration that the reader copies and adds to.
const CONFIG: &str = "deploy.toml";
/// What `apply` writes beside it.
const MANIFEST: &str = "manifest.json";
/// The chain that is added.
const NEW: &str = "gamma";
/// Ports of the development chains, as the page and the example have them.
const PORTS: std::ops::Range<u16> = 8_545..8_548;

/// A folder, the chains, and a reader who does what the page says.
pub(super) struct Walk {
    folder: TempDir,
    port_base: u16,
    chains: Option<Running>,
}

impl Walk {
    pub(super) fn new() -> eyre::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, port_base: free_base()?, chains: None })
    }

    /// Does what is shown: starts chains, copies, adds to the configuration, runs a command to its end.
    pub(super) fn step(&mut self, shown: &Shown) -> eyre::Result<()> {
        if shown.form == Form::Configuration {
            return self.write(CONFIG, &format!("\n{}\n", shown.text));
        }
        if let Some(files) = shown.text.strip_prefix("cp ") {
            let (from, to) = files.split_once(' ').ok_or_else(|| shown.fault("two files"))?;
            return self.write(to, &fs::read_to_string(page::root().join(from))?);
        }
        let arguments = shown.arguments().ok_or_else(|| shown.no_command())?;
        if shown.form == Form::Console && arguments.first() == Some(&"devnet") {
            return self.start_chains(&arguments);
        }
        let mut command = metalayer(&[], self.folder.path());
        command.current_dir(self.folder.path());
        if shown.form == Form::Inline && is_name(&arguments) {
            command.args(arguments).arg("--help");
        } else {
            command.args(arguments.into_iter().map(meant));
        }
        let output = command.output()?;
        if !output.status.success() {
            // What `verify` finds is a result.
            let told = [output.stdout, output.stderr].concat();
            return Err(shown.fault(&String::from_utf8_lossy(&told)));
        }
        Ok(())
    }

    /// Where the manifest is.
    pub(super) fn manifest(&self) -> PathBuf {
        self.folder.path().join(MANIFEST)
    }

    /// Stops the chains.
    pub(super) fn end(self) -> eyre::Result<()> {
        self.chains.ok_or_eyre("no chains were started")?.stop()
    }

    fn start_chains(&mut self, arguments: &[&str]) -> eyre::Result<()> {
        let port_base = self.port_base.to_string();
        let mut command = metalayer(arguments, self.folder.path());
        command.args(["--port-base", &port_base, "--json", "--stop-with-stdin"]);
        self.chains = Some(Running::start(&mut command)?);
        Ok(())
    }

    /// Adds to a file of the folder, with the ports that the chains have here.
    fn write(&self, name: &str, text: &str) -> eyre::Result<()> {
        let ports = PORTS.zip(self.port_base..);
        let text = ports.fold(text.to_owned(), |text, (shown, here)| {
            text.replace(&format!("127.0.0.1:{shown}"), &format!("127.0.0.1:{here}"))
        });
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.folder.path().join(name))?;
        Ok(file.write_all(text.as_bytes())?)
    }
}

/// The word itself, or what a reader puts in its place.
fn meant(word: &str) -> &str {
    match word {
        "FILE" => CONFIG,
        "NAME" => NEW,
        other => other,
    }
}
