//! Telling relayers on-chain where the files are.

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::Address,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use chain::{
    ChainClient, Db, Sender,
    sender::{self, Request, SenderConfig},
};
use protocol::{
    abi::hyperlane::ValidatorAnnounce, announcement::Announcement, signable::Signable as _,
};
use service::{
    health::{Component, patience},
    retry::Backoff,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::checkpoints::{Folder, FolderError, SignedAnnouncement};

/// How often an announced location is looked for again: a reorg deeper than any finality takes the
/// announcement with it, and relayers find nothing of a validator that is not announced.
const RECHECK: Duration = Duration::from_secs(5);
/// Pause after a first refusal, doubled with each that follows: every attempt is kept in the sender's journal.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after a refusal.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Why a location is not announced yet.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] chain::client::Error),
    /// The transaction was not made.
    #[error(transparent)]
    Send(#[from] chain::sender::Error),
    /// The transaction failed on the chain.
    #[error("the announcement reverted in transaction {0}")]
    Reverted(alloy::primitives::TxHash),
    /// The key did not sign.
    #[error("signing failed: {0}")]
    Sign(#[from] alloy::signers::Error),
    /// The folder failed.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl AnnounceError {
    /// Whether the chain said no to the transaction itself: soon after it will say the same.
    const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Reverted(_)
                | Self::Send(sender::Error::Refused { .. } | sender::Error::Canceled { .. })
        )
    }
}

/// What is announced, by whom, where.
#[derive(Debug)]
pub(super) struct Announcer {
    pub(super) chain: ChainClient,
    pub(super) db: Db,
    pub(super) contract: Address,
    pub(super) announcement: Announcement,
    pub(super) signer: PrivateKeySigner,
    pub(super) folder: Arc<Folder>,
    pub(super) health: Component,
}

impl Announcer {
    /// Announces, and again whenever the chain has lost it: without gas, or with a node that is down, this
    /// takes until an operator helps, and never stops the signing.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let labels = [
            ("chain", self.chain.chain_id().to_string()),
            ("validator", self.signer.address().to_string()),
        ];
        let gauge = metrics::gauge!("hyperlane_announced", &labels);
        gauge.set(0.0);
        // Nothing is wrong before something fails.
        self.health.ok();
        let (mut faults, mut refusals) = (Backoff::default(), between_refusals());
        let mut failing_since = None;
        while !shutdown.is_cancelled() {
            let error = match self.announce().await {
                Ok(()) => {
                    gauge.set(1.0);
                    self.health.ok();
                    (faults, refusals) = (Backoff::default(), between_refusals());
                    failing_since = None;
                    shutdown.run_until_cancelled(tokio::time::sleep(RECHECK)).await;
                    continue;
                }
                Err(error) => error,
            };
            gauge.set(0.0);
            tracing::warn!(
                chain = %self.chain.chain_id(), %error,
                "the storage location is not announced"
            );
            let since = *failing_since.get_or_insert_with(Instant::now);
            if error.is_refusal() || since.elapsed() >= patience(RECHECK) {
                self.health.failing(format!("the storage location is not announced: {error}"));
            }
            let backoff = if error.is_refusal() { &mut refusals } else { &mut faults };
            backoff.pause(&shutdown).await;
        }
    }

    /// Makes sure of the announcement.
    async fn announce(&self) -> Result<(), AnnounceError> {
        let signature = self.signer.sign_hash_sync(&self.announcement.digest())?;
        let signed = SignedAnnouncement {
            validator: self.signer.address(),
            announcement: self.announcement.clone(),
            signature,
        };
        self.folder.write_announcement(&signed)?;
        if self.is_announced().await? {
            return Ok(());
        }
        let call = ValidatorAnnounce::announceCall {
            _validator: self.signer.address(),
            _storageLocation: self.announcement.storage_location.clone(),
            _signature: signature.as_bytes().to_vec().into(),
        };
        let config = SenderConfig::default();
        let sender =
            Sender::start(self.db.clone(), self.chain.clone(), self.signer.clone(), config).await?;
        let key = self.next_attempt(&sender).await?;
        let inclusion = sender.send(Request::call(key, self.contract, call.abi_encode())).await?;
        match inclusion.success {
            true => Ok(()),
            false => Err(AnnounceError::Reverted(inclusion.hash)),
        }
    }

    /// The key of the attempt that is under way, or of the next one. The sender remembers for good what became of
    /// an attempt: one that was refused, or that got into a block that the chain lost, is followed by another.
    async fn next_attempt(&self, sender: &Sender) -> Result<String, AnnounceError> {
        let mut attempt = 0_u32;
        loop {
            let key = format!("announce:{}:{attempt}", self.announcement.storage_location);
            match sender.find(key.as_str()).await? {
                Some(ticket) if ticket.status().is_final() => attempt = attempt.saturating_add(1),
                Some(_) | None => return Ok(key),
            }
        }
    }

    /// Relayers use the last location, so it must be ours.
    async fn is_announced(&self) -> Result<bool, AnnounceError> {
        let call = ValidatorAnnounce::getAnnouncedStorageLocationsCall {
            _validators: vec![self.signer.address()],
        };
        let latest = alloy::eips::BlockNumberOrTag::Latest;
        let locations = self.chain.call(self.contract, &call, latest).await?;
        let last = locations.first().and_then(|of_validator| of_validator.last());
        Ok(last == Some(&self.announcement.storage_location))
    }
}

/// The pauses after refusals.
const fn between_refusals() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
}
