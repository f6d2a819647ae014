//! Every row of the transition table is written while the solver dies: once just before, once just after.
//!
//! Each row has an order of its own. Lives that end right after a state was written bring it to where the row begins,
//! and while nobody is alive the world changes, if the row needs that. Then one life ends before the row is written and
//! one after it. A last life brings everything home.

use alloy::{
    primitives::{Address, Bytes, U256, hex},
    sol_types::SolCall,
};
use devnet::{ReorgMode, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{erc20, inbox, intent_source, prover},
    ids::{Domain, IntentHash},
    intent::{Call, Intent},
};
use solver::{
    fill::{self, ProofTarget},
    order::{
        State::{
            self, Attesting, Challenging, Claimed, Claiming, Filled, Filling, Forfeited, Lost,
            Proven, Proving, Refused, Reserved, Seen, Waiting,
        },
        TRANSITIONS, Transition,
    },
};

use self::{
    Change::{
        Deliver, FillFor, Fund, Misprove, ProveForIt, Refund, RefuseChallenges, ShutGate, Unfill,
        Unprove, Withdraw,
    },
    Mood::{Denying, Greedy, Hoarding, Impatient, Usual},
};
use crate::{
    crashes::Ordeal,
    world::{FIRST, SECOND, Settle, TT, USER},
};

/// The wallet of the solver.
const OURS: Address = DEV_ADDRESSES[8];

/// Every route calls this address; its code says whether that works.
const GATE: Address = Address::repeat_byte(0x6a);

/// Where a prover's program is when other code stands before it.
const BEHIND: Address = Address::repeat_byte(0x6b);

/// Code that stops, and code that reverts.
const OPEN: [u8; 1] = [0x00];
const SHUT: [u8; 3] = [0x5f, 0x5f, 0xfd];

/// What happens to the world while no solver is alive.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The vault gets what it lacked.
    Fund,
    /// A user fills the route, for this claimant.
    FillFor(Address),
    /// The route's calls revert from now on.
    ShutGate,
    /// The chain takes the fill back.
    Unfill,
    /// A user sends the proof that the solver has not sent.
    ProveForIt,
    /// The proofs that were sent arrive.
    Deliver,
    /// A proof of this chain arrives, which names a stranger.
    Misprove(u64),
    /// The origin's prover takes no challenges any more.
    RefuseChallenges,
    /// The chain takes the proof back.
    Unprove,
    /// The reward's deadline passes, and its creator takes it back.
    Refund,
    /// A user withdraws to whom the proof names.
    Withdraw,
}

/// How the solver of a life is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Usual,
    /// Fills wait for a batch that is never due.
    Hoarding,
    /// Nothing pays enough.
    Greedy,
    /// The user is on the deny list.
    Denying,
    /// A proof that is a second late is sent again.
    Impatient,
}

impl Mood {
    fn applied_to(self, config: &str) -> String {
        match self {
            Usual => config.to_owned(),
            Hoarding => {
                config.replace("longest_wait = \"2s\"", "longest_wait = \"600s\"\ncapital_bps = 0")
            }
            Greedy => config.replace("least_profit = \"0\"", "least_profit = \"1000\""),
            Denying => config.replace("[lists]\n", &format!("[lists]\ndeny = [\"{USER}\"]\n")),
            Impatient => {
                config.replace("instant = \"60s\"", "instant = \"1s\"") + "reprove_after = 1\n"
            }
        }
    }
}

type Changes = &'static [Change];

/// A life that ends right after this step was written, and what happens after it.
type Life = (Mood, &'static str, Changes);

/// How a row is brought about.
struct Scene {
    /// Lives that bring the order to where the row begins.
    before: Vec<Life>,
    /// How the solver is configured that takes the step.
    mood: Mood,
    /// Where the order ends.
    end: State,
}

fn scene(from: State, to: State) -> Scene {
    const NONE: Changes = &[];
    let waiting = |changes: Changes| vec![(Usual, "seen.waiting", changes)];
    let reserved = |changes: Changes| vec![(Usual, "seen.reserved", changes)];
    let filling = |changes: Changes| vec![(Usual, "reserved.filling", changes)];
    let filled = |changes: Changes| vec![(Hoarding, "filling.filled", changes)];
    let attesting = |changes: Changes| vec![(Usual, "filling.attesting", changes)];
    let proven = |changes| vec![attesting(&[Deliver])[0], (Usual, "attesting.proven", changes)];
    let claiming =
        |changes: Changes| [proven(NONE), vec![(Usual, "proven.claiming", changes)]].concat();
    let proving =
        |changes: Changes| [filled(NONE), vec![(Usual, "filled.proving", changes)]].concat();
    let challenging = |changes: Changes| {
        vec![attesting(&[Misprove(FIRST)])[0], (Usual, "attesting.challenging", changes)]
    };
    let seen = |changes: Changes| vec![(Usual, "intake", changes)];

    let (before, mood, end): (Vec<Life>, Mood, State) = match (from, to) {
        (Seen, Waiting | Reserved) => (vec![], Usual, Claimed),
        (Seen, Refused) => (vec![], Denying, Refused),
        (Seen, Lost) => (seen(&[FillFor(USER)]), Usual, Lost),
        (Seen, Filled) => (seen(&[FillFor(OURS)]), Usual, Claimed),
        (Waiting, Refused) => (waiting(NONE), Denying, Refused),
        (Waiting, Reserved) => (waiting(&[Fund]), Usual, Claimed),
        (Waiting, Lost) => (waiting(&[FillFor(USER)]), Usual, Lost),
        (Waiting, Filled) => (waiting(&[FillFor(OURS), Fund]), Usual, Claimed),
        (Reserved, Waiting) => (reserved(NONE), Greedy, Claimed),
        (Reserved, Refused) => (reserved(NONE), Denying, Refused),
        (Reserved, Lost) => (reserved(&[FillFor(USER)]), Usual, Lost),
        (Reserved, Filled) => (reserved(&[FillFor(OURS)]), Usual, Claimed),
        (Reserved, Filling) => (reserved(NONE), Usual, Claimed),
        (Filling, Filled) => (vec![], Hoarding, Claimed),
        (Filling, Attesting | Proven) => (filling(NONE), Usual, Claimed),
        (Filling, Waiting) => (filling(&[ShutGate]), Usual, Claimed),
        (Filling, Lost) => (filling(&[FillFor(USER)]), Usual, Lost),
        (Filled, Proving) => (filled(NONE), Usual, Claimed),
        (Filled, Proven) => (filled(&[ProveForIt, Deliver]), Hoarding, Claimed),
        (Filled, Waiting) => (filled(&[Unfill]), Hoarding, Claimed),
        (Filled, Forfeited) => (filled(&[Misprove(SECOND)]), Hoarding, Forfeited),
        (Proving, Attesting) => (proving(NONE), Usual, Claimed),
        (Proving, Filled) => (proving(&[Unfill]), Usual, Claimed),
        (Attesting, Proven) => (attesting(&[Deliver]), Usual, Claimed),
        (Attesting, Challenging) => (attesting(&[Misprove(FIRST)]), Usual, Claimed),
        (Attesting, Filled) => (attesting(NONE), Impatient, Claimed),
        (Attesting, Waiting) => (attesting(&[Unfill]), Usual, Claimed),
        (Attesting, Forfeited) => (attesting(&[Refund]), Usual, Forfeited),
        (Challenging, Filled) => (challenging(NONE), Usual, Claimed),
        (Challenging, Attesting) => (challenging(&[RefuseChallenges]), Usual, Claimed),
        (Proven, Claiming) => (proven(NONE), Usual, Claimed),
        (Proven, Claimed) => (proven(&[Withdraw]), Usual, Claimed),
        (Proven, Attesting) => (proven(&[Unprove]), Usual, Claimed),
        (Proven, Forfeited) => (proven(&[Unprove, Refund]), Usual, Forfeited),
        (Claiming, Claimed) => (claiming(NONE), Usual, Claimed),
        (Claiming, Proven) => (claiming(&[Unprove]), Usual, Claimed),
        (from, to) => panic!("no scene for {from} to {to}"),
    };
    Scene { before, mood, end }
}

/// One row, from the publication of its order to the end of it.
struct Play<'a> {
    ordeal: &'a mut Ordeal,
    row: Transition,
    intent: Intent,
    hash: IntentHash,
    /// Heights of the destination before the fill and of the origin before the proof.
    before_fill: u64,
    before_proof: u64,
    /// The code of the origin's prover before another took its place.
    prover: Option<Bytes>,
}

impl<'a> Play<'a> {
    fn new(ordeal: &'a mut Ordeal, row: Transition) -> Self {
        let world = &ordeal.world;
        // Only fills on the intent's own chain need no message.
        let (origin, settle) = match (row.from, row.to) {
            (Filling, Proven) => (SECOND, Settle::Local),
            _ => (FIRST, Settle::Instant),
        };
        let tokens = |amount: u64| U256::from(amount * TT);
        let (given, taken) = (world.token(origin), world.token(SECOND));
        let mut intent =
            world.intent(SECOND, origin, settle, (given, tokens(110)), (taken, tokens(100)));
        let gate = Call { target: GATE, data: Bytes::new(), value: U256::ZERO };
        intent.route.calls.push(gate);
        let hash = intent.hash();
        Self { ordeal, row, intent, hash, before_fill: 0, before_proof: 0, prover: None }
    }

    async fn perform(mut self) {
        let Transition { from, to, .. } = self.row;
        let Scene { before, mood, end } = scene(from, to);
        let row = format!("solver.{from}.{to}");
        let mut is_published = false;
        for (mood, step, changes) in before {
            let point = match step {
                "intake" => "solver.intake.written".to_owned(),
                step => format!("solver.{step}.after"),
            };
            self.live(mood, &point, &mut is_published).await;
            for change in changes {
                self.change(*change);
            }
        }
        self.live(mood, &format!("{row}.before"), &mut is_published).await;
        assert_eq!(self.ordeal.state(self.hash).await, Some(from), "nothing of {row} is written");
        self.live(mood, &format!("{row}.after"), &mut is_published).await;
        assert_eq!(self.ordeal.state(self.hash).await, Some(to), "{row} is written");
        self.mend();
        self.ordeal.expect(self.hash, end);
        self.ordeal.last_life().await;
    }

    /// One life up to a point; the first one is given the order.
    async fn live(&mut self, mood: Mood, point: &str, is_published: &mut bool) {
        let config = mood.applied_to(&self.ordeal.world.config_text(8));
        let mut child = self.ordeal.start(&config, point);
        if !*is_published {
            if mood == Hoarding {
                // Nobody waits for company in a lane that has seen no fill.
                let first = self.ordeal.publish();
                let ordeal = &self.ordeal;
                let is_under_way = async || ordeal.state(first).await == Some(Attesting);
                ordeal.until("the lane's first fill", is_under_way).await;
            }
            self.before_fill = self.ordeal.world.chain(SECOND).head().number();
            self.publish();
            *is_published = true;
        }
        let child = std::cell::RefCell::new(&mut child);
        self.ordeal.until(point, async || child.borrow_mut().is_dead()).await;
    }

    /// The order begins without a reward where it has to wait first.
    fn is_unfunded(&self) -> bool {
        self.row.from == Waiting || (self.row.from, self.row.to) == (Seen, Waiting)
    }

    fn origin(&self) -> u64 {
        if self.intent.reward.prover == self.ordeal.world.contracts(SECOND).local_prover {
            SECOND
        } else {
            FIRST
        }
    }

    fn publish(&mut self) {
        let origin = self.origin();
        if self.is_unfunded() {
            self.ordeal.world.publish_unfunded(origin, &self.intent);
        } else {
            self.ordeal.world.publish(origin, &self.intent);
        }
    }

    fn change(&mut self, change: Change) {
        let world = &self.ordeal.world;
        let source = world.contracts(FIRST).intent_source;
        let Intent { destination, route, reward } = self.intent.clone();
        let route_hash = route.hash().0;
        match change {
            Fund => self.fund(),
            FillFor(claimant) => {
                let portal = world.contracts(SECOND).inbox;
                let token = world.token(SECOND);
                let approve = erc20::approveCall { spender: portal, value: U256::MAX };
                world.send(SECOND, USER, token, &approve, U256::ZERO);
                let fulfill = inbox::fulfillCall {
                    intentHash: self.hash.0,
                    route,
                    rewardHash: reward.hash().0,
                    claimant: claimant.into_word(),
                };
                world.send(SECOND, USER, portal, &fulfill, U256::ZERO);
            }
            ShutGate => world.chain(SECOND).set_code(GATE, SHUT).unwrap(),
            Unfill => self.take_back(SECOND, self.before_fill),
            ProveForIt => {
                let target = ProofTarget {
                    sender: world.contracts(SECOND).meta_prover_instant,
                    recipient: reward.prover,
                    domain: Domain(u32::try_from(FIRST).unwrap()),
                };
                let data = fill::prove(target, &[self.hash], 500_000);
                let fee = U256::from(10_u64.pow(18));
                let portal = world.contracts(SECOND).inbox;
                let prove = Transact::call(USER, portal, data).value(fee).gas(20_000_000);
                assert!(world.chain(SECOND).transact(prove).unwrap().success);
            }
            Deliver => {
                self.before_proof = world.chain(FIRST).head().number();
                world.deliver_proofs();
            }
            Misprove(chain) => {
                world.deliver(chain, FIRST, chain, &[(self.hash, USER.into_word())]);
            }
            RefuseChallenges => {
                let code = world.chain(FIRST).code(reward.prover);
                world.chain(FIRST).set_code(BEHIND, code.clone()).unwrap();
                world.chain(FIRST).set_code(reward.prover, all_but_challenges()).unwrap();
                self.prover = Some(code);
            }
            Unprove => self.take_back(FIRST, self.before_proof),
            Refund => {
                world.chain(FIRST).increase_time(7_200);
                world.chain(FIRST).mine(1).unwrap();
                let refund =
                    intent_source::refundCall { destination, routeHash: route_hash, reward };
                world.send(FIRST, USER, source, &refund, U256::ZERO);
            }
            Withdraw => {
                let withdraw =
                    intent_source::withdrawCall { destination, routeHash: route_hash, reward };
                world.send(FIRST, USER, source, &withdraw, U256::ZERO);
            }
        }
    }

    fn fund(&self) {
        let world = &self.ordeal.world;
        let Intent { destination, route, reward } = self.intent.clone();
        let source = world.contracts(FIRST).intent_source;
        for leg in &reward.tokens {
            let approve = erc20::approveCall { spender: source, value: U256::MAX };
            world.send(FIRST, USER, leg.token, &approve, U256::ZERO);
        }
        let fund = intent_source::fundCall {
            destination,
            routeHash: route.hash().0,
            reward,
            allowPartial: false,
        };
        world.send(FIRST, USER, source, &fund, U256::ZERO);
    }

    /// Takes back every block above a height, and all their transactions.
    fn take_back(&self, chain: u64, height: u64) {
        let chain = self.ordeal.world.chain(chain);
        let depth = chain.head().number() - height;
        chain.reorg(depth, ReorgMode::Drop).unwrap();
    }

    /// What a change made impossible works again.
    fn mend(&self) {
        let world = &self.ordeal.world;
        world.chain(SECOND).set_code(GATE, OPEN).unwrap();
        if let Some(code) = &self.prover {
            world.chain(FIRST).set_code(self.intent.reward.prover, code.clone()).unwrap();
        }
        if (self.row.from, self.row.to) == (Seen, Waiting) {
            self.fund();
        }
    }
}

/// Code that reverts when it is called with a challenge, and otherwise does what the program [`BEHIND`] does.
fn all_but_challenges() -> Vec<u8> {
    let selector = prover::challengeIntentProofCall::SELECTOR;
    let mut code = hex!("5f3560e01c63").to_vec(); // PUSH0 CALLDATALOAD PUSH1 224 SHR PUSH4
    code.extend(selector);
    code.extend(hex!("14603b57")); // EQ PUSH1 59 JUMPI
    code.extend(hex!("365f5f37")); // CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY
    code.extend(hex!("5f5f365f73")); // PUSH0 PUSH0 CALLDATASIZE PUSH0 PUSH20
    code.extend(BEHIND);
    code.extend(hex!("5af4")); // GAS DELEGATECALL
    code.extend(hex!("3d5f5f3e")); // RETURNDATASIZE PUSH0 PUSH0 RETURNDATACOPY
    code.extend(hex!("603757")); // PUSH1 55 JUMPI
    code.extend(hex!("3d5ffd")); // RETURNDATASIZE PUSH0 REVERT
    code.extend(hex!("5b3d5ff3")); // 55: JUMPDEST RETURNDATASIZE PUSH0 RETURN
    code.extend(hex!("5b5f5ffd")); // 59: JUMPDEST PUSH0 PUSH0 REVERT
    code
}

/// Dies at every row that begins in one of these states.
async fn die_at_every_row_from(states: &[State]) {
    let mut ordeal = Ordeal::new().await;
    ordeal.world.chain(SECOND).set_code(GATE, OPEN).unwrap();
    let rows = TRANSITIONS.iter().filter(|row| states.contains(&row.from));
    for row in rows {
        Play::new(&mut ordeal, *row).perform().await;
    }
    ordeal.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_every_step_up_to_the_fill_loses_nothing() {
    die_at_every_row_from(&[Seen, Waiting, Reserved]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_every_step_of_a_fill_and_its_proof_loses_nothing() {
    die_at_every_row_from(&[Filling, Filled, Proving]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dying_at_every_step_to_the_reward_loses_nothing() {
    die_at_every_row_from(&[Attesting, Challenging, Proven, Claiming]).await;
}
