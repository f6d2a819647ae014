//! One database of each kind.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chain::Db;
use tempfile::TempDir;

#[path = "../../../../tests/src/needs.rs"]
#[expect(unreachable_pub, dead_code, reason = "the file is a public module of another package")]
mod needs;

/// URL of a PostgreSQL server where tests may create databases.
const POSTGRES: &str = "METALAYER_TEST_POSTGRES";

/// A fresh database and what keeps it alive.
pub(crate) struct Database {
    pub(crate) db: Db,
    pub(crate) url: String,
    _home: Home,
}

enum Home {
    Folder { _folder: TempDir },
    Cluster { _cluster: Cluster },
    Elsewhere,
}

pub(crate) async fn sqlite() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    Database { db: Db::open(&url).await.unwrap(), url, _home: Home::Folder { _folder: folder } }
}

/// A database of its own on the server at `METALAYER_TEST_POSTGRES`, or a private cluster on a Unix socket where
/// PostgreSQL is installed.
pub(crate) async fn postgres() -> Option<Database> {
    if let Ok(server) = std::env::var(POSTGRES) {
        return Some(on_server(&server).await);
    }
    let Some(cluster) = Cluster::start() else {
        needs::skipped(POSTGRES, "is not set, and PostgreSQL is not installed");
        return None;
    };
    let url = cluster.url();
    let db = Db::open(&url).await.unwrap();
    Some(Database { db, url, _home: Home::Cluster { _cluster: cluster } })
}

async fn on_server(server: &str) -> Database {
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let name = format!("chain_{random:016x}");
    let admin = Db::open(server).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(admin.pool()).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    let url = String::from(url);
    Database { db: Db::open(&url).await.unwrap(), url, _home: Home::Elsewhere }
}

/// Both, where there are both: every query must serve both.
pub(crate) async fn both() -> Vec<Database> {
    let mut databases = vec![sqlite().await];
    databases.extend(postgres().await);
    databases
}

/// A PostgreSQL server of our own. It refuses to run as root, so root becomes `postgres` first.
struct Cluster {
    folder: TempDir,
}

impl Cluster {
    /// `None` where PostgreSQL is not installed.
    fn start() -> Option<Self> {
        let (mut initdb, mut pg_ctl) = (as_postgres("initdb")?, as_postgres("pg_ctl")?);
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let data = folder.path().join("data");
        run(initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "-D"]).arg(&data));
        let options = format!("-c listen_addresses='' -c fsync=off -k {}", folder.path().display());
        let log = folder.path().join("log");
        let start = ["start", "-w", "-o", &options, "-D"];
        run(pg_ctl.args(start).arg(&data).arg("-l").arg(log));
        Some(Self { folder })
    }

    fn url(&self) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let mut pg_ctl = as_postgres("pg_ctl").unwrap();
        run(pg_ctl.args(["stop", "-m", "immediate", "-D"]).arg(data));
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

/// A tool of PostgreSQL, on the path or in the newest of Debian's folders.
fn as_postgres(tool: &str) -> Option<Command> {
    let path = find(tool)?;
    if !is_root() {
        return Some(Command::new(path));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
    command.current_dir("/");
    Some(command)
}

fn find(tool: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let mut versions: Vec<PathBuf> = std::fs::read_dir(Path::new("/usr/lib/postgresql"))
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().map(|folder| folder.join(tool)).find(|path| path.is_file())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
