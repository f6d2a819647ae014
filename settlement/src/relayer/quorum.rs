//! Collecting signatures: what enough of a set's validators published for one leaf.
//!
//! Every validator is asked by itself. One that is down, slow, corrupt, unsigned or lying counts as
//! absent, and as soon as enough of the others agree nobody waits for it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{eips::BlockNumberOrTag, primitives::Address};
use futures::{StreamExt as _, stream::FuturesUnordered};
use parking_lot::Mutex;
use protocol::{
    abi::hyperlane::ValidatorAnnounce, checkpoint::Checkpoint, ids::MailboxMessageId,
    multisig::Signature,
};

use super::{
    origin::{Origin, now_millis},
    store::{Leaf, Store},
};
use crate::{
    checkpoints::{FetchPolicy, Location, ReadError, Reader, SignedCheckpoint},
    trunk::Prover,
};

/// How long an announced location is trusted to be the last one.
const LOCATION_TTL: Duration = Duration::from_secs(30);
/// How long a validator without a usable location is left alone.
const NOWHERE_TTL: Duration = Duration::from_secs(2);
/// How long a validator whose storage kept us waiting is left alone.
const REST: Duration = Duration::from_secs(5);
/// Most validators whose folders are remembered: anyone's module may name any.
const MAX_READERS: usize = 1_024;

/// Enough signatures over one checkpoint, in the order of the set.
#[derive(Debug, Clone)]
pub(super) struct Quorum {
    pub(super) checkpoint: Checkpoint,
    pub(super) signatures: Vec<Signature>,
}

/// Who of a set has to sign, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) validators: Vec<Address>,
    pub(super) threshold: usize,
}

/// What one validator has for a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Signed(Checkpoint, Signature),
    Absent(String),
}

/// A validator's folder, or the lack of one.
#[derive(Debug, Clone)]
struct Known {
    since: Instant,
    reader: Result<Reader, String>,
    /// When its storage did not answer in time.
    late: Option<Instant>,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < if self.reader.is_ok() { LOCATION_TTL } else { NOWHERE_TTL }
    }

    fn reader(&self) -> Result<Reader, String> {
        match self.late {
            Some(since) if since.elapsed() < REST => {
                Err(String::from("its storage did not answer in time"))
            }
            _ => self.reader.clone(),
        }
    }
}

/// Reads the folders of one origin's validators.
#[derive(Debug)]
pub(super) struct Validators {
    origin: Arc<Origin>,
    store: Store,
    prover: Prover,
    policy: FetchPolicy,
    suspicion: Duration,
    http: reqwest::Client,
    /// The validators of the manifest. Only their files are judged: whom a stranger's module names is not
    /// our concern.
    ours: HashSet<Address>,
    readers: Mutex<HashMap<Address, Known>>,
    suspects: Mutex<HashMap<(Address, u32, alloy::primitives::B256), Instant>>,
}

impl Validators {
    pub(super) fn new(
        origin: Arc<Origin>,
        (store, prover): (Store, Prover),
        (policy, suspicion): (FetchPolicy, Duration),
        http: reqwest::Client,
    ) -> Self {
        let (readers, suspects) = (Mutex::default(), Mutex::default());
        let sets = origin.manifest.validators.values();
        let ours = sets.flat_map(|set| set.validators.iter().copied()).collect();
        let all = Self { origin, store, prover, policy, suspicion, http, ours, readers, suspects };
        for validator in &all.ours {
            // There before the first contradiction: a rule sees only what rises.
            all.contradictions(&validator.to_string(), "fraud").increment(0);
        }
        all
    }

    /// Proves leaves of the origin's tree.
    pub(super) const fn prover(&self) -> &Prover {
        &self.prover
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// A quorum of the set at any of the leaves; otherwise what each validator lacks.
    pub(super) async fn collect(
        &self,
        set: &Set,
        leaves: &[Leaf],
    ) -> Result<Quorum, Vec<(Address, String)>> {
        let readers = self.readers(&set.validators).await;
        let mut asked: FuturesUnordered<_> = leaves
            .iter()
            .flat_map(|leaf| readers.iter().map(move |reader| (leaf, reader)))
            .map(|(leaf, (validator, reader))| async move {
                (*validator, self.ask(*validator, reader, leaf).await)
            })
            .collect();
        let (mut groups, mut absent) = (Vec::<(Checkpoint, Vec<_>)>::new(), Vec::new());
        while let Some((validator, answer)) = asked.next().await {
            let (checkpoint, signature) = match answer {
                Answer::Signed(checkpoint, signature) => (checkpoint, signature),
                Answer::Absent(reason) => {
                    absent.push((validator, reason));
                    continue;
                }
            };
            let group = match groups.iter_mut().find(|(of, _)| *of == checkpoint) {
                Some((_, group)) => group,
                None => &mut groups.push_mut((checkpoint, Vec::new())).1,
            };
            group.push((validator, signature));
            if group.len() >= set.threshold {
                let signatures = in_order(&set.validators, group, set.threshold);
                return Ok(Quorum { checkpoint, signatures });
            }
        }
        Err(absent)
    }

    /// The folders of those validators of the set that are served over HTTP.
    pub(super) async fn http_locations(&self, set: &Set) -> Vec<(Address, url::Url)> {
        let readers = self.readers(&set.validators).await;
        let served =
            readers.into_iter().filter_map(|(validator, reader)| match reader.ok()?.location() {
                Location::Http(url) => Some((validator, url.clone())),
                Location::File(_) | Location::Bucket(_) => None,
            });
        served.collect()
    }

    /// The highest index that `threshold` of the set claim to have published.
    pub(super) async fn latest_index(&self, set: &Set) -> Option<u32> {
        let readers = self.readers(&set.validators).await;
        let mut asked: FuturesUnordered<_> = readers
            .iter()
            .filter_map(|(_, reader)| reader.as_ref().ok()?.latest_index().into())
            .collect();
        let mut latest = Vec::new();
        while let Some(answer) = asked.next().await {
            latest.extend(answer.ok().flatten());
            if latest.len() >= set.threshold {
                break;
            }
        }
        latest.sort_unstable_by(|one, other| other.cmp(one));
        latest.get(set.threshold.checked_sub(1)?).copied()
    }

    /// Asks one validator for one leaf and checks every word of the answer.
    async fn ask(
        &self,
        validator: Address,
        reader: &Result<Reader, String>,
        leaf: &Leaf,
    ) -> Answer {
        let reader = match reader {
            Ok(reader) => reader,
            Err(reason) => return Answer::Absent(reason.clone()),
        };
        let signed = match reader.checkpoint(leaf.index).await {
            Ok(Some(signed)) => signed,
            Ok(None) => return Answer::Absent(format!("index {} not signed yet", leaf.index)),
            Err(error) => {
                if matches!(&error, ReadError::Http { source, .. } if source.is_timeout()) {
                    self.rest(validator);
                }
                return Answer::Absent(error.to_string());
            }
        };
        match signed.signer() {
            Ok(signer) if signer == validator => {}
            Ok(signer) => return Answer::Absent(format!("signed by {signer}")),
            Err(error) => return Answer::Absent(error.to_string()),
        }
        let expected = Checkpoint {
            origin: self.origin.domain,
            merkle_tree_hook: self.origin.hook(),
            root: leaf.root,
            index: leaf.index,
            message_id: leaf.id,
        };
        if signed.checkpoint == expected {
            let signature = signed.signature.as_bytes();
            return Answer::Signed(signed.checkpoint, signature);
        }
        Answer::Absent(self.judge(validator, &signed, expected).await)
    }

    /// Leaves a validator alone whose storage did not answer in time: every look would wait for it again.
    fn rest(&self, validator: Address) {
        if let Some(known) = self.readers.lock().get_mut(&validator) {
            known.late = Some(Instant::now());
        }
    }

    /// A validator signed something else than the origin shows. Either its branch was seen orphaned, or
    /// nobody ever saw it: then it is kept as evidence of fraud.
    async fn judge(
        &self,
        validator: Address,
        signed: &SignedCheckpoint,
        expected: Checkpoint,
    ) -> String {
        let Checkpoint { origin, index, root, .. } = signed.checkpoint;
        if origin != expected.origin
            || signed.checkpoint.merkle_tree_hook != expected.merkle_tree_hook
        {
            return format!("signed for another tree: domain {origin}");
        }
        if index != expected.index {
            return format!("the file of index {} holds index {index}", expected.index);
        }
        if !self.ours.contains(&validator) {
            tracing::debug!(%origin, %validator, index, %root, "a stranger signed another root");
            self.contradictions("other", "other").increment(1);
            return format!("another root at index {index}");
        }
        let class = match self.store.was_orphaned(origin, index, root).await {
            Ok(true) => "reorg",
            Ok(false) => {
                let mut suspects = self.suspects.lock();
                let since = suspects.entry((validator, index, root)).or_insert_with(Instant::now);
                if since.elapsed() < self.suspicion {
                    return format!("another root at index {index}, suspected");
                }
                "fraud"
            }
            Err(error) => return error.to_string(),
        };
        self.keep_evidence(validator, signed, class).await;
        format!("another root at index {index}: {class}")
    }

    async fn keep_evidence(
        &self,
        validator: Address,
        signed: &SignedCheckpoint,
        class: &'static str,
    ) {
        let file = match signed.to_json() {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => error.to_string(),
        };
        let Checkpoint { origin, index, root, .. } = signed.checkpoint;
        let kept = self
            .store
            .keep_evidence(origin, validator, (index, root), (class, &file), now_millis())
            .await;
        match kept {
            Ok(true) => {
                self.contradictions(&validator.to_string(), class).increment(1);
                tracing::error!(%origin, %validator, index, %root, class, "contradicting checkpoint");
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "evidence was not kept"),
        }
    }

    /// Counts files of a validator that contradict the origin.
    fn contradictions(&self, validator: &str, class: &'static str) -> metrics::Counter {
        metrics::counter!(
            "metalayer_relayer_contradicting_checkpoints_total",
            "origin" => self.origin.name.clone(), "class" => class,
            "validator" => validator.to_owned()
        )
    }

    /// A reader of each validator's last announced folder, or why there is none.
    async fn readers(&self, validators: &[Address]) -> Vec<(Address, Result<Reader, String>)> {
        let missing: Vec<Address> = {
            let readers = self.readers.lock();
            let is_fresh =
                |validator: &Address| readers.get(validator).is_some_and(Known::is_fresh);
            validators.iter().filter(|validator| !is_fresh(validator)).copied().collect()
        };
        if !missing.is_empty() {
            self.look_up(missing).await;
        }
        let readers = self.readers.lock();
        let reader = |validator: &Address| match readers.get(validator) {
            Some(known) => known.reader(),
            None => Err(String::from("no storage location announced")),
        };
        validators.iter().map(|validator| (*validator, reader(validator))).collect()
    }

    async fn look_up(&self, validators: Vec<Address>) {
        let call =
            ValidatorAnnounce::getAnnouncedStorageLocationsCall { _validators: validators.clone() };
        let contract = self.origin.manifest.contracts.validator_announce;
        let latest = BlockNumberOrTag::Latest;
        let locations = match self.origin.chain.call(contract, &call, latest).await {
            Ok(locations) => locations,
            Err(error) => {
                // What was known before goes on being used.
                tracing::debug!(%error, "announced locations could not be read");
                return;
            }
        };
        let mut readers = self.readers.lock();
        for (validator, announced) in validators.into_iter().zip(locations) {
            let late = readers.remove(&validator).and_then(|known| known.late);
            self.make_room(&mut readers);
            let reader = self.reader_of(&announced);
            readers.insert(validator, Known { since: Instant::now(), reader, late });
        }
    }

    /// Forgets the stranger who was looked up longest ago when there is no room for another validator.
    fn make_room(&self, readers: &mut HashMap<Address, Known>) {
        if readers.len() < MAX_READERS {
            return;
        }
        let strangers = readers.iter().filter(|(validator, _)| !self.ours.contains(*validator));
        let oldest =
            strangers.min_by_key(|(_, known)| known.since).map(|(validator, _)| *validator);
        if let Some(oldest) = oldest {
            readers.remove(&oldest);
        }
    }

    /// A reader of the last announced location that the policy allows.
    fn reader_of(&self, announced: &[String]) -> Result<Reader, String> {
        let mut refused = String::from("no storage location announced");
        for location in announced.iter().rev() {
            match Location::parse(location, self.policy) {
                Ok(location) => return Ok(Reader::new(location, self.http.clone())),
                Err(reason) => refused = reason.to_string(),
            }
        }
        Err(refused)
    }
}

/// The first `threshold` signatures in the order of the set.
fn in_order(
    validators: &[Address],
    signed: &[(Address, Signature)],
    threshold: usize,
) -> Vec<Signature> {
    validators
        .iter()
        .filter_map(|member| signed.iter().find(|(validator, _)| validator == member))
        .map(|(_, signature)| *signature)
        .take(threshold)
        .collect()
}

/// What is missing, in one line.
pub(super) fn describe(id: MailboxMessageId, set: &Set, absent: &[(Address, String)]) -> String {
    let missing: Vec<String> =
        absent.iter().map(|(validator, reason)| format!("{validator}: {reason}")).collect();
    format!(
        "{} of {} signatures needed for {id}; {}",
        set.threshold,
        set.validators.len(),
        missing.join("; ")
    )
}
