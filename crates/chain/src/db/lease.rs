//! One process for one name: leases that end with the process that holds them.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy::primitives::keccak256;
use service::tasks::Tasks;
use sqlx::{AnyConnection, Connection, Row};

use super::{Db, Error, Kind};

/// How long a lease that is held is waited for: a process that has just ended may not have let go of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the database is asked whether the lease still holds.
const CHECK: Duration = Duration::from_secs(2);
/// A database that has not answered by then is as one that ended the session: it may have given the lease to another
/// process, and a connection that is cut without a word would never say so.
const ANSWER: Duration = Duration::from_secs(10);

/// The right to be the only one who uses a name with a database. Ends when it is dropped.
#[derive(Debug)]
pub struct Lease {
    name: String,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// Nobody else can open a database in memory.
    Private,
    /// The operating system lets go of the lock with the process.
    Locked(#[allow(dead_code, reason = "held for its lock")] File),
    /// PostgreSQL lets go of the lock with the connection.
    Session(Box<AnyConnection>),
}

impl Db {
    /// Takes the lease `name`: with SQLite a lock on a file beside the database, with PostgreSQL an advisory lock.
    ///
    /// # Errors
    /// [`Error::Leased`] when another process holds it and keeps it.
    pub async fn lease(&self, name: &str) -> Result<Lease, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(hold) = self.try_lease(name).await? {
                return Ok(Lease { name: name.to_owned(), hold });
            }
            if Instant::now() > deadline {
                return Err(Error::Leased { name: name.to_owned() });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_lease(&self, name: &str) -> Result<Option<Hold>, Error> {
        match (self.kind, &self.file) {
            (Kind::Sqlite, None) => Ok(Some(Hold::Private)),
            (Kind::Sqlite, Some(database)) => lock(beside(database, name)),
            (Kind::Postgres, _) => {
                let mut connection = self.pool.acquire().await?;
                let [a, b, c, d, e, f, g, h, ..] = keccak256(name).0;
                let row = sqlx::query("SELECT pg_try_advisory_lock($1) AS taken")
                    .bind(i64::from_be_bytes([a, b, c, d, e, f, g, h]))
                    .fetch_one(&mut *connection)
                    .await?;
                let taken: bool = row.try_get("taken")?;
                Ok(taken.then(|| Hold::Session(Box::new(connection.detach()))))
            }
        }
    }
}

impl Lease {
    /// Holds it until the service shuts down; when it is lost before, the service stops.
    pub fn hold(self, tasks: &Tasks) {
        let shutdown = tasks.shutdown();
        tasks.spawn(format!("lease {}", self.name), async move {
            let lost = shutdown.run_until_cancelled(self.lost()).await;
            lost.map_or(Ok(()), Err)
        });
    }

    /// Resolves when the lease is lost, which only a database on another machine can do: whoever holds it has to stop.
    pub async fn lost(self) -> Error {
        let Hold::Session(mut connection) = self.hold else {
            let _hold = self.hold;
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(CHECK).await;
            match tokio::time::timeout(ANSWER, connection.ping()).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => tracing::error!(name = self.name, %error, "lease lost"),
                Err(_) => tracing::error!(name = self.name, "lease lost: the database is silent"),
            }
            return Error::LeaseLost { name: self.name };
        }
    }
}

fn lock(path: PathBuf) -> Result<Option<Hold>, Error> {
    let failed = |source| Error::LeaseFile { path: path.clone(), source };
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Hold::Locked(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// `<database>.<name>.lease`, with nothing in the name that a file system may refuse.
fn beside(database: &std::path::Path, name: &str) -> PathBuf {
    let word = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let mut path = database.as_os_str().to_owned();
    path.push(format!(".{}.lease", name.chars().map(word).collect::<String>()));
    path.into()
}
