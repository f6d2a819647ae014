use std::net::TcpListener;

use eyre::OptionExt;
use serde_json::json;

use crate::binary::{Running, metalayer, result, rpc};

#[test]
fn build_reports_every_program_within_its_limit() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let result = result(&mut metalayer(&["build", "--json"], home.path()))?;
    let programs = result["programs"].as_array().ok_or_eyre("no programs")?;
    assert!(programs.len() >= 9, "{result}");
    for program in programs {
        let compressed = program["compressed"].as_u64().ok_or_eyre("no size")?;
        assert!(compressed <= program["limit"].as_u64().ok_or_eyre("no limit")?, "{program}");
        assert!(program["raw"].as_u64() > Some(compressed), "{program}");
        assert_eq!(program["code_hash"].as_str().map(str::len), Some(66), "{program}");
    }
    Ok(())
}

#[test]
fn devnet_prints_its_chains_and_frees_their_ports() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let arguments = ["devnet", "--chains", "3", "--port-base", "0", "--json", "--stop-with-stdin"];
    let devnet = Running::start(&mut metalayer(&arguments, home.path()))?;
    let chains = devnet.result["chains"].as_array().ok_or_eyre("no chains")?.clone();
    assert_eq!(chains.len(), 3);
    let deployer = devnet.result["deployer"].as_str().ok_or_eyre("no deployer")?;
    assert_eq!(deployer, "0xcEcba2F1DC234f70Dd89F2041029807F8D03A990");
    // It is active from the first block on: `version()` answers.
    let question = json!([{"to": deployer, "data": "0x54fd4d50"}, "latest"]);
    let url = chains[0]["http"].as_str().ok_or_eyre("no address")?;
    let version = rpc(url, "eth_call", &question)?;
    assert!(version.as_str().is_some_and(|version| version.len() > 2 + 128), "{version}");
    let port = chains[2]["http"]
        .as_str()
        .and_then(|url| url.trim_end_matches('/').rsplit(':').next())
        .ok_or_eyre("no port")?
        .to_owned();
    assert!(TcpListener::bind(format!("127.0.0.1:{port}")).is_err(), "nobody listens on {port}");
    devnet.stop()?;
    TcpListener::bind(format!("127.0.0.1:{port}"))?;
    Ok(())
}

#[test]
fn a_signal_ends_a_command_whose_parent_keeps_its_standard_input_open() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let arguments = ["devnet", "--port-base", "0", "--json", "--stop-with-stdin"];
    Running::start(&mut metalayer(&arguments, home.path()))?.terminate()
}

#[test]
fn bench_chain_measures_everything_it_names() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let arguments = ["bench", "chain", "--blocks", "100", "--transactions", "20", "--json"];
    let report = result(&mut metalayer(&arguments, home.path()))?;
    let mut figures = vec![&report["start"]["seconds"], &report["memory"]["seconds"]];
    let calls = report["calls"].as_array().ok_or_eyre("no calls")?;
    figures.extend(calls.iter().map(|call| &call["warm_seconds"]));
    figures.push(&calls[0]["first_seconds"]);
    let loads = report["throughput"].as_array().ok_or_eyre("no loads")?;
    assert_eq!(loads.len(), 3, "{report}");
    for load in loads {
        // Three for each of the eight senders.
        assert_eq!(load["transactions"], 24, "{load}");
        figures.push(&load["per_second"]);
    }
    assert!(figures.iter().all(|figure| figure.as_f64() > Some(0.0)), "{report}");
    Ok(())
}

#[test]
fn a_faulty_configuration_is_reported_whole() -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("relayer.toml");
    std::fs::write(&file, "listen = \"nowhere\"\ncolour = \"blue\"")?;
    let path = file.display().to_string();
    let output = metalayer(&["relayer", "--config", &path], home.path()).output()?;
    let complaint = String::from_utf8(output.stderr)?;
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "stdout is for results");
    for key in ["manifest", "database", "listen", "colour"] {
        assert!(complaint.contains(&format!("relayer.toml: {key}")), "{key}: {complaint}");
    }
    Ok(())
}
