//! Orders page by page.

use std::fmt;

use alloy::primitives::{Address, B256};
use api::aggregator::Order;
use chain::db::{AnyRow, RowExt, int};

use super::{Orders, StoreError, read::read_all};

/// Which orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only orders of this creator.
    pub creator: Address,
    /// Only orders that come after this one, newest first.
    pub after: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

/// The place of an order among those of its creator. It never changes, so that no order is missing
/// from the pages, or on two of them, because another one came meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    created_at: u64,
    seen: u64,
    id: B256,
}

impl Cursor {
    /// Before the newest order.
    const START: Self = Self { created_at: u64::MAX, seen: u64::MAX, id: B256::repeat_byte(0xff) };

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let created_at = parts.next()?.parse().ok()?;
        let seen = parts.next()?.parse().ok()?;
        Some(Self { created_at, seen, id: parts.next()?.parse().ok()? })
    }

    fn of(row: &AnyRow) -> Result<Self, StoreError> {
        let (created_at, seen) = (row.u64("created_at")?, row.u64("seen")?);
        Ok(Self { created_at, seen, id: row.b256("id")? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.created_at, self.seen, self.id)
    }
}

impl Orders {
    /// A page of a creator's orders, newest first, and its last one's place when more follow.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(
        &self,
        page: Page,
        now: u64,
    ) -> Result<(Vec<Order>, Option<Cursor>), StoreError> {
        let Cursor { created_at, seen, id } = page.after.unwrap_or(Cursor::START);
        let mut connection = self.db.pool().acquire().await?;
        let mut rows = sqlx::query(
            "SELECT * FROM orders WHERE creator = $1 AND (created_at < $2 \
             OR (created_at = $2 AND (seen < $3 OR (seen = $3 AND id < $4)))) \
             ORDER BY created_at DESC, seen DESC, id DESC LIMIT $5",
        )
        .bind(page.creator.to_vec())
        .bind(int(created_at))
        .bind(int(seen))
        .bind(id.to_vec())
        // One more than is shown tells whether more follow.
        .bind(i64::from(page.limit) + 1)
        .fetch_all(&mut *connection)
        .await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(Cursor::of).transpose()?;
        Ok((read_all(&mut connection, &rows, now).await?, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor { created_at: 1, seen: 2, id: B256::repeat_byte(3) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "1", "1.2", "1.2.3", "a.2.0x00", "1..2"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
