//! Telling origins what was delivered: many ids in one message, at the finalized tier, once each
//! delivery is final. Confirmations are messages themselves but not confirmable, so this ends.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, keccak256},
    sol_types::SolCall as _,
};
use chain::{Sender, sender::Request};
use protocol::{
    abi::router,
    finality::Tier,
    ids::Domain,
    message::{Envelope, Message},
};
use tokio_util::sync::CancellationToken;

use super::{delivery::Stored, origin::Origin, store::Store, verdict::NotReady};

/// How often confirmations are sent.
const EVERY: Duration = Duration::from_secs(2);
/// Most ids in one confirmation: what the router takes.
const MAX_IDS: usize = 256;

/// Confirms the deliveries of one destination.
#[derive(Debug)]
pub(super) struct Confirmer {
    pub(super) destination: std::sync::Arc<Origin>,
    pub(super) store: Store,
    pub(super) sender: Sender,
}

impl Confirmer {
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(reason) = self.confirm_all().await {
                tracing::warn!(
                    destination = self.destination.name,
                    reason = reason.reason,
                    "deliveries are not confirmed yet"
                );
            }
        }
    }

    async fn confirm_all(&self) -> Result<(), NotReady> {
        let unconfirmed = self.store.unconfirmed(self.destination.domain, MAX_IDS).await?;
        let mut by_origin: BTreeMap<Domain, Vec<Stored>> = BTreeMap::new();
        for message in unconfirmed {
            if self.is_confirmable(&message) {
                by_origin.entry(message.origin).or_default().push(message);
            } else {
                self.store.set_confirmed(&[message]).await?;
            }
        }
        for (origin, messages) in by_origin {
            self.confirm(origin, &messages).await?;
            self.store.set_confirmed(&messages).await?;
        }
        Ok(())
    }

    /// Messages of our router's, except its own control messages.
    fn is_confirmable(&self, message: &Stored) -> bool {
        let router = self.destination.manifest.contracts.router.into_word();
        let Ok(envelope) = Envelope::parse(&message.envelope) else { return false };
        let Ok(inner) = Message::parse(envelope.body) else { return false };
        envelope.recipient == router && inner.header.recipient != router
    }

    async fn confirm(&self, origin: Domain, messages: &[Stored]) -> Result<(), NotReady> {
        let ids: Vec<B256> =
            messages.iter().filter_map(|message| message.message_id).map(|id| id.0).collect();
        let finality = Tier::Finalized.byte();
        let router = self.destination.manifest.contracts.router;
        let quote = router::quoteConfirmCall {
            originDomain: origin.0,
            count: alloy::primitives::U256::from(ids.len()),
            finality,
        };
        let chain = &self.destination.chain;
        let fee = chain.call(router, &quote, BlockNumberOrTag::Latest).await?;
        let key = format!("confirm:{origin}:{}", keccak256(ids.concat()));
        let call = router::confirmCall { originDomain: origin.0, ids, finality };
        let request = Request::call(key, router, call.abi_encode()).with_value(fee);
        let sent = self.sender.submit(request).await;
        let failed = |error: chain::sender::Error| NotReady::normal(error.to_string());
        let inclusion = sent.map_err(failed)?.included().await.map_err(failed)?;
        if !inclusion.success {
            return Err(NotReady::normal(format!("confirmation {} reverted", inclusion.hash)));
        }
        metrics::counter!(
            "metalayer_relayer_confirmed_total",
            "destination" => self.destination.name.clone()
        )
        .increment(messages.len() as u64);
        Ok(())
    }
}
