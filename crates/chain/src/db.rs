//! The SQL database behind every service: SQLite in a file, or PostgreSQL.
//!
//! Queries are written once, with `$n` placeholders, and take only what both databases read alike: `BIGINT`, `TEXT` and
//! `BLOB` columns. A 256-bit number is a `BLOB` of 32 big-endian bytes ([`word`] and [`RowExt::u256`]), which also sorts
//! as the number does.
//!
//! On SQLite the transactions of a process take turns on one connection, and those that commit at about the same time
//! share one write to the disk: [`Tx::commit`] returns when it is done.

mod flush;
mod lease;

use std::{
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::{Arc, Once},
    time::Duration,
};

use alloy::primitives::{Address, B256, U256};
use sqlx::{
    Any, AnyConnection, AssertSqlSafe, ConnectOptions, Executor, Row,
    any::{AnyConnectOptions, AnyPoolOptions},
};
pub use sqlx::{AnyPool, any::AnyRow};

use self::flush::Flusher;
pub use self::lease::Lease;

/// A transaction on a [`Db`]; rolled back when dropped before `commit`.
#[derive(Debug)]
pub struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    flusher: Option<Arc<Flusher>>,
}

impl Tx {
    /// Commits. When this returns, neither a crash nor a power cut takes it back.
    pub async fn commit(self) -> Result<(), Error> {
        let flusher = self.flusher.clone();
        self.commit_relaxed().await?;
        match flusher {
            Some(flusher) => flusher.flush().await,
            None => Ok(()),
        }
    }

    /// Commits without waiting for the disk. A crash of the process does not take it back; a power cut may, together with
    /// everything committed after it. For what a chain tells again, and before something that is committed in full.
    pub async fn commit_relaxed(self) -> Result<(), Error> {
        Ok(self.inner.commit().await?)
    }
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    pool: AnyPool,
    /// Where transactions run: on SQLite one connection, so that writers queue instead of polling for the lock.
    writers: AnyPool,
    kind: Kind,
    /// Of SQLite, unless it is in memory.
    file: Option<PathBuf>,
    flusher: Option<Arc<Flusher>>,
}

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite: one file, one machine. Written ahead and synced at every commit.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The database refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `sqlite:<path>` nor `postgres://…`.
    #[error("`{scheme}` is no database: expected sqlite:<path> or postgres://user@host/name")]
    UnknownScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// A query failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration that is already applied reads differently now.
    #[error("migration {index} of `{component}` was applied with another text")]
    ChangedMigration {
        /// Whose tables.
        component: String,
        /// Position, from 0.
        index: usize,
    },
    /// The database was written by a newer program.
    #[error("`{component}` has {applied} migrations, this program knows {known}")]
    NewerSchema {
        /// Whose tables.
        component: String,
        /// Migrations in the database.
        applied: usize,
        /// Migrations of this program.
        known: usize,
    },
    /// Another process uses the name.
    #[error("`{name}` is in use by another process: one key works in one process only")]
    Leased {
        /// What was to be leased.
        name: String,
    },
    /// The database ended the session that held the lease.
    #[error("the lease of `{name}` is lost: another process may have taken it")]
    LeaseLost {
        /// What was leased.
        name: String,
    },
    /// The lock file of a lease cannot be used.
    #[error("{path}: {source}")]
    LeaseFile {
        /// The lock file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// What was committed could not be brought to the disk.
    #[error("write-ahead log: {0}")]
    Flush(#[from] std::io::Error),
    /// A stored value has not the expected form.
    #[error("column {column} holds no {expected}")]
    Column {
        /// Name of the column.
        column: String,
        /// What was expected there.
        expected: &'static str,
    },
}

impl Error {
    /// Whether the database gave a transaction up for the sake of another one (PostgreSQL's `deadlock_detected` and
    /// `serialization_failure`): nothing of it was written, and the whole of it may be run again.
    pub fn is_conflict(&self) -> bool {
        let Self::Sql(error) = self else { return false };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| matches!(&*code, "40P01" | "40001"))
    }
}

impl Db {
    /// Opens `sqlite:<path>` (created when missing), `sqlite::memory:` or `postgres://user@host/name`.
    ///
    /// A database in memory has one connection: a query outside a transaction that is open waits for it.
    pub async fn open(url: &str) -> Result<Self, Error> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let kind = match url.split(':').next().unwrap_or_default() {
            "sqlite" => Kind::Sqlite,
            "postgres" | "postgresql" => Kind::Postgres,
            other => return Err(Error::UnknownScheme { scheme: other.to_owned() }),
        };
        let in_memory = url.starts_with("sqlite::memory:");
        let file = match kind {
            Kind::Sqlite if !in_memory => file_of(url),
            _ => None,
        };
        let url = match kind {
            Kind::Sqlite if !in_memory && !url.contains('?') => format!("{url}?mode=rwc"),
            _ => url.to_owned(),
        };
        let options: AnyConnectOptions = url.parse::<AnyConnectOptions>()?;
        let options = options.disable_statement_logging();
        if kind == Kind::Postgres {
            let pool = pool_options(8).connect_with(options).await?;
            return Ok(Self { writers: pool.clone(), pool, kind, file, flusher: None });
        }
        if in_memory {
            let pool = sqlite_options(1, "FULL").min_connections(1);
            let pool = pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?;
            return Ok(Self { writers: pool.clone(), pool, kind, file, flusher: None });
        }
        let pool = sqlite_options(8, "FULL").connect_with(options.clone()).await?;
        // The flusher does for many commits at once what `FULL` does for each.
        let writers = sqlite_options(1, "NORMAL").connect_with(options).await?;
        let flusher = Some(Arc::new(Flusher::of(&pool).await?));
        Ok(Self { pool, writers, kind, file, flusher })
    }

    /// Which database it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What to run single queries on.
    pub const fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins a transaction that may write.
    pub async fn begin(&self) -> Result<Tx, Error> {
        // SQLite would otherwise take the write lock at the first write and fail when another writer was in between.
        let statement = match self.kind {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        let inner = self.writers.begin_with(statement).await?;
        Ok(Tx { inner, flusher: self.flusher.clone() })
    }

    /// Completes when everything committed so far is on the disk.
    pub async fn flush(&self) -> Result<(), Error> {
        match &self.flusher {
            Some(flusher) => flusher.flush().await,
            None => Ok(()),
        }
    }

    /// Brings the tables of `component` up to date. Each migration is one or more statements, runs once, and must never
    /// change afterwards; `BLOB` is written for `BYTEA` everywhere.
    ///
    /// # Errors
    /// [`Error::ChangedMigration`] and [`Error::NewerSchema`] when the database does not belong to this program.
    pub async fn migrate(&self, component: &str, migrations: &[&str]) -> Result<(), Error> {
        const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (component TEXT NOT NULL, \
             position BIGINT NOT NULL, statements TEXT NOT NULL, PRIMARY KEY (component, position))";
        let mut tx = self.begin().await?;
        if self.kind == Kind::Postgres {
            // Two services may start on one empty database at the same time.
            sqlx::query("SELECT pg_advisory_xact_lock(7361)").execute(&mut *tx).await?;
        }
        sqlx::query(TABLE).execute(&mut *tx).await?;
        let applied = sqlx::query(
            "SELECT statements FROM schema_migrations WHERE component = $1 ORDER BY position",
        )
        .bind(component)
        .fetch_all(&mut *tx)
        .await?;
        if applied.len() > migrations.len() {
            let (applied, known) = (applied.len(), migrations.len());
            return Err(Error::NewerSchema { component: component.to_owned(), applied, known });
        }
        for (index, migration) in migrations.iter().enumerate() {
            match applied.get(index) {
                Some(row) if row.try_get::<String, _>("statements")? == *migration => {}
                Some(_) => {
                    return Err(Error::ChangedMigration { component: component.to_owned(), index });
                }
                None => self.apply(&mut tx, component, index, migration).await?,
            }
        }
        tx.commit().await
    }

    async fn apply(
        &self,
        tx: &mut Tx,
        component: &str,
        index: usize,
        migration: &str,
    ) -> Result<(), Error> {
        let statements = match self.kind {
            Kind::Sqlite => migration.to_owned(),
            Kind::Postgres => migration.replace("BLOB", "BYTEA"),
        };
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut **tx).await?;
        sqlx::query(
            "INSERT INTO schema_migrations (component, position, statements) VALUES ($1, $2, $3)",
        )
        .bind(component)
        .bind(i64::try_from(index).unwrap_or(i64::MAX))
        .bind(migration)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// The path in `sqlite:<path>?<parameters>`.
fn file_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split('?').next().map(PathBuf::from)
}

fn pool_options(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new().acquire_timeout(PATIENCE).max_connections(connections)
}

fn sqlite_options(connections: u32, synchronous: &'static str) -> AnyPoolOptions {
    // A connection to a file does not die of itself: asking before every use would only cost time. Each has a cache of its
    // own, of what the system caches for all: 512 KiB hold the pages that every statement passes.
    pool_options(connections).test_before_acquire(false).after_connect(move |connection, _| {
        let pragmas = format!(
            "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON; \
             PRAGMA cache_size = -512"
        );
        Box::pin(async move {
            connection.execute(AssertSqlSafe(pragmas)).await?;
            Ok(())
        })
    })
}

/// A 256-bit number as it is stored: 32 big-endian bytes.
pub fn word(number: U256) -> Vec<u8> {
    number.to_be_bytes_vec()
}

/// An unsigned number as it is stored. Numbers above `i64::MAX` (no block, nonce or timestamp is) become `i64::MAX`.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads the values that [`word`] and [`int`] wrote, hashes and addresses from a row.
pub trait RowExt {
    /// A `BIGINT` as an unsigned number.
    fn u64(&self, column: &str) -> Result<u64, Error>;
    /// A `BIGINT` that may be null.
    fn opt_u64(&self, column: &str) -> Result<Option<u64>, Error>;
    /// A 32-byte `BLOB` as a number.
    fn u256(&self, column: &str) -> Result<U256, Error>;
    /// A 32-byte `BLOB` as a hash.
    fn b256(&self, column: &str) -> Result<B256, Error>;
    /// A 32-byte `BLOB` that may be null.
    fn opt_b256(&self, column: &str) -> Result<Option<B256>, Error>;
    /// A 20-byte `BLOB` as an address.
    fn address(&self, column: &str) -> Result<Address, Error>;
    /// A `BLOB`.
    fn bytes(&self, column: &str) -> Result<Vec<u8>, Error>;
    /// A `BLOB` that may be null.
    fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, Error>;
    /// A `TEXT`.
    fn text(&self, column: &str) -> Result<String, Error>;
    /// A `TEXT` that may be null.
    fn opt_text(&self, column: &str) -> Result<Option<String>, Error>;
}

fn fault(column: &str, expected: &'static str) -> Error {
    Error::Column { column: column.to_owned(), expected }
}

impl RowExt for AnyRow {
    fn u64(&self, column: &str) -> Result<u64, Error> {
        let number: i64 = self.try_get(column)?;
        u64::try_from(number).map_err(|_| fault(column, "unsigned number"))
    }

    fn opt_u64(&self, column: &str) -> Result<Option<u64>, Error> {
        let number: Option<i64> = self.try_get(column)?;
        number
            .map(|number| u64::try_from(number).map_err(|_| fault(column, "unsigned number")))
            .transpose()
    }

    fn u256(&self, column: &str) -> Result<U256, Error> {
        U256::try_from_be_slice(&self.bytes(column)?).ok_or_else(|| fault(column, "256-bit number"))
    }

    fn b256(&self, column: &str) -> Result<B256, Error> {
        B256::try_from(self.bytes(column)?.as_slice()).map_err(|_| fault(column, "32-byte hash"))
    }

    fn opt_b256(&self, column: &str) -> Result<Option<B256>, Error> {
        let bytes: Option<Vec<u8>> = self.try_get(column)?;
        bytes
            .map(|bytes| {
                B256::try_from(bytes.as_slice()).map_err(|_| fault(column, "32-byte hash"))
            })
            .transpose()
    }

    fn address(&self, column: &str) -> Result<Address, Error> {
        Address::try_from(self.bytes(column)?.as_slice())
            .map_err(|_| fault(column, "20-byte address"))
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>, Error> {
        Ok(self.try_get(column)?)
    }

    fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: &str) -> Result<String, Error> {
        Ok(self.try_get(column)?)
    }

    fn opt_text(&self, column: &str) -> Result<Option<String>, Error> {
        Ok(self.try_get(column)?)
    }
}
