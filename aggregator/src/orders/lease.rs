use std::time::Duration;

use chain::db::{Db, RowExt, Tx};

use super::{StoreError, millis};

/// How long a chain stays with an instance that says nothing. Clocks of instances may differ by
/// less than that; more only moves the work to and fro, the term keeps it right.
pub(crate) const LENGTH: Duration = Duration::from_secs(10);

/// Who does what exists once: of all instances on one database, one at a time holds each lease.
#[derive(Clone, Debug)]
pub struct Leases {
    db: Db,
    holder: String,
}

/// A lease that is held. Whoever works under it proves in each transaction that it still is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    name: String,
    holder: String,
    term: u64,
}

impl Leases {
    /// The leases of a database, for the instance of this name.
    pub fn new(db: Db, instance: impl Into<String>) -> Self {
        Self { db, holder: instance.into() }
    }

    /// Takes the lease when nobody else holds it. An instance that was killed and is back under its
    /// name takes up its own at once.
    ///
    /// # Errors
    /// [`StoreError::Db`].
    pub async fn acquire(&self, name: &str, now: Duration) -> Result<Option<Lease>, StoreError> {
        let row = sqlx::query(
            "INSERT INTO leases (name, holder, term, until) VALUES ($1, $2, 1, $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, \
             until = excluded.until WHERE leases.until <= $4 OR leases.holder = excluded.holder \
             RETURNING term",
        )
        .bind(name)
        .bind(&self.holder)
        .bind(millis(now + LENGTH))
        .bind(millis(now))
        .fetch_optional(self.db.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (name, holder) = (name.to_owned(), self.holder.clone());
        Ok(Some(Lease { name, holder, term: row.u64("term")? }))
    }
}

impl Lease {
    /// Keeps the lease for another while, as part of the holder's transaction. `false` when another
    /// instance has it: the transaction must be rolled back.
    ///
    /// # Errors
    /// [`StoreError::Db`].
    pub async fn renew(&self, tx: &mut Tx, now: Duration) -> Result<bool, StoreError> {
        self.set(tx, millis(now + LENGTH)).await
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// [`StoreError::Db`].
    pub async fn release(&self, tx: &mut Tx) -> Result<(), StoreError> {
        self.set(tx, 0).await.map(drop)
    }

    async fn set(&self, tx: &mut Tx, until: i64) -> Result<bool, StoreError> {
        let updated = sqlx::query(
            "UPDATE leases SET until = $4 WHERE name = $1 AND holder = $2 AND term = $3",
        )
        .bind(&self.name)
        .bind(&self.holder)
        .bind(chain::db::int(self.term))
        .bind(until)
        .execute(&mut **tx)
        .await?;
        Ok(updated.rows_affected() == 1)
    }
}
