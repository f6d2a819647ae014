//! Measured times from fill to proof, as many of each lane and tier as are remembered.

use std::time::Duration;

use chain::db::{AnyRow, RowExt, int};
use protocol::{finality::Tier, ids::ChainId};

use super::{Error, Store};
use crate::latency::Measurement;

impl Store {
    /// Keeps a time in its slot. A power cut may take it back.
    pub(crate) async fn keep_measurement(&self, measurement: &Measurement) -> Result<(), Error> {
        let Measurement { lane: (origin, destination, tier), slot, took, at } = *measurement;
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO proof_times (origin, destination, tier, slot, took, at) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (origin, destination, tier, slot) DO UPDATE SET took = $5, at = $6",
        )
        .bind(int(origin.0))
        .bind(int(destination.0))
        .bind(i64::from(tier.byte()))
        .bind(int(slot))
        .bind(int(took))
        .bind(int(at))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// The times that were measured from `since` (unix milliseconds) on, oldest first.
    pub(crate) async fn measurements(&self, since: u64) -> Result<Vec<Measurement>, Error> {
        let rows = sqlx::query("SELECT * FROM proof_times WHERE at >= $1 ORDER BY at, slot")
            .bind(int(since))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<Measurement, Error> {
    let tier = u8::try_from(row.u64("tier")?).ok().and_then(|byte| Tier::try_from(byte).ok());
    let tier = tier.ok_or(Error::Malformed { what: "tier" })?;
    Ok(Measurement {
        lane: (ChainId(row.u64("origin")?), ChainId(row.u64("destination")?), tier),
        slot: row.u64("slot")?,
        took: Duration::from_millis(row.u64("took")?),
        at: row.u64("at")?,
    })
}
