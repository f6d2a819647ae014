use std::path::{Path, PathBuf};

use eyre::OptionExt;

use crate::{
    binary::{Running, complaint, free_base, metalayer, result},
    export,
};

/// An account of the devnet that no role of ours would use.
const FUNDED: &str = "mnemonic:19:test test test test test test test test test test test junk";
/// An account that the devnet has given nothing.
const POOR: &str = "mnemonic:90:test test test test test test test test test test test junk";

/// Two chains of somebody else.
struct Network {
    devnet: Running,
    folder: tempfile::TempDir,
}

impl Network {
    fn start() -> eyre::Result<Self> {
        let folder = tempfile::tempdir()?;
        let arguments = [
            "devnet",
            "--chains",
            "2",
            "--port-base",
            "0",
            "--block-time",
            "250ms",
            "--finalized-lag",
            "8",
            "--json",
            "--stop-with-stdin",
        ];
        Ok(Self { devnet: Running::start(&mut metalayer(&arguments, folder.path()))?, folder })
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    fn rpc(&self, index: usize) -> eyre::Result<&str> {
        self.devnet.result["chains"][index]["http"].as_str().ok_or_eyre("no URL")
    }

    /// Writes a network file of both chains.
    fn file(&self, name: &str, funded: &str, rpcs: [&str; 2]) -> eyre::Result<PathBuf> {
        let mut text = format!("funded = \"{funded}\"\n");
        for (id, rpc) in [700_001, 700_002].into_iter().zip(rpcs) {
            text += &format!(
                "[chains.c{id}]\nchain_id = {id}\nrpc = [\"{rpc}\"]\nfinality = \"finalized\"\n"
            );
        }
        let path = self.home().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

#[test]
fn up_stands_on_chains_of_others_and_is_exported_for_containers() -> eyre::Result<()> {
    let network = Network::start()?;
    let (home, rpcs) = (network.home(), [network.rpc(0)?, network.rpc(1)?]);
    let file = network.file("network.toml", FUNDED, rpcs)?.display().to_string();
    let data = home.join("data").display().to_string();
    let port_base = free_base()?.to_string();
    let arguments =
        ["up", "--network", &file, "--data-dir", &data, "--port-base", &port_base, "--json"];

    let up = Running::start(metalayer(&arguments, home).arg("--stop-with-stdin"))?;
    let sent = result(&mut metalayer(&["send", "0.1", "ETH", "--json"], home))?;
    assert_eq!(sent["order"]["state"], "settled", "{sent}");
    up.stop()?;

    let target = home.join("export");
    let exported = result(metalayer(&arguments, home).arg("--export").arg(&target))?;
    assert!(exported["files"].as_array().map(Vec::len) > Some(10), "{exported}");
    assert!(!target.join("chains").exists(), "there are no chains of ours to keep");
    export::is_sound(&target)
}

#[test]
fn a_network_that_cannot_be_used_is_refused_with_the_reason() -> eyre::Result<()> {
    let network = Network::start()?;
    let (home, origin, destination) = (network.home(), network.rpc(0)?, network.rpc(1)?);
    let nobody = "http://127.0.0.1:9";
    let cases = [
        (FUNDED, [origin, nobody], ["chain c700002", "127.0.0.1"]),
        (FUNDED, [destination, origin], ["serves chain 700002", "expected 700001"]),
        (POOR, [origin, destination], ["holds 0", "expected"]),
        ("env:NO_SUCH_VARIABLE", [origin, destination], ["NO_SUCH_VARIABLE", "funded"]),
    ];
    let data = home.join("data").display().to_string();
    let port_base = free_base()?.to_string();
    for (index, (funded, rpcs, words)) in cases.into_iter().enumerate() {
        let file = network.file(&format!("{index}.toml"), funded, rpcs)?.display().to_string();
        let arguments = ["up", "--network", &file, "--data-dir", &data, "--port-base", &port_base];
        let complaint = complaint(&mut metalayer(&arguments, home))?;
        for word in words {
            assert!(complaint.contains(word), "{word}: {complaint}");
        }
    }
    Ok(())
}
