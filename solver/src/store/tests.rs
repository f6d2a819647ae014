use alloy::primitives::{Address, B256, U256};
use protocol::{
    ids::{ChainId, IntentHash},
    intent::{Intent, Reward, Route},
};

use super::*;
use crate::{
    money::{Asset, Usd},
    order::{Order, STATES, TRANSITIONS},
};

const WALLET: Address = Address::repeat_byte(8);

const ASSET: Asset = Asset { chain: ChainId(2), token: Address::repeat_byte(7) };

/// A fresh store of each kind: SQLite, and PostgreSQL where `METALAYER_TEST_POSTGRES` names a server.
async fn stores() -> Vec<Store> {
    let mut dbs = vec![Db::open("sqlite::memory:").await.unwrap()];
    if let Ok(server) = std::env::var("METALAYER_TEST_POSTGRES") {
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

#[tokio::test]
async fn a_quote_holds_inventory_until_it_is_taken_or_expires() {
    for store in stores().await {
        store.observe(holding(100, 5)).await.unwrap();
        store.offer(&quote(1, 50), 1, &[reservation(60)]).await.unwrap();
        let second = store.offer(&quote(2, 50), 1, &[reservation(60)]).await;
        assert!(matches!(second, Err(Error::NotEnough { .. })));
        assert_eq!(store.quote(B256::repeat_byte(2)).await.unwrap(), None);

        let order = order(1);
        store.record(&order).await.unwrap();
        let mut step = Step::new(&order, State::Reserved, "promised", 1_001);
        step.reserve = vec![reservation(60)];
        store.take_with_quote(B256::repeat_byte(1), &step, 1_001).await.unwrap();
        assert_eq!(free(&store).await, U256::from(40), "the order holds what the quote held");
        let taken = store.quote(B256::repeat_byte(1)).await.unwrap().unwrap();
        assert_eq!(taken.taken_by, Some(order.hash));
        assert_eq!(store.expire_quotes(100).await.unwrap(), 0, "a taken quote is no longer open");

        store.offer(&quote(3, 50), 1, &[reservation(40)]).await.unwrap();
        assert_eq!(store.expire_quotes(50).await.unwrap(), 0);
        assert_eq!(store.expire_quotes(51).await.unwrap(), 1);
        assert_eq!(free(&store).await, U256::from(40));
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
