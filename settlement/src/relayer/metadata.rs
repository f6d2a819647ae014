//! Building what a security module wants to see: one builder for each type, called recursively.
//!
//! | type | module | metadata |
//! |---|---|---|
//! | 1 | ROUTING | that of the module it routes to |
//! | 2 | AGGREGATION | an offset table and exactly `threshold` entries |
//! | 4 | MERKLE_ROOT_MULTISIG | proof of the leaf in the newest tree a quorum signed |
//! | 5 | MESSAGE_ID_MULTISIG | the signed root at the message's own leaf |
//! | 6 | NULL | nothing |
//! | 7 | CCIP_READ | whatever the module's server answers (EIP-3668) |

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    rpc::types::TransactionRequest,
    sol_types::SolCall as _,
};
use chain::ChainClient;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use protocol::{
    abi::hyperlane::{AggregationIsm, InterchainSecurityModule, MultisigIsm, RoutingIsm},
    ids::{Domain, MailboxMessageId},
    merkle::Proof,
    multisig::{MerkleRootMetadata, MessageIdMetadata, aggregation},
};

use super::{
    answers::Answers,
    ccip,
    delivery::Stored,
    quorum::{Set, Validators, describe},
    store::Leaf,
    verdict::NotReady,
};
use crate::trunk::Claim;

/// How deep modules may be nested.
const MAX_DEPTH: usize = 13;
/// How many validators a set may have.
const MAX_VALIDATORS: usize = 50;
/// How many modules an aggregation may have.
const MAX_MODULES: usize = 50;
/// How many modules may be asked for one message in all, as in Hyperlane's relayer: nested aggregations
/// would otherwise multiply.
const MAX_ASKED: usize = 100;
/// How many leaves of a message are looked at. Its dispatch is the first of them.
const MAX_LEAVES: usize = 8;
/// Most module types that are remembered.
const MAX_TYPES: usize = 4_096;

/// The metadata of one message while it is being built.
#[derive(Debug)]
struct Build<'a> {
    message: &'a Stored,
    /// Modules that were asked.
    asked: AtomicUsize,
}

impl<'a> Build<'a> {
    const fn of(message: &'a Stored) -> Self {
        Self { message, asked: AtomicUsize::new(0) }
    }

    /// Counts a module that is `depth` deep.
    fn ask(&self, depth: usize) -> Result<(), NotReady> {
        if depth > MAX_DEPTH {
            return Err(NotReady::slow(format!("modules nested deeper than {MAX_DEPTH}")));
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) >= MAX_ASKED {
            return Err(NotReady::slow(format!("more than {MAX_ASKED} modules")));
        }
        Ok(())
    }
}

/// Builds metadata for one destination.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) chain: ChainClient,
    pub(super) mailbox: Address,
    pub(super) validators: HashMap<Domain, Arc<Validators>>,
    pub(super) ccip: ccip::Fetcher,
    types: Mutex<HashMap<Address, u8>>,
    routes: Answers<Address>,
    sets: Answers<Set>,
}

impl Builder {
    pub(super) fn new(
        chain: ChainClient,
        mailbox: Address,
        validators: HashMap<Domain, Arc<Validators>>,
        ccip: ccip::Fetcher,
    ) -> Self {
        let (types, routes, sets) = (Mutex::default(), Answers::default(), Answers::default());
        Self { chain, mailbox, validators, ccip, types, routes, sets }
    }

    /// Asks the modules about this message again: one of them may have changed.
    pub(super) fn forget(&self, id: MailboxMessageId) {
        self.routes.forget(id);
        self.sets.forget(id);
    }

    /// Metadata that `ism` accepts for the message.
    pub(super) async fn build(&self, ism: Address, message: &Stored) -> Result<Vec<u8>, NotReady> {
        self.build_at(ism, &Build::of(message), 0).await
    }

    fn build_at<'a>(
        &'a self,
        ism: Address,
        build: &'a Build<'a>,
        depth: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, NotReady>> {
        async move {
            build.ask(depth)?;
            let message = build.message;
            match self.module_type(ism).await? {
                1 => self.build_at(self.route(ism, message).await?, build, depth + 1).await,
                2 => self.aggregation(ism, build, depth).await,
                4 => self.merkle_root(ism, message).await,
                5 => self.message_id(ism, message).await,
                6 => Ok(Vec::new()),
                7 => self.ccip.fetch(&self.chain, ism, &message.envelope).await,
                other => Err(NotReady::slow(format!("module {ism} has unsupported type {other}"))),
            }
        }
        .boxed()
    }

    async fn module_type(&self, ism: Address) -> Result<u8, NotReady> {
        if let Some(known) = self.types.lock().get(&ism) {
            return Ok(*known);
        }
        let call = InterchainSecurityModule::moduleTypeCall {};
        let module_type = self.chain.call(ism, &call, BlockNumberOrTag::Latest).await?;
        let mut types = self.types.lock();
        if types.len() >= MAX_TYPES {
            types.clear();
        }
        types.insert(ism, module_type);
        Ok(module_type)
    }

    async fn route(&self, ism: Address, message: &Stored) -> Result<Address, NotReady> {
        if let Some(known) = self.routes.get(ism, message.key.id) {
            return Ok(known);
        }
        let call = RoutingIsm::routeCall { _message: message.envelope.clone() };
        let module = self.chain.call(ism, &call, BlockNumberOrTag::Latest).await?;
        self.routes.keep(ism, message.key.id, module);
        Ok(module)
    }

    async fn set(&self, ism: Address, message: &Stored) -> Result<Set, NotReady> {
        if let Some(known) = self.sets.get(ism, message.key.id) {
            return Ok(known);
        }
        let call = MultisigIsm::validatorsAndThresholdCall { _message: message.envelope.clone() };
        let answer = self.chain.call(ism, &call, BlockNumberOrTag::Latest).await?;
        if answer.validators.len() > MAX_VALIDATORS {
            let count = answer.validators.len();
            return Err(NotReady::slow(format!("{count} validators, at most {MAX_VALIDATORS}")));
        }
        if answer.threshold == 0 {
            return Err(NotReady::slow(format!("module {ism} has threshold 0")));
        }
        let threshold = usize::from(answer.threshold);
        let set = Set { validators: answer.validators, threshold };
        self.sets.keep(ism, message.key.id, set.clone());
        Ok(set)
    }

    fn validators_of(&self, message: &Stored) -> Result<&Validators, NotReady> {
        self.validators
            .get(&message.origin)
            .map(AsRef::as_ref)
            .ok_or_else(|| NotReady::slow(format!("origin {} is not configured", message.origin)))
    }

    /// The leaves of the message. Anyone may insert the latest message again, so there may be several.
    async fn leaves(&self, message: &Stored) -> Result<Vec<Leaf>, NotReady> {
        let store = self.validators_of(message)?.store();
        let mut leaves = store.leaves_of(message.origin, message.key.id).await?;
        leaves.truncate(MAX_LEAVES);
        if leaves.is_empty() {
            return Err(NotReady::soon("not in the origin's tree"));
        }
        Ok(leaves)
    }

    /// Type 5: a quorum at any leaf of the message.
    async fn message_id(&self, ism: Address, message: &Stored) -> Result<Vec<u8>, NotReady> {
        let (set, leaves) = (self.set(ism, message).await?, self.leaves(message).await?);
        let quorum = self
            .validators_of(message)?
            .collect(&set, &leaves)
            .await
            .map_err(|absent| NotReady::soon(describe(message.key.id, &set, &absent)))?;
        Ok(MessageIdMetadata {
            merkle_tree_hook: quorum.checkpoint.merkle_tree_hook,
            root: quorum.checkpoint.root,
            index: quorum.checkpoint.index,
            signatures: quorum.signatures,
        }
        .encode())
    }

    /// Type 4: the newest index a quorum published, or else the message's own leaf.
    async fn merkle_root(&self, ism: Address, message: &Stored) -> Result<Vec<u8>, NotReady> {
        let (set, leaves) = (self.set(ism, message).await?, self.leaves(message).await?);
        let validators = self.validators_of(message)?;
        let mut candidates = Vec::new();
        if let Some(latest) = validators.latest_index(&set).await {
            candidates.extend(validators.store().leaf(message.origin, latest).await?);
        }
        candidates.extend(leaves.iter().copied());
        let mut shortfall = Vec::new();
        for candidate in candidates {
            let Some(leaf) = leaves.iter().rev().find(|leaf| leaf.index <= candidate.index) else {
                continue;
            };
            match validators.collect(&set, &[candidate]).await {
                Ok(quorum) => {
                    let proof = self.proof(message.origin, *leaf, candidate).await?;
                    return Ok(MerkleRootMetadata {
                        merkle_tree_hook: quorum.checkpoint.merkle_tree_hook,
                        leaf_index: leaf.index,
                        signed_message_id: quorum.checkpoint.message_id.0,
                        proof,
                        signed_index: quorum.checkpoint.index,
                        signatures: quorum.signatures,
                    }
                    .encode());
                }
                Err(absent) => shortfall = absent,
            }
        }
        Err(NotReady::soon(describe(message.key.id, &set, &shortfall)))
    }

    /// The proof of the message's leaf in the tree that ends with the `signed` leaf.
    async fn proof(&self, origin: Domain, leaf: Leaf, signed: Leaf) -> Result<Proof, NotReady> {
        let missing = || NotReady::soon("the origin's tree is being read");
        let prover = self.validators.get(&origin).ok_or_else(missing)?.prover();
        let claim = Claim {
            leaf: leaf.id.0,
            index: leaf.index,
            size: u64::from(signed.index).saturating_add(1),
            root: signed.root,
        };
        prover.prove(claim).await?.ok_or_else(missing)
    }

    /// Type 2: exactly `threshold` entries, of the modules that are ready first and accept what was
    /// built for them. One more would make the module revert.
    async fn aggregation(
        &self,
        ism: Address,
        build: &Build<'_>,
        depth: usize,
    ) -> Result<Vec<u8>, NotReady> {
        let message = build.message;
        let call = AggregationIsm::modulesAndThresholdCall { _message: message.envelope.clone() };
        let answer = self.chain.call(ism, &call, BlockNumberOrTag::Latest).await?;
        let (modules, threshold) = (answer.modules, usize::from(answer.threshold));
        if modules.len() > MAX_MODULES {
            return Err(NotReady::slow(format!(
                "{} modules, at most {MAX_MODULES}",
                modules.len()
            )));
        }
        // With a choice, a module that would refuse must not take the place of one that accepts.
        let has_choice = modules.len() > threshold;
        let mut building: FuturesUnordered<_> = modules
            .iter()
            .enumerate()
            .map(|(position, module)| async move {
                let built = self.build_at(*module, build, depth + 1).await;
                match built {
                    Ok(metadata) if has_choice => {
                        let accepted = self.accepts(*module, &metadata, message).await;
                        (position, accepted.map(|()| metadata))
                    }
                    built => (position, built),
                }
            })
            .collect();
        let mut entries: Vec<Option<Vec<u8>>> = vec![None; modules.len()];
        let (mut ready, mut refusal) = (0, None::<NotReady>);
        while ready < threshold {
            match building.next().await {
                Some((position, Ok(metadata))) => {
                    entries[position] = Some(metadata);
                    ready += 1;
                }
                Some((_, Err(reason))) => {
                    // The message waits for the module that may come soonest.
                    if refusal.as_ref().is_none_or(|known| reason.pace < known.pace) {
                        refusal = Some(reason);
                    }
                }
                None => {
                    return Err(refusal.unwrap_or_else(|| {
                        NotReady::slow(format!("module {ism} asks for more than it has"))
                    }));
                }
            }
        }
        Ok(aggregation::encode(&entries))
    }

    /// Whether the module says yes to the metadata.
    async fn accepts(
        &self,
        module: Address,
        metadata: &[u8],
        message: &Stored,
    ) -> Result<(), NotReady> {
        let call = InterchainSecurityModule::verifyCall {
            _metadata: Bytes::copy_from_slice(metadata),
            _message: message.envelope.clone(),
        };
        let request = TransactionRequest::default()
            .from(self.mailbox)
            .to(module)
            .input(call.abi_encode().into());
        let output = self.chain.simulate(&request, BlockNumberOrTag::Latest).await?;
        match InterchainSecurityModule::verifyCall::abi_decode_returns(&output) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => {
                Err(NotReady::normal(format!("module {module} does not verify the message")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, Bytes};

    use super::*;
    use crate::relayer::delivery::{Key, State};

    fn message() -> Stored {
        Stored {
            key: Key { id: MailboxMessageId(B256::ZERO), block: B256::ZERO },
            block_number: 0,
            tx: B256::ZERO,
            origin: Domain(1),
            destination: Domain(2),
            nonce: 0,
            message_id: None,
            envelope: Bytes::new(),
            seen_at: 0,
            state: State::Pending,
            attempts: 0,
            next_at: 0,
            reason: String::new(),
            alone: false,
            process: None,
            delivered_at: None,
            confirmed: false,
        }
    }

    #[test]
    fn modules_are_bounded_in_depth_and_in_number() {
        let message = message();
        let build = Build::of(&message);
        assert!(build.ask(MAX_DEPTH).is_ok());
        assert!(build.ask(MAX_DEPTH + 1).is_err());
        let asked = (0..1_000).filter(|_| build.ask(1).is_ok()).count();
        assert_eq!(asked + 1, MAX_ASKED);
        assert!(Build::of(&message).ask(0).is_ok());
    }
}
