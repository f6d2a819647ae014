//! What the wallets hold, and what of it is promised.
//!
//! Free = the balance last read − every reservation. A fill that has been mined keeps its
//! reservation until a balance has been read at or after its block, so that money is never free
//! twice: not between the fill and the reading, not across a restart. Two deciders cannot promise
//! the same money: taking a reservation begins by writing the holding's row, which orders them.

use std::collections::HashMap;

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
        let mut tx = self.db.begin().await?;
        sqlx::query(
            "INSERT INTO holdings (chain, wallet, token, amount, block) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (chain, wallet, token) \
             DO UPDATE SET amount = $4, block = $5 WHERE holdings.block <= $5",
        )
        .bind(int(holding.asset.chain.0))
        .bind(holding.wallet.as_slice())
        .bind(holding.asset.token.as_slice())
        .bind(word(holding.amount))
        .bind(int(holding.block))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM reservations WHERE chain = $1 AND wallet = $2 AND token = $3 \
             AND spent_block <= $4",
        )
        .bind(int(holding.asset.chain.0))
        .bind(holding.wallet.as_slice())
        .bind(holding.asset.token.as_slice())
        .bind(int(holding.block))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit_relaxed().await?)
    }

    /// Every holding with what of it is free.
    pub async fn holdings(&self) -> Result<Vec<(Holding, U256)>, Error> {
        let promises = sqlx::query("SELECT chain, wallet, token, amount FROM reservations")
            .fetch_all(self.db.pool())
            .await?;
        let rows = sqlx::query("SELECT * FROM holdings ORDER BY chain, wallet, token")
            .fetch_all(self.db.pool())
            .await?;
        with_free(&rows, &promises)
    }

    /// What of an asset is free in each wallet that has been read, the richest first. A hint, read
    /// without a transaction: taking a reservation looks again.
    pub async fn free(&self, asset: Asset) -> Result<Vec<(Address, U256)>, Error> {
        let promises = sqlx::query(
            "SELECT chain, wallet, token, amount FROM reservations WHERE chain = $1 AND token = $2",
        )
        .bind(int(asset.chain.0))
        .bind(asset.token.as_slice())
        .fetch_all(self.db.pool())
        .await?;
        let rows = sqlx::query("SELECT * FROM holdings WHERE chain = $1 AND token = $2")
            .bind(int(asset.chain.0))
            .bind(asset.token.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        let holdings = with_free(&rows, &promises)?;
        let mut free: Vec<_> = holdings.into_iter().map(|(h, free)| (h.wallet, free)).collect();
        free.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
        Ok(free)
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

/// Holdings without what is promised of each.
fn with_free(rows: &[AnyRow], promises: &[AnyRow]) -> Result<Vec<(Holding, U256)>, Error> {
    let asset = |row: &AnyRow| {
        Ok::<_, Error>(Asset { chain: ChainId(row.u64("chain")?), token: row.address("token")? })
    };
    let mut promised: HashMap<(Address, Asset), U256> = HashMap::new();
    for row in promises {
        let sum = promised.entry((row.address("wallet")?, asset(row)?)).or_default();
        *sum = sum.saturating_add(row.u256("amount")?);
    }
    let mut holdings = Vec::with_capacity(rows.len());
    for row in rows {
        let holding = Holding {
            wallet: row.address("wallet")?,
            asset: asset(row)?,
            amount: row.u256("amount")?,
            block: row.u64("block")?,
        };
        let promised = promised.get(&(holding.wallet, holding.asset)).copied().unwrap_or_default();
        holdings.push((holding, holding.amount.saturating_sub(promised)));
    }
    Ok(holdings)
}

/// The sum of what is promised of a wallet's asset.
async fn promised(tx: &mut Tx, wallet: Address, asset: Asset) -> Result<U256, Error> {
    let rows = sqlx::query(
        "SELECT amount FROM reservations WHERE chain = $1 AND wallet = $2 AND token = $3",
    )
    .bind(int(asset.chain.0))
    .bind(wallet.as_slice())
    .bind(asset.token.as_slice())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().try_fold(U256::ZERO, |sum, row| Ok(sum.saturating_add(row.u256("amount")?)))
}

/// Takes reservations for a holder within a transaction.
pub(super) async fn reserve(
    tx: &mut Tx,
    holder: B256,
    reservations: &[Reservation],
) -> Result<(), Error> {
    for reservation in reservations {
        let Reservation { wallet, asset, amount, keep } = *reservation;
        // Writing the row first makes a second decider wait until this one has finished.
        sqlx::query(
            "UPDATE holdings SET block = block WHERE chain = $1 AND wallet = $2 AND token = $3",
        )
        .bind(int(asset.chain.0))
        .bind(wallet.as_slice())
        .bind(asset.token.as_slice())
        .execute(&mut **tx)
        .await?;
        let balance = balance(tx, wallet, asset).await?;
        let given = balance.saturating_sub(promised(tx, wallet, asset).await?);
        let expected = amount.saturating_add(keep);
        if given < expected {
            return Err(Error::NotEnough { asset, given, expected });
        }
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

async fn balance(tx: &mut Tx, wallet: Address, asset: Asset) -> Result<U256, Error> {
    let row =
        sqlx::query("SELECT amount FROM holdings WHERE chain = $1 AND wallet = $2 AND token = $3")
            .bind(int(asset.chain.0))
            .bind(wallet.as_slice())
            .bind(asset.token.as_slice())
            .fetch_optional(&mut **tx)
            .await?;
    Ok(row.map(|row| row.u256("amount")).transpose()?.unwrap_or_default())
}

/// Gives a holder's reservations back within a transaction.
pub(super) async fn give_back(tx: &mut Tx, holder: B256) -> Result<(), Error> {
    sqlx::query("DELETE FROM reservations WHERE holder = $1")
        .bind(holder.as_slice())
        .execute(&mut **tx)
        .await?;
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

/// Marks a holder's reservations as spent at a block of their chain.
pub(super) async fn spend(tx: &mut Tx, holder: B256, block: u64) -> Result<(), Error> {
    sqlx::query("UPDATE reservations SET spent_block = $1 WHERE holder = $2")
        .bind(int(block))
        .bind(holder.as_slice())
        .execute(&mut **tx)
        .await?;
    // A balance read at or after that block reflects the fill already.
    sqlx::query(
        "DELETE FROM reservations WHERE holder = $1 AND EXISTS (SELECT 1 FROM holdings h \
                 WHERE h.chain = reservations.chain AND h.wallet = reservations.wallet \
                 AND h.token = reservations.token AND h.block >= $2)",
    )
    .bind(holder.as_slice())
    .bind(int(block))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
