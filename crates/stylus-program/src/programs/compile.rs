use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use super::Source;

const TARGET: &str = "wasm32-unknown-unknown";

/// Settings of an outer cargo or shell that would change the programs' bytes.
const FOREIGN_SETTINGS: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
];

/// Why the programs cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A tool is not installed or cannot be started.
    #[error("cannot run {tool}: {source}; install Rust with rustup (https://rustup.rs)")]
    Tool {
        /// Its name.
        tool: String,
        /// The system's word.
        source: io::Error,
    },
    /// The standard library's source is missing and rustup cannot add it.
    #[error(
        "the Rust source (rustup component rust-src) is missing in {} and `rustup component add \
         rust-src` did not install it: {reason}",
        sysroot.display()
    )]
    NoStandardLibrary {
        /// The toolchain in use.
        sysroot: PathBuf,
        /// What rustup said.
        reason: String,
    },
    /// The compiler refused the sources; its messages are on stderr.
    #[error("cargo could not compile the programs ({status})")]
    Refused {
        /// How cargo ended.
        status: ExitStatus,
    },
}

/// Compiles `names` and returns each with the path of its module.
pub(super) fn compile(
    source: &Source,
    names: &[String],
) -> Result<Vec<(String, PathBuf)>, CompileError> {
    let sysroot = sysroot(source.root())?;
    ensure_standard_library(source.root(), &sysroot)?;

    // Not cargo's own target folder: RUSTC_BOOTSTRAP would rebuild every host crate there.
    let target = source.programs_directory().join("build");
    let mut cargo = tool("CARGO", "cargo", source.root());
    cargo
        .args(["build", "--release", "--locked", "--lib", "--target", TARGET])
        .arg("--config")
        .arg(source.recipe())
        .arg("--config")
        .arg(path_flags(source.root(), &sysroot))
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTC_BOOTSTRAP", "1")
        .stdout(Stdio::null());
    for name in names {
        cargo.args(["-p", name]);
    }
    for setting in FOREIGN_SETTINGS {
        cargo.env_remove(setting);
    }
    let status = cargo.status().map_err(not_started("cargo"))?;
    if !status.success() {
        return Err(CompileError::Refused { status });
    }
    let module = |name: &String| {
        let file = format!("{}.wasm", name.replace('-', "_"));
        (name.clone(), target.join(TARGET).join("release").join(file))
    };
    Ok(names.iter().map(module).collect())
}

/// The cargo setting that takes this machine's paths out of the programs.
fn path_flags(root: &Path, sysroot: &Path) -> String {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut flags = vec![remap(root, "/metalayer"), remap(sysroot, "/rust")];
    flags.extend(home.map(|home| remap(&home, "/cargo")));
    format!("target.{TARGET}.rustflags=[{}]", flags.join(","))
}

/// One flag as a TOML string.
fn remap(from: &Path, to: &str) -> String {
    toml::Value::String(format!("--remap-path-prefix={}={to}", from.display())).to_string()
}

fn ensure_standard_library(root: &Path, sysroot: &Path) -> Result<(), CompileError> {
    let marker = sysroot.join("lib/rustlib/src/rust/library/Cargo.lock");
    if marker.is_file() {
        return Ok(());
    }
    let output = tool("RUSTUP", "rustup", root)
        .args(["component", "add", "rust-src"])
        .output()
        .map_err(not_started("rustup"))?;
    if output.status.success() && marker.is_file() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CompileError::NoStandardLibrary { sysroot: sysroot.to_owned(), reason })
}

fn sysroot(root: &Path) -> Result<PathBuf, CompileError> {
    let output = tool("RUSTC", "rustc", root)
        .args(["--print", "sysroot"])
        .output()
        .map_err(not_started("rustc"))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A command of the toolchain, started in the workspace so that its pinned toolchain is used.
fn tool(variable: &str, name: &str, root: &Path) -> Command {
    let program = env::var_os(variable).unwrap_or_else(|| OsString::from(name));
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

fn not_started(tool: &str) -> impl Fn(io::Error) -> CompileError {
    move |source| CompileError::Tool { tool: tool.to_owned(), source }
}
