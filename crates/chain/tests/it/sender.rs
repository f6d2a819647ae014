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
    sender::{Error, FeePolicy, Request, SenderConfig, Status, Ticket},
};
use devnet::{ChainConfig, ChainHandle, Config, Fault, FaultRule, Handle, Mining, ReorgMode};
use protocol::ids::ChainId;
use url::Url;

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

async fn node() -> Handle {
    let config = Config { chains: vec![ChainConfig::new(CHAIN)], ..Config::default() };
    devnet::spawn(config).await.unwrap()
}

impl World {
    async fn new(database: Database) -> Self {
        let network = node().await;
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

    fn fund(&self, wei: u64) {
        self.chain().chain().set_balance(self.signer.address(), U256::from(wei)).unwrap();
    }

    /// Gives the transactions that wait time to be looked at, while blocks come that do not take them.
    async fn look_on(&self) {
        for _ in 0..12 {
            self.mine();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn mine_until_confirmed(&self, ticket: &Ticket) {
        until("confirmed", || {
            self.mine();
            matches!(ticket.status(), Status::Confirmed(_)).then_some(())
        })
        .await;
    }
}

fn quick() -> SenderConfig {
    SenderConfig { poll: Duration::from_millis(10), ..SenderConfig::default() }
}

/// With transactions looked at again soon after they were sent.
fn hasty() -> SenderConfig {
    SenderConfig { bump_after: Duration::from_millis(150), ..quick() }
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
    let sender = world.sender_with(hasty()).await;
    let mut ticket = sender.submit(payment("pay", 3)).await.unwrap();
    let first = pending(&ticket).await;
    world.pooled(1).await;
    // The next block is too dear for it.
    world.chain().chain().set_base_fee(10 * devnet::DEFAULT_BASE_FEE);
    world.mine();
    until("raised", || match ticket.status() {
        Status::Pending { hash } if hash != first => Some(()),
        _ => None,
    })
    .await;
    world.mine_until_confirmed(&ticket).await;
    assert!(ticket.confirmed().await.unwrap().success);
    assert_eq!(world.received(), U256::from(3));
    assert_eq!(world.chain().chain().nonce(sender.address()), 1);
}

#[tokio::test]
async fn no_fee_is_raised_while_no_block_comes() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender_with(hasty()).await;
    let mut ticket = sender.submit(payment("pay", 3)).await.unwrap();
    let first = pending(&ticket).await;
    world.pooled(1).await;
    // A node that forgets it gets it again.
    world.chain().chain().drop_transaction(first);
    world.pooled(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(pending(&ticket).await, first);
    world.mine();
    assert_eq!(ticket.confirmed().await.unwrap().hash, first);
}

#[tokio::test]
async fn a_transaction_that_no_block_takes_is_raised_to_three_times_the_market_and_no_further() {
    let world = World::new(sqlite().await).await;
    world.pause();
    let sender = world.sender_with(hasty()).await;
    let mut ticket = sender.submit(payment("pay", 1)).await.unwrap();
    let first = pending(&ticket).await;
    let (mut newest, mut rounds_alike) = (first, 0);
    for _ in 0..1_000 {
        // Blocks come, and none finds it in the pool.
        world.chain().chain().drop_all_transactions();
        world.mine();
        tokio::time::sleep(Duration::from_millis(25)).await;
        let now = pending(&ticket).await;
        rounds_alike = if now == newest { rounds_alike + 1 } else { 0 };
        newest = now;
        if rounds_alike == 40 {
            break;
        }
    }
    assert_eq!(rounds_alike, 40, "raised for ever");
    world.mine_until_confirmed(&ticket).await;
    let mined = ticket.confirmed().await.unwrap().hash;
    assert_ne!(mined, first);
    let mined = world.client().transaction(mined).await.unwrap().unwrap();
    let offered = alloy::consensus::Transaction::max_fee_per_gas(&mined);
    let market = 2 * u128::from(devnet::DEFAULT_BASE_FEE);
    assert!(offered > 2 * market && offered <= 3 * market, "{offered}");
}

#[tokio::test]
async fn a_key_without_money_bids_no_higher_and_goes_on_when_it_has_some() {
    let world = World::new(sqlite().await).await;
    world.pause();
    world.fund(0);
    let sender = world.sender_with(hasty()).await;
    let mut ticket = sender.submit(payment("pay", 3).with_gas_limit(21_000)).await.unwrap();
    let first = pending(&ticket).await;
    world.look_on().await;
    assert_eq!(pending(&ticket).await, first, "what cannot be paid for was raised");
    world.fund(u64::MAX);
    world.pooled(1).await;
    world.mine();
    assert_eq!(ticket.confirmed().await.unwrap().hash, first);
    assert_eq!(world.received(), U256::from(3));
}

#[tokio::test]
async fn what_no_node_could_take_is_signed_anew_where_the_market_fell() {
    let world = World::new(sqlite().await).await;
    world.pause();
    world.fund(0);
    let sender = world.sender_with(hasty()).await;
    let mut ticket = sender.submit(payment("pay", 3).with_gas_limit(21_000)).await.unwrap();
    let first = pending(&ticket).await;
    let cheap = devnet::DEFAULT_BASE_FEE / 10;
    world.chain().chain().set_base_fee(cheap);
    world.mine();
    // Enough at the new price, and not at the old one.
    world.fund(21_000 * 2 * cheap + 3);
    world.pooled(1).await;
    world.mine();
    let inclusion = ticket.confirmed().await.unwrap();
    assert!(inclusion.success && inclusion.hash != first, "{inclusion:?}");
    assert_eq!(world.received(), U256::from(3));
}

#[tokio::test]
async fn what_no_node_takes_is_refused_and_gives_its_nonce_away() {
    for database in both().await {
        let world = World::new(database).await;
        let sender = world.sender().await;
        // Within the gas of a block, and above what one transaction may ask for.
        let gas = devnet::DEFAULT_TX_GAS_LIMIT + 1;
        let mut greedy = sender.submit(payment("greedy", 1).with_gas_limit(gas)).await.unwrap();
        let mut next = sender.submit(payment("next", 2)).await.unwrap();
        let refused = greedy.confirmed().await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        assert!(next.confirmed().await.unwrap().success);
        assert_eq!(world.received(), U256::from(2));
        assert_eq!(world.chain().chain().nonce(sender.address()), 2);
        drop(sender);
        let again = world.sender().await.send(payment("greedy", 1)).await;
        let Err(Error::Refused { reason, .. }) = again else { panic!("{again:?}") };
        assert!(reason.message.contains("exceeds block gas limit"), "{reason:?}");
    }
}

#[tokio::test]
async fn what_asks_for_more_gas_than_a_block_has_takes_no_nonce() {
    let world = World::new(sqlite().await).await;
    let sender = world.sender().await;
    let gas = devnet::DEFAULT_BLOCK_GAS_LIMIT + 1;
    let refused = sender.send(payment("greedy", 1).with_gas_limit(gas)).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert!(sender.send(payment("pay", 1)).await.unwrap().success);
    assert_eq!(world.chain().chain().nonce(sender.address()), 1);
}

#[tokio::test]
async fn a_nodes_bad_moment_at_the_estimate_refuses_nothing() {
    let world = World::new(sqlite().await).await;
    let sender = world.sender().await;
    for words in ["missing trie node", "execution timeout", "header for hash not found"] {
        let fault = Fault::Error { code: -32_000, message: words.to_owned() };
        world.chain().set_fault(FaultRule::new(&["eth_estimateGas"], fault).times(2));
        assert!(sender.send(payment(words, 1)).await.unwrap().success, "{words}");
    }
    assert_eq!(world.received(), U256::from(3));
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
async fn at_the_cap_too_a_late_transaction_gives_its_nonce_away() {
    let world = World::new(sqlite().await).await;
    world.pause();
    // Exactly what a first attempt offers: a raise is above it.
    let cap = 2 * u128::from(devnet::DEFAULT_BASE_FEE);
    let fees = FeePolicy { max_fee_cap: Some(cap), ..FeePolicy::default() };
    let sender = world.sender_with(SenderConfig { fees, ..quick() }).await;
    let now = world.chain().chain().timestamp();
    let mut late = sender.submit(payment("late", 1).with_deadline(now + 10)).await.unwrap();
    let first = pending(&late).await;
    world.pooled(1).await;
    world.chain().chain().drop_transaction(first);
    world.chain().chain().increase_time(60);
    world.mine();
    world.pooled(1).await;
    world.mine();
    let outcome = late.confirmed().await;
    assert!(matches!(outcome, Err(Error::Canceled { empty: Some(_), .. })), "{outcome:?}");
    assert_eq!(world.received(), U256::ZERO);
}

#[tokio::test]
async fn an_endpoint_that_lost_a_receipt_makes_nothing_happen_twice() {
    let world = World::new(sqlite().await).await;
    // The same transactions make the same blocks.
    let twin = node().await;
    let forgetful = world.chain();
    let fault = Fault::Stale { blocks: 1 };
    forgetful.set_fault(FaultRule::new(&["eth_getTransactionReceipt"], fault));
    let urls: [Url; 2] =
        [forgetful, twin.chain(CHAIN).unwrap()].map(|node| node.http_url().parse().unwrap());
    let client = ChainClient::new(ChainId(CHAIN), &urls, ClientOptions::default()).unwrap();
    let db = world.database.db.clone();
    let sender = Sender::start(db, client, world.signer.clone(), quick()).await.unwrap();
    let sent = tokio::time::timeout(DEADLINE, sender.send(payment("pay", 5))).await.unwrap();
    assert!(sent.unwrap().success);
    assert_eq!(world.received(), U256::from(5));
    assert_eq!(world.chain().chain().nonce(sender.address()), 1);
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
