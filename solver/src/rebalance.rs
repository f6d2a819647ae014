//! Where a shortage of inventory goes: a seam for whoever moves money between chains.

mod intents;

pub use intents::ByIntents;

use async_trait::async_trait;

use crate::{policy::Token, store::Holding};

/// Moves money to where it is short. Our own intents are behind this; canonical bridges fit too.
#[async_trait]
pub trait Rebalancer: Send + Sync + std::fmt::Debug {
    /// A wallet holds less of a token than its threshold. Called again while it lasts.
    async fn short(&self, holding: Holding, token: &Token);

    /// Goes on with what is under way. Called every few seconds.
    async fn pursue(&self);
}

/// Tells the operator and moves nothing.
#[derive(Debug, Default)]
pub struct AlertOnly;

#[async_trait]
impl Rebalancer for AlertOnly {
    async fn short(&self, holding: Holding, token: &Token) {
        alert(holding, token);
    }

    async fn pursue(&self) {}
}

fn alert(holding: Holding, token: &Token) {
    tracing::warn!(
        chain = %holding.asset.chain, wallet = %holding.wallet, token = token.name,
        balance = %holding.amount, threshold = %token.low, "inventory is short"
    );
}
