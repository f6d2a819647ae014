//! A local system, started as a page says, and what is done with it.

use std::{fs, path::PathBuf};

use alloy::sol_types::SolEvent;
use eyre::OptionExt;
use protocol::abi::hyperlane::Mailbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    is_name,
    page::{Form, Shown},
};
use crate::binary::{Running, free_base, metalayer, rpc};

/// A system that runs, and whoever types commands in a folder of his own.
pub(super) struct LocalSystem {
    home: TempDir,
    up: Running,
    /// The order that was made last.
    order: Option<String>,
}

impl LocalSystem {
    /// Runs the command that starts it, on ports that are free.
    pub(super) fn start(shown: &Shown) -> eyre::Result<Self> {
        let arguments = shown.arguments().filter(|arguments| arguments.first() == Some(&"up"));
        let arguments = arguments.ok_or_else(|| shown.fault("it starts no system"))?;
        let (home, port_base) = (tempfile::tempdir()?, free_base()?.to_string());
        let mut command = metalayer(&arguments, home.path());
        command.args(["--port-base", &port_base, "--json", "--stop-with-stdin"]);
        Ok(Self { up: Running::start(&mut command)?, home, order: None })
    }

    /// Runs a command to its end, with what its placeholders stand for.
    pub(super) fn run(&mut self, shown: &Shown) -> eyre::Result<()> {
        let arguments = shown.arguments().ok_or_else(|| shown.no_command())?;
        if shown.form == Form::Console && arguments.first() == Some(&"devnet") {
            return self.devnet(arguments);
        }
        let mut command = metalayer(&[], self.home.path());
        command.current_dir(self.home.path());
        if shown.form == Form::Inline && is_name(&arguments) {
            command.args(arguments).arg("--help");
        } else {
            for word in arguments {
                command.arg(self.meant(word)?);
            }
        }
        let output = command.output()?;
        if !output.status.success() {
            return Err(shown.fault(&String::from_utf8_lossy(&output.stderr)));
        }
        let result = String::from_utf8(output.stdout)?;
        let made = result.lines().find_map(|line| line.strip_prefix("order 0x"));
        let made = made.and_then(|rest| rest.get(..64)).map(|digits| format!("0x{digits}"));
        self.order = made.or_else(|| self.order.take());
        Ok(())
    }

    /// Starts development chains, and stops them.
    fn devnet(&self, mut arguments: Vec<&str>) -> eyre::Result<()> {
        let port = arguments.iter().position(|word| *word == "--port-base");
        if let Some(port) = port.and_then(|at| arguments.get_mut(at + 1)) {
            // The one that is shown may be taken.
            *port = "0";
        }
        arguments.extend(["--json", "--stop-with-stdin"]);
        Running::start(&mut metalayer(&arguments, self.home.path()))?.stop()
    }

    /// Stops it.
    pub(super) fn stop(self) -> eyre::Result<()> {
        self.up.stop()
    }

    /// The word itself, or what a reader puts in its place.
    fn meant(&self, word: &str) -> eyre::Result<String> {
        Ok(match word {
            "ORDER" | "<hash>" => self.order.clone().ok_or_eyre("no order was made before")?,
            "ID" | "<id>" => self.message()?,
            "solver.toml" => self.data()?.join("config/solver-1.toml").display().to_string(),
            other => other.to_owned(),
        })
    }

    /// The first message from the second chain: word of a fill there.
    fn message(&self) -> eyre::Result<String> {
        let url = self.up.result["chains"][1]["rpc"].as_str().ok_or_eyre("no second chain")?;
        let topic = Mailbox::DispatchId::SIGNATURE_HASH;
        let logs = rpc(url, "eth_getLogs", &json!([{ "fromBlock": "0x0", "topics": [topic] }]))?;
        let id = logs[0]["topics"][1].as_str();
        Ok(id.ok_or_eyre("no message was sent before")?.to_owned())
    }

    /// Its folder, as it is remembered for other commands.
    fn data(&self) -> eyre::Result<PathBuf> {
        let remembered = fs::read(self.home.path().join("metalayer/up.json"))?;
        let remembered: Value = serde_json::from_slice(&remembered)?;
        Ok(remembered["data_dir"].as_str().ok_or_eyre("no folder")?.into())
    }
}
