//! Quotes that hold inventory until they expire or are taken.
//!
//! Nobody pays for a quote, so what quotes may hold is bounded, and whoever holds most gives way first: see
//! [`Store::offer`]. `open` quotes may have to give back what they hold. `released` ones have done so: their price
//! stands until they expire, for as much as is free then. `bound` ones are an order's, and are never released.

use alloy::primitives::B256;
use chain::db::{RowExt, Tx, int};
use prices::{UNITS_PER_DOLLAR, Usd};
use protocol::ids::{ChainId, IntentHash};

use super::{Error, Reservation, Step, Store, inventory};
use crate::money::Asset;

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

/// Who asks for quotes, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks. What quotes hold is shared out among callers.
    pub caller: B256,
    /// What names the route: a caller who asks for it again has no use for its earlier quotes.
    pub route: B256,
    /// The request, whose quotes (one for each tier) do not displace each other.
    pub request: B256,
}

/// A quote to be written, with what decides whether it may hold inventory.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What is offered.
    pub quote: &'a api::solver::Quote,
    /// The most gas that its price covers.
    pub gas: u64,
    /// What it holds.
    pub reservations: &'a [Reservation],
    /// Who asked.
    pub asked: Asked,
    /// What it pays out, in millionths of a dollar.
    pub worth: u64,
    /// What is free of the same asset, in millionths of a dollar.
    pub free: u64,
}

/// What quotes may hold that no order has come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuoteBounds {
    /// Most quotes that are remembered.
    pub all: u64,
    /// Most of one caller's that hold inventory.
    pub of_caller: u64,
    /// Most of an asset that they hold together: a share, in hundredths of a percent, of what would be free without
    /// them.
    pub share_bps: u16,
}

/// Most that one quote counts for, in millionths of a dollar: sums of it fit their column.
const MOST_WORTH: u64 = 100_000_000_000_000;

impl Store {
    /// Writes a quote and reserves for it, both or neither. A power cut may take a quote back: an
    /// order that takes it is then judged as any other.
    ///
    /// Earlier quotes that no order has come for give way to it where a bound would be broken: the caller's own for the
    /// same route in any case, then its oldest beyond its number, then the oldest of whoever holds most, the caller
    /// counted with what it asks for. Returns how many gave back what they held.
    ///
    /// # Errors
    /// [`Error::NotEnough`] when the inventory is gone, [`Error::Promised`] when quotes of callers with less hold too
    /// much of the asset, [`Error::Full`] when every quote that is remembered belongs to an order.
    pub async fn offer(&self, offer: &Offer<'_>, bounds: &QuoteBounds) -> Result<u64, Error> {
        let _turn = self.quoting.lock().await;
        super::repeated(|| self.offer_once(offer, bounds)).await
    }

    async fn offer_once(&self, offer: &Offer<'_>, bounds: &QuoteBounds) -> Result<u64, Error> {
        let Offer { quote, gas, reservations, asked, worth, .. } = *offer;
        let terms = serde_json::to_string(quote).map_err(|_| Error::Malformed { what: "quote" })?;
        let mut tx = self.db.begin().await?;
        let (held, _) = held_of_asset(&mut tx, offer).await?;
        let limit = share(offer.free.saturating_add(held), bounds.share_bps);
        let mut released = supersede(&mut tx, asked, bounds.of_caller).await?;
        released.extend(make_place(&mut tx, asked, bounds.all).await?);
        released.extend(make_room(&mut tx, offer, limit).await?);
        inventory::lock_all(&mut tx, &released, reservations).await?;
        for id in &released {
            inventory::give_back(&mut tx, *id).await?;
        }
        inventory::reserve(&mut tx, quote.id, reservations).await?;
        sqlx::query(
            "INSERT INTO quotes (id, terms, expires_at, gas, state, caller, route, request, chain, \
             token, worth) VALUES ($1, $2, $3, $4, 'open', $5, $6, $7, $8, $9, $10)",
        )
        .bind(quote.id.as_slice())
        .bind(terms)
        .bind(int(quote.expires_at))
        .bind(int(gas))
        .bind(asked.caller.as_slice())
        .bind(asked.route.as_slice())
        .bind(asked.request.as_slice())
        .bind(int(quote.destination_chain_id))
        .bind(quote.destination_token.as_slice())
        .bind(int(worth.min(MOST_WORTH)))
        .execute(&mut *tx)
        .await?;
        tx.commit_relaxed().await?;
        Ok(released.len() as u64)
    }

    /// The reward of an order that takes this quote is there, or about to be: from now on the quote is not released.
    pub async fn bind_quote(&self, id: B256) -> Result<(), Error> {
        let open = sqlx::query("SELECT 1 AS n FROM quotes WHERE id = $1 AND state = 'open'")
            .bind(id.as_slice())
            .fetch_optional(self.db.pool())
            .await?;
        if open.is_none() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        sqlx::query("UPDATE quotes SET state = 'bound' WHERE id = $1 AND state = 'open'")
            .bind(id.as_slice())
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
        let _turn = self.quoting.lock().await;
        super::repeated(|| self.take_with_quote_once(id, step, now)).await
    }

    async fn take_with_quote_once(&self, id: B256, step: &Step, now: u64) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let outcome = sqlx::query(
            "UPDATE quotes SET taken_by = $1, state = 'bound' \
             WHERE id = $2 AND (taken_by IS NULL OR taken_by = $1)",
        )
        .bind(step.order.hash.as_slice())
        .bind(id.as_slice())
        .execute(&mut *tx)
        .await?;
        if outcome.rows_affected() == 0 {
            // It was judged by the quote's price: without the quote it is judged anew.
            return Err(Error::Moved { hash: step.order.hash, expected: step.from });
        }
        inventory::lock_all(&mut tx, &[id, step.order.hash.0], &step.reserve).await?;
        inventory::give_back(&mut tx, id).await?;
        let steps = std::slice::from_ref(step);
        self.take_in(&mut tx, steps, now).await?;
        self.commit(tx, steps).await
    }

    /// Gives back what quotes hold that nobody took in time. Returns how many there were.
    pub async fn expire_quotes(&self, now_seconds: u64) -> Result<u64, Error> {
        let _turn = self.quoting.lock().await;
        super::repeated(|| self.expire_quotes_once(now_seconds)).await
    }

    async fn expire_quotes_once(&self, now_seconds: u64) -> Result<u64, Error> {
        let mut tx = self.db.begin().await?;
        // In the order in which an order takes a quote, or the two would wait for each other.
        let gone = sqlx::query(
            "DELETE FROM quotes WHERE expires_at < $1 AND taken_by IS NULL RETURNING id",
        )
        .bind(int(now_seconds))
        .fetch_all(&mut *tx)
        .await?;
        let gone = gone.iter().map(|row| row.b256("id")).collect::<Result<Vec<_>, _>>()?;
        inventory::lock_all(&mut tx, &gone, &[]).await?;
        for id in &gone {
            inventory::give_back(&mut tx, *id).await?;
        }
        tx.commit().await?;
        Ok(gone.len() as u64)
    }
}

/// Releases the caller's quotes for the same route, and its oldest beyond its number. Returns which.
async fn supersede(tx: &mut Tx, asked: Asked, most: u64) -> Result<Vec<B256>, Error> {
    let open = sqlx::query(
        "SELECT id, route, request FROM quotes WHERE state = 'open' AND caller = $1 \
         ORDER BY expires_at DESC, id",
    )
    .bind(asked.caller.as_slice())
    .fetch_all(&mut **tx)
    .await?;
    // The one to be written counts, and so does the request's other one.
    let mut kept = 1;
    let mut earlier = Vec::with_capacity(open.len());
    for row in &open {
        if row.b256("request")? == asked.request {
            kept += 1;
        } else {
            earlier.push((row.b256("id")?, row.b256("route")?));
        }
    }
    let mut released = Vec::new();
    for (id, route) in earlier {
        if route != asked.route && kept < most {
            kept += 1;
        } else {
            released.extend(release(tx, id).await?);
        }
    }
    Ok(released)
}

/// Makes a place among all quotes: the oldest that holds nothing any more is forgotten, or else the oldest of the
/// caller who has most. Returns the one that was released.
async fn make_place(tx: &mut Tx, asked: Asked, most: u64) -> Result<Option<B256>, Error> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM quotes WHERE taken_by IS NULL")
        .fetch_one(&mut **tx)
        .await?;
    if row.u64("n")? < most {
        return Ok(None);
    }
    // An order may take it meanwhile: the state is compared once the row is locked.
    let forgotten = sqlx::query(
        "DELETE FROM quotes WHERE state = 'released' AND id IN \
         (SELECT id FROM quotes WHERE state = 'released' ORDER BY expires_at, id LIMIT 1)",
    )
    .execute(&mut **tx)
    .await?;
    if forgotten.rows_affected() > 0 {
        return Ok(None);
    }
    let oldest = sqlx::query(
        "SELECT id FROM quotes WHERE state = 'open' AND request <> $1 AND caller = \
         (SELECT caller FROM quotes WHERE state = 'open' GROUP BY caller \
          ORDER BY COUNT(*) DESC, MIN(expires_at) LIMIT 1) ORDER BY expires_at, id LIMIT 1",
    )
    .bind(asked.request.as_slice())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(oldest) = oldest else { return Err(Error::Full) };
    let id = oldest.b256("id")?;
    let released = release(tx, id).await?;
    sqlx::query("DELETE FROM quotes WHERE id = $1 AND state = 'released'")
        .bind(id.as_slice())
        .execute(&mut **tx)
        .await?;
    Ok(released)
}

/// Releases quotes of the asset until another one fits below a limit of what they hold. Returns which.
async fn make_room(tx: &mut Tx, offer: &Offer<'_>, limit: u64) -> Result<Vec<B256>, Error> {
    let worth = offer.worth.min(MOST_WORTH);
    let (mut held, mut own) = held_of_asset(tx, offer).await?;
    let mut released = Vec::new();
    while held.saturating_add(worth) > limit {
        let loser = match most_of_asset(tx, offer).await? {
            // Whoever holds most gives way; the caller counts with what it asks for.
            Some((caller, most)) if most >= own.saturating_add(worth) => caller,
            _ => offer.asked.caller,
        };
        let Some(oldest) = oldest_of_asset(tx, offer, loser).await? else {
            return Err(promised(offer, limit.saturating_sub(held)));
        };
        released.extend(release(tx, oldest).await?);
        (held, own) = held_of_asset(tx, offer).await?;
    }
    Ok(released)
}

/// What open quotes hold of the offer's asset: all of them, and the caller's.
async fn held_of_asset(tx: &mut Tx, offer: &Offer<'_>) -> Result<(u64, u64), Error> {
    let row = sqlx::query(
        "SELECT CAST(COALESCE(SUM(worth), 0) AS BIGINT) AS held, \
         CAST(COALESCE(SUM(CASE WHEN caller = $3 THEN worth ELSE 0 END), 0) AS BIGINT) AS own \
         FROM quotes WHERE state = 'open' AND chain = $1 AND token = $2",
    )
    .bind(int(offer.quote.destination_chain_id))
    .bind(offer.quote.destination_token.as_slice())
    .bind(offer.asked.caller.as_slice())
    .fetch_one(&mut **tx)
    .await?;
    Ok((row.u64("held")?, row.u64("own")?))
}

/// The caller whose open quotes hold most of the offer's asset, and how much.
async fn most_of_asset(tx: &mut Tx, offer: &Offer<'_>) -> Result<Option<(B256, u64)>, Error> {
    let row = sqlx::query(
        "SELECT caller, CAST(SUM(worth) AS BIGINT) AS held FROM quotes \
         WHERE state = 'open' AND chain = $1 AND token = $2 \
         GROUP BY caller ORDER BY 2 DESC, MIN(expires_at) LIMIT 1",
    )
    .bind(int(offer.quote.destination_chain_id))
    .bind(offer.quote.destination_token.as_slice())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok((row.b256("caller")?, row.u64("held")?))).transpose()
}

/// A caller's oldest open quote of the offer's asset that is of another request.
async fn oldest_of_asset(
    tx: &mut Tx,
    offer: &Offer<'_>,
    caller: B256,
) -> Result<Option<B256>, Error> {
    let row = sqlx::query(
        "SELECT id FROM quotes WHERE state = 'open' AND chain = $1 AND token = $2 \
         AND caller = $3 AND request <> $4 ORDER BY expires_at, id LIMIT 1",
    )
    .bind(int(offer.quote.destination_chain_id))
    .bind(offer.quote.destination_token.as_slice())
    .bind(caller.as_slice())
    .bind(offer.asked.request.as_slice())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| row.b256("id")).transpose()?)
}

/// Releases an open quote, unless an order has come for it meanwhile. Returns it then: what it holds is given back once
/// all that give way are known. The quotes first, then the holdings, as an order does that takes one.
async fn release(tx: &mut Tx, id: B256) -> Result<Option<B256>, Error> {
    let outcome =
        sqlx::query("UPDATE quotes SET state = 'released' WHERE id = $1 AND state = 'open'")
            .bind(id.as_slice())
            .execute(&mut **tx)
            .await?;
    Ok((outcome.rows_affected() > 0).then_some(id))
}

/// A share in hundredths of a percent, rounded down.
fn share(whole: u64, bps: u16) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(bps) / 10_000).unwrap_or(u64::MAX)
}

/// The asset is promised to others, but for `given` millionths of a dollar.
fn promised(offer: &Offer<'_>, given: u64) -> Error {
    let quote = offer.quote;
    let asset =
        Asset { chain: ChainId(quote.destination_chain_id), token: quote.destination_token };
    let dollars =
        |micros: u64| Usd(i128::from(micros).saturating_mul(UNITS_PER_DOLLAR / 1_000_000));
    Error::Promised { asset, given: dollars(given), expected: dollars(offer.worth) }
}
