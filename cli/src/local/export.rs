//! The same system for containers: one image, one container a role, PostgreSQL, no secret in any file.

mod compose;

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use chain::Manifest;
use eyre::WrapErr;
use serde::Serialize;

use self::compose::{CHAINS, DATABASE};
use super::{
    configs::{Announce, Databases, Place, Setting},
    keys::{Holder, Keyring},
    layout::{Layout, Role},
    network::Network,
    system::{devnet_config, solver_urls, with_admin_token},
};

/// Where a container finds its configuration and the manifest.
const CONFIG_DIR: &str = "/etc/metalayer";
/// Where a container keeps what is its own.
const STATE_DIR: &str = "/var/lib/metalayer";
/// Where a container finds its secrets.
const SECRETS_DIR: &str = "/run/secrets";
/// What every role offers to others listens on this port of its own host.
const LISTEN_PORT: u16 = 8_080;
/// Metrics and health of every role are on this port of its own host.
const ADMIN_PORT: u16 = 9_100;
/// First JSON-RPC port of embedded chains.
const RPC_PORT: u16 = 8_545;

const CONTAINERFILE: &str = include_str!("export/Containerfile");

/// What was written, and what is left to do.
#[derive(Debug, Serialize)]
pub(crate) struct Export {
    folder: String,
    files: Vec<String>,
    secrets: Vec<SecretFile>,
}

/// A file that its operator has to fill.
#[derive(Debug, Clone, Serialize)]
struct SecretFile {
    file: String,
    holds: String,
}

impl Export {
    /// Writes the system of `layout`, as `manifest` says it is deployed, into `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn write(layout: &Layout, manifest: &Manifest, folder: &Path) -> eyre::Result<Self> {
        let secrets = secrets(&layout.keys)?;
        let mut writer = Writer { folder, files: Vec::new() };
        let manifest = in_containers(layout, manifest)?;
        writer.write("manifest.json", &(serde_json::to_string_pretty(&manifest)? + "\n"))?;
        let setting = Setting {
            keys: Keyring::Files(SECRETS_DIR.into()),
            databases: Databases::Postgres(DATABASE),
            announce: Announce::Host,
            chains: layout.network.kind(),
        };
        let solvers = solver_urls(|role| format!("http://{role}:{LISTEN_PORT}"));
        for role in Role::services() {
            let text = setting.config(role, &place(layout, role), &manifest, &solvers);
            let mut text = text.unwrap_or_default();
            if let Some(token) = token(role) {
                text = with_admin_token(&Path::new(SECRETS_DIR).join(token), &text);
            }
            writer.write(&format!("config/{role}.toml"), &text)?;
        }
        let chains = match layout.network {
            Network::Embedded { chains } => {
                let text = devnet_config(chains, ("0.0.0.0", RPC_PORT), STATE_DIR);
                writer.write(&format!("config/{CHAINS}.toml"), &text)?;
                copy(&layout.state(Role::Devnet), &folder.join("chains"))?;
                Some(chains)
            }
            Network::External(_) => None,
        };
        writer.write("Containerfile", CONTAINERFILE)?;
        // The builder needs nothing of this folder, least of all its secrets.
        writer.write(".dockerignore", "*\n")?;
        writer.write("compose.yaml", &compose::compose(chains, gateway_port(layout)))?;
        writer.write("databases.sql", &databases())?;
        writer.write(".env.example", compose::ENVIRONMENT)?;
        Ok(Self { folder: folder.display().to_string(), files: writer.files, secrets })
    }
}

impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wrote into {}", self.folder)?;
        for file in &self.files {
            writeln!(f, "  {file}")?;
        }
        writeln!(f, "\nput the keys there; no file that was written holds one")?;
        for secret in &self.secrets {
            writeln!(f, "  {:<36}{}", secret.file, secret.holds)?;
        }
        writeln!(f, "\nthen, with .env as .env.example says")?;
        write!(f, "  docker compose --project-directory {} up --build --detach", self.folder)
    }
}

/// Files below one folder.
struct Writer<'a> {
    folder: &'a Path,
    files: Vec<String>,
}

impl Writer<'_> {
    fn write(&mut self, name: &str, text: &str) -> eyre::Result<()> {
        let path = self.folder.join(name);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(self.folder))?;
            fs::write(&path, text)
        };
        write().wrap_err_with(|| path.display().to_string())?;
        self.files.push(name.to_owned());
        Ok(())
    }
}

/// Every key that a role reads, with the account that it must be of.
fn secrets(keys: &Keyring) -> eyre::Result<Vec<SecretFile>> {
    let mut secrets = Vec::new();
    for holder in Holder::operators() {
        let address = keys.address(holder)?;
        secrets.push(SecretFile {
            file: format!("secrets/{}", holder.file()),
            holds: format!("key of {address}"),
        });
    }
    for token in Role::services().filter_map(token) {
        secrets.push(SecretFile {
            file: format!("secrets/{token}"),
            holds: "32 random characters or more, for the operator's API".to_owned(),
        });
    }
    secrets.push(SecretFile {
        file: "secrets/integrity.key".to_owned(),
        holds: "32 random characters or more".to_owned(),
    });
    Ok(secrets)
}

/// The manifest as containers see the chains.
fn in_containers(layout: &Layout, manifest: &Manifest) -> eyre::Result<Manifest> {
    let mut manifest = manifest.clone();
    if matches!(layout.network, Network::Embedded { .. }) {
        for (index, id) in (RPC_PORT..).zip(layout.rpcs()?.into_keys()) {
            for chain in manifest.chains.values_mut().filter(|chain| chain.chain_id.0 == id) {
                chain.rpc = vec![format!("http://{CHAINS}:{index}").parse()?];
            }
        }
    }
    Ok(manifest)
}

/// Name of the secret that lets somebody operate a role over HTTP.
fn token(role: Role) -> Option<String> {
    matches!(role, Role::Solver(_)).then(|| format!("{role}-admin.token"))
}

/// Port of the relayer's gateway. Messages with reads name it on the chains by the URLs of the machine that
/// deployed, and who looks there is the relayer itself: it has to find itself there in its container too.
fn gateway_port(layout: &Layout) -> u16 {
    layout.place(Role::Relayer).listen.port()
}

fn place(layout: &Layout, role: Role) -> Place {
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    Place {
        manifest: PathBuf::from(CONFIG_DIR).join("manifest.json"),
        state: STATE_DIR.into(),
        listen: any(if role == Role::Relayer { gateway_port(layout) } else { LISTEN_PORT }),
        admin: any(ADMIN_PORT),
    }
}

/// One database a role, so that none can read another's.
fn databases() -> String {
    let create = |role: Role| format!("CREATE DATABASE {};\n", role.database_name());
    Role::services().map(create).collect()
}

fn copy(from: &Path, to: &Path) -> eyre::Result<()> {
    fs::create_dir_all(to).wrap_err_with(|| to.display().to_string())?;
    for entry in fs::read_dir(from).wrap_err_with(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).wrap_err_with(|| target.display().to_string())?;
        }
    }
    Ok(())
}
