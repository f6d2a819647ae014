//! The EIP-3668 server of ReadIsm: `POST /gateway` with an envelope gives complete metadata, once enough
//! validators of the tier attested the same results.
//!
//! Stateless towards its callers: whatever anyone asks, only what a quorum signed is answered. When a
//! read waits for a chain that makes blocks on demand, the relayer makes one (a heartbeat).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes},
};
use axum::{
    Json, Router, extract::State, http::StatusCode, middleware, response::IntoResponse,
    routing::post,
};
use chain::{Sender, sender::Request};
use futures::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::Mutex;
use protocol::{
    abi::{hyperlane::MultisigIsm, read_ism},
    ids::{Domain, MailboxMessageId},
    message::{Envelope, Message},
    multisig::{Signature, recover},
    read::{self, ReadDigest},
    signable::Signable as _,
};
use url::Url;

use super::{
    ccip::{Lookup, LookupAnswer},
    origin::Origin,
    quorum::{Set, Validators},
    verdict::NotReady,
};
use crate::{
    admission::{self, Admission},
    checkpoints::location,
    validator::reads::{ReadAttestation, ReadRequest},
};

/// How long a read waits before the chain it waits for is given a block, and between two of them.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(10);
/// Largest attestation: 16 results of 4,096 bytes in hexadecimal, with room.
const MAX_ATTESTATION: usize = 256 * 1024;
/// Most reads waiting for a heartbeat that are remembered.
const MAX_WAITING: usize = 10_000;

/// Serves reads of messages to every destination.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) origins: HashMap<Domain, Arc<Origin>>,
    pub(super) validators: HashMap<Domain, Arc<Validators>>,
    pub(super) senders: HashMap<Domain, Sender>,
    pub(super) http: reqwest::Client,
    pub(super) waiting: Mutex<HashMap<(MailboxMessageId, Domain), Instant>>,
}

pub(super) fn routes(gateway: Gateway) -> Router {
    let admission = Arc::<Admission>::default();
    Router::new()
        .route("/gateway", post(look_up))
        .route_layer(middleware::from_fn_with_state(admission, admission::admit))
        .with_state(Arc::new(gateway))
}

async fn look_up(
    State(gateway): State<Arc<Gateway>>,
    Json(lookup): Json<Lookup>,
) -> impl IntoResponse {
    let answer = gateway.answer(lookup.sender, &lookup.data).await;
    match answer {
        Ok(data) => (StatusCode::OK, Json(LookupAnswer { data: Some(data), ..Default::default() })),
        Err(NotReady { reason, .. }) => {
            let status = Some(String::from("pending"));
            let answer = LookupAnswer { status, error: Some(reason), ..Default::default() };
            (StatusCode::OK, Json(answer))
        }
    }
}

/// What one validator attested, checked.
struct Attested {
    validator: Address,
    signature: Signature,
    results_hash: B256,
    attestation: ReadAttestation,
}

impl Gateway {
    /// The metadata of ReadIsm for an envelope.
    async fn answer(&self, sender: Address, envelope_bytes: &Bytes) -> Result<Bytes, NotReady> {
        let malformed = || NotReady::slow("not an envelope with a message and reads");
        let envelope = Envelope::parse(envelope_bytes).map_err(|_| malformed())?;
        let message = Message::parse(envelope.body).map_err(|_| malformed())?;
        let destination = self.origins.get(&envelope.destination).ok_or_else(malformed)?;
        let read_ism = destination.manifest.contracts.read_ism;
        if sender != read_ism || message.reads.is_empty() {
            return Err(malformed());
        }
        let set = self.signers(destination, envelope_bytes, &envelope, &message).await?;
        let validators = self.validators.get(&envelope.origin).ok_or_else(malformed)?;
        let mut asked: FuturesUnordered<_> = validators
            .http_locations(&set)
            .await
            .into_iter()
            .map(|(validator, folder)| self.ask(validator, folder, (&envelope, &message, read_ism)))
            .collect();
        let mut groups: Vec<Vec<Attested>> = Vec::new();
        while let Some(attested) = asked.next().await {
            let Some(attested) = attested else { continue };
            let same = |group: &&mut Vec<Attested>| {
                group.first().is_some_and(|first| first.results_hash == attested.results_hash)
            };
            let group = match groups.iter_mut().find(same) {
                Some(group) => group,
                None => groups.push_mut(Vec::new()),
            };
            group.push(attested);
            if group.len() >= set.threshold {
                return encode(&set, group, &envelope, &message, read_ism);
            }
        }
        drop(asked);
        self.beat(&envelope, &message).await;
        Err(NotReady::soon("not enough validators attest the same results yet"))
    }

    /// ReadIsm's own signers for the origin and tier of the message.
    async fn signers(
        &self,
        destination: &Origin,
        bytes: &Bytes,
        envelope: &Envelope<'_>,
        message: &Message<'_>,
    ) -> Result<Set, NotReady> {
        let latest = BlockNumberOrTag::Latest;
        let call =
            read_ism::signersCall { origin: envelope.origin.0, tier: message.header.tier.byte() };
        let read_ism = destination.manifest.contracts.read_ism;
        let module = destination.chain.call(read_ism, &call, latest).await?;
        let call = MultisigIsm::validatorsAndThresholdCall { _message: bytes.clone() };
        let answer = destination.chain.call(module, &call, latest).await?;
        let threshold = usize::from(answer.threshold);
        if threshold == 0 {
            return Err(NotReady::slow("the signers of reads have threshold 0"));
        }
        Ok(Set { validators: answer.validators, threshold })
    }

    /// One validator's attestation; `None` when it has none, or one that its key did not sign.
    async fn ask(
        &self,
        validator: Address,
        folder: Url,
        (envelope, message, read_ism): (&Envelope<'_>, &Message<'_>, Address),
    ) -> Option<Attested> {
        // `<base>/<domain>/<tier>/` is the folder, `<base>/read` answers.
        let url = folder.join("../../read").ok()?;
        let request = ReadRequest { mailbox_id: envelope.id().0 };
        let response = self.http.post(url).json(&request).send().await.ok()?;
        if response.status() != reqwest::StatusCode::OK {
            return None;
        }
        let body = location::bounded_body(response, MAX_ATTESTATION).await.ok()??;
        let attestation: ReadAttestation = serde_json::from_slice(&body).ok()?;
        let anchors = attestation.decode_anchors()?;
        let digest = ReadDigest {
            local_domain: envelope.destination,
            read_ism,
            message: message.id(),
            timestamp: attestation.timestamp,
            anchors: &anchors,
            wrapped: &attestation.wrapped,
        };
        let signature = Signature::try_from(attestation.signature.as_ref()).ok()?;
        if recover(digest.digest(), &signature) != Some(validator) {
            return None;
        }
        let results_hash = digest.results_hash();
        Some(Attested { validator, signature, results_hash, attestation })
    }

    /// Gives a block to every chain of the message's reads that has had none since the dispatch.
    async fn beat(&self, envelope: &Envelope<'_>, message: &Message<'_>) {
        let id = envelope.id();
        for operation in message.reads.iter() {
            let domain = operation.domain;
            if domain == envelope.origin || !self.has_waited(id, domain) {
                continue;
            }
            if let Err(error) = self.beat_if_still(envelope, domain).await {
                tracing::warn!(%domain, reason = error.reason, "a heartbeat could not be sent");
            }
        }
    }

    fn has_waited(&self, id: MailboxMessageId, domain: Domain) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, since| since.elapsed() < HEARTBEAT_AFTER * 60);
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&(id, domain)) {
            return false;
        }
        let since = waiting.entry((id, domain)).or_insert_with(Instant::now);
        if since.elapsed() < HEARTBEAT_AFTER {
            return false;
        }
        *since = Instant::now();
        true
    }

    /// Anyone may ask the gateway, so a heartbeat is sent only for a message that the origin dispatched,
    /// and only while the chain's newest block is not after it.
    async fn beat_if_still(&self, envelope: &Envelope<'_>, domain: Domain) -> Result<(), NotReady> {
        let (Some(read), Some(sender), Some(origin)) = (
            self.origins.get(&domain),
            self.senders.get(&domain),
            self.validators.get(&envelope.origin),
        ) else {
            return Ok(());
        };
        let dispatched = origin.store().find(envelope.id().0).await?;
        let Some(message) = dispatched.last() else { return Ok(()) };
        let block = origin.origin().chain.block(BlockId::hash(message.key.block)).await?;
        let latest = read.chain.latest().await?;
        if block.is_none_or(|block| latest.timestamp > block.timestamp) {
            return Ok(());
        }
        let key = format!("heartbeat:{}:{}", latest.number, latest.hash);
        let request = Request::call(key, sender.address(), Bytes::new());
        sender.submit(request).await.map_err(|error| NotReady::normal(error.to_string()))?;
        metrics::counter!("metalayer_relayer_heartbeats_total", "chain" => read.name.clone())
            .increment(1);
        Ok(())
    }
}

/// The metadata of a quorum, with signatures in the order of the set.
fn encode(
    set: &Set,
    group: &[Attested],
    envelope: &Envelope<'_>,
    message: &Message<'_>,
    read_ism: Address,
) -> Result<Bytes, NotReady> {
    let first = group.first().map(|attested| &attested.attestation);
    let decoded = first.and_then(|attestation| Some((attestation, attestation.decode_anchors()?)));
    let Some((attestation, anchors)) = decoded else {
        return Err(NotReady::normal("an empty quorum"));
    };
    let signatures: Vec<Signature> = set
        .validators
        .iter()
        .filter_map(|member| group.iter().find(|attested| attested.validator == *member))
        .map(|attested| attested.signature)
        .take(set.threshold)
        .collect();
    let digest = ReadDigest {
        local_domain: envelope.destination,
        read_ism,
        message: message.id(),
        timestamp: attestation.timestamp,
        anchors: &anchors,
        wrapped: &attestation.wrapped,
    };
    Ok(read::encode_metadata(&digest, &signatures).into())
}
