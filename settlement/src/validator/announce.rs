//! Telling relayers on-chain where the files are.

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::Address,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use chain::{
    ChainClient, Db, Sender,
    sender::{Request, SenderConfig},
};
use protocol::{
    abi::hyperlane::ValidatorAnnounce, announcement::Announcement, signable::Signable as _,
};
use service::retry::Backoff;
use tokio_util::sync::CancellationToken;

use crate::checkpoints::{Folder, FolderError, SignedAnnouncement};

/// How often an announced location is looked for again: a reorg deeper than any finality takes the
/// announcement with it, and relayers find nothing of a validator that is not announced.
const RECHECK: Duration = Duration::from_secs(5);

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

/// What is announced, by whom, where.
#[derive(Debug)]
pub(super) struct Announcer {
    pub(super) chain: ChainClient,
    pub(super) db: Db,
    pub(super) contract: Address,
    pub(super) announcement: Announcement,
    pub(super) signer: PrivateKeySigner,
    pub(super) folder: Arc<Folder>,
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
        let (mut backoff, mut sent) = (Backoff::default(), 0);
        while !shutdown.is_cancelled() {
            match self.announce(&mut sent).await {
                Ok(()) => {
                    gauge.set(1.0);
                    backoff = Backoff::default();
                    shutdown.run_until_cancelled(tokio::time::sleep(RECHECK)).await;
                }
                Err(error) => {
                    gauge.set(0.0);
                    tracing::warn!(
                        chain = %self.chain.chain_id(), %error,
                        "the storage location is not announced"
                    );
                    backoff.pause(&shutdown).await;
                }
            }
        }
    }

    /// Makes sure of the announcement. `sent` counts the transactions that got into a block: the sender
    /// remembers those for good, so one that the chain lost needs a key of its own.
    async fn announce(&self, sent: &mut u32) -> Result<(), AnnounceError> {
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
        let key = format!("announce:{}:{sent}", self.announcement.storage_location);
        let config = SenderConfig::default();
        let sender =
            Sender::start(self.db.clone(), self.chain.clone(), self.signer.clone(), config).await?;
        let inclusion = sender.send(Request::call(key, self.contract, call.abi_encode())).await?;
        *sent += 1;
        match inclusion.success {
            true => Ok(()),
            false => Err(AnnounceError::Reverted(inclusion.hash)),
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
