use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    keys::{Holder, Keyring},
    layout::{Layout, Role},
};

/// The local system that was started last, so that other commands find it without being told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pointer {
    /// Its folder.
    pub(crate) data_dir: PathBuf,
    /// Its deployment manifest.
    pub(crate) manifest: PathBuf,
    /// Base URL of its aggregator.
    pub(crate) api: String,
    /// Base URL of its relayer's status.
    pub(crate) relayer: String,
    /// Whose money is moved by default, where that is no account of the development mnemonic.
    #[serde(default)]
    pub(crate) key: Option<String>,
}

impl Pointer {
    /// Where this system is.
    pub(crate) fn to(layout: &Layout) -> Self {
        let key = match &layout.keys {
            Keyring::Development => None,
            Keyring::Files(_) => Some(layout.keys.reference(Holder::User(0))),
        };
        Self {
            data_dir: layout.data().to_owned(),
            manifest: layout.manifest(),
            api: format!("http://{}", layout.ports.api()),
            relayer: format!("http://{}", layout.internal(Role::Relayer)),
            key,
        }
    }

    /// Remembers this system.
    pub(crate) fn save(&self) -> io::Result<()> {
        let path = path()?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }

    /// The system remembered, if one is.
    pub(crate) fn load() -> Option<Self> {
        let text = fs::read(path().ok()?).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Forgets this system, unless another was remembered since.
    pub(crate) fn forget(&self) -> io::Result<()> {
        match Self::load() {
            Some(current) if current.data_dir == self.data_dir => fs::remove_file(path()?),
            _ => Ok(()),
        }
    }
}

fn path() -> io::Result<PathBuf> {
    let folder = dirs::state_dir().or_else(dirs::data_local_dir).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "this user has no folder for state: set HOME")
    })?;
    Ok(folder.join("metalayer").join("up.json"))
}
