//! The books: every amount that left or reached a wallet because of an intent.
//!
//! Per (chain, wallet, token) the sum of the entries is the change of the balance, whatever the
//! prices were; the dollar value beside each entry is what it was worth when it was booked.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, I256, U256};
use chain::db::{AnyRow, RowExt, Tx, int, word};
use prices::Usd;
use protocol::ids::{ChainId, IntentHash};

use super::{Error, Store};
use crate::money::Asset;

/// What an amount was paid or received for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// The route's amounts.
    Route,
    /// The reward.
    Reward,
    /// The fee of a proof message.
    ProofFee,
    /// Gas of fills, also of failed ones.
    FillGas,
    /// Gas of proofs.
    ProofGas,
    /// Gas of withdrawals and challenges.
    ClaimGas,
    /// Gas of opening a gasless order.
    OpenGas,
    /// Gas of approvals.
    ApprovalGas,
    /// What a transfer between our wallets gave.
    RebalanceOut,
    /// What it brought, or what came back.
    RebalanceIn,
    /// Its gas.
    RebalanceGas,
}

impl EntryKind {
    const ALL: [Self; 11] = [
        Self::Route,
        Self::Reward,
        Self::ProofFee,
        Self::FillGas,
        Self::ProofGas,
        Self::ClaimGas,
        Self::OpenGas,
        Self::ApprovalGas,
        Self::RebalanceOut,
        Self::RebalanceIn,
        Self::RebalanceGas,
    ];

    /// The word stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Reward => "reward",
            Self::ProofFee => "proof_fee",
            Self::FillGas => "fill_gas",
            Self::ProofGas => "proof_gas",
            Self::ClaimGas => "claim_gas",
            Self::OpenGas => "open_gas",
            Self::ApprovalGas => "approval_gas",
            Self::RebalanceOut => "rebalance_out",
            Self::RebalanceIn => "rebalance_in",
            Self::RebalanceGas => "rebalance_gas",
        }
    }

    /// Whether the amount reached the wallet; otherwise it left.
    pub const fn is_income(self) -> bool {
        match self {
            Self::Reward | Self::RebalanceIn => true,
            Self::Route
            | Self::ProofFee
            | Self::FillGas
            | Self::ProofGas
            | Self::ClaimGas
            | Self::OpenGas
            | Self::ApprovalGas
            | Self::RebalanceOut
            | Self::RebalanceGas => false,
        }
    }
}

/// One amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The transaction that moved it.
    pub tx: B256,
    /// Distinguishes entries of one transaction.
    pub position: u64,
    /// The intent it was for; the zero hash for what serves all.
    pub intent: IntentHash,
    /// The wallet.
    pub wallet: Address,
    /// The asset.
    pub asset: Asset,
    /// What for.
    pub kind: EntryKind,
    /// How much, never negative: the kind gives the sign.
    pub amount: U256,
    /// Its worth when booked, signed.
    pub usd: Usd,
    /// Unix milliseconds.
    pub at: u64,
}

/// Sums of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Signed change of each wallet's balance of each asset.
    pub changes: BTreeMap<(Address, Asset), I256>,
    /// Signed worth by kind.
    pub by_kind: BTreeMap<EntryKind, Usd>,
}

impl Totals {
    /// Sums entries.
    pub fn of(entries: &[Entry]) -> Self {
        let mut totals = Self::default();
        for entry in entries {
            let amount = I256::try_from(entry.amount).unwrap_or(I256::MAX);
            let signed = if entry.kind.is_income() { amount } else { -amount };
            let change = totals.changes.entry((entry.wallet, entry.asset)).or_default();
            *change = change.saturating_add(signed);
            *totals.by_kind.entry(entry.kind).or_default() += entry.usd;
        }
        totals
    }

    /// Profit or loss.
    pub fn profit(&self) -> Usd {
        self.by_kind.values().copied().sum()
    }
}

impl Store {
    /// Entries booked from `since` (unix milliseconds) on, oldest first.
    pub async fn entries(&self, since: u64) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query("SELECT * FROM ledger WHERE at >= $1 ORDER BY at, tx, position")
            .bind(int(since))
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Entries of one intent, oldest first.
    pub async fn entries_of(&self, intent: IntentHash) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query("SELECT * FROM ledger WHERE intent = $1 ORDER BY at, tx, position")
            .bind(intent.as_slice())
            .fetch_all(self.db.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Books entries that belong to no step, such as approvals.
    pub async fn book(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        append(&mut tx, entries).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Books entries within a transaction. An entry that is booked already stays as it is.
pub(super) async fn append(tx: &mut Tx, entries: &[Entry]) -> Result<(), Error> {
    for entry in entries {
        sqlx::query(
            "INSERT INTO ledger (tx, position, intent, chain, wallet, token, kind, amount, usd, \
             at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tx, position) DO NOTHING",
        )
        .bind(entry.tx.as_slice())
        .bind(int(entry.position))
        .bind(entry.intent.as_slice())
        .bind(int(entry.asset.chain.0))
        .bind(entry.wallet.as_slice())
        .bind(entry.asset.token.as_slice())
        .bind(entry.kind.name())
        .bind(word(entry.amount))
        .bind(entry.usd.0.to_string())
        .bind(int(entry.at))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Strikes out what the fill of an intent moved, within a transaction.
pub(super) async fn strike_fill(tx: &mut Tx, intent: IntentHash) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM ledger WHERE intent = $1 AND tx IN \
         (SELECT tx FROM ledger WHERE intent = $1 AND kind = 'route')",
    )
    .bind(intent.as_slice())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<Entry, Error> {
    let kind = row.text("kind")?;
    let usd = row.text("usd")?;
    Ok(Entry {
        tx: row.b256("tx")?,
        position: row.u64("position")?,
        intent: IntentHash(row.b256("intent")?),
        wallet: row.address("wallet")?,
        asset: Asset { chain: ChainId(row.u64("chain")?), token: row.address("token")? },
        kind: EntryKind::ALL
            .into_iter()
            .find(|k| k.name() == kind)
            .ok_or(Error::Malformed { what: "ledger kind" })?,
        amount: row.u256("amount")?,
        usd: usd.parse().map(Usd).map_err(|_| Error::Malformed { what: "ledger value" })?,
        at: row.u64("at")?,
    })
}
