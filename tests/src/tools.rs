//! The npm tools of `tests/tools` (anvil, cast, solc, viem, ethers), installed when first asked
//! for.
//!
//! Uses nothing but `std`, so that test binaries of other packages can include this file.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder whose `package-lock.json` pins the tools.
#[must_use]
pub fn folder() -> PathBuf {
    // The same from `tests`, `tests/contracts` and `devnet`: the workspace root is the nearest
    // ancestor that has the folder.
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder
        .ancestors()
        .map(|folder| folder.join("tests/tools"))
        .find(|folder| folder.join("package-lock.json").is_file())
        .unwrap_or_else(|| crate_folder.join("tools"))
}

/// The installed `node_modules`; runs `npm ci` first, one process at a time, when it is absent or
/// older than the lock file.
///
/// # Errors
/// When npm is missing or fails, with what it printed.
pub fn node_modules() -> io::Result<PathBuf> {
    install(&folder())
}

/// The installed `node_modules` of a folder with a `package-lock.json`, as [`node_modules`].
///
/// # Errors
/// As [`node_modules`].
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    let modules = folder.join("node_modules");
    let lock = File::create(folder.join(".install.lock"))?;
    lock.lock()?;
    if !is_current(folder, &modules) {
        let output = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
            .arg(folder)
            .output()
            .map_err(|error| io::Error::other(format!("cannot run npm: {error}")))?;
        if !output.status.success() {
            let printed = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("npm ci failed: {printed}")));
        }
    }
    Ok(modules)
}

/// A command that runs a Node script with the packages of `tests/tools` in reach of `import`
/// when the script lies in that folder.
///
/// # Errors
/// As [`node_modules`].
pub fn node(script: impl AsRef<OsStr>) -> io::Result<Command> {
    node_modules()?;
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder());
    Ok(command)
}

/// A command that runs `anvil` or `cast`: the npm package's where there is one for this machine,
/// else what `PATH` has.
///
/// # Errors
/// As [`node_modules`].
pub fn foundry(tool: &str) -> io::Result<Command> {
    let packaged = node_modules()?.join(format!("@foundry-rs/{tool}-linux-amd64/bin/{tool}"));
    if !packaged.is_file() {
        return Ok(Command::new(tool));
    }
    make_executable(&packaged)?;
    Ok(Command::new(packaged))
}

/// npm writes `.package-lock.json` into `node_modules` at the end of an installation.
fn is_current(folder: &Path, modules: &Path) -> bool {
    let changed = |path: PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    let installed = changed(modules.join(".package-lock.json"));
    installed.is_some() && installed >= changed(folder.join("package-lock.json"))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 == 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o755))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> io::Result<()> {
    Ok(())
}
