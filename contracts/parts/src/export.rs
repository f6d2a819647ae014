//! The binary of each program, which `cargo stylus` runs on the machine that builds: it prints the Solidity interface or
//! the constructor of the program (feature `export-abi`).

use std::{
    io::{self, Write},
    process::ExitCode,
};

use protocol::abi::solidity;

/// What the text begins with.
const HEADER: &str = "// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity ^0.8.23;\n";

/// Prints what the arguments ask for: `abi`, which is also the answer to no arguments, or `constructor`.
///
/// A program without a constructor prints nothing for it, which tells `cargo stylus` to deploy it without one.
#[must_use]
pub fn main(program: &str) -> ExitCode {
    let request = std::env::args().nth(1);
    let Some(exported) = solidity::of(program) else {
        return refuse(&format!("no interface of {program} is known"));
    };
    let text = match request.as_deref() {
        None | Some("abi") => format!("{HEADER}\n{}", exported.solidity()),
        Some("constructor") => {
            exported.constructor().map(|text| format!("{text}\n")).unwrap_or_default()
        }
        Some(other) => return refuse(&format!("not abi and not constructor: {other}")),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(reason: &str) -> ExitCode {
    // A closed stderr leaves the exit code to tell.
    let _ = writeln!(io::stderr().lock(), "error: {reason}");
    ExitCode::FAILURE
}
