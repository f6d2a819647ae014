//! The same queries on SQLite and PostgreSQL.

use alloy::primitives::{Address, B256, U256};
use chain::{
    Db,
    db::{Error, RowExt, int, word},
};

use crate::databases::{both, sqlite};

const TABLES: &str = "\
CREATE TABLE amounts (name TEXT NOT NULL PRIMARY KEY, amount BLOB NOT NULL, seen BIGINT, note TEXT, hash BLOB);
CREATE INDEX by_amount ON amounts (amount)";

#[tokio::test]
async fn every_kind_of_value_survives_on_both_databases() {
    for database in both().await {
        let db = &database.db;
        db.migrate("test", &[TABLES]).await.unwrap();
        let amounts = [U256::ZERO, U256::from(255), U256::from(256), U256::MAX];
        for (index, amount) in amounts.iter().enumerate() {
            let known = index % 2 == 0;
            sqlx::query(
                "INSERT INTO amounts (name, amount, seen, note, hash) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(format!("row {index}"))
            .bind(word(*amount))
            .bind(known.then_some(int(u64::MAX)))
            .bind(known.then_some("note"))
            .bind(known.then(|| B256::repeat_byte(7).to_vec()))
            .execute(db.pool())
            .await
            .unwrap();
        }
        let rows = sqlx::query("SELECT * FROM amounts WHERE amount >= $1 ORDER BY amount")
            .bind(word(U256::from(1)))
            .fetch_all(db.pool())
            .await
            .unwrap();
        let read: Vec<U256> = rows.iter().map(|row| row.u256("amount").unwrap()).collect();
        assert_eq!(read, amounts[1..], "numbers are stored in their own order");
        assert_eq!(rows[0].opt_u64("seen").unwrap(), None);
        assert_eq!(rows[0].opt_text("note").unwrap(), None);
        assert_eq!(rows[0].opt_b256("hash").unwrap(), None);
        assert_eq!(rows[1].opt_u64("seen").unwrap(), Some(i64::MAX.unsigned_abs()));
        assert_eq!(rows[1].opt_b256("hash").unwrap(), Some(B256::repeat_byte(7)));
        assert_eq!(rows[1].text("name").unwrap(), "row 2");
        assert!(matches!(rows[1].address("hash"), Err(Error::Column { .. })));
        let count = sqlx::query("SELECT COUNT(*) AS count FROM amounts").fetch_one(db.pool()).await;
        assert_eq!(count.unwrap().u64("count").unwrap(), 4);
    }
}

#[tokio::test]
async fn upserts_and_conditional_updates_count_rows_alike() {
    for database in both().await {
        let db = &database.db;
        db.migrate("test", &[TABLES]).await.unwrap();
        for amount in [1_u64, 2] {
            sqlx::query(
                "INSERT INTO amounts (name, amount) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET amount = excluded.amount",
            )
            .bind("only")
            .bind(word(U256::from(amount)))
            .execute(db.pool())
            .await
            .unwrap();
        }
        let update = "UPDATE amounts SET note = $1 WHERE name = $2 AND amount = $3";
        for (amount, affected) in [(1_u64, 0), (2, 1)] {
            let done = sqlx::query(update)
                .bind("held")
                .bind("only")
                .bind(word(U256::from(amount)))
                .execute(db.pool())
                .await
                .unwrap();
            assert_eq!(done.rows_affected(), affected);
        }
    }
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_behind() {
    for database in both().await {
        let db = &database.db;
        db.migrate("test", &[TABLES]).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        sqlx::query("INSERT INTO amounts (name, amount) VALUES ('lost', $1)")
            .bind(word(U256::from(1)))
            .execute(&mut *tx)
            .await
            .unwrap();
        drop(tx);
        let rows = sqlx::query("SELECT * FROM amounts").fetch_all(db.pool()).await.unwrap();
        assert!(rows.is_empty());
    }
}

#[tokio::test]
async fn writers_wait_for_one_another() {
    for database in both().await {
        let db = &database.db;
        db.migrate("test", &[TABLES]).await.unwrap();
        let writers = (0..16).map(|writer| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let rows = sqlx::query("SELECT COUNT(*) AS count FROM amounts");
                rows.fetch_one(&mut *tx).await.unwrap();
                sqlx::query("INSERT INTO amounts (name, amount) VALUES ($1, $2)")
                    .bind(format!("writer {writer}"))
                    .bind(word(U256::from(writer)))
                    .execute(&mut *tx)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            })
        });
        for writer in futures::future::join_all(writers).await {
            writer.unwrap();
        }
        let rows = sqlx::query("SELECT * FROM amounts").fetch_all(db.pool()).await.unwrap();
        assert_eq!(rows.len(), 16);
    }
}

#[tokio::test]
async fn migrations_run_once_and_notice_a_foreign_database() {
    for database in both().await {
        let db = &database.db;
        let second = "CREATE TABLE more (who BLOB NOT NULL)";
        db.migrate("test", &[TABLES]).await.unwrap();
        let again = Db::open(&database.url).await.unwrap();
        again.migrate("test", &[TABLES, second]).await.unwrap();
        again.migrate("other", &["CREATE TABLE others (who BLOB NOT NULL)"]).await.unwrap();
        sqlx::query("INSERT INTO more (who) VALUES ($1)")
            .bind(Address::ZERO.to_vec())
            .execute(db.pool())
            .await
            .unwrap();
        let changed = db.migrate("test", &["CREATE TABLE changed (a BIGINT)", second]).await;
        assert!(matches!(changed, Err(Error::ChangedMigration { index: 0, .. })), "{changed:?}");
        let older = db.migrate("test", &[TABLES]).await;
        assert!(matches!(older, Err(Error::NewerSchema { applied: 2, known: 1, .. })), "{older:?}");
    }
}

#[tokio::test]
async fn sqlite_syncs_every_commit() {
    let database = sqlite().await;
    let pool = database.db.pool();
    let pragma = |name: &'static str| async move {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA {name}")))
            .fetch_one(pool)
            .await
            .unwrap();
        sqlx::Row::try_get::<String, _>(&row, 0)
            .or_else(|_| sqlx::Row::try_get::<i64, _>(&row, 0).map(|number| number.to_string()))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode").await, "wal");
    assert_eq!(pragma("synchronous").await, "2", "FULL");
    let unknown = Db::open("mysql://nobody@nowhere/nothing").await;
    assert!(matches!(unknown, Err(Error::UnknownScheme { .. })));
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_dropped() {
    for database in both().await {
        let other = Db::open(&database.url).await.unwrap();
        let held = database.db.lease("validator:0x01").await.unwrap();
        let _another = other.lease("validator:0x02").await.unwrap();
        let refused = other.lease("validator:0x01").await.unwrap_err();
        assert!(matches!(refused, Error::Leased { .. }), "{refused}");
        drop(held);
        other.lease("validator:0x01").await.unwrap();
    }
}

/// Writes two rows, one after the other, and meets the other transaction between them.
async fn write_both(db: &Db, places: [i64; 2], met: &tokio::sync::Barrier) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    for (place, is_first) in places.into_iter().zip([true, false]) {
        sqlx::query("UPDATE pairs SET writes = writes + 1 WHERE place = $1")
            .bind(place)
            .execute(&mut *tx)
            .await?;
        if is_first {
            met.wait().await;
        }
    }
    tx.commit().await
}

#[tokio::test]
async fn of_two_transactions_that_wait_for_each_other_one_gives_way_and_may_run_again() {
    let Some(database) = crate::databases::postgres().await else { return };
    let db = &database.db;
    let table = "CREATE TABLE pairs (place BIGINT NOT NULL PRIMARY KEY, writes BIGINT NOT NULL)";
    db.migrate("test", &[table]).await.unwrap();
    sqlx::query("INSERT INTO pairs VALUES (1, 0), (2, 0)").execute(db.pool()).await.unwrap();
    let met = tokio::sync::Barrier::new(2);
    let (one, other) = tokio::join!(write_both(db, [1, 2], &met), write_both(db, [2, 1], &met));
    let conflict = one.and(other).unwrap_err();
    assert!(conflict.is_conflict(), "{conflict}");
    let alone = tokio::sync::Barrier::new(1);
    write_both(db, [1, 2], &alone).await.unwrap();
    let written = sqlx::query("SELECT MIN(writes) AS least, MAX(writes) AS most FROM pairs")
        .fetch_one(db.pool())
        .await
        .unwrap();
    assert_eq!((written.u64("least").unwrap(), written.u64("most").unwrap()), (2, 2));
    let missing = sqlx::query("SELECT * FROM nowhere").execute(db.pool()).await;
    assert!(!Error::from(missing.unwrap_err()).is_conflict());
}

#[tokio::test]
async fn a_lease_is_lost_with_its_session() {
    let Some(database) = crate::databases::postgres().await else { return };
    let lease = database.db.lease("relayer").await.unwrap();
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sqlx::query(ended).fetch_all(database.db.pool()).await.unwrap();
    assert!(matches!(lease.lost().await, Error::LeaseLost { .. }));
}
