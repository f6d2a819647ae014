//! What was submitted for messages, and what came of it.

use alloy::primitives::{Address, U256};
use chain::db::{self, RowExt as _, Tx, int, word};
use protocol::ids::{Domain, MailboxMessageId};

use super::Store;
use crate::relayer::delivery::{Failure, Failures, Key, Process, Submission};

/// Notes who sends a message, and under which key.
pub(super) async fn set_submission(
    tx: &mut Tx,
    key: Key,
    submission: &Submission,
) -> Result<(), db::Error> {
    sqlx::query(
        "INSERT INTO relayer_submissions VALUES ($1, $2, $3, $4) \
         ON CONFLICT (mailbox_id, block_hash) DO UPDATE \
         SET signer = excluded.signer, request = excluded.request",
    )
    .bind(key.id.to_vec())
    .bind(key.block.to_vec())
    .bind(submission.signer.to_vec())
    .bind(&submission.request)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Adds where a destination's mailbox processed a message.
pub(in super::super) async fn add_process(
    tx: &mut Tx,
    destination: Domain,
    id: MailboxMessageId,
    process: Process,
) -> Result<(), db::Error> {
    sqlx::query("INSERT INTO relayer_processed VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING")
        .bind(i64::from(destination.0))
        .bind(id.to_vec())
        .bind(process.hash.to_vec())
        .bind(int(process.number))
        .bind(process.tx.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Who was asked last to send a message.
    pub(in super::super) async fn submission(
        &self,
        key: Key,
    ) -> Result<Option<Submission>, db::Error> {
        let row = sqlx::query(
            "SELECT signer, request FROM relayer_submissions \
             WHERE mailbox_id = $1 AND block_hash = $2",
        )
        .bind(key.id.to_vec())
        .bind(key.block.to_vec())
        .fetch_optional(self.db.pool())
        .await?;
        let submission = |row: db::AnyRow| {
            let signer: Address = row.address("signer")?;
            Ok(Submission { signer, request: row.text("request")? })
        };
        row.map(submission).transpose()
    }

    /// Where the destination's mailbox processed a message, on the branch that was read.
    pub(in super::super) async fn processed(
        &self,
        destination: Domain,
        id: MailboxMessageId,
    ) -> Result<Option<Process>, db::Error> {
        let row = sqlx::query(
            "SELECT * FROM relayer_processed WHERE destination = $1 AND mailbox_id = $2 \
             ORDER BY number DESC LIMIT 1",
        )
        .bind(i64::from(destination.0))
        .bind(id.to_vec())
        .fetch_optional(self.db.pool())
        .await?;
        let process = |row: db::AnyRow| {
            let (tx, hash) = (row.b256("tx_hash")?, row.b256("block_hash")?);
            Ok(Process { tx, number: row.u64("number")?, hash })
        };
        row.map(process).transpose()
    }

    /// Notes a mined transaction that did not deliver the message, once. Gives all of them.
    pub(in super::super) async fn keep_failure(
        &self,
        id: MailboxMessageId,
        failure: Failure,
    ) -> Result<Failures, db::Error> {
        sqlx::query("INSERT INTO relayer_failures VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(id.to_vec())
            .bind(failure.tx.to_vec())
            .bind(word(failure.wei))
            .execute(self.db.pool())
            .await?;
        self.failures(id).await
    }

    /// The mined transactions that did not deliver the message.
    pub(in super::super) async fn failures(
        &self,
        id: MailboxMessageId,
    ) -> Result<Failures, db::Error> {
        let rows = sqlx::query("SELECT wei FROM relayer_failures WHERE mailbox_id = $1")
            .bind(id.to_vec())
            .fetch_all(self.db.pool())
            .await?;
        let transactions = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let wei = rows.iter().try_fold(U256::ZERO, |sum, row| {
            Ok::<_, db::Error>(sum.saturating_add(row.u256("wei")?))
        })?;
        Ok(Failures { transactions, wei })
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use chain::Db;

    use super::*;

    #[tokio::test]
    async fn a_failed_transaction_is_counted_once() {
        let store = Store::open(Db::open("sqlite::memory:").await.unwrap()).await.unwrap();
        let id = MailboxMessageId(B256::repeat_byte(1));
        let failure = |byte| Failure { tx: B256::repeat_byte(byte), wei: U256::from(5) };
        assert_eq!(store.failures(id).await.unwrap(), Failures::default());
        for byte in [1, 1, 2] {
            store.keep_failure(id, failure(byte)).await.unwrap();
        }
        let failures = store.failures(id).await.unwrap();
        assert_eq!(failures, Failures { transactions: 2, wei: U256::from(10) });
        let other = MailboxMessageId(B256::repeat_byte(2));
        assert_eq!(store.failures(other).await.unwrap(), Failures::default());
    }
}
