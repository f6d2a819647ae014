//! Quotes that hold inventory until they expire or are taken.

use alloy::primitives::B256;
use chain::db::{RowExt, int};
use protocol::ids::IntentHash;

use super::{Error, Reservation, Step, Store, inventory};

/// A quote as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredQuote {
    /// What was offered.
    pub quote: api::solver::Quote,
    /// The intent that took it.
    pub taken_by: Option<IntentHash>,
    /// The most gas that its price covers.
    pub gas: u64,
}

impl Store {
    /// Writes a quote and reserves for it, both or neither. A power cut may take a quote back: an
    /// order that takes it is then judged as any other.
    ///
    /// # Errors
    /// [`Error::NotEnough`] when the inventory is gone.
    pub async fn offer(
        &self,
        quote: &api::solver::Quote,
        gas: u64,
        reservations: &[Reservation],
    ) -> Result<(), Error> {
        let terms = serde_json::to_string(quote).map_err(|_| Error::Malformed { what: "quote" })?;
        let mut tx = self.db.begin().await?;
        inventory::reserve(&mut tx, quote.id, reservations).await?;
        sqlx::query("INSERT INTO quotes (id, terms, expires_at, gas) VALUES ($1, $2, $3, $4)")
            .bind(quote.id.as_slice())
            .bind(terms)
            .bind(int(quote.expires_at))
            .bind(int(gas))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// The quote with this id.
    pub async fn quote(&self, id: B256) -> Result<Option<StoredQuote>, Error> {
        use sqlx::Row;

        let row = sqlx::query("SELECT * FROM quotes WHERE id = $1")
            .bind(id.as_slice())
            .fetch_optional(self.db.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let quote = serde_json::from_str(&row.text("terms")?)
            .map_err(|_| Error::Malformed { what: "quote" })?;
        let taken_by: Option<Vec<u8>> = row.try_get("taken_by")?;
        let taken_by = taken_by
            .map(|bytes| B256::try_from(bytes.as_slice()).map(IntentHash))
            .transpose()
            .map_err(|_| Error::Malformed { what: "intent hash" })?;
        Ok(Some(StoredQuote { quote, taken_by, gas: row.u64("gas")? }))
    }

    /// Takes a step that reserves, with a quote's reservation given back in the same transaction:
    /// the order steps into the quote's place.
    ///
    /// # Errors
    /// As [`Store::take`]. [`Error::Moved`] when another order has taken the quote, or it has gone.
    pub async fn take_with_quote(&self, id: B256, step: &Step, now: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let outcome = sqlx::query(
            "UPDATE quotes SET taken_by = $1 WHERE id = $2 AND (taken_by IS NULL OR taken_by = $1)",
        )
        .bind(step.order.hash.as_slice())
        .bind(id.as_slice())
        .execute(&mut *tx)
        .await?;
        if outcome.rows_affected() == 0 {
            // It was judged by the quote's price: without the quote it is judged anew.
            return Err(Error::Moved { hash: step.order.hash, expected: step.from });
        }
        inventory::give_back(&mut tx, id).await?;
        let steps = std::slice::from_ref(step);
        self.take_in(&mut tx, steps, now).await?;
        self.commit(tx, steps).await
    }

    /// How many quotes hold inventory.
    pub async fn open_quotes(&self) -> Result<u64, Error> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM quotes WHERE taken_by IS NULL")
            .fetch_one(self.db.pool())
            .await?;
        Ok(row.u64("n")?)
    }

    /// Gives back what quotes hold that nobody took in time. Returns how many there were.
    pub async fn expire_quotes(&self, now_seconds: u64) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        // In the order in which an order takes a quote, or the two would wait for each other.
        let gone = sqlx::query(
            "DELETE FROM quotes WHERE expires_at < $1 AND taken_by IS NULL RETURNING id",
        )
        .bind(int(now_seconds))
        .fetch_all(&mut *tx)
        .await?;
        for row in &gone {
            inventory::give_back(&mut tx, row.b256("id")?).await?;
        }
        tx.commit().await?;
        Ok(gone.len() as u64)
    }
}
