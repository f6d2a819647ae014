use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use prices::Usd;
use protocol::{
    finality::Tier,
    ids::{ChainId, IntentHash},
    intent::{Intent, Reward, Route},
};

use super::*;
use crate::{
    latency::Measurement,
    money::Asset,
    order::{Order, STATES, TRANSITIONS},
};

#[path = "../../../tests/src/needs.rs"]
#[expect(unreachable_pub, reason = "the file is a public module of another package")]
mod needs;

const WALLET: Address = Address::repeat_byte(8);

const ASSET: Asset = Asset { chain: ChainId(2), token: Address::repeat_byte(7) };

/// A fresh store of each kind: SQLite, and PostgreSQL where `METALAYER_TEST_POSTGRES` names a server.
async fn stores() -> Vec<Store> {
    let mut dbs = vec![Db::open("sqlite::memory:").await.unwrap()];
    if let Some(server) = needs::given("METALAYER_TEST_POSTGRES") {
        let name = format!("solver_{:016x}", rand::random::<u64>());
        let admin = Db::open(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(admin.pool()).await.unwrap();
        let mut url: url::Url = server.parse().unwrap();
        url.set_path(&name);
        dbs.push(Db::open(url.as_str()).await.unwrap());
    }
    let mut stores = Vec::new();
    for db in dbs {
        stores.push(Store::open(db).await.unwrap());
    }
    stores
}

fn order(salt: u8) -> Order {
    let intent = Intent {
        destination: 2,
        route: Route { salt: B256::repeat_byte(salt), ..Route::default() },
        reward: Reward { creator: Address::repeat_byte(9), ..Reward::default() },
    };
    Order::new(ChainId(1), intent, 1_000)
}

fn reservation(amount: u64) -> Reservation {
    Reservation { wallet: WALLET, asset: ASSET, amount: U256::from(amount), keep: U256::ZERO }
}

fn holding(amount: u64, block: u64) -> Holding {
    Holding { wallet: WALLET, asset: ASSET, amount: U256::from(amount), block }
}

async fn reserved(store: &Store, salt: u8, amount: u64) -> Result<Order, Error> {
    let order = order(salt);
    store.record(&order).await?;
    let mut step = Step::new(&order, State::Reserved, "accepted", 1_001);
    step.order.wallet = Some(WALLET);
    step.reserve = vec![reservation(amount)];
    store.take(std::slice::from_ref(&step), 1_001).await?;
    Ok(step.order)
}

async fn free(store: &Store) -> U256 {
    store.free(ASSET).await.unwrap()[0].1
}

#[tokio::test]
async fn an_order_is_recorded_once_and_reads_back() {
    for store in stores().await {
        let order = order(1);
        assert_eq!(store.record(&order).await.unwrap(), Recorded::New);
        assert_eq!(store.record(&order).await.unwrap(), Recorded::Known);
        assert_eq!(store.order(order.hash).await.unwrap(), Some(order.clone()));
        assert_eq!(store.due(1_000, 10).await.unwrap(), [order.hash]);
        assert_eq!(store.history(order.hash).await.unwrap().len(), 1);
        assert_eq!(store.order(IntentHash::ZERO).await.unwrap(), None);
    }
}

#[tokio::test]
async fn only_steps_of_the_table_are_written() {
    for store in stores().await {
        let mut salt = 0;
        for from in STATES {
            for to in STATES {
                salt += 1;
                let mut order = order(salt);
                order.state = from;
                store.record(&order).await.unwrap();
                let outcome = store.take(&[Step::new(&order, to, "test", 1_001)], 1_001).await;
                let listed = TRANSITIONS.iter().any(|t| t.from == from && t.to == to);
                assert_eq!(outcome.is_ok(), listed, "{from} -> {to}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_step_from_a_state_that_has_passed_writes_nothing() {
    for store in stores().await {
        let order = order(1);
        store.record(&order).await.unwrap();
        let lost = Step::new(&order, State::Lost, "late", 1_001);
        store.take(std::slice::from_ref(&lost), 1_001).await.unwrap();
        let again = store.take(&[Step::new(&order, State::Waiting, "not yet", 1_002)], 1_002).await;
        assert!(matches!(again, Err(Error::Moved { expected: State::Seen, .. })), "{again:?}");
        assert_eq!(store.history(order.hash).await.unwrap().len(), 2);
        assert!(store.due(u64::MAX / 4, 10).await.unwrap().is_empty(), "the end is never due");
    }
}

#[tokio::test]
async fn inventory_is_never_promised_twice() {
    for store in stores().await {
        assert!(
            matches!(reserved(&store, 1, 1).await, Err(Error::NotEnough { .. })),
            "unread balance"
        );
        store.observe(holding(100, 5)).await.unwrap();
        reserved(&store, 2, 60).await.unwrap();
        let short = reserved(&store, 3, 41).await.unwrap_err();
        assert!(
            matches!(short, Error::NotEnough { given, .. } if given == U256::from(40)),
            "{short}"
        );
        let third = store.order(order(3).hash).await.unwrap().unwrap();
        assert_eq!(third.state, State::Seen, "nothing is written with a reservation that fails");
        reserved(&store, 4, 40).await.unwrap();
        assert_eq!(free(&store).await, U256::ZERO);
    }
}

#[tokio::test]
async fn many_at_once_share_one_inventory() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        let tries = (0..50).map(|salt| {
            let store = store.clone();
            tokio::spawn(async move { reserved(&store, salt, 7).await.is_ok() })
        });
        let outcomes = futures::future::join_all(tries).await;
        let won = outcomes.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 14);
        assert_eq!(free(&store).await, U256::from(2));
    }
}

#[tokio::test]
async fn a_creator_has_no_more_in_flight_than_it_may_however_many_are_decided_at_once() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        let tries = (0..20).map(|salt| {
            let store = store.clone();
            tokio::spawn(async move {
                let order = order(salt);
                store.record(&order).await.unwrap();
                let mut step = Step::new(&order, State::Reserved, "", 1_001);
                step.reserve = vec![reservation(1)];
                step.most_of_creator = Some(3);
                store.take(&[step], 1_001).await
            })
        });
        let outcomes = futures::future::join_all(tries).await;
        let (taken, refused): (Vec<_>, Vec<_>) =
            outcomes.into_iter().map(Result::unwrap).partition(Result::is_ok);
        assert_eq!((taken.len(), refused.len()), (3, 17));
        assert!(refused.iter().all(|r| matches!(r, Err(Error::TooMany { given: 3, most: 3 }))));
        assert_eq!(free(&store).await, U256::from(97), "nothing is reserved for those refused");
    }
}

#[tokio::test]
async fn spent_money_stays_promised_until_a_balance_shows_it() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        let order = reserved(&store, 1, 60).await.unwrap();
        let filling = Step::new(&order, State::Filling, "sent", 1_002);
        store.take(std::slice::from_ref(&filling), 1_002).await.unwrap();
        let mut filled = Step::new(&filling.order, State::Filled, "mined", 1_003);
        filled.release = Release::Spent { block: 10 };
        store.take(&[filled], 1_003).await.unwrap();
        assert_eq!(free(&store).await, U256::from(40));
        store.observe(holding(100, 9)).await.unwrap();
        assert_eq!(
            free(&store).await,
            U256::from(40),
            "a balance from before the fill says nothing"
        );
        store.observe(holding(40, 10)).await.unwrap();
        assert_eq!(free(&store).await, U256::from(40));
        store.observe(holding(90, 8)).await.unwrap();
        assert_eq!(
            free(&store).await,
            U256::from(40),
            "an older balance never replaces a newer one"
        );
    }
}

#[tokio::test]
async fn fills_end_while_balances_are_read() {
    for store in stores().await {
        store.observe(holding(1_000, 5)).await.unwrap();
        let mut filling = Vec::new();
        for salt in 0..20 {
            let order = reserved(&store, salt, 7).await.unwrap();
            let step = Step::new(&order, State::Filling, "sent", 1_002);
            store.take(std::slice::from_ref(&step), 1_002).await.unwrap();
            filling.push(step.order);
        }
        let ends = filling.iter().zip(10..30).map(|(order, block)| {
            let store = store.clone();
            let mut step = Step::new(order, State::Filled, "mined", 1_003);
            step.release = Release::Spent { block };
            tokio::spawn(async move { store.take(&[step], 1_003).await })
        });
        let reads = (10..30).map(|block| {
            let store = store.clone();
            tokio::spawn(async move { store.observe(holding(1_000, block)).await })
        });
        for outcome in futures::future::join_all(ends.chain(reads)).await {
            outcome.unwrap().unwrap();
        }
        store.observe(holding(1_000, 30)).await.unwrap();
        assert_eq!(free(&store).await, U256::from(1_000), "nothing stays reserved");
    }
}

#[tokio::test]
async fn a_batch_ends_while_events_wake_its_members() {
    for store in stores().await {
        let mut orders: Vec<Order> = (0..20).map(order).collect();
        for order in &mut orders {
            order.state = State::Proving;
            store.record(order).await.unwrap();
        }
        let wake = async {
            // By their hashes, as intake does.
            let mut hashes: Vec<_> = orders.iter().map(|order| order.hash).collect();
            hashes.sort();
            for now in 0..50 {
                let mut tx = store.db().begin().await.unwrap();
                for hash in &hashes {
                    store.wake_in(&mut tx, *hash, now).await.unwrap();
                }
                tx.commit().await.unwrap();
            }
        };
        let end = async {
            // In whatever order they are read.
            let mut members = orders.clone();
            for to in [State::Filled, State::Proving].into_iter().cycle().take(20) {
                let steps: Vec<Step> =
                    members.iter().map(|order| Step::new(order, to, "", 2_000)).collect();
                store.end_batch(B256::repeat_byte(5), &steps, 2_000).await.unwrap();
                members = steps.into_iter().map(|step| step.order).collect();
            }
        };
        tokio::join!(wake, end);
        assert_eq!(store.in_state(State::Proving, 100).await.unwrap().len(), 20);
    }
}

#[tokio::test]
async fn signed_orders_that_wait_to_be_opened_are_counted() {
    for store in stores().await {
        let none = Unopened { all: 0, of_creator: 0 };
        let creator = order(1).reward().creator;
        assert_eq!(store.unopened(creator, 10).await.unwrap(), none);
        let opening = |order: &Order| {
            let key = crate::engine::open_key(order);
            let request = chain::sender::Request::call(key, WALLET, vec![1]).with_deadline(10);
            Outgoing { chain: ChainId(1), wallet: WALLET, request }
        };
        for (order, recorded) in
            [(order(1), Recorded::New), (order(2), Recorded::New), (order(1), Recorded::Known)]
        {
            assert_eq!(store.record_gasless(&order, &opening(&order)).await.unwrap(), recorded);
        }
        let two = Unopened { all: 2, of_creator: 2 };
        assert_eq!(store.unopened(creator, 10).await.unwrap(), two);
        let of_others = Unopened { all: 2, of_creator: 0 };
        assert_eq!(store.unopened(WALLET, 10).await.unwrap(), of_others);
        assert_eq!(store.unopened(creator, 11).await.unwrap(), none, "it is too late for both");
        let refused = Step::new(&order(1), State::Refused, "no", 2_000);
        store.take(&[refused], 2_000).await.unwrap();
        assert_eq!(store.unopened(creator, 10).await.unwrap().all, 1);
    }
}

#[tokio::test]
async fn measured_times_are_kept_one_for_each_slot() {
    for store in stores().await {
        let lane = (ChainId(1), ChainId(2), Tier::Finalized);
        let measured = |slot, at| Measurement { lane, slot, took: Duration::from_secs(at), at };
        for measurement in [measured(0, 10), measured(1, 11), measured(0, 12)] {
            store.keep_measurement(&measurement).await.unwrap();
        }
        let kept = store.measurements(11).await.unwrap();
        assert_eq!(kept, [measured(1, 11), measured(0, 12)]);
        assert_eq!(store.measurements(12).await.unwrap(), [measured(0, 12)]);
    }
}

#[tokio::test]
async fn money_comes_back_when_an_order_is_let_go() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        let order = reserved(&store, 1, 60).await.unwrap();
        let step = Step::new(&order, State::Waiting, "not yet", 1_002).give_back();
        store.take(&[step], 1_002).await.unwrap();
        assert_eq!(free(&store).await, U256::from(100));
    }
}

fn quote(id: u8, expires_at: u64) -> api::solver::Quote {
    api::solver::Quote {
        id: B256::repeat_byte(id),
        solver: WALLET,
        origin_chain_id: 1,
        origin_token: Address::ZERO,
        amount_in: 1.into(),
        destination_chain_id: 2,
        destination_token: ASSET.token,
        amount_out: 60.into(),
        security: api::aggregator::Security::Instant,
        intent_source: Address::ZERO,
        prover: Address::ZERO,
        inbox: Address::ZERO,
        route_deadline: 0,
        reward_deadline: 0,
        fill_seconds: 1,
        available: 100.into(),
        expires_at,
        gasless: false,
    }
}

/// Bounds that nothing meets but what is there.
const BOUNDS: QuoteBounds = QuoteBounds { all: 1_000, of_caller: 1_000, share_bps: 10_000 };

/// Gives a caller the quote of a number, for a request and a route of its own. A unit is worth a millionth of a dollar.
async fn offered(
    store: &Store,
    caller: u8,
    id: u8,
    amount: u64,
    bounds: QuoteBounds,
) -> Result<u64, Error> {
    let own = B256::repeat_byte(id);
    let asked = Asked { caller: B256::repeat_byte(caller), route: own, request: own };
    offered_for(store, asked, id, amount, bounds).await
}

async fn offered_for(
    store: &Store,
    asked: Asked,
    id: u8,
    amount: u64,
    bounds: QuoteBounds,
) -> Result<u64, Error> {
    let quote = quote(id, 50 + u64::from(id));
    let reservations = [reservation(amount)];
    let free = free(store).await.to();
    let offer =
        Offer { quote: &quote, gas: 1, reservations: &reservations, asked, worth: amount, free };
    store.offer(&offer, &bounds).await
}

/// Which of these quotes hold inventory.
async fn holding_quotes(store: &Store, ids: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut holding = Vec::new();
    for id in ids {
        if !store.reserved_for(B256::repeat_byte(id)).await.unwrap().is_empty() {
            holding.push(id);
        }
    }
    holding
}

/// An order's step that takes the quote of a number.
async fn taking(store: &Store, id: u8, amount: u64) -> Result<Order, Error> {
    let order = order(id);
    store.record(&order).await?;
    let mut step = Step::new(&order, State::Reserved, "promised", 1_001);
    step.reserve = vec![reservation(amount)];
    store.take_with_quote(B256::repeat_byte(id), &step, 1_001).await?;
    Ok(step.order)
}

#[tokio::test]
async fn a_quote_holds_inventory_until_it_is_taken_or_expires() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        offered(&store, 1, 1, 60, BOUNDS).await.unwrap();
        let second = offered(&store, 2, 2, 70, BOUNDS).await;
        assert!(matches!(second, Err(Error::Promised { .. })), "{second:?}");
        assert_eq!(store.quote(B256::repeat_byte(2)).await.unwrap(), None);

        let order = taking(&store, 1, 60).await.unwrap();
        assert_eq!(free(&store).await, U256::from(40), "the order holds what the quote held");
        let taken = store.quote(B256::repeat_byte(1)).await.unwrap().unwrap();
        assert_eq!(taken.taken_by, Some(order.hash));
        assert_eq!(store.expire_quotes(100).await.unwrap(), 0, "a taken quote is no longer open");

        offered(&store, 1, 3, 40, BOUNDS).await.unwrap();
        assert_eq!(store.expire_quotes(53).await.unwrap(), 0);
        assert_eq!(store.expire_quotes(54).await.unwrap(), 1);
        assert_eq!(free(&store).await, U256::from(40));
    }
}

#[tokio::test]
async fn a_quote_that_is_asked_for_again_gives_back_what_it_held_and_keeps_its_price() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        let asked = |request| Asked {
            caller: B256::repeat_byte(1),
            route: B256::repeat_byte(1),
            request: B256::repeat_byte(request),
        };
        // Two tiers of one request.
        for id in [1, 2] {
            assert_eq!(offered_for(&store, asked(1), id, 30, BOUNDS).await.unwrap(), 0);
        }
        assert_eq!(offered_for(&store, asked(2), 3, 50, BOUNDS).await.unwrap(), 2);
        assert_eq!(free(&store).await, U256::from(50));
        assert_eq!(holding_quotes(&store, 1..=3).await, [3]);
        taking(&store, 1, 30).await.unwrap();
        let late = taking(&store, 2, 30).await;
        assert!(matches!(late, Err(Error::NotEnough { .. })), "{late:?}");
        assert_eq!(holding_quotes(&store, 1..=3).await, [3], "its order holds its own");
        assert_eq!(free(&store).await, U256::from(20));
    }
}

#[tokio::test]
async fn whoever_has_most_quotes_gives_way_first_also_after_a_restart() {
    let bounds = QuoteBounds { all: 4, of_caller: 3, ..BOUNDS };
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        for id in 1..=4 {
            offered(&store, 1, id, 1, bounds).await.unwrap();
        }
        assert_eq!(holding_quotes(&store, 1..=4).await, [2, 3, 4], "three of one caller");
        let store = Store::open(store.db().clone()).await.unwrap();
        assert_eq!(offered(&store, 2, 5, 1, bounds).await.unwrap(), 0);
        assert_eq!(store.quote(B256::repeat_byte(1)).await.unwrap(), None, "it held nothing");
        assert_eq!(offered(&store, 2, 6, 1, bounds).await.unwrap(), 1);
        assert_eq!(holding_quotes(&store, 1..=6).await, [3, 4, 5, 6]);
        // Of those who have as many, whoever has the oldest.
        assert_eq!(offered(&store, 3, 7, 1, bounds).await.unwrap(), 1);
        assert_eq!(offered(&store, 1, 8, 1, bounds).await.unwrap(), 1);
        assert_eq!(holding_quotes(&store, 1..=8).await, [4, 6, 7, 8]);
        assert_eq!(free(&store).await, U256::from(96));
    }
}

#[tokio::test]
async fn whoever_holds_most_of_an_asset_gives_way_first_also_after_a_restart() {
    let bounds = QuoteBounds { share_bps: 5_000, ..BOUNDS };
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        for id in 1..=5 {
            assert_eq!(offered(&store, 1, id, 10, bounds).await.unwrap(), 0);
        }
        let store = Store::open(store.db().clone()).await.unwrap();
        assert_eq!(offered(&store, 2, 6, 20, bounds).await.unwrap(), 2);
        assert_eq!(holding_quotes(&store, 1..=6).await, [3, 4, 5, 6]);
        // With what it asks for, it is the one who holds most; and then both hold as much.
        assert_eq!(offered(&store, 2, 7, 30, bounds).await.unwrap(), 2);
        assert_eq!(holding_quotes(&store, 1..=7).await, [4, 5, 7]);
        let too_much = offered(&store, 3, 8, 60, bounds).await;
        assert!(matches!(too_much, Err(Error::Promised { .. })), "{too_much:?}");
        assert_eq!(holding_quotes(&store, 1..=8).await, [4, 5, 7], "nobody gave way in vain");
        assert_eq!(free(&store).await, U256::from(50));
    }
}

#[tokio::test]
async fn a_quote_that_an_order_has_come_for_does_not_give_way() {
    let bounds = QuoteBounds { all: 2, of_caller: 1, ..BOUNDS };
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        offered(&store, 1, 1, 10, bounds).await.unwrap();
        store.bind_quote(B256::repeat_byte(1)).await.unwrap();
        offered(&store, 1, 2, 10, bounds).await.unwrap();
        let order = taking(&store, 2, 10).await.unwrap();
        assert_eq!(offered(&store, 1, 3, 10, bounds).await.unwrap(), 0);
        assert_eq!(offered(&store, 1, 4, 10, bounds).await.unwrap(), 1);
        assert_eq!(holding_quotes(&store, 1..=4).await, [1, 4]);
        assert_eq!(store.reserved_for(order.hash.0).await.unwrap().len(), 1);

        store.bind_quote(B256::repeat_byte(4)).await.unwrap();
        let none_left = offered(&store, 2, 5, 10, bounds).await;
        assert!(matches!(none_left, Err(Error::Full)), "{none_left:?}");
        taking(&store, 1, 10).await.unwrap();
        assert_eq!(free(&store).await, U256::from(70), "two orders and a quote");
        assert_eq!(store.expire_quotes(55).await.unwrap(), 1, "its order has not taken it in time");
        assert_eq!(free(&store).await, U256::from(80));
    }
}

#[tokio::test]
async fn quotes_give_way_while_orders_take_them() {
    let bounds = QuoteBounds { all: 20, ..BOUNDS };
    for store in stores().await {
        store.observe(holding(1_000, 5)).await.unwrap();
        for id in 0..20 {
            offered(&store, 1, id, 10, bounds).await.unwrap();
        }
        let takes = (0..20).map(|id| {
            let store = store.clone();
            tokio::spawn(async move { taking(&store, id, 10).await })
        });
        let offers = (100..120).map(|id| {
            let store = store.clone();
            tokio::spawn(async move { offered(&store, 2, id, 10, bounds).await })
        });
        let (takes, offers) =
            tokio::join!(futures::future::join_all(takes), futures::future::join_all(offers));
        let mut held = 0;
        for taken in takes {
            match taken.unwrap() {
                Ok(order) => held += store.reserved_for(order.hash.0).await.unwrap().len(),
                // It gave way and was forgotten before its order came.
                Err(Error::Moved { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(offers.into_iter().all(|offered| offered.unwrap().is_ok()));
        held += holding_quotes(&store, (0..20).chain(100..120)).await.len();
        assert_eq!(free(&store).await, U256::from(1_000 - 10 * held), "each ten are held once");
    }
}

#[tokio::test]
async fn a_batch_moves_its_members_together() {
    for store in stores().await {
        let id = B256::repeat_byte(5);
        let mut orders = Vec::new();
        for salt in 0..3 {
            let mut order = order(salt);
            order.state = State::Filled;
            store.record(&order).await.unwrap();
            orders.push(order);
        }
        let request = chain::sender::Request::call(BatchKind::Proof.key(id), WALLET, vec![1, 2]);
        let outgoing = Outgoing { chain: ChainId(2), wallet: WALLET, request };
        let steps: Vec<Step> =
            orders.iter().map(|o| Step::new(o, State::Proving, "", 2).in_batch(Some(id))).collect();
        store.form_batch(id, BatchKind::Proof, &outgoing, &steps, 2).await.unwrap();
        assert_eq!(store.open_batches().await.unwrap(), [id]);
        let open = store.open_batch(id).await.unwrap().unwrap();
        assert_eq!((open.orders.len(), &open.outgoing), (3, &outgoing));
        let ended: Vec<Step> = (open.orders.iter())
            .map(|o| Step::new(o, State::Attesting, "", 3).in_batch(None))
            .collect();
        store.end_batch(id, &ended, 3).await.unwrap();
        assert!(store.open_batches().await.unwrap().is_empty());
        assert!(store.open_batch(id).await.unwrap().is_none());
        assert_eq!(store.in_state(State::Attesting, 10).await.unwrap().len(), 3);
        assert_eq!(store.outgoing(&BatchKind::Proof.key(id)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_books_balance_and_are_written_once() {
    for store in stores().await {
        let entry = |position, kind, amount: u64, usd| Entry {
            tx: B256::repeat_byte(1),
            position,
            intent: IntentHash::ZERO,
            wallet: WALLET,
            asset: ASSET,
            kind,
            amount: U256::from(amount),
            usd: Usd::dollars(usd),
            at: 7,
        };
        let entries = [entry(0, EntryKind::Route, 100, -10), entry(1, EntryKind::Reward, 130, 13)];
        store.book(&entries).await.unwrap();
        store.book(&entries).await.unwrap();
        let read = store.entries(0).await.unwrap();
        assert_eq!(read, entries);
        let totals = Totals::of(&read);
        assert_eq!(totals.changes[&(WALLET, ASSET)].to_string(), "30");
        assert_eq!(totals.profit(), Usd::dollars(3));
        assert!(store.entries(8).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_mode_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("solver.db").display());
    let store = Store::open(Db::open(&url).await.unwrap()).await.unwrap();
    assert_eq!(store.mode().await.unwrap(), Mode::Running);
    store.set_mode(Mode::Draining).await.unwrap();
    let again = Store::open(Db::open(&url).await.unwrap()).await.unwrap();
    assert_eq!(again.mode().await.unwrap(), Mode::Draining);
}
