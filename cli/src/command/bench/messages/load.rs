//! Dispatching messages and seeing them arrive, from the chains' own blocks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, TxHash, U256},
    rpc::types::{BlockId, TransactionRequest},
    sol_types::{SolCall, SolEvent},
};
use chain::{ChainClient, manifest::ChainManifest};
use devnet::{Event, genesis::DEV_ADDRESSES};
use eyre::{OptionExt, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use protocol::{
    abi::{hyperlane::Mailbox, router},
    finality::Tier,
    ids::ChainId,
};
use tokio::{
    sync::{Mutex, broadcast, mpsc},
    task::JoinSet,
};

use super::network::{Network, RECIPIENT};
use crate::local;

/// Accounts that dispatch; each waits for the node to take one before it sends the next.
const SENDERS: &[Address] = ACCOUNTS.split_at(10).1;
const ACCOUNTS: &[Address] = &DEV_ADDRESSES;
/// Gas limit of a dispatch.
const GAS: u64 = 2_000_000;
/// Gas limit that is paid for at the destination.
const DELIVERY_GAS: u64 = 100_000;
/// Body of every message.
const BODY: Bytes = Bytes::from_static(&[0x5a; 64]);

/// What dispatches from one chain to two others.
#[derive(Debug)]
pub(super) struct Load {
    origin: Origin,
    blocks: HashMap<ChainId, Arc<devnet::Chain>>,
    mailboxes: HashMap<ChainId, Address>,
}

#[derive(Debug)]
struct Origin {
    client: ChainClient,
    chain_id: ChainId,
    router: Address,
    /// Domain and fee of each destination.
    destinations: Vec<(u32, U256)>,
    senders: Vec<Mutex<Address>>,
}

/// Messages that are on their way.
#[derive(Debug)]
pub(super) struct Dispatched {
    begun: Instant,
    pub(super) took: Duration,
    sent: HashMap<TxHash, Instant>,
    seen: mpsc::UnboundedReceiver<Seen>,
    _watchers: JoinSet<eyre::Result<()>>,
}

/// Messages that have arrived.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) latencies: Vec<Duration>,
    pub(super) took: Duration,
}

/// What a block shows.
#[derive(Debug)]
enum Seen {
    Dispatched { by: TxHash, id: B256 },
    Processed { id: B256, at: Instant },
}

/// Sends a single message.
pub(super) async fn dispatch_one(network: &Network) -> eyre::Result<()> {
    let load = Load::new(network).await?;
    let hash = load.origin.dispatch(0).await?;
    while load.origin.client.receipt(hash).await?.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Load {
    pub(super) async fn new(network: &Network) -> eyre::Result<Self> {
        let mut manifests = network.manifest().iter().map(|(_, manifest)| manifest);
        let first = manifests.next().ok_or_eyre("no chain")?;
        let others: Vec<_> = manifests.map(|manifest| manifest.domain.0).collect();
        let origin = Origin::new(first, &others).await?;
        let mailbox = |manifest: &ChainManifest| (manifest.chain_id, manifest.contracts.mailbox);
        let mailboxes = network.manifest().iter().map(|(_, manifest)| mailbox(manifest)).collect();
        let blocks = network
            .chains()
            .map(|handle| (ChainId(handle.chain_id()), Arc::new(handle.chain())))
            .collect();
        Ok(Self { origin, blocks, mailboxes })
    }

    /// Dispatches `count` messages, at `rate` a second or as fast as the chain takes them.
    pub(super) async fn dispatch(&self, count: u32, rate: Option<u32>) -> eyre::Result<Dispatched> {
        let (report, seen) = mpsc::unbounded_channel();
        let mut watchers = JoinSet::new();
        for (id, chain) in &self.blocks {
            let mailbox = *self.mailboxes.get(id).ok_or_eyre("chain without a mailbox")?;
            watchers.spawn(watch(chain.events(), mailbox, report.clone()));
        }
        let begun = Instant::now();
        let at_once = rate.map_or(SENDERS.len(), |_| SENDERS.len() * 4);
        let sent = stream::iter(0..count)
            .then(|number| async move {
                if let Some(rate) = rate {
                    let due = begun + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                    tokio::time::sleep_until(due.into()).await;
                }
                number
            })
            .map(|number| async move {
                let at = Instant::now();
                eyre::Ok((self.origin.dispatch(number as usize).await?, at))
            })
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        Ok(Dispatched { begun, took: begun.elapsed(), sent, seen, _watchers: watchers })
    }
}

impl Origin {
    async fn new(manifest: &ChainManifest, destinations: &[u32]) -> eyre::Result<Self> {
        let client = local::client(manifest)?;
        let router = manifest.contracts.router;
        let mut priced = Vec::new();
        for destination in destinations {
            let quote = router::quoteDispatch_1Call {
                destinationDomain: *destination,
                recipient: RECIPIENT.into_word(),
                reads: Vec::new(),
                writeCallData: BODY,
                finalityState: Tier::Instant.byte(),
                gasLimit: U256::from(DELIVERY_GAS),
            };
            priced.push((*destination, client.call(router, &quote, BlockId::latest()).await?));
        }
        ensure!(!priced.is_empty(), "no destination");
        let senders = SENDERS.iter().map(|sender| Mutex::new(*sender)).collect();
        let chain_id = manifest.chain_id;
        Ok(Self { client, chain_id, router, destinations: priced, senders })
    }

    /// Hands one dispatching transaction to the node.
    async fn dispatch(&self, number: usize) -> eyre::Result<TxHash> {
        let (destination, fee) = self.destinations[number % self.destinations.len()];
        let call = router::dispatch_1Call {
            destinationDomain: destination,
            recipient: RECIPIENT.into_word(),
            reads: Vec::new(),
            writeCallData: BODY,
            finalityState: Tier::Instant.byte(),
            gasLimit: U256::from(DELIVERY_GAS),
        };
        // The node counts an account's nonces, one request after the other.
        let sender = self.senders[number % self.senders.len()].lock().await;
        let request = TransactionRequest::default()
            .from(*sender)
            .to(self.router)
            .value(fee)
            .gas_limit(GAS)
            .input(call.abi_encode().into());
        let params = serde_json::json!([request]);
        let sent = self.client.request("eth_sendTransaction", &params).await;
        sent.map_err(|error| eyre::eyre!("chain {}: {error}", self.chain_id))
    }
}

impl Dispatched {
    /// Waits until all of them are delivered.
    pub(super) async fn delivered(mut self, within: Duration) -> eyre::Result<Delivered> {
        let deadline = tokio::time::Instant::now() + within;
        let (mut since, mut arrived) = (HashMap::new(), HashMap::new());
        let mut latencies = Vec::with_capacity(self.sent.len());
        while latencies.len() < self.sent.len() {
            let seen = tokio::time::timeout_at(deadline, self.seen.recv()).await;
            let Ok(Some(seen)) = seen else {
                bail!("{} of {} messages arrived", latencies.len(), self.sent.len());
            };
            let id = match seen {
                Seen::Dispatched { by, id } => {
                    since.extend(self.sent.get(&by).map(|at| (id, *at)));
                    id
                }
                Seen::Processed { id, at } => {
                    arrived.insert(id, at);
                    id
                }
            };
            if let (Some(sent), Some(at)) = (since.get(&id), arrived.get(&id)) {
                latencies.push(at.duration_since(*sent));
            }
        }
        let last = arrived.values().max().copied().unwrap_or(self.begun);
        Ok(Delivered { latencies, took: last.duration_since(self.begun) })
    }
}

/// Tells what every new block of a chain shows.
async fn watch(
    mut events: broadcast::Receiver<Event>,
    mailbox: Address,
    report: mpsc::UnboundedSender<Seen>,
) -> eyre::Result<()> {
    loop {
        let block = match events.recv().await {
            Ok(Event::Added(block)) => block,
            Ok(Event::Removed(_) | Event::Pending(_)) => continue,
            // Transactions that enter the pool crowd out blocks: the count then tells.
            Err(broadcast::error::RecvError::Lagged(missed)) => bail!("{missed} events missed"),
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        let at = Instant::now();
        for (tx, log) in block.logs().filter(|(_, log)| log.address == mailbox) {
            let seen = if let Ok(found) = Mailbox::DispatchId::decode_log(log) {
                Seen::Dispatched { by: *tx.envelope.tx_hash(), id: found.messageId }
            } else if let Ok(found) = Mailbox::ProcessId::decode_log(log) {
                Seen::Processed { id: found.messageId, at }
            } else {
                continue;
            };
            if report.send(seen).is_err() {
                return Ok(());
            }
        }
    }
}
