//! The solver dies at every named point of an order's life, and the next start goes on.
//!
//! The solver that dies is this test binary, started again as a child that runs only
//! [`a_solver_until_it_is_told_to_die`].

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::{Bytes, U256},
    sol_types::SolCall,
};
use chain::{Db, sender::Request};
use devnet::genesis::DEV_ADDRESSES;
use protocol::{
    abi::intent_source,
    ids::{ChainId, IntentHash},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use solver::{
    order::{Order, State},
    store::{EntryKind, Outgoing, Store},
};

use crate::{
    invariants,
    world::{FIRST, PATIENCE, SECOND, Settle, TT, World},
};

/// Names the configuration file of the child.
const CHILD: &str = "SOLVER_CHILD_CONFIG";

/// Orders whose proof goes with the fill.
const WITH_FILL: [&str; 17] = [
    "solver.intake.written",
    "solver.seen.reserved.before",
    "solver.seen.reserved.after",
    "solver.reserved.filling.before",
    "solver.reserved.filling.after",
    "solver.fill.send",
    "solver.fill.sent",
    "solver.filling.attesting.before",
    "solver.filling.attesting.after",
    "solver.attesting.proven.before",
    "solver.attesting.proven.after",
    "solver.proven.claiming.before",
    "solver.proven.claiming.after",
    "solver.withdrawal.send",
    "solver.withdrawal.sent",
    "solver.claiming.claimed.before",
    "solver.claiming.claimed.after",
];

/// Orders that are proven together; a random death may hit one of these.
const IN_BATCHES: [&str; 8] = [
    "solver.filling.filled.before",
    "solver.filling.filled.after",
    "solver.filled.proving.before",
    "solver.filled.proving.after",
    "solver.proof.send",
    "solver.proof.sent",
    "solver.proving.attesting.before",
    "solver.proving.attesting.after",
];

/// What the sender writes down, for every transaction.
const OF_THE_SENDER: [&str; 4] = ["sender.written", "sender.signed", "sender.sent", "sender.noted"];

/// The child: does nothing unless it is started as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_solver_until_it_is_told_to_die() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let config = service::config::load(path.as_ref()).unwrap();
    let solver = solver::spawn(config).await.unwrap();
    solver.ended().await;
}

/// A child that is killed when it is dropped.
pub(crate) struct Mortal(Child);

impl Mortal {
    fn start(config: &str, world: &World, point: Option<&str>) -> Self {
        let path = world.folder.path().join("solver.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "crashes::a_solver_until_it_is_told_to_die"])
            .env(CHILD, path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(point) = point {
            command.env(service::crash::CRASH_VARIABLE, point);
        }
        Self(command.spawn().unwrap())
    }

    pub(crate) fn is_dead(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // It may be dead already, which is what the test is about.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A solver that dies again and again, and where each of its orders has to end.
pub(crate) struct Ordeal {
    pub(crate) world: World,
    before: invariants::Balances,
    store: Store,
    ends: Vec<(IntentHash, State)>,
}

impl Ordeal {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let before = invariants::balances(&world, 8);
        let url = format!("sqlite:{}", world.folder.path().join("solver-8.db").display());
        let store = Store::open(Db::open(&url).await.unwrap()).await.unwrap();
        Self { world, before, store, ends: Vec::new() }
    }

    /// An order that is to be paid for.
    pub(crate) fn publish(&mut self) -> IntentHash {
        let tokens = |amount: u64| U256::from(amount * TT);
        let (a, b) = (self.world.token(FIRST), self.world.token(SECOND));
        let (given, taken) = ((a, tokens(110)), (b, tokens(100)));
        let intent = self.world.intent(SECOND, FIRST, Settle::Instant, given, taken);
        let hash = self.world.publish(FIRST, &intent);
        self.expect(hash, State::Claimed);
        hash
    }

    /// An order that its user has signed and that is taken in: opening it is the next thing to do.
    async fn sign(&mut self, nonce: u64) -> IntentHash {
        let world = &self.world;
        let tokens = |amount: u64| U256::from(amount * TT);
        let (a, b) = (world.token(FIRST), world.token(SECOND));
        let (given, taken) = ((a, tokens(120)), (b, tokens(100)));
        let intent = world.intent(SECOND, FIRST, Settle::Instant, given, taken);
        let (order, signature) = world.sign(nonce, &intent);
        let deadline = u64::from(order.openDeadline);
        let call = intent_source::openForCall { order, signature, originFillerData: Bytes::new() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let order = Order::new(ChainId(FIRST), intent, u64::try_from(now).unwrap());
        let source = world.contracts(FIRST).intent_source;
        let request = Request::call(format!("open:{}", order.hash), source, call.abi_encode());
        let request = request.with_deadline(deadline);
        let opening = Outgoing { chain: ChainId(FIRST), wallet: DEV_ADDRESSES[8], request };
        self.store.record_gasless(&order, &opening).await.unwrap();
        self.expect(order.hash, State::Claimed);
        order.hash
    }

    /// Where an order has to end.
    pub(crate) fn expect(&mut self, hash: IntentHash, end: State) {
        self.ends.push((hash, end));
    }

    pub(crate) async fn state(&self, hash: IntentHash) -> Option<State> {
        self.store.order(hash).await.unwrap().map(|order| order.state)
    }

    /// A solver with this configuration that dies at the point.
    pub(crate) fn start(&self, config: &str, point: &str) -> Mortal {
        Mortal::start(config, &self.world, Some(point))
    }

    pub(crate) async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut condition: impl FnMut() -> F,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.store.census().await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Delivers proofs until the condition holds.
    async fn deliver_until<F: Future<Output = bool>>(
        &self,
        what: &str,
        mut condition: impl FnMut() -> F,
    ) {
        self.until(what, || {
            self.world.deliver_proofs();
            condition()
        })
        .await;
    }

    /// One life in which an order is published and the process dies at the point.
    async fn die_at(&mut self, point: &str) {
        let mut solver = self.start(&self.world.config_text(8), point);
        self.publish();
        let dead = std::cell::RefCell::new(&mut solver);
        self.deliver_until(point, async || dead.borrow_mut().is_dead()).await;
    }

    /// A life that ends when every order has ended as it has to.
    pub(crate) async fn last_life(&self) {
        let _child = Mortal::start(&self.world.config_text(8), &self.world, None);
        self.deliver_until("every order has ended", async || {
            let mut ended = true;
            for (hash, end) in &self.ends {
                ended &= self.state(*hash).await == Some(*end);
            }
            ended
        })
        .await;
    }

    pub(crate) async fn end(self) {
        self.last_life().await;
        let solver = self.world.solver(8).await;
        invariants::hold(&self.world, &solver, 8, &self.before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_every_named_point_neither_loses_nor_repeats_a_fill() {
    let mut ordeal = Ordeal::new().await;
    for point in WITH_FILL.into_iter().chain(OF_THE_SENDER) {
        ordeal.die_at(point).await;
    }
    ordeal.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_after_an_opening_was_sent_books_its_gas_once() {
    let mut ordeal = Ordeal::new().await;
    // From here on the wallets are approved: what is sent first is an opening.
    ordeal.publish();
    ordeal.last_life().await;
    for (nonce, point) in [(1, "solver.open.sent"), (2, "sender.sent")] {
        let hash = ordeal.sign(nonce).await;
        let mut solver = ordeal.start(&ordeal.world.config_text(8), point);
        let dead = std::cell::RefCell::new(&mut solver);
        ordeal.until(point, async || dead.borrow_mut().is_dead()).await;
        if point == "sender.sent" {
            // The next life finds the vault funded, and has sent nothing itself.
            let (token, vault) = (ordeal.world.token(FIRST), ordeal.world.vault(FIRST, hash));
            let is_open = async || !ordeal.world.balance(FIRST, token, vault).is_zero();
            ordeal.until("the order is open", is_open).await;
        }
        ordeal.last_life().await;
    }
    let entries = ordeal.store.entries(0).await.unwrap();
    let openings = entries.iter().filter(|entry| entry.kind == EntryKind::OpenGas).count();
    assert_eq!(openings, 2, "{entries:#?}");
    ordeal.end().await;
}

/// How often the solver is killed: a few times, or 200 in the long form.
fn deaths() -> usize {
    if std::env::var_os("METALAYER_LONG").is_some() { 200 } else { 4 }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_deaths_neither_lose_nor_repeat_a_fill() {
    let mut ordeal = Ordeal::new().await;
    let seed = rand::random();
    tracing::info!(seed, "random deaths");
    let mut dice = StdRng::seed_from_u64(seed);
    let points: Vec<&str> = WITH_FILL.into_iter().chain(IN_BATCHES).chain(OF_THE_SENDER).collect();
    for _ in 0..deaths() {
        let point = points[dice.random_range(0..points.len())];
        let point = format!("{point}:{}", dice.random_range(1..3));
        let mut solver = Mortal::start(&ordeal.world.config_text(8), &ordeal.world, Some(&point));
        let fresh = [ordeal.publish(), ordeal.publish()];
        // Not every life comes to its point: then it ends by a signal, once its orders are on their way.
        let dead = std::cell::RefCell::new(&mut solver);
        ordeal
            .deliver_until(&format!("seed {seed}, {point}"), async || {
                let mut under_way = true;
                for hash in fresh {
                    let state = ordeal.state(hash).await;
                    under_way &=
                        state.is_some_and(|state| state.is_exposed() || state.is_terminal());
                }
                under_way || dead.borrow_mut().is_dead()
            })
            .await;
    }
    ordeal.end().await;
}
