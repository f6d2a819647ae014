//! A fresh database of each kind that there is.

use std::io::Write;

use chain::Db;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

/// URL of a PostgreSQL server where tests may create databases.
const POSTGRES: &str = "METALAYER_TEST_POSTGRES";

/// An empty database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// The folder of a SQLite file; gone with the value. A PostgreSQL database goes with its cluster.
    _folder: Option<TempDir>,
}

/// SQLite, and PostgreSQL where there is one: every test of what is stored takes both.
pub(crate) async fn all() -> Vec<Database> {
    let mut databases = vec![sqlite()];
    databases.extend(postgres().await);
    databases
}

pub(crate) fn sqlite() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("aggregator.db").display());
    Database { url, _folder: Some(folder) }
}

/// A database of its own on the server that `METALAYER_TEST_POSTGRES` names.
pub(crate) async fn postgres() -> Option<Database> {
    let Ok(server) = std::env::var(POSTGRES) else {
        let line = format!("SKIPPED on PostgreSQL: {POSTGRES} is not set\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    let name = format!("t_{}", hex::encode(rand::random::<[u8; 8]>()));
    let db = Db::open(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(AssertSqlSafe(create)).execute(db.pool()).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    Some(Database { url: url.into(), _folder: None })
}
