use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use eyre::{OptionExt, ensure};
use serde_json::{Value, json};

use crate::binary::{PATIENCE, Running, complaint, free_base, metalayer, result, rpc, until};

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

    let sent = send(home.path(), &["0.1", "ETH", "--provider", "metalayer"])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    assert_eq!(sent["provider"], "metalayer");
    let told = complaint(&mut metalayer(&["quote", "1", "--provider", "nobody"], home.path()))?;
    assert!(told.contains("no provider \"nobody\"; there are metalayer"), "{told}");
    for role in ROLES {
        kill(&data, role)?;
    }
    let sent = send(home.path(), &["25", "TT", "--cheapest"])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");

    let id = sent["order"]["id"].as_str().ok_or_eyre("no id")?.to_owned();
    let status = result(&mut metalayer(&["status", &id, "--json"], home.path()))?;
    assert_eq!(status["id"], sent["order"]["id"]);
    explained(home.path(), &id)?;
    let history = result(&mut metalayer(&["history", "--json"], home.path()))?;
    assert_eq!(history["orders"].as_array().map(Vec::len), Some(2), "{history}");

    up.stop()?;
    TcpListener::bind(("127.0.0.1", base))?;
    Ok(())
}

/// Longer than any deadline that a quote gives, in seconds.
const A_DAY: u64 = 86_400;

#[test]
fn a_restart_keeps_everything_and_what_nobody_fills_comes_back() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let data = home.path().join("data").display().to_string();
    let port_base = free_base()?.to_string();
    let start = || {
        let arguments = ["up", "--data-dir", &data, "--port-base", &port_base, "--json"];
        Running::start(metalayer(&arguments, home.path()).arg("--stop-with-stdin"))
    };

    let up = start()?;
    let sent = send(home.path(), &["0.1", "ETH"])?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    let signed = send(home.path(), &["20", "TT", "--gasless"])?;
    assert_eq!(signed["order"]["state"], "settled", "{signed}");
    up.stop()?;

    let up = start()?;
    let history = result(&mut metalayer(&["history", "--json"], home.path()))?;
    assert_eq!(history["orders"][0]["state"], "settled", "{history}");
    let chains = up.result["chains"].as_array().ok_or_eyre("no chains")?.clone();
    let url = |index: usize| chains[index]["rpc"].as_str().unwrap_or_default().to_owned();
    // Nothing is mined at the destination, so that the fill waits until it is too late.
    rpc(&url(1), "devnet_pause", &json!([]))?;
    let sending = metalayer(&["send", "0.1", "ETH", "--json"], home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    wait_for_a_funded_order(home.path())?;
    let abandoned = abandoned(home.path())?;
    for url in [url(1), url(0)] {
        rpc(&url, "evm_increaseTime", &json!([A_DAY]))?;
    }
    rpc(&url(0), "evm_mine", &json!([]))?;
    let output = sending.wait_with_output()?;
    let told = String::from_utf8(output.stderr)?;
    assert!(!output.status.success(), "nothing arrived, so it has failed: {told}");
    let refunded: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(refunded["order"]["state"], "refunded", "{refunded}\n{told}");
    let id = refunded["order"]["id"].as_str().ok_or_eyre("no id")?;
    let again = complaint(&mut metalayer(&["refund", id], home.path()))?;
    ensure!(again.contains("nothing left to refund"), "{again}");
    wait_for(home.path(), &abandoned, "refundable")?;
    result(&mut metalayer(&["refund", &abandoned, "--json"], home.path()))?;
    wait_for(home.path(), &abandoned, "refunded")?;
    up.stop()
}

/// Sends what nobody fills and stops following it; its id.
fn abandoned(home: &Path) -> eyre::Result<String> {
    let told = complaint(&mut metalayer(&["send", "0.2", "ETH", "--timeout", "2s"], home))?;
    ensure!(told.contains("takes the money back"), "{told}");
    let complained = told.lines().find_map(|line| line.strip_prefix("error: order "));
    let id = complained.and_then(|text| text.split(' ').next()).ok_or_eyre("no id")?.to_owned();
    let early = complaint(&mut metalayer(&["refund", &id], home))?;
    ensure!(early.contains("it can be refunded after"), "{early}");
    Ok(id)
}

/// Waits until an order is in a state.
fn wait_for(home: &Path, id: &str, state: &str) -> eyre::Result<()> {
    until(&format!("order {id} to be {state}"), || {
        let order = result(&mut metalayer(&["status", id, "--json"], home))?;
        Ok((order["state"] == state).then_some(()))
    })
}

/// Waits until the default account has an order that waits for its fill.
fn wait_for_a_funded_order(home: &Path) -> eyre::Result<()> {
    until("a funded order", || {
        let history = result(&mut metalayer(&["history", "--json"], home))?;
        let orders = history["orders"].as_array().ok_or_eyre("no orders")?;
        Ok(orders.iter().any(|order| order["state"] == "funded").then_some(()))
    })
}

/// Asks the solvers why the order is where it is, until the one that filled it has booked that.
fn explained(home: &Path, id: &str) -> eyre::Result<()> {
    until(&format!("an explanation of {id}"), || {
        let asked = metalayer(&["solver", "intent", id], home).output()?;
        let text = String::from_utf8_lossy(&asked.stdout);
        let is_whole = ["history", "filling", "fill_gas"].iter().all(|word| text.contains(word));
        Ok(is_whole.then_some(()))
    })
}

/// Sends with the system that is up. A quote may fail while roles come back, so it is asked for
/// until there is one: nothing was sent before that.
fn send(home: &Path, what: &[&str]) -> eyre::Result<Value> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let quoted = result(&mut metalayer(&[&["quote", "--json"], what].concat(), home));
        match quoted {
            Ok(_) => break,
            Err(error) if std::time::Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::yield_now(),
        }
    }
    result(&mut metalayer(&[&["send", "--json"], what].concat(), home))
}

fn kill(data: &Path, role: &str) -> eyre::Result<()> {
    let pid = fs::read_to_string(data.join("run").join(format!("{role}.pid")))?;
    let status = Command::new("kill").args(["-9", pid.trim()]).status()?;
    ensure!(status.success(), "cannot kill {role}");
    Ok(())
}
