//! Transactions of a journalled sender on a development chain.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    network::TransactionResponse,
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use chain::{
    ChainClient, FinalityRule, Sender,
    client::ClientOptions,
    sender::{Error, Request, SenderConfig, Status, Ticket},
};
use devnet::{ChainConfig, ChainHandle, Config, Fault, FaultRule, Handle, Mining, ReorgMode};
use protocol::ids::ChainId;

use crate::databases::{Database, both, sqlite};

const CHAIN: u64 = 700_001;
const RECEIVER: Address = Address::repeat_byte(0xaa);
/// Longest wait for anything: tests fail with it, they never need it.
const DEADLINE: Duration = Duration::from_secs(60);

struct World {
    network: Handle,
    database: Database,
    signer: PrivateKeySigner,
}

impl World {
    async fn new(database: Database) -> Self {
        let config = Config { chains: vec![ChainConfig::new(CHAIN)], ..Config::default() };
        let network = devnet::spawn(config).await.unwrap();
        let signer = devnet::genesis::dev_signers().unwrap().swap_remove(0);
        Self { network, database, signer }
    }

    fn chain(&self) -> &ChainHandle {
        self.network.chain(CHAIN).unwrap()
    }

    fn client(&self) -> ChainClient {
        let url = self.chain().http_url().parse().unwrap();
        ChainClient::new(ChainId(CHAIN), &[url], ClientOptions::default()).unwrap()
    }

    async fn sender(&self) -> Sender {
        self.sender_with(quick()).await
    }

    async fn sender_with(&self, config: SenderConfig) -> Sender {
        Sender::start(self.database.db.clone(), self.client(), self.signer.clone(), config)
            .await
            .unwrap()
    }

    fn received(&self) -> U256 {
        self.chain().chain().balance(RECEIVER)
    }

    /// Waits until the node's pool holds everything up to this nonce.
    async fn pooled(&self, nonce: u64) {
        let client = self.client();
        let wait = async {
            while client.nonce(self.signer.address(), BlockNumberOrTag::Pending).await.unwrap()
                < nonce
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap();
    }

    fn pause(&self) {
        self.chain().chain().set_mining(Mining::Manual).unwrap();
    }

    fn mine(&self) {
        self.chain().chain().mine(1).unwrap();
    }
}

fn quick() -> SenderConfig {
    SenderConfig { poll: Duration::from_millis(10), ..SenderConfig::default() }
}

fn payment(key: &str, wei: u64) -> Request {
    Request::call(key, RECEIVER, []).with_value(U256::from(wei))
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("never: {what}"))
}

async fn pending(ticket: &Ticket) -> alloy::primitives::TxHash {
    until("pending", || match ticket.status() {
        Status::Pending { hash } => Some(hash),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_request_is_carried_out_once_however_often_it_is_submitted() {
    for database in both().await {
        let world = World::new(database).await;
        let sender = world.sender().await;
        let first = sender.send(payment("pay", 5)).await.unwrap();
        assert!(first.success);
        let again = sender.send(payment("pay", 5)).await.unwrap();
        assert_eq!(again, first);
        drop(sender);
        let restarted = world.sender().await;
        assert_eq!(restarted.send(payment("pay", 5)).await.unwrap(), first);
        assert_eq!(world.received(), U256::from(5));
        let conflict = restarted.submit(payment("pay", 6)).await;
        assert!(matches!(conflict, Err(Error::Conflict { .. })), "{conflict:?}");
    }
}

#[tokio::test]
async fn many_transactions_are_under_way_at_once() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender().await;
    let mut tickets = Vec::new();
    for number in 0..20 {
        tickets.push(sender.submit(payment(&format!("pay {number}"), 1)).await.unwrap());
    }
    for ticket in &tickets {
        pending(ticket).await;
    }
    world.pooled(20).await;
    world.mine();
    for mut ticket in tickets {
        assert!(ticket.confirmed().await.unwrap().success);
    }
    assert_eq!(world.received(), U256::from(20));
}

#[tokio::test]
async fn what_would_revert_takes_no_nonce() {
    let world = World::new(sqlite().await).await;
    let sender = world.sender().await;
    // The CREATE2 factory refuses init code that fails.
    let doomed = Request::call(
        "doomed",
        devnet::genesis::CREATE2_FACTORY,
        [[0; 32].as_slice(), &[0xfe]].concat(),
    );
    let refused = sender.send(doomed).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert!(sender.send(payment("pay", 1)).await.unwrap().success);
    assert_eq!(world.chain().chain().nonce(sender.address()), 1);
}

#[tokio::test]
async fn a_waiting_transaction_is_raised_and_only_one_of_its_attempts_is_mined() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender =
        world.sender_with(SenderConfig { bump_after: Duration::from_millis(50), ..quick() }).await;
    let mut ticket = sender.submit(payment("pay", 3)).await.unwrap();
    let first = pending(&ticket).await;
    let raised = until("raised", || match ticket.status() {
        Status::Pending { hash } if hash != first => Some(hash),
        _ => None,
    })
    .await;
    assert_ne!(first, raised);
    world.mine();
    assert!(ticket.confirmed().await.unwrap().success);
    assert_eq!(world.received(), U256::from(3));
    assert_eq!(world.chain().chain().nonce(sender.address()), 1);
}

#[tokio::test]
async fn past_its_deadline_a_transaction_gives_its_nonce_to_an_empty_one() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender().await;
    let now = world.chain().chain().timestamp();
    let mut late = sender.submit(payment("late", 1).with_deadline(now + 10)).await.unwrap();
    let first = pending(&late).await;
    // It is signed before it is sent: dropping it sooner would drop nothing.
    world.pooled(1).await;
    world.chain().chain().drop_transaction(first);
    world.chain().chain().increase_time(60);
    world.mine();
    until("replaced", || match late.status() {
        Status::Pending { hash } if hash != first => Some(()),
        _ => None,
    })
    .await;
    world.pooled(1).await;
    world.mine();
    let outcome = late.confirmed().await;
    // The empty transaction's gas was paid, and is told.
    let Err(Error::Canceled { empty: Some(empty), .. }) = outcome else { panic!("{outcome:?}") };
    assert!(empty.success && empty.gas_used >= 21_000, "{empty:?}");
    assert_eq!(world.received(), U256::ZERO);
    world.chain().chain().set_mining(Mining::Automatic).unwrap();
    assert!(sender.send(payment("next", 2)).await.unwrap().success);
}

#[tokio::test]
async fn a_reorg_sends_the_same_transaction_again() {
    let world = World::new(sqlite().await).await;
    let sender =
        world.sender_with(SenderConfig { confirm: FinalityRule::Blocks(3), ..quick() }).await;
    let mut ticket = sender.submit(payment("pay", 7)).await.unwrap();
    let included = ticket.included().await.unwrap();
    world.chain().chain().reorg(1, ReorgMode::Drop).unwrap();
    world.chain().chain().mine(1).unwrap();
    let moved = until("in another block", || match ticket.status() {
        Status::Included(inclusion) if inclusion.block_hash != included.block_hash => {
            Some(inclusion)
        }
        _ => None,
    })
    .await;
    assert_eq!(moved.hash, included.hash);
    world.chain().chain().mine(3).unwrap();
    assert!(ticket.confirmed().await.unwrap().success);
    assert_eq!(world.received(), U256::from(7));
}

#[tokio::test]
async fn what_a_reorg_takes_after_it_was_confirmed_is_sent_before_what_follows() {
    let world = World::new(sqlite().await).await;
    let sender = world.sender().await;
    let first = sender.send(payment("first", 7)).await.unwrap();
    drop(sender);
    world.chain().chain().reorg(1, ReorgMode::Drop).unwrap();
    assert_eq!(world.received(), U256::ZERO);

    let sender = world.sender().await;
    assert!(sender.send(payment("second", 2)).await.unwrap().success);
    assert_eq!(world.received(), U256::from(9));
    let again = sender.send(payment("first", 7)).await.unwrap();
    assert_eq!(again.hash, first.hash);
    assert_ne!(again.block_hash, first.block_hash);
}

#[tokio::test]
async fn a_key_that_is_used_elsewhere_costs_a_nonce_and_no_request() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender().await;
    let mut ticket = sender.submit(payment("pay", 9)).await.unwrap();
    let ours = pending(&ticket).await;
    world.chain().chain().drop_transaction(ours);
    let chain = world.chain().chain();
    let foreign = devnet::Transact::call(sender.address(), Address::repeat_byte(1), []);
    chain.transact(foreign).unwrap();
    chain.set_mining(Mining::Automatic).unwrap();
    assert!(ticket.confirmed().await.unwrap().success);
    assert_eq!(world.received(), U256::from(9));
    assert_eq!(chain.nonce(sender.address()), 2);
}

#[tokio::test]
async fn a_node_that_fails_for_a_while_only_costs_time() {
    let world = World::new(sqlite().await).await;
    let sender = world.sender().await;
    for fault in [Fault::Drop, Fault::RateLimit, Fault::DropAnswer] {
        world.chain().set_fault(FaultRule::new(&["eth_*"], fault.clone()).times(3));
        let sent = sender.send(payment(&format!("{fault:?}"), 1)).await.unwrap();
        assert!(sent.success, "{fault:?}");
    }
    assert_eq!(world.received(), U256::from(3));
    assert_eq!(world.chain().chain().nonce(sender.address()), 3);
}

#[tokio::test]
async fn a_stopped_sender_is_resumed_with_the_bytes_it_had_signed() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender().await;
    let ticket = sender.submit(payment("pay", 4)).await.unwrap();
    let signed = pending(&ticket).await;
    drop(sender);
    // The node has lost its pool as well.
    world.chain().chain().drop_all_transactions();
    world.chain().chain().set_mining(Mining::Automatic).unwrap();
    let sender = world.sender().await;
    let mut ticket = sender.submit(payment("pay", 4)).await.unwrap();
    assert_eq!(ticket.confirmed().await.unwrap().hash, signed);
    let mined = world.client().transaction(signed).await.unwrap().unwrap();
    assert_eq!(mined.from(), world.signer.address());
    assert_eq!(world.received(), U256::from(4));
}
