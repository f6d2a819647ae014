//! Prints the program's interface for `cargo stylus`.

use std::process::ExitCode;

fn main() -> ExitCode {
    parts::export::main("ism")
}
