//! A development chain on disk whose process is killed at any moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    sync::mpsc::{self, Sender},
    thread,
    time::{Duration, Instant},
};

use eyre::{OptionExt, WrapErr, ensure};
use serde_json::{Value, json};

use crate::binary::{PATIENCE, Running, metalayer, rpc};

/// Times the process is killed.
const KILLS: u32 = 6;
/// Makes it this many instead.
const KILLS_VARIABLE: &str = "METALAYER_DEVNET_KILLS";
/// Accounts that send at the same time.
const SENDERS: usize = 4;
const RECEIVER: &str = "0x00000000000000000000000000000000000000be";

/// A transaction that the chain has acknowledged.
struct Acknowledged {
    hash: Value,
    /// Hash of its block, when the chain has told that too.
    block: Option<Value>,
}

fn start(data: &Path) -> eyre::Result<Running> {
    let folder = data.join("chains").display().to_string();
    let arguments = ["devnet", "--port-base", "0", "--json", "--stop-with-stdin", "--data-dir"];
    Running::start(&mut metalayer(&[&arguments[..], &[&folder]].concat(), data))
}

fn url(devnet: &Running) -> eyre::Result<String> {
    let url = devnet.result["chains"][0]["http"].as_str();
    url.map(str::to_owned).ok_or_eyre("no chain")
}

/// Sends transfers until the process is gone, and hands on each that was acknowledged.
fn send(url: &str, from: &Value, acknowledged: &Sender<Acknowledged>) -> eyre::Result<()> {
    loop {
        let transfer = json!([{"from": from, "to": RECEIVER, "value": "0x1"}]);
        let hash = rpc(url, "eth_sendTransaction", &transfer)?;
        acknowledged.send(Acknowledged { hash: hash.clone(), block: None })?;
        let mut receipt = rpc(url, "eth_getTransactionReceipt", &json!([hash]))?;
        let block = Some(receipt["blockHash"].take());
        acknowledged.send(Acknowledged { hash, block })?;
    }
}

/// Everything acknowledged is there with its blocks, and the chain is whole up to its head.
fn verify(url: &str, acknowledged: &[Acknowledged]) -> eyre::Result<()> {
    for Acknowledged { hash, block } in acknowledged {
        let receipt = rpc(url, "eth_getTransactionReceipt", &json!([hash]))?;
        ensure!(receipt["status"] == "0x1", "{hash}: {receipt}");
        ensure!(block.as_ref().is_none_or(|block| receipt["blockHash"] == *block), "{receipt}");
    }
    let number = |value: &Value| {
        let digits = value.as_str().unwrap_or_default().trim_start_matches("0x").to_owned();
        u64::from_str_radix(&digits, 16).wrap_err("not a number")
    };
    let head = number(&rpc(url, "eth_blockNumber", &json!([]))?)?;
    // Every block holds one transfer of one wei: the balance says how many there were.
    let balance = rpc(url, "eth_getBalance", &json!([RECEIVER, "latest"]))?;
    ensure!(number(&balance)? == head, "{balance} received in {head} blocks");
    let mut parent = rpc(url, "eth_getBlockByNumber", &json!(["0x0", false]))?["hash"].take();
    for number in 1..=head {
        let mut block = rpc(url, "eth_getBlockByNumber", &json!([format!("{number:#x}"), false]))?;
        ensure!(block["parentHash"] == parent, "block {number} does not follow");
        parent = block["hash"].take();
    }
    Ok(())
}

#[test]
fn a_killed_devnet_keeps_everything_that_it_acknowledged() -> eyre::Result<()> {
    let data = tempfile::tempdir()?;
    let kills = match std::env::var(KILLS_VARIABLE) {
        Ok(kills) => kills.parse()?,
        Err(_) => KILLS,
    };
    let mut acknowledged = Vec::new();
    for round in 0..kills {
        let devnet = start(data.path())?;
        let url = url(&devnet)?;
        verify(&url, &acknowledged)?;
        let (sender, received) = mpsc::channel();
        let senders: Vec<_> = (0..SENDERS)
            .map(|index| {
                let (url, sender) = (url.clone(), sender.clone());
                let from = devnet.result["accounts"][index].clone();
                thread::spawn(move || send(&url, &from, &sender))
            })
            .collect();
        drop(sender);
        // Under load for certain, then at any moment.
        let first = received.recv_timeout(PATIENCE).wrap_err("nothing was acknowledged")?;
        let begin = Instant::now();
        let life = Duration::from_micros(RandomState::new().build_hasher().finish() % 150_000);
        acknowledged.push(first);
        while let Some(left) = life.checked_sub(begin.elapsed()) {
            acknowledged.extend(received.recv_timeout(left).ok());
        }
        drop(devnet);
        acknowledged.extend(received.iter());
        for sender in senders {
            let end = sender.join().map_err(|_| eyre::eyre!("a sender panicked"))?;
            ensure!(end.is_err(), "a sender outlived the process in round {round}");
        }
    }
    let devnet = start(data.path())?;
    verify(&url(&devnet)?, &acknowledged)?;
    devnet.stop()
}
