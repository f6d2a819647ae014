use std::{fs, net::TcpListener, path::Path, process::Command};

use eyre::{OptionExt, ensure};
use serde_json::Value;

use crate::binary::{Running, json, metalayer};

/// Roles that are killed while money is on its way. The chains are the ground they stand on.
const ROLES: [&str; 7] =
    ["validator-1", "validator-2", "validator-3", "relayer", "solver-1", "solver-2", "aggregator"];

#[test]
fn up_bridges_survives_kills_and_stops_cleanly() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let data = home.path().join("data");
    let base = free_base()?;
    let (data_dir, port_base) = (data.display().to_string(), base.to_string());
    let up = Running::start(&mut metalayer(
        &["up", "--data-dir", &data_dir, "--port-base", &port_base, "--json", "--stop-with-stdin"],
        home.path(),
    ))?;
    assert_eq!(up.result["chains"].as_array().map(Vec::len), Some(2));

    let sent = send(home.path(), &["0.1", "ETH"])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    for role in ROLES {
        kill(&data, role)?;
    }
    let sent = send(home.path(), &["25", "TT", "--cheapest"])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");

    let id = sent["order"]["id"].as_str().ok_or_eyre("no id")?.to_owned();
    let status = json(&mut metalayer(&["status", &id, "--json"], home.path()))?;
    assert_eq!(status["id"], sent["order"]["id"]);
    let history = json(&mut metalayer(&["history", "--json"], home.path()))?;
    assert_eq!(history["orders"].as_array().map(Vec::len), Some(2), "{history}");

    up.stop()?;
    TcpListener::bind(("127.0.0.1", base))?;
    Ok(())
}

/// Sends with the system that is up. A quote may fail while roles come back, so it is asked for
/// until there is one: nothing was sent before that.
fn send(home: &Path, what: &[&str]) -> eyre::Result<Value> {
    let deadline = std::time::Instant::now() + crate::binary::PATIENCE;
    loop {
        let quoted = json(&mut metalayer(&[&["quote", "--json"], what].concat(), home));
        match quoted {
            Ok(_) => break,
            Err(error) if std::time::Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::yield_now(),
        }
    }
    json(&mut metalayer(&[&["send", "--json"], what].concat(), home))
}

fn kill(data: &Path, role: &str) -> eyre::Result<()> {
    let pid = fs::read_to_string(data.join("run").join(format!("{role}.pid")))?;
    let status = Command::new("kill").args(["-9", pid.trim()]).status()?;
    ensure!(status.success(), "cannot kill {role}");
    Ok(())
}

/// The first of 400 ports of which the ones in use are likely free: around one that is.
fn free_base() -> eyre::Result<u16> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(port.clamp(2_000, 60_000))
}
