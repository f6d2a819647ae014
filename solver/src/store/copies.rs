//! Many orders at once, for measurements of full books.

use chain::db::{Kind, int};

use super::{Error, Store, orders::NEVER};
use crate::order::{Order, State};

impl Store {
    /// Writes so many copies of an order in a state, under hashes that are only numbers, with the
    /// history and the books that an order has by then. SQLite only.
    ///
    /// # Errors
    /// When the database is another one, or fails.
    pub async fn copy_for_measurement(
        &self,
        order: &Order,
        state: State,
        count: u32,
    ) -> Result<(), Error> {
        if self.db.kind() != Kind::Sqlite {
            return Err(Error::Malformed { what: "measurement: expected SQLite" });
        }
        let mut tx = self.db.begin().await?;
        // 32 digits are 32 bytes, and come in the order of the primary key.
        const NUMBERS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < $1), h AS (SELECT CAST($2 || printf('%031d', i) AS BLOB) AS hash, i FROM n) ";
        let orders = format!(
            "{NUMBERS} INSERT INTO orders (hash, origin, destination, creator, intent, state, \
             reason, created_at, retry_at, attempt) \
             SELECT hash, $3, $4, $5, $6, $7, 'copied', i, $8, 1 FROM h"
        );
        let retry_at = if state.is_terminal() { NEVER } else { 0 };
        let series = if state.is_terminal() { "1" } else { "2" };
        if count == 0 {
            return Ok(());
        }
        sqlx::query(sqlx::AssertSqlSafe(orders))
            .bind(i64::from(count))
            .bind(series)
            .bind(int(order.origin.0))
            .bind(int(order.destination().0))
            .bind(order.reward().creator.as_slice())
            .bind(order.encoded_intent())
            .bind(state.name())
            .bind(retry_at)
            .execute(&mut *tx)
            .await?;
        let lines = if state.is_terminal() { 7 } else { 2 };
        let history = format!(
            "{NUMBERS}, p(position) AS (SELECT 0 UNION ALL SELECT position + 1 FROM p WHERE \
             position + 1 < $3) INSERT INTO history (hash, position, state, reason, at) \
             SELECT hash, position, 'waiting', 'copied', i FROM h, p"
        );
        sqlx::query(sqlx::AssertSqlSafe(history))
            .bind(i64::from(count))
            .bind(series)
            .bind(lines)
            .execute(&mut *tx)
            .await?;
        if state.is_terminal() {
            let ledger = format!(
                "{NUMBERS}, p(position) AS (SELECT 0 UNION ALL SELECT position + 1 FROM p WHERE \
                 position < 4) INSERT INTO ledger (tx, position, intent, chain, wallet, token, kind, \
                 amount, usd, at) SELECT hash, position, hash, $3, $4, zeroblob(20), 'fill_gas', \
                 zeroblob(32), '0', i FROM h, p"
            );
            sqlx::query(sqlx::AssertSqlSafe(ledger))
                .bind(i64::from(count))
                .bind(series)
                .bind(int(order.origin.0))
                .bind(order.reward().creator.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx.commit().await?)
    }
}
