//! What must hold at the end of every case.

use cli::invariants::check;
use eyre::ensure;

use crate::{World, patience::until};

/// Waits until every message is delivered, and checks what must hold then.
///
/// # Errors
/// Every invariant that is broken, or what could not be asked.
pub async fn hold(world: &World) -> eyre::Result<()> {
    until("every message to be delivered", async || {
        let verdict = check(world.manifest()).await?;
        ensure!(verdict.is_sound(), "{verdict}");
        Ok(verdict.undelivered.is_empty().then_some(()))
    })
    .await
}
