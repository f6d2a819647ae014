//! The published `cargo stylus`, on the programs of this workspace.
//!
//! It compiles each program anew, for minutes: only when [`VARIABLE`] names the tool's binary, which
//! `.ci/run --full` sets.

use std::{ffi::OsString, path::PathBuf, process::Command};

use alloy::{
    json_abi::Constructor,
    primitives::{Address, U256, address, hex},
    providers::Provider,
};
use devnet::{
    ChainConfig, genesis,
    genesis::{Account, DEV_ADDRESSES},
};
use stylus_program::{Programs, Source};

use crate::{network::Network, tools};

/// Names the binary `cargo-stylus`.
const VARIABLE: &str = "METALAYER_CARGO_STYLUS";
/// Where the tool looks for the deployer.
const DEPLOYER: Address = address!("cEcba2F1DC234f70Dd89F2041029807F8D03A990");

/// The tool in the folder of a program, as docs/cargo-stylus.md says.
struct Tool {
    binary: OsString,
    source: Source,
    target: PathBuf,
}

impl Tool {
    fn given() -> Option<Self> {
        let binary = std::env::var_os(VARIABLE).filter(|binary| !binary.is_empty())?;
        let source = Source::find().unwrap();
        let target = source.prepare_cargo_stylus().unwrap();
        Some(Self { binary, source, target })
    }

    /// What it prints to stdout and stderr when it succeeds.
    fn run(&self, program: &str, arguments: &[&str]) -> (String, String) {
        let folder: PathBuf = self.source.root().join("contracts").join(program);
        let output = Command::new(&self.binary)
            .arg("stylus")
            .args(arguments)
            .current_dir(folder)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{program} {arguments:?}: {stdout}\n{stderr}");
        (stdout, stderr)
    }
}

/// The first address after a mark in what the tool says, colours aside.
fn address_after(mark: &str, text: &str) -> Address {
    let rest = text.split_once(mark).unwrap_or_else(|| panic!("no {mark:?} in {text}")).1;
    let start = rest.find("0x").unwrap();
    rest[start..start + 42].parse().unwrap()
}

fn cast(arguments: &[&str]) -> String {
    let output = tools::foundry("cast").unwrap().args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cast {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn cargo_stylus_checks_deploys_and_exports_our_programs() {
    let Some(tool) = Tool::given() else { return };
    let deployer = Programs::load_or_build().unwrap().get("deployer").unwrap().code.clone();
    let config = ChainConfig::new(700_001).with_account(DEPLOYER, Account::contract(deployer));
    let network = Network::start(config).await;
    let url = network.chain().http_url();
    let key = hex::encode_prefixed(genesis::dev_signers().unwrap()[0].to_bytes());
    let provider = network.http();

    let names = tool.source.names().unwrap();
    let work = tokio::task::spawn_blocking(move || {
        for program in &names {
            let (stdout, stderr) = tool.run(program, &["check", "--endpoint", &url]);
            assert!(format!("{stdout}{stderr}").contains("wasm data fee"), "{stdout}{stderr}");
            let (interface, _) = tool.run(program, &["export-abi"]);
            assert!(interface.contains("interface "), "{program}: {interface}");
        }
        let (constructor, _) = tool.run("test-token", &["constructor"]);
        assert_eq!(Constructor::parse(constructor.trim()).unwrap().inputs.len(), 1);

        // Without a constructor: created and activated from the key's account.
        let deploy = ["deploy", "--no-verify", "--endpoint", &url, "--private-key", &key];
        let (stdout, stderr) = tool.run("multicall", &deploy);
        let batch = address_after("deployed code at address", &format!("{stdout}{stderr}"));
        let asked = ["call", "--rpc-url", &url, &batch.to_string(), "getChainId()(uint256)"];
        assert!(cast(&asked).starts_with("700001"));

        // With one: through the deployer.
        let arguments = [&deploy[..], &["--constructor-args", "9"]].concat();
        let (stdout, stderr) = tool.run("test-token", &arguments);
        let token = address_after("deployed code at address", &format!("{stdout}{stderr}"));
        let (token_text, receiver) = (token.to_string(), DEV_ADDRESSES[5].to_string());
        let call = |function: &str| cast(&["call", "--rpc-url", &url, &token_text, function]);
        assert_eq!(call("decimals()(uint8)"), "9");
        let mint = ["mint(address,uint256)", &receiver, "77"];
        let send = ["send", "--rpc-url", &url, "--private-key", &key, &token_text];
        cast(&[&send[..], &mint].concat());
        assert!(call("totalSupply()(uint256)").starts_with("77"));
        token
    });
    let token = work.await.unwrap();
    let code = provider.get_code_at(token).await.unwrap();
    assert!(code.starts_with(&[0xef, 0xf0, 0x00]));
    assert_eq!(provider.get_balance(DEPLOYER).await.unwrap(), U256::ZERO);
}
