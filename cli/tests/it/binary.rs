use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use eyre::{OptionExt, WrapErr, ensure};
use serde_json::{Value, json};

/// Long enough on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// Pause between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// The binary with these arguments, apart from the state of whoever runs the tests.
pub(crate) fn metalayer(arguments: &[&str], home: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metalayer"));
    command.args(arguments).env("XDG_STATE_HOME", home);
    command
}

/// Runs a command to its end and reads its JSON result.
pub(crate) fn result(command: &mut Command) -> eyre::Result<Value> {
    let Output { status, stdout, stderr } = command.output()?;
    let complaint = String::from_utf8_lossy(&stderr);
    ensure!(status.success(), "{status}\n{complaint}");
    serde_json::from_slice(&stdout).wrap_err_with(|| complaint.into_owned())
}

/// What a command says when it must fail.
pub(crate) fn complaint(command: &mut Command) -> eyre::Result<String> {
    let output = command.output()?;
    let complaint = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success(), "it succeeded: {complaint}");
    ensure!(output.stdout.is_empty(), "stdout is for results");
    Ok(complaint)
}

/// Looks until `look` gives a value.
pub(crate) fn until<T>(
    what: &str,
    mut look: impl FnMut() -> eyre::Result<Option<T>>,
) -> eyre::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        ensure!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(LOOK);
    }
}

/// The result of a JSON-RPC call.
pub(crate) fn rpc(url: &str, method: &str, params: &Value) -> eyre::Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let client = reqwest::Client::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer: Value = runtime.block_on(async {
        client.post(url).json(&request).send().await?.error_for_status()?.json().await
    })?;
    ensure!(answer.get("error").is_none(), "{method}: {answer}");
    Ok(answer["result"].clone())
}

/// The first of 400 ports of which those that a system takes are free. They lie below the ports
/// that the kernel hands out, which come and go.
pub(crate) fn free_base() -> eyre::Result<u16> {
    const TAKEN: [std::ops::Range<u16>; 4] = [0..4, 100..101, 200..231, 300..331];
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..100)
        .map(|_| rand::random_range(40..=78) * 400)
        .find(|base| TAKEN.iter().flat_map(Clone::clone).all(|offset| is_free(base + offset)))
        .ok_or_eyre("no free ports")
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

    /// Asks it to end with a signal, its standard input open, and waits for a clean end.
    pub(crate) fn terminate(mut self) -> eyre::Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status()?;
        ensure!(sent.success(), "cannot signal {pid}");
        let status = until("its end after SIGTERM", || Ok(self.child.try_wait()?))?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
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
