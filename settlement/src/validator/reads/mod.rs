//! Attested cross-chain reads: `POST /read` takes a mailbox id, nothing else.
//!
//! Everything that is signed was found by this validator itself: the dispatch in the log of its own
//! mailbox, final at the message's tier; the anchors by one rule that every honest validator follows to
//! the same blocks; the results by executing at those blocks.
//!
//! Nodes keep little state, so reads are executed as soon as their anchors are known (`early`), written
//! down, and signed when the anchors have reached the tier; another anchor by then is executed anew.
//!
//! Anyone may ask, so whatever is not recorded is answered without asking a chain, and of what is recorded only
//! so much at a time (`admission`).

mod anchor;
mod early;
mod execute;
mod recent;
mod record;

use std::{collections::BTreeMap, sync::Arc};

use alloy::{
    primitives::{Address, B256, Bytes},
    rpc::types::Filter,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::{SolEvent as _, SolValue as _},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::post,
};
use chain::{FinalityRule, client::BlockHeader, manifest::ChainManifest};
use protocol::{
    abi::{hyperlane::Mailbox, messaging::ReadAnchor},
    finality::Tier,
    ids::{Domain, MailboxMessageId, MessageId},
    message::{Envelope, Message},
    read::ReadDigest,
    signable::Signable as _,
};
use serde::{Deserialize, Serialize};

pub(super) use self::{early::Early, record::Record as ReadRecord};
use self::{execute::Seen, recent::Recent, record::Record};
use super::{
    endpoints::Endpoints,
    journal::{Block, Journal, JournalError},
};
use crate::admission::{self, Admission};

/// What is asked: which message's reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// keccak256 of the envelope.
    pub mailbox_id: B256,
}

/// What is attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAttestation {
    /// Who signed.
    pub validator: Address,
    /// keccak256 of the Metalayer message.
    pub message_id: B256,
    /// Timestamp of the block that dispatched the message.
    pub timestamp: u64,
    /// `abi.encode((uint32 domain, uint64 number, bytes32 blockHash)[])`, ascending by domain.
    pub anchors: Bytes,
    /// One result for each read: `abi.encode(bool ok, bytes data)`.
    pub wrapped: Vec<Bytes>,
    /// Over the digest of all that.
    pub signature: Bytes,
}

impl ReadAttestation {
    /// The anchors, when they are well formed.
    pub fn decode_anchors(&self) -> Option<Vec<ReadAnchor>> {
        Vec::<ReadAnchor>::abi_decode(&self.anchors).ok()
    }
}

/// Why nothing is attested.
#[derive(Debug, thiserror::Error)]
pub enum ReadRefusal {
    /// No such dispatch, or not one that may be attested.
    #[error("{0}")]
    Unknown(&'static str),
    /// Not yet.
    #[error("{0}")]
    Pending(String),
    /// A chain or the database failed: never a result.
    #[error("{0}")]
    Unavailable(String),
}

impl From<chain::client::Error> for ReadRefusal {
    fn from(error: chain::client::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<chain::db::Error> for ReadRefusal {
    fn from(error: chain::db::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<JournalError> for ReadRefusal {
    fn from(error: JournalError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl IntoResponse for ReadRefusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Pending(_) => StatusCode::ACCEPTED,
            Self::Unavailable(cause) => {
                tracing::warn!(cause, "a read could not be attested");
                let answer = serde_json::json!({ "status": "unavailable" });
                return (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response();
            }
        };
        let label = if status == StatusCode::ACCEPTED { "pending" } else { "unknown" };
        let answer = serde_json::json!({ "status": label, "reason": self.to_string() });
        (status, Json(answer)).into_response()
    }
}

/// One chain that messages come from, go to, or read.
#[derive(Debug)]
pub(super) struct ReadChain {
    pub(super) manifest: ChainManifest,
    pub(super) chain: Endpoints,
    /// When a block may be attested, by tier.
    pub(super) rules: BTreeMap<u8, FinalityRule>,
    pub(super) journals: BTreeMap<u8, Journal>,
}

impl ReadChain {
    /// The newest block that may be attested at a tier.
    async fn head(&self, tier: Tier) -> Result<Option<BlockHeader>, ReadRefusal> {
        let rule = self.rules.get(&tier.byte()).copied().unwrap_or(self.manifest.finality);
        Ok(self.chain.head(rule).await?)
    }

    /// The message with reads in an envelope that this chain's router dispatched.
    fn parse<'a>(&self, envelope: &'a [u8]) -> Option<(Envelope<'a>, Message<'a>)> {
        let envelope = Envelope::parse(envelope).ok()?;
        let message = Message::parse(envelope.body).ok()?;
        let header = message.header;
        let from_router = envelope.sender == self.manifest.contracts.router.into_word();
        let consistent = envelope.origin == self.manifest.domain
            && header.origin == envelope.origin
            && header.destination == envelope.destination;
        let reads = from_router && consistent && !message.reads.is_empty();
        reads.then_some((envelope, message))
    }
}

/// Attests reads with the keys of all tiers.
#[derive(Debug)]
pub(super) struct Attestor {
    chains: BTreeMap<Domain, ReadChain>,
    keys: BTreeMap<u8, PrivateKeySigner>,
    record: Record,
    /// Messages with reads that were seen in the logs, with their tiers.
    sighted: Recent<Tier>,
    /// Messages that will never be attested here, and why.
    refused: Recent<&'static str>,
}

pub(super) fn routes(attestor: Arc<Attestor>) -> Router {
    let admission = Arc::<Admission>::default();
    Router::new()
        .route("/read", post(attest))
        .route_layer(middleware::from_fn_with_state(admission, admission::admit))
        .with_state(attestor)
}

async fn attest(
    State(attestor): State<Arc<Attestor>>,
    Json(request): Json<ReadRequest>,
) -> Result<Json<ReadAttestation>, ReadRefusal> {
    attestor.attest(MailboxMessageId(request.mailbox_id)).await.map(Json)
}

/// A dispatch that may be attested.
struct Dispatched {
    envelope: Bytes,
    block: BlockHeader,
}

/// A fault in what a stranger dispatched.
const MALFORMED: ReadRefusal = ReadRefusal::Unknown("not a message of the configured router");

impl Attestor {
    pub(super) fn new(
        chains: BTreeMap<Domain, ReadChain>,
        keys: BTreeMap<u8, PrivateKeySigner>,
        record: Record,
    ) -> Self {
        Self { chains, keys, record, sighted: Recent::default(), refused: Recent::default() }
    }

    async fn attest(&self, id: MailboxMessageId) -> Result<ReadAttestation, ReadRefusal> {
        if let Some(reason) = self.refused.get(id) {
            return Err(ReadRefusal::Unknown(reason));
        }
        let recorded = self.recorded(id).await?;
        let answer = self.attest_recorded(id, recorded).await;
        if let Err(ReadRefusal::Unknown(reason)) = &answer {
            // A message is what its id says, and the configuration stays as it is.
            self.refused.insert(id, *reason);
        }
        answer
    }

    async fn attest_recorded(
        &self,
        id: MailboxMessageId,
        recorded: Vec<(&ReadChain, Block)>,
    ) -> Result<ReadAttestation, ReadRefusal> {
        let (origin, dispatched) = self.find(id, recorded).await?;
        let (envelope, message) = origin.parse(&dispatched.envelope).ok_or(MALFORMED)?;
        let tier = message.header.tier;
        let key = self
            .keys
            .get(&tier.byte())
            .ok_or(ReadRefusal::Unknown("no key of that tier is held"))?;
        self.check_final(origin, tier, id, &dispatched).await?;
        let destination = self
            .chains
            .get(&envelope.destination)
            .ok_or(ReadRefusal::Unknown("the destination is not configured"))?;
        let results = match self.record.find(id, dispatched.block.hash).await? {
            Some(known) => known,
            None => {
                let seen = Seen::AtTier(tier);
                let anchors = self.anchors(origin, &message, dispatched.block, seen).await?;
                let found = match self.record.draft(id, dispatched.block.hash).await? {
                    Some(draft) if draft.anchors == anchors => draft,
                    _ => self.execute(&message, anchors).await?,
                };
                service::crash_point!("validator.read.before");
                self.record.keep(id, dispatched.block.hash, &found).await?
            }
        };
        let digest = ReadDigest {
            local_domain: envelope.destination,
            read_ism: destination.manifest.contracts.read_ism,
            message: message.id(),
            timestamp: dispatched.block.timestamp,
            anchors: &results.anchors,
            wrapped: &results.wrapped,
        };
        let signature = key
            .sign_hash_sync(&digest.digest())
            .map_err(|error| ReadRefusal::Unavailable(error.to_string()))?;
        Ok(attestation(key.address(), message.id(), &digest, signature))
    }

    /// Where this validator recorded a leaf of the message. Asks no chain: what is not recorded is not final.
    async fn recorded(
        &self,
        id: MailboxMessageId,
    ) -> Result<Vec<(&ReadChain, Block)>, ReadRefusal> {
        let sighted = self.sighted.get(id);
        let mut found = Vec::new();
        for chain in self.chains.values() {
            for (tier, journal) in &chain.journals {
                if sighted.is_some_and(|sighted| sighted.byte() != *tier) {
                    continue;
                }
                let Some(block) = journal.block_of(id).await? else { continue };
                if !found.iter().any(|(_, known)| *known == block) {
                    found.push((chain, block));
                }
            }
        }
        match sighted {
            _ if !found.is_empty() => Ok(found),
            Some(tier) => Err(ReadRefusal::Pending(format!("its block is not {tier} yet"))),
            None => Err(ReadRefusal::Unknown("no such message was dispatched")),
        }
    }

    /// The dispatch of a message, in the log of the configured mailbox, in one of the blocks where it is recorded.
    async fn find<'a>(
        &self,
        id: MailboxMessageId,
        recorded: Vec<(&'a ReadChain, Block)>,
    ) -> Result<(&'a ReadChain, Dispatched), ReadRefusal> {
        for (chain, recorded) in recorded {
            let block = chain.chain.majority().block(recorded.number).await?;
            let Some(block) = block.filter(|block| block.hash == recorded.hash) else { continue };
            if let Some(envelope) = envelope(chain, id, recorded.hash).await? {
                return Ok((chain, Dispatched { envelope, block }));
            }
        }
        Err(ReadRefusal::Pending("the block where it is recorded is not on the chain".to_owned()))
    }

    /// Whether this validator signed the message's leaf at the tier of the message, in that block.
    async fn check_final(
        &self,
        origin: &ReadChain,
        tier: Tier,
        id: MailboxMessageId,
        dispatched: &Dispatched,
    ) -> Result<(), ReadRefusal> {
        let pending = || ReadRefusal::Pending(format!("its block is not {tier} yet"));
        let journal = origin.journals.get(&tier.byte()).ok_or_else(pending)?;
        let is_recorded = journal.is_recorded(id, dispatched.block.hash).await?;
        if is_recorded { Ok(()) } else { Err(pending()) }
    }
}

/// The envelope that the mailbox dispatched in a block.
async fn envelope(
    chain: &ReadChain,
    id: MailboxMessageId,
    block: B256,
) -> Result<Option<Bytes>, ReadRefusal> {
    let filter = Filter::new()
        .address(chain.manifest.contracts.mailbox)
        .event_signature(Mailbox::Dispatch::SIGNATURE_HASH)
        .at_block_hash(block);
    let logs = chain.chain.majority().logs(&filter).await?;
    let mut envelopes = logs
        .iter()
        .filter_map(|log| Mailbox::Dispatch::decode_log(&log.inner).ok())
        .map(|dispatch| dispatch.data.message);
    let is_it = |bytes: &Bytes| Envelope::parse(bytes).is_ok_and(|parsed| parsed.id() == id);
    Ok(envelopes.find(is_it))
}

/// What the reads of a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) anchors: Vec<ReadAnchor>,
    pub(super) wrapped: Vec<Bytes>,
}

fn attestation(
    validator: Address,
    message_id: MessageId,
    digest: &ReadDigest<'_, Bytes>,
    signature: alloy::primitives::Signature,
) -> ReadAttestation {
    ReadAttestation {
        validator,
        message_id: message_id.0,
        timestamp: digest.timestamp,
        anchors: digest.anchors.to_vec().abi_encode().into(),
        wrapped: digest.wrapped.to_vec(),
        signature: signature.as_bytes().to_vec().into(),
    }
}
