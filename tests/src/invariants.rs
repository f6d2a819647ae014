//! What must hold at the end of every case.

use alloy::primitives::B256;
use cli::invariants::check;
use eyre::ensure;

use crate::{World, patience::until};

/// Waits until every message is delivered and no solver has anything in flight, and checks what must hold then.
///
/// # Errors
/// Every invariant that is broken, or what could not be asked.
pub async fn hold(world: &World) -> eyre::Result<()> {
    hold_but_for(world, &[]).await
}

/// As [`hold`], where these messages, by their mailbox's ids, are refused for good.
///
/// # Errors
/// As [`hold`].
pub async fn hold_but_for(world: &World, refused: &[B256]) -> eyre::Result<()> {
    until("every message to be delivered", async || {
        let verdict = check(world.manifest()).await?;
        ensure!(verdict.is_sound(), "{verdict}");
        Ok((verdict.undelivered == refused).then_some(()))
    })
    .await?;
    until("every solver to be at rest", async || {
        let busy = world.orders_in_flight().await?;
        Ok((busy == 0).then_some(()))
    })
    .await
}
