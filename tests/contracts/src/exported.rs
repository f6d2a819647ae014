//! What `cargo stylus export-abi` prints for each program, as solc reads it.

use std::{collections::BTreeMap, fs, sync::OnceLock};

use alloy::json_abi::JsonAbi;
use protocol::abi::solidity::PROGRAMS;

use crate::tools;

/// The JSON ABI of every program, by the program's name; compiled once a process by the pinned solc.
pub fn abis() -> &'static BTreeMap<String, JsonAbi> {
    static ABIS: OnceLock<BTreeMap<String, JsonAbi>> = OnceLock::new();
    ABIS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        for exported in PROGRAMS {
            let path = folder.path().join(exported.program).with_extension("sol");
            let header = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.23;\n";
            fs::write(path, format!("{header}{}", exported.solidity())).unwrap();
        }
        let output = tools::node("abi.mjs").unwrap().arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "solc: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}
