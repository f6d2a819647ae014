//! Transfers between our own wallets on different chains.

use alloy::{
    primitives::{Address, U256},
    sol_types::SolValue as _,
};
use chain::db::{AnyRow, RowExt, int, word};
use protocol::{
    ids::{ChainId, IntentHash},
    intent::Intent,
};

use super::{Entry, Error, Reservation, Store, inventory, ledger};
use crate::money::Asset;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferState {
    /// Written, with what it gives reserved.
    Planned,
    /// Its intent is published and funded.
    Published,
    /// Somebody has filled it: the money is where it was short.
    Filled,
    /// Its reward came back, or never left.
    Refunded,
}

impl TransferState {
    const ALL: [Self; 4] = [Self::Planned, Self::Published, Self::Filled, Self::Refunded];

    const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Published => "published",
            Self::Filled => "filled",
            Self::Refunded => "refunded",
        }
    }
}

/// One transfer by an intent of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The intent's hash.
    pub hash: IntentHash,
    /// The intent.
    pub intent: Intent,
    /// How far it is.
    pub state: TransferState,
    /// What is given, on the intent's origin.
    pub from: Asset,
    /// Who gives.
    pub giver: Address,
    /// How much.
    pub given: U256,
    /// What is received, on the intent's destination.
    pub to: Asset,
    /// Who receives.
    pub receiver: Address,
    /// How much.
    pub received: U256,
}

impl Store {
    /// Writes a transfer and reserves what it gives, both or neither; `keep` stays free beyond it.
    ///
    /// # Errors
    /// [`Error::NotEnough`] when the inventory is gone.
    pub async fn plan_transfer(
        &self,
        transfer: &Transfer,
        keep: U256,
        now: u64,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let Transfer { giver, from, given, .. } = transfer;
        let reservation = Reservation { wallet: *giver, asset: *from, amount: *given, keep };
        inventory::reserve(&mut tx, transfer.hash.0, &[reservation]).await?;
        sqlx::query(
            "INSERT INTO transfers (hash, intent, state, origin, giver, token_given, given, \
             destination, receiver, token_received, received, created_at, is_open) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1)",
        )
        .bind(transfer.hash.as_slice())
        .bind(transfer.intent.abi_encode())
        .bind(transfer.state.name())
        .bind(int(from.chain.0))
        .bind(giver.as_slice())
        .bind(from.token.as_slice())
        .bind(word(*given))
        .bind(int(transfer.to.chain.0))
        .bind(transfer.receiver.as_slice())
        .bind(transfer.to.token.as_slice())
        .bind(word(transfer.received))
        .bind(int(now))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Transfers that have not ended, oldest first.
    pub async fn open_transfers(&self) -> Result<Vec<Transfer>, Error> {
        let rows = sqlx::query("SELECT * FROM transfers WHERE is_open = 1 ORDER BY created_at")
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Moves a transfer to a state and books what that moved. With a block, what was reserved is
    /// spent there; where a transfer ends without one, it is given back.
    pub async fn end_transfer(
        &self,
        transfer: &Transfer,
        state: TransferState,
        block: Option<u64>,
        entries: Vec<Entry>,
    ) -> Result<(), Error> {
        let is_open = matches!(state, TransferState::Planned | TransferState::Published);
        let mut tx = self.db.begin().await?;
        let outcome = sqlx::query(
            "UPDATE transfers SET state = $1, is_open = $2 WHERE hash = $3 AND state = $4",
        )
        .bind(state.name())
        .bind(i64::from(is_open))
        .bind(transfer.hash.as_slice())
        .bind(transfer.state.name())
        .execute(&mut *tx)
        .await?;
        if outcome.rows_affected() == 0 {
            return Ok(());
        }
        match block {
            Some(block) => inventory::spend(&mut tx, transfer.hash.0, block).await?,
            None => inventory::give_back(&mut tx, transfer.hash.0).await?,
        }
        ledger::append(&mut tx, &entries).await?;
        Ok(tx.commit_relaxed().await?)
    }
}

fn read(row: &AnyRow) -> Result<Transfer, Error> {
    let state = row.text("state")?;
    let asset = |chain: &str, token: &str| {
        Ok::<_, Error>(Asset { chain: ChainId(row.u64(chain)?), token: row.address(token)? })
    };
    Ok(Transfer {
        hash: IntentHash(row.b256("hash")?),
        intent: Intent::abi_decode(&row.bytes("intent")?)
            .map_err(|_| Error::Malformed { what: "intent" })?,
        state: TransferState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or(Error::Malformed { what: "transfer state" })?,
        from: asset("origin", "token_given")?,
        giver: row.address("giver")?,
        given: row.u256("given")?,
        to: asset("destination", "token_received")?,
        receiver: row.address("receiver")?,
        received: row.u256("received")?,
    })
}
