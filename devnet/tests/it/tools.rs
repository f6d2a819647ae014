//! The npm tools, and the Solidity sources beside these tests compiled with them.

use std::path::Path;

use serde_json::Value;

#[path = "../../../tests/src/tools.rs"]
#[expect(unreachable_pub, reason = "the file is a public module of another package")]
mod npm;

pub(crate) use npm::{folder, foundry, node};

/// The contracts of a file in `tests/solidity`: an object from name to `abi` and `bytecode`.
pub(crate) fn compile(file: &str) -> Value {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/solidity").join(file);
    let output = node("compile.mjs").unwrap().arg(source).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
