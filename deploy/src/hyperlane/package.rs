//! Fetching, unpacking, caching.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use alloy::{hex, primitives::Bytes};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha512};

use super::{Contract, Error, Lock, checked};

type Codes = BTreeMap<Contract, Bytes>;

/// The package in a folder: unpacked (here or below `package/`), or packed.
pub(super) fn read_folder(lock: &Lock, folder: &Path) -> Result<Codes, Error> {
    for root in [folder.to_owned(), folder.join("package")] {
        if root.join("dist").is_dir() {
            return read_unpacked(lock, &root);
        }
    }
    let packed = folder.join(tarball_name(lock));
    if packed.is_file() {
        return read_packed(lock, &packed);
    }
    read_codes(lock, folder)
}

/// The user's cache, filled first when it is empty. A lock file keeps two programs from fetching at once.
pub(super) fn read_cache(lock: &Lock) -> Result<Codes, Error> {
    let cache = dirs::cache_dir().ok_or(Error::NoCacheFolder)?.join("metalayer");
    fs::create_dir_all(&cache).map_err(file_error(&cache))?;
    let codes = cache.join(format!("hyperlane-{}", lock.version));
    let guard_path = cache.join("hyperlane.lock");
    let guard = File::create(&guard_path).map_err(file_error(&guard_path))?;
    fs4::FileExt::lock(&guard).map_err(file_error(&guard_path))?;
    // Damaged or older files are replaced, not trusted and not an error.
    if let Ok(found) = read_codes(lock, &codes) {
        return Ok(found);
    }
    let fetched = fetch(lock, &cache)?;
    write_codes(&codes, &fetched)?;
    Ok(fetched)
}

fn fetch(lock: &Lock, cache: &Path) -> Result<Codes, Error> {
    let draft = cache.join(format!("fetch-{}", std::process::id()));
    fs::create_dir_all(&draft).map_err(file_error(&draft))?;
    let package = format!("{}@{}", lock.package, lock.version);
    tracing::info!(package, "fetching Hyperlane's published contracts");
    let codes = run(Command::new("npm")
        .args(["pack", &package, "--ignore-scripts", "--silent", "--pack-destination"])
        .arg(&draft)
        // A package.json above the current folder must not matter.
        .current_dir(&draft))
    .and_then(|()| read_packed(lock, &draft.join(tarball_name(lock))));
    fs::remove_dir_all(&draft).map_err(file_error(&draft))?;
    codes
}

fn read_packed(lock: &Lock, packed: &Path) -> Result<Codes, Error> {
    let bytes = fs::read(packed).map_err(file_error(packed))?;
    let given = format!("sha512-{}", STANDARD.encode(Sha512::digest(&bytes)));
    if given != lock.integrity {
        let expected = lock.integrity.clone();
        return Err(Error::Integrity { path: packed.to_owned(), expected, given });
    }
    let root = packed.with_extension("unpacked");
    fs::create_dir_all(&root).map_err(file_error(&root))?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(packed).arg("-C").arg(&root);
    for contract in Contract::ALL {
        tar.arg(format!("package/{}", lock.entry(contract)?.file));
    }
    let codes = run(&mut tar).and_then(|()| read_unpacked(lock, &root.join("package")));
    fs::remove_dir_all(&root).map_err(file_error(&root))?;
    codes
}

fn read_unpacked(lock: &Lock, root: &Path) -> Result<Codes, Error> {
    Contract::ALL
        .into_iter()
        .map(|contract| {
            let path = root.join(&lock.entry(contract)?.file);
            let factory = fs::read_to_string(&path).map_err(file_error(&path))?;
            let text = cut(&factory).ok_or(Error::NoBytecode { path })?;
            Ok((contract, checked(lock, contract, text)?))
        })
        .collect()
}

/// Codes as we keep them: one file of hexadecimal digits each.
fn read_codes(lock: &Lock, folder: &Path) -> Result<Codes, Error> {
    Contract::ALL
        .into_iter()
        .map(|contract| {
            let path = folder.join(format!("{}.hex", contract.name()));
            let text = fs::read_to_string(&path).map_err(file_error(&path))?;
            Ok((contract, checked(lock, contract, &text)?))
        })
        .collect()
}

fn write_codes(folder: &Path, codes: &Codes) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    for (contract, code) in codes {
        let path = folder.join(format!("{}.hex", contract.name()));
        fs::write(&path, hex::encode(code)).map_err(file_error(&path))?;
    }
    Ok(())
}

/// The text of `const _bytecode = "0x…"` in a typechain factory.
fn cut(factory: &str) -> Option<&str> {
    let (_, rest) = factory.split_once("_bytecode = \"0x")?;
    rest.split_once('"').map(|(code, _)| code)
}

/// The file name that `npm pack` chooses.
fn tarball_name(lock: &Lock) -> String {
    let name = lock.package.trim_start_matches('@').replace('/', "-");
    format!("{name}-{}.tgz", lock.version)
}

fn run(command: &mut Command) -> Result<(), Error> {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    let command_text = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let output = command.output();
    let output = output.map_err(|error| Error::Tool {
        command: command_text.clone(),
        detail: error.to_string(),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Tool { command: command_text, detail })
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |cause| Error::File { path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_cut_out_of_a_factory() {
        let factory = "const _abi = [];\nconst _bytecode = \"0x6001\";\nconst isSuperArgs = 1;";
        assert_eq!(cut(factory), Some("6001"));
        assert_eq!(cut("export class IMailbox__factory { static abi = _abi }"), None);
    }

    #[test]
    fn another_code_than_the_pinned_one_is_refused() {
        let lock = Lock::embedded().unwrap();
        let error = checked(&lock, Contract::Mailbox, "6001").unwrap_err();
        assert!(matches!(error, Error::Code { contract: "Mailbox", .. }), "{error}");
    }

    #[test]
    fn another_package_than_the_pinned_one_is_refused() {
        let lock = Lock::embedded().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(tarball_name(&lock)), b"not the package").unwrap();
        let error = read_folder(&lock, folder.path()).unwrap_err();
        assert!(matches!(error, Error::Integrity { .. }), "{error}");
    }

    #[test]
    fn the_published_codes_are_those_of_the_lock_and_serve_without_network() {
        let lock = Lock::embedded().unwrap();
        let codes = read_cache(&lock).unwrap();
        for (contract, code) in &codes {
            assert_eq!(code.len(), lock.entry(*contract).unwrap().bytes, "{}", contract.name());
        }
        let folder = tempfile::tempdir().unwrap();
        write_codes(folder.path(), &codes).unwrap();
        assert_eq!(read_folder(&lock, folder.path()).unwrap(), codes);

        fs::write(folder.path().join("Mailbox.hex"), "6001").unwrap();
        assert!(read_folder(&lock, folder.path()).is_err());
    }
}
