//! What the wallets hold, and what of it is promised.
//!
//! Free = the balance last read − every reservation. A fill that has been mined keeps its
//! reservation until a balance has been read at or after its block, so that money is never free
//! twice: not between the fill and the reading, not across a restart. Two deciders cannot promise
//! the same money: taking a reservation begins by writing the holding's row, which orders them.
//!
//! A holding's row carries the sum of its reservations, since SQL cannot add up 256-bit numbers and
//! every decision asks. The sum changes in the transaction that changes a reservation, and is taken
//! anew when the store is opened.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use alloy::primitives::{Address, B256, U256};
use chain::db::{AnyRow, RowExt, Tx, int, word};
use protocol::ids::ChainId;

use super::{Error, Step, Store, orders::Release};
use crate::money::Asset;

/// A wallet's balance of an asset, as last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The wallet.
    pub wallet: Address,
    /// The asset.
    pub asset: Asset,
    /// The balance.
    pub amount: U256,
    /// The block at which it was read.
    pub block: u64,
}

/// An amount of a wallet's asset that is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The wallet.
    pub wallet: Address,
    /// The asset.
    pub asset: Asset,
    /// How much.
    pub amount: U256,
    /// What must stay free beyond it, such as native currency for gas.
    pub keep: U256,
}

impl Store {
    /// Writes a balance read at a block, and forgets reservations that it already reflects.
    pub async fn observe(&self, holding: Holding) -> Result<(), Error> {
        super::repeated(|| self.observe_once(holding)).await
    }

    async fn observe_once(&self, holding: Holding) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO holdings (chain, wallet, token, amount, block, reserved) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (chain, wallet, token) \
             DO UPDATE SET amount = $4, block = $5 WHERE holdings.block <= $5",
        )
        .bind(int(holding.asset.chain.0))
        .bind(holding.wallet.as_slice())
        .bind(holding.asset.token.as_slice())
        .bind(word(holding.amount))
        .bind(int(holding.block))
        .bind(word(U256::ZERO))
        .execute(&mut *tx)
        .await?;
        let gone = sqlx::query(
            "DELETE FROM reservations WHERE chain = $1 AND wallet = $2 AND token = $3 \
             AND spent_block <= $4 RETURNING *",
        )
        .bind(int(holding.asset.chain.0))
        .bind(holding.wallet.as_slice())
        .bind(holding.asset.token.as_slice())
        .bind(int(holding.block))
        .fetch_all(&mut *tx)
        .await?;
        subtract(&mut tx, &gone).await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Every holding with what of it is free.
    pub async fn holdings(&self) -> Result<Vec<(Holding, U256)>, Error> {
        let rows = sqlx::query("SELECT * FROM holdings ORDER BY chain, wallet, token")
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read_holding).collect()
    }

    /// What of an asset is free in each wallet that has been read, the richest first. A hint, read
    /// without a transaction: taking a reservation looks again.
    pub async fn free(&self, asset: Asset) -> Result<Vec<(Address, U256)>, Error> {
        let rows = sqlx::query("SELECT * FROM holdings WHERE chain = $1 AND token = $2")
            .bind(int(asset.chain.0))
            .bind(asset.token.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        let mut free = Vec::with_capacity(rows.len());
        for row in &rows {
            let (holding, amount) = read_holding(row)?;
            free.push((holding.wallet, amount));
        }
        free.sort_by_key(|(_, amount)| Reverse(*amount));
        Ok(free)
    }

    /// Writes the sums of what is reserved anew.
    pub(super) async fn add_up_reservations(&self) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let none = word(U256::ZERO);
        sqlx::query("UPDATE holdings SET reserved = $1").bind(none).execute(&mut *tx).await?;
        let rows = sqlx::query("SELECT * FROM reservations").fetch_all(&mut *tx).await?;
        for (place, sum) in sums(&rows)? {
            write_reserved(&mut tx, place, sum).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What is reserved for a holder: an order's hash or a quote's id.
    pub async fn reserved_for(&self, holder: B256) -> Result<Vec<Reservation>, Error> {
        let rows = sqlx::query("SELECT * FROM reservations WHERE holder = $1")
            .bind(holder.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Reservation {
                    wallet: row.address("wallet")?,
                    asset: Asset {
                        chain: ChainId(row.u64("chain")?),
                        token: row.address("token")?,
                    },
                    amount: row.u256("amount")?,
                    keep: U256::ZERO,
                })
            })
            .collect()
    }
}

/// Whose reservations add up: a chain, a wallet and a token. Rows are written in this order, so that two transactions
/// never wait for each other.
type Place = (u64, Address, Reverse<Address>);

const fn place(wallet: Address, asset: Asset) -> Place {
    (asset.chain.0, wallet, Reverse(asset.token))
}

/// A holding and what of it is free.
fn read_holding(row: &AnyRow) -> Result<(Holding, U256), Error> {
    let holding = Holding {
        wallet: row.address("wallet")?,
        asset: Asset { chain: ChainId(row.u64("chain")?), token: row.address("token")? },
        amount: row.u256("amount")?,
        block: row.u64("block")?,
    };
    Ok((holding, holding.amount.saturating_sub(row.u256("reserved")?)))
}

/// The sums of reservations.
fn sums(rows: &[AnyRow]) -> Result<BTreeMap<Place, U256>, Error> {
    let mut sums: BTreeMap<Place, U256> = BTreeMap::new();
    for row in rows {
        let place = (row.u64("chain")?, row.address("wallet")?, Reverse(row.address("token")?));
        let sum = sums.entry(place).or_default();
        *sum = sum.saturating_add(row.u256("amount")?);
    }
    Ok(sums)
}

/// Takes reservations that were deleted out of their sums.
async fn subtract(tx: &mut Tx, gone: &[AnyRow]) -> Result<(), Error> {
    for (place, sum) in sums(gone)? {
        if let Some((_, reserved)) = lock(tx, place).await? {
            write_reserved(tx, place, reserved.saturating_sub(sum)).await?;
        }
    }
    Ok(())
}

/// The balance and what is reserved of it; no other transaction changes either before this one ends.
async fn lock(tx: &mut Tx, (chain, wallet, token): Place) -> Result<Option<(U256, U256)>, Error> {
    let row = sqlx::query(
        "UPDATE holdings SET block = block WHERE chain = $1 AND wallet = $2 AND token = $3 \
         RETURNING amount, reserved",
    )
    .bind(int(chain))
    .bind(wallet.as_slice())
    .bind(token.0.as_slice())
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok((row.u256("amount")?, row.u256("reserved")?))).transpose()
}

async fn write_reserved(
    tx: &mut Tx,
    (chain, wallet, token): Place,
    sum: U256,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE holdings SET reserved = $1 WHERE chain = $2 AND wallet = $3 AND token = $4",
    )
    .bind(word(sum))
    .bind(int(chain))
    .bind(wallet.as_slice())
    .bind(token.0.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes reservations for a holder within a transaction.
pub(super) async fn reserve(
    tx: &mut Tx,
    holder: B256,
    reservations: &[Reservation],
) -> Result<(), Error> {
    let mut reservations: Vec<&Reservation> = reservations.iter().collect();
    reservations.sort_by_key(|reservation| place(reservation.wallet, reservation.asset));
    for reservation in reservations {
        let Reservation { wallet, asset, amount, keep } = *reservation;
        let place = place(wallet, asset);
        let (balance, reserved) = lock(tx, place).await?.unwrap_or_default();
        let given = balance.saturating_sub(reserved);
        let expected = amount.saturating_add(keep);
        if given < expected {
            return Err(Error::NotEnough { asset, given, expected });
        }
        write_reserved(tx, place, reserved.saturating_add(amount)).await?;
        sqlx::query(
            "INSERT INTO reservations (holder, chain, wallet, token, amount) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(holder.as_slice())
        .bind(int(asset.chain.0))
        .bind(wallet.as_slice())
        .bind(asset.token.as_slice())
        .bind(word(amount))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Locks the holdings of several holders' reservations and of more to come, before any of them changes: one holder
/// after the other would not be in order.
pub(super) async fn lock_all(
    tx: &mut Tx,
    holders: &[B256],
    more: &[Reservation],
) -> Result<(), Error> {
    let mut places: BTreeSet<Place> = more.iter().map(|it| place(it.wallet, it.asset)).collect();
    for holder in holders {
        places.extend(sums(&held_by(tx, *holder).await?)?.into_keys());
    }
    for place in places {
        lock(tx, place).await?;
    }
    Ok(())
}

/// Gives a holder's reservations back within a transaction.
pub(super) async fn give_back(tx: &mut Tx, holder: B256) -> Result<(), Error> {
    let held = held_by(tx, holder).await?;
    forget(tx, holder, &held).await
}

async fn held_by(tx: &mut Tx, holder: B256) -> Result<Vec<AnyRow>, Error> {
    let rows = sqlx::query("SELECT * FROM reservations WHERE holder = $1")
        .bind(holder.as_slice())
        .fetch_all(&mut **tx)
        .await?;
    Ok(rows)
}

/// Deletes these reservations of a holder: the holdings first, as everybody who changes reservations does, so that no
/// two transactions wait for each other.
async fn forget(tx: &mut Tx, holder: B256, rows: &[AnyRow]) -> Result<(), Error> {
    for ((chain, wallet, token), sum) in sums(rows)? {
        let place = (chain, wallet, token);
        let Some((_, reserved)) = lock(tx, place).await? else { continue };
        // Another transaction may have deleted it while this one waited.
        let gone = sqlx::query(
            "DELETE FROM reservations WHERE holder = $1 AND chain = $2 AND wallet = $3 AND token = $4",
        )
        .bind(holder.as_slice())
        .bind(int(chain))
        .bind(wallet.as_slice())
        .bind(token.0.as_slice())
        .execute(&mut **tx)
        .await?;
        if gone.rows_affected() > 0 {
            write_reserved(tx, place, reserved.saturating_sub(sum)).await?;
        }
    }
    Ok(())
}

/// Applies a step's [`Release`].
pub(super) async fn release(tx: &mut Tx, step: &Step) -> Result<(), Error> {
    let holder = step.order.hash.0;
    match step.release {
        Release::Keep => Ok(()),
        Release::GiveBack => give_back(tx, holder).await,
        Release::Spent { block } => spend(tx, holder, block).await,
    }
}

/// Marks a holder's reservations as spent at a block of their chain. The holdings come first, as everywhere.
pub(super) async fn spend(tx: &mut Tx, holder: B256, block: u64) -> Result<(), Error> {
    lock_all(tx, &[holder], &[]).await?;
    sqlx::query("UPDATE reservations SET spent_block = $1 WHERE holder = $2")
        .bind(int(block))
        .bind(holder.as_slice())
        .execute(&mut **tx)
        .await?;
    // A balance read at or after that block reflects the fill already.
    let reflected = sqlx::query(
        "SELECT r.* FROM reservations r JOIN holdings h \
         ON h.chain = r.chain AND h.wallet = r.wallet AND h.token = r.token \
         WHERE r.holder = $1 AND h.block >= $2",
    )
    .bind(holder.as_slice())
    .bind(int(block))
    .fetch_all(&mut **tx)
    .await?;
    forget(tx, holder, &reflected).await
}
