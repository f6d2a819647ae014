//! One write to the disk for all who commit at about the same time.

use std::{
    fs::OpenOptions,
    io,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use sqlx::AnyPool;
use tokio::sync::Mutex;

use super::{Error, RowExt as _};

/// Brings SQLite's write-ahead log to the disk.
///
/// Transactions are committed with `synchronous = NORMAL`: their frames are in the log, which the system has yet to write.
/// Whoever needs them to survive a power cut waits for a flush that began after the commit; there is never more than one
/// under way, and it serves everybody who came before it.
#[derive(Debug)]
pub(super) struct Flusher {
    log: PathBuf,
    /// Flushes begun so far.
    begun: AtomicU64,
    /// Number of the last flush that succeeded.
    done: Mutex<u64>,
}

impl Flusher {
    /// A flusher of the log beside the pool's file.
    pub(super) async fn of(pool: &AnyPool) -> Result<Self, Error> {
        let row = sqlx::query("SELECT file FROM pragma_database_list WHERE name = 'main'")
            .fetch_one(pool)
            .await?;
        let log = PathBuf::from(format!("{}-wal", row.text("file")?));
        Ok(Self { log, begun: AtomicU64::new(0), done: Mutex::new(0) })
    }

    /// Completes when everything committed before the call is on the disk.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut done = self.done.lock().await;
        if *done > begun_before {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let log = self.log.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            match OpenOptions::new().read(true).write(true).open(log) {
                Ok(file) => file.sync_data(),
                // Checkpointed and removed with its last connection: SQLite has synced the database itself then.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        });
        outcome.await.map_err(io::Error::other)??;
        *done = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn many_commits_share_few_flushes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let db = Db::open(&format!("sqlite:{}", path.display())).await.unwrap();
        db.migrate("test", &["CREATE TABLE t (a BIGINT)"]).await.unwrap();
        let flusher = Arc::clone(db.flusher.as_ref().unwrap());
        let before = flusher.begun.load(Ordering::SeqCst);
        let commits = (0..100).map(|a| {
            let db = db.clone();
            async move {
                let mut tx = db.begin().await.unwrap();
                sqlx::query("INSERT INTO t VALUES ($1)").bind(a).execute(&mut *tx).await.unwrap();
                tx.commit().await.unwrap();
            }
        });
        futures::future::join_all(commits).await;
        let flushes = flusher.begun.load(Ordering::SeqCst) - before;
        assert!((1..=100).contains(&flushes), "{flushes}");
        assert_eq!(*flusher.done.lock().await, flushes + before);
        let row = sqlx::query("SELECT COUNT(*) AS n FROM t").fetch_one(db.pool()).await.unwrap();
        assert_eq!(row.u64("n").unwrap(), 100);
    }
}
