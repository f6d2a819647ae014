use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use super::Source;

const TARGET: &str = "wasm32-unknown-unknown";

/// What a toolchain with the standard library's source has.
const MARKER: &str = "lib/rustlib/src/rust/library/Cargo.lock";

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
    ensure_standard_library(&sysroot, tool("RUSTUP", "rustup", source.root()))?;

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

/// Has `rustup` add the standard library's source when it is missing. The target itself needs nothing: its standard library
/// is built from that source.
fn ensure_standard_library(sysroot: &Path, mut rustup: Command) -> Result<(), CompileError> {
    let marker = sysroot.join(MARKER);
    if marker.is_file() {
        return Ok(());
    }
    let output =
        rustup.args(["component", "add", "rust-src"]).output().map_err(not_started("rustup"))?;
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

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    /// A stand-in for rustup that notes its arguments and does `what`.
    fn rustup(what: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo \"$@\" > \"$0\"; {what}")]);
        command
    }

    #[test]
    fn a_missing_standard_library_is_installed_once() {
        let sysroot = tempfile::tempdir().unwrap();
        let (marker, asked) = (sysroot.path().join(MARKER), sysroot.path().join("asked"));
        let create = format!("mkdir -p {0:?} && touch {1:?}", marker.parent().unwrap(), marker);
        let mut installs = rustup(&create);
        installs.arg(&asked);
        ensure_standard_library(sysroot.path(), installs).unwrap();
        assert_eq!(fs::read_to_string(&asked).unwrap(), "component add rust-src\n");
        let mut fails = rustup("exit 1");
        fails.arg(sysroot.path().join("asked again"));
        ensure_standard_library(sysroot.path(), fails).unwrap();
        assert!(!sysroot.path().join("asked again").exists());
    }

    #[test]
    fn a_standard_library_that_cannot_be_installed_is_named_with_the_reason() {
        let sysroot = tempfile::tempdir().unwrap();
        let mut fails = rustup("echo no network >&2; exit 1");
        fails.arg(sysroot.path().join("asked"));
        let error = ensure_standard_library(sysroot.path(), fails).unwrap_err().to_string();
        for part in ["rust-src", "rustup component add", "no network"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let none = Command::new(sysroot.path().join("no rustup here"));
        let error = ensure_standard_library(sysroot.path(), none).unwrap_err().to_string();
        assert!(error.contains("https://rustup.rs"), "{error}");
    }
}
