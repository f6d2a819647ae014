//! How far a follower is: the last blocks that were acknowledged, by hash.

use protocol::ids::ChainId;

use super::{Batch, BlockRef, Error, Event, FollowerConfig, Window};
use crate::db::{Db, RowExt, Tx, int};

const MIGRATIONS: &[&str] = &["\
CREATE TABLE follower_blocks (
    name TEXT NOT NULL, chain_id BIGINT NOT NULL, number BIGINT NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (name, chain_id, number))"];

/// Makes `last` the last block of the cursor, or leaves it none. Blocks below `last` stay remembered.
pub(super) async fn rewind(
    tx: &mut Tx,
    name: &str,
    chain_id: ChainId,
    last: Option<BlockRef>,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM follower_blocks WHERE name = $1 AND chain_id = $2 AND number >= $3")
        .bind(name)
        .bind(int(chain_id.0))
        .bind(last.map_or(0, |last| int(last.number)))
        .execute(&mut **tx)
        .await?;
    if let Some(last) = last {
        sqlx::query(
            "INSERT INTO follower_blocks (name, chain_id, number, hash) VALUES ($1, $2, $3, $4)",
        )
        .bind(name)
        .bind(int(chain_id.0))
        .bind(int(last.number))
        .bind(last.hash.to_vec())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

#[derive(Debug)]
pub(super) struct Cursor {
    name: String,
    chain_id: i64,
    keep: u64,
    window: Window,
}

impl Cursor {
    pub(super) async fn load(
        db: &Db,
        config: &FollowerConfig,
        chain_id: ChainId,
    ) -> Result<Self, Error> {
        db.migrate("follower", MIGRATIONS).await?;
        let chain_id = int(chain_id.0);
        let rows = sqlx::query(
            "SELECT number, hash FROM follower_blocks WHERE name = $1 AND chain_id = $2 ORDER BY number",
        )
        .bind(&config.name)
        .bind(chain_id)
        .fetch_all(db.pool())
        .await?;
        let mut window = Window::with_capacity(rows.len());
        for row in rows {
            window.push_back(BlockRef { number: row.u64("number")?, hash: row.b256("hash")? });
        }
        Ok(Self { name: config.name.clone(), chain_id, keep: config.window.max(1), window })
    }

    pub(super) fn last(&self) -> Option<BlockRef> {
        self.window.back().copied()
    }

    /// The remembered blocks, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = BlockRef> {
        self.window.iter().rev().copied()
    }

    pub(super) async fn advance(&mut self, tx: &mut Tx, batch: &Batch) -> Result<(), Error> {
        let mut window = self.window.clone();
        let mut removed_from = None;
        for event in &batch.events {
            match event {
                Event::Removed(block) => {
                    window.retain(|known| known.number < block.number);
                    removed_from = Some(block.number);
                }
                Event::Added(added) => window
                    .push_back(BlockRef { number: added.block.number, hash: added.block.hash }),
            }
        }
        if let Some(through) = batch.through.filter(|through| window.back() != Some(through)) {
            window.push_back(through);
        }
        let newest = window.back().map_or(0, |block| block.number);
        let oldest = newest.saturating_sub(self.keep);
        while window.len() > 1 && window.front().is_some_and(|block| block.number < oldest) {
            window.pop_front();
        }
        self.store(tx, &window, removed_from).await?;
        self.window = window;
        Ok(())
    }

    async fn store(
        &self,
        tx: &mut Tx,
        window: &Window,
        removed_from: Option<u64>,
    ) -> Result<(), Error> {
        let first = window.front().map_or(0, |block| block.number);
        sqlx::query(
            "DELETE FROM follower_blocks WHERE name = $1 AND chain_id = $2 \
             AND (number < $3 OR number >= $4)",
        )
        .bind(&self.name)
        .bind(self.chain_id)
        .bind(int(first))
        .bind(removed_from.map_or(i64::MAX, int))
        .execute(&mut **tx)
        .await?;
        // Blocks that stay are in the table already, except those above the point of a reorg.
        let known_below = removed_from.unwrap_or(u64::MAX);
        let last_known = self.window.back().map(|block| block.number);
        let new = window.iter().filter(|block| {
            block.number >= known_below || last_known.is_none_or(|last| block.number > last)
        });
        for block in new {
            sqlx::query(
                "INSERT INTO follower_blocks (name, chain_id, number, hash) VALUES ($1, $2, $3, $4)",
            )
            .bind(&self.name)
            .bind(self.chain_id)
            .bind(int(block.number))
            .bind(block.hash.to_vec())
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}
