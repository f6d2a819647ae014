use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use alloy_primitives::{B256, Keccak256};
use serde::Deserialize;

/// The recipe, which also marks the root of the workspace.
const RECIPE: &str = "contracts/wasm.toml";

/// What the programs are compiled from, besides the crates in `contracts`.
const SHARED_INPUTS: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "crates/protocol/Cargo.toml",
    "crates/protocol/src",
];

/// The workspace that the programs are compiled from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    root: PathBuf,
    target: PathBuf,
}

/// Why the sources cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Neither the current folder nor the one this was compiled in is inside the workspace.
    #[error(
        "no {RECIPE} in {} or above it: run inside the source tree, or name a folder of built \
         programs in METALAYER_PROGRAMS",
        current.display()
    )]
    NotFound {
        /// Where the search began.
        current: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A crate's manifest is not valid.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: toml::de::Error,
    },
}

impl Source {
    /// The workspace around the current folder, or else the one this was compiled in.
    ///
    /// # Errors
    /// [`SourceError::NotFound`].
    pub fn find() -> Result<Self, SourceError> {
        let current = env::current_dir()
            .map_err(|source| SourceError::File { path: PathBuf::from("."), source })?;
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = current
            .ancestors()
            .chain(compiled_in.ancestors())
            .find(|folder| folder.join(RECIPE).is_file());
        match root {
            Some(root) => Ok(Self::at(root.to_owned())),
            None => Err(SourceError::NotFound { current }),
        }
    }

    /// The workspace at `root`, with cargo's target folder as the environment sets it.
    pub fn at(root: PathBuf) -> Self {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let target = root.join(target);
        Self { root, target }
    }

    /// The same workspace with a target folder of its own.
    #[must_use]
    pub fn with_target(self, target: PathBuf) -> Self {
        Self { target, ..self }
    }

    /// The root of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where built programs are kept.
    pub fn programs_directory(&self) -> PathBuf {
        self.target.join("programs")
    }

    /// The cargo configuration that makes programs small.
    pub fn recipe(&self) -> PathBuf {
        self.root.join(RECIPE)
    }

    /// Makes the workspace ready for `cargo stylus`, which can pass no `--config`, and returns the target folder for it.
    ///
    /// Cargo reads the recipe in `contracts/.cargo/config.toml`. The tool looks for a module under the name of its package,
    /// where cargo writes it with underscores: links in the target folder lead from one to the other.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn prepare_cargo_stylus(&self) -> Result<PathBuf, SourceError> {
        let target = self.target.join("cargo-stylus");
        let modules = target.join("wasm32-unknown-unknown/release/deps");
        let config = self.root.join("contracts/.cargo/config.toml");
        for folder in [config.parent(), Some(&modules)].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(file_error(folder))?;
        }
        fs::copy(self.recipe(), &config).map_err(file_error(&config))?;
        for name in self.names()? {
            link(&modules, &name)?;
        }
        Ok(target)
    }

    /// The crates in `contracts` that are programs (those that build a `cdylib`), sorted.
    ///
    /// # Errors
    /// An unreadable folder or manifest.
    pub fn names(&self) -> Result<Vec<String>, SourceError> {
        let mut names = Vec::new();
        for folder in entries(&self.root.join("contracts"))? {
            let path = folder.join("Cargo.toml");
            if !path.is_file() {
                continue;
            }
            let text = read(&path)?;
            let manifest: Manifest = toml::from_str(&String::from_utf8_lossy(&text))
                .map_err(|source| SourceError::Manifest { path, source })?;
            if manifest.lib.crate_type.iter().any(|kind| kind == "cdylib") {
                names.push(manifest.package.name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Hash of everything that decides the bytes of the programs: names and contents of the crates
    /// in `contracts`, of `protocol`, of the manifests, the lock file and the recipe.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn hash(&self) -> Result<B256, SourceError> {
        let mut files = vec![self.recipe()];
        for folder in entries(&self.root.join("contracts"))? {
            let manifest = folder.join("Cargo.toml");
            if manifest.is_file() {
                files.push(manifest);
                collect(&folder.join("src"), &mut files)?;
            }
        }
        for input in SHARED_INPUTS {
            collect(&self.root.join(input), &mut files)?;
        }
        files.sort();

        let mut hash = Keccak256::new();
        for path in files {
            let name = path.strip_prefix(&self.root).unwrap_or(&path).to_string_lossy();
            let content = read(&path)?;
            for part in [name.as_bytes(), &content] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        Ok(hash.finalize())
    }
}

/// A link from the module's name as the tool has it to the one that cargo writes, which need not be there yet.
#[cfg(unix)]
fn link(modules: &Path, package: &str) -> Result<(), SourceError> {
    let module = format!("{}.wasm", package.replace('-', "_"));
    let path = modules.join(format!("{package}.wasm"));
    if !package.contains('-') || path.is_symlink() {
        return Ok(());
    }
    std::os::unix::fs::symlink(module, &path).map_err(file_error(&path))
}

/// Elsewhere links need rights that few have.
#[cfg(not(unix))]
fn link(_modules: &Path, _package: &str) -> Result<(), SourceError> {
    Ok(())
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(default)]
    lib: Library,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Library {
    #[serde(default)]
    crate_type: Vec<String>,
}

/// Every file at or below `path`; none when there is no such path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in entries(path)? {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(file_error(folder))? {
        paths.push(entry.map_err(file_error(folder))?.path());
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    fs::read(path).map_err(file_error(path))
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> SourceError + use<> {
    let path = path.to_owned();
    move |source| SourceError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_workspace_are_found_without_their_library() {
        let names = Source::find().unwrap().names().unwrap();
        assert!(names.iter().any(|name| name == "inbox"), "{names:?}");
        assert!(!names.iter().any(|name| name == "parts"), "{names:?}");
    }

    #[test]
    #[cfg(unix)]
    fn cargo_stylus_finds_recipe_and_modules() {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("contracts/two-words");
        fs::create_dir_all(&program).unwrap();
        fs::write(root.path().join(RECIPE), "[unstable]").unwrap();
        let manifest = "[package]\nname = \"two-words\"\n[lib]\ncrate-type = [\"cdylib\"]";
        fs::write(program.join("Cargo.toml"), manifest).unwrap();
        let source = Source::at(root.path().to_owned());
        let source = source.with_target(root.path().join("target"));
        let modules =
            source.prepare_cargo_stylus().unwrap().join("wasm32-unknown-unknown/release/deps");
        fs::write(modules.join("two_words.wasm"), "module").unwrap();
        assert_eq!(fs::read_to_string(modules.join("two-words.wasm")).unwrap(), "module");
        let config = root.path().join("contracts/.cargo/config.toml");
        assert_eq!(fs::read_to_string(config).unwrap(), "[unstable]");
        source.prepare_cargo_stylus().unwrap();
    }

    #[test]
    fn the_hash_follows_the_content_and_not_the_place() {
        let copy = |text: &str| {
            let root = tempfile::tempdir().unwrap();
            let source = root.path().join("contracts/one/src");
            fs::create_dir_all(&source).unwrap();
            fs::write(root.path().join(RECIPE), "").unwrap();
            fs::write(root.path().join("contracts/one/Cargo.toml"), "").unwrap();
            fs::write(source.join("lib.rs"), text).unwrap();
            Source::at(root.path().to_owned()).hash().unwrap()
        };
        assert_eq!(copy("fn a() {}"), copy("fn a() {}"));
        assert_ne!(copy("fn a() {}"), copy("fn b() {}"));
    }
}
