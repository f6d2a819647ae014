use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use eyre::{OptionExt, WrapErr, ensure};
use serde_json::Value;

/// Long enough on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// The binary with these arguments, apart from the state of whoever runs the tests.
pub(crate) fn metalayer(arguments: &[&str], home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metalayer"));
    command.args(arguments).env("XDG_STATE_HOME", home);
    command
}

/// Runs a command to its end and reads its JSON result.
pub(crate) fn json(command: &mut Command) -> eyre::Result<Value> {
    let Output { status, stdout, stderr } = command.output()?;
    let complaint = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{status}\n{complaint}");
    serde_json::from_slice(&stdout).wrap_err_with(|| complaint.into_owned())
}

/// A command that runs until its standard input closes. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Its JSON result.
    pub(crate) result: Value,
}

impl Running {
    /// Starts it and waits for its result.
    pub(crate) fn start(command: &mut Command) -> eyre::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_eyre("no stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody reads once the first line is there.
                let _ = sender.send(line);
            }
        });
        let mut running = Self { child, stdin, result: Value::Null };
        let line = lines.recv_timeout(PATIENCE).wrap_err("it printed no result")?;
        running.result = serde_json::from_str(&line)?;
        Ok(running)
    }

    /// Closes its standard input and waits for a clean end.
    pub(crate) fn stop(mut self) -> eyre::Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already after a clean stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
