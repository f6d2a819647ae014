use std::{process::Stdio, time::Duration};

use eyre::{OptionExt, WrapErr, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// Clock ticks in a second, as Linux counts CPU time for everybody.
const TICKS: f64 = 100.0;

/// Requests from `wrk`, one thread.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) url: String,
    pub(super) body: String,
    pub(super) connections: u32,
    pub(super) time: Duration,
    /// Quotes of a whole answer.
    pub(super) quotes: usize,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) connections: u32,
    pub(super) good_per_second: f64,
    pub(super) refused_per_second: f64,
    /// Answers that lack a quote: none of them is good.
    pub(super) short_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Of the process asked, for each good answer.
    pub(super) cpu_ms_each: Option<f64>,
    /// Of the process asked, after the load.
    pub(super) resident_mib: Option<f64>,
}

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Counted {
    good: f64,
    refused: f64,
    other: f64,
    short: f64,
    seconds: f64,
    p50: f64,
    p99: f64,
    socket_errors: f64,
}

/// Whether there is a `wrk`.
pub(super) fn require_wrk() -> eyre::Result<()> {
    let found = std::process::Command::new("wrk").arg("-v").stdout(Stdio::null()).status();
    found.wrap_err("this needs wrk (Debian: apt-get install wrk)")?;
    Ok(())
}

impl Load {
    pub(super) async fn measure(&self, process: Option<u32>) -> eyre::Result<Measured> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("load.lua");
        let quotes = self.quotes.to_string();
        let text = SCRIPT.replace("BODY", &self.body).replace("QUOTES", &quotes);
        std::fs::write(&script, text)?;
        let before = process.and_then(cpu_seconds);
        let output = Command::new("wrk")
            .args(["-t1", &format!("-c{}", self.connections)])
            .arg(format!("-d{}s", self.time.as_secs().max(1)))
            .args(["--timeout", "10s", "-s"])
            .arg(&script)
            .arg(&self.url)
            .output()
            .await?;
        ensure!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr));
        let after = process.and_then(cpu_seconds);
        let text = String::from_utf8_lossy(&output.stdout);
        let line =
            text.lines().find(|line| line.starts_with('{')).ok_or_eyre("wrk counts nothing")?;
        let counted: Counted = serde_json::from_str(line)?;
        ensure!(counted.other + counted.socket_errors == 0.0, "unexpected answers: {counted:?}");
        let cpu = after.zip(before).map(|(after, before)| after - before);
        Ok(Measured {
            connections: self.connections,
            good_per_second: counted.good / counted.seconds,
            refused_per_second: counted.refused / counted.seconds,
            short_per_second: counted.short / counted.seconds,
            p50_ms: counted.p50,
            p99_ms: counted.p99,
            cpu_ms_each: cpu.map(|cpu| cpu * 1e3 / counted.good.max(1.0)),
            resident_mib: process.and_then(resident_mib),
        })
    }
}

/// CPU time of a process so far, of its user and system parts.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Memory of a process.
pub(super) fn resident_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1_024.0)
}

/// Counts answers: good ones have all quotes, short ones lack some. Only 429 and 503 with a
/// `Retry-After` are refusals; anything else is a fault.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = [[BODY]]
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() good, refused, other, short = 0, 0, 0, 0 end
function response(status, headers, body)
  if status == 200 then
    local count, at = 0, 1
    while true do
      at = body:find('"steps"', at, true)
      if not at then break end
      count, at = count + 1, at + 7
    end
    if count == QUOTES then good = good + 1 else short = short + 1 end
  elseif (status == 429 or status == 503) and (headers["retry-after"] or headers["Retry-After"]) then
    refused = refused + 1
  else
    other = other + 1
  end
end
function done(summary, latency)
  local t, e = threads[1], summary.errors
  io.write(string.format(
    '{"good":%d,"refused":%d,"other":%d,"short":%d,"seconds":%f,"p50":%f,"p99":%f,"socket_errors":%d}\n',
    t:get("good"), t:get("refused"), t:get("other"), t:get("short"), summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.timeout))
end
"#;
