//! A fresh database of each kind that there is.

use chain::Db;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

#[path = "../../../tests/src/needs.rs"]
#[expect(unreachable_pub, reason = "the file is a public module of another package")]
pub(crate) mod needs;

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
    let server = needs::given(POSTGRES)?;
    let name = format!("t_{}", hex::encode(rand::random::<[u8; 8]>()));
    let db = Db::open(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    sqlx::query(AssertSqlSafe(create)).execute(db.pool()).await.unwrap();
    let mut url: url::Url = server.parse().unwrap();
    url.set_path(&name);
    Some(Database { url: url.into(), _folder: None })
}
