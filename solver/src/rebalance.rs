//! Where a shortage of inventory goes: a seam for whoever moves money between chains.

use async_trait::async_trait;

use crate::{policy::Token, store::Holding};

/// Moves money to where it is short. Canonical bridges and our own intents fit behind this.
#[async_trait]
pub trait Rebalancer: Send + Sync + std::fmt::Debug {
    /// A wallet holds less of a token than its threshold. Called again while it lasts.
    async fn short(&self, holding: Holding, token: &Token);
}

/// Tells the operator and moves nothing.
#[derive(Debug, Default)]
pub struct AlertOnly;

#[async_trait]
impl Rebalancer for AlertOnly {
    async fn short(&self, holding: Holding, token: &Token) {
        tracing::warn!(
            chain = %holding.asset.chain, wallet = %holding.wallet, token = token.name,
            balance = %holding.amount, threshold = %token.low, "inventory is short"
        );
    }
}
