//! Whatever anybody does in whatever order, no money appears, disappears or is paid twice.
//!
//! Random actions on four intents; after each, everything is counted again. 2,000 sequences, 100,000 with
//! `METALAYER_LONG=1`; the seed of a failing one is in its message, and `METALAYER_SEED` runs it alone.

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use contract_tests::{
    Outcome, World,
    intents::{IntentExt, empty, leg},
    mocks::{Account, Token},
    world::{fulfill_call, refund_call, withdraw_call},
};
use protocol::{
    abi::{
        inbox::claimantsCall,
        intent_source::{
            IntentWithdrawn, batchWithdrawCall, fundForCall, recoverTokenCall, refundToCall,
        },
    },
    intent::{Intent, Status},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const STEPS: usize = 10;

struct Ledger {
    world: World,
    intents: Vec<Intent>,
    accounts: Vec<Address>,
    native: U256,
    tokens: u64,
}

/// What may never go back.
#[derive(Clone, Default)]
struct Seen {
    statuses: Vec<u8>,
    claimants: Vec<B256>,
    paid: Vec<usize>,
}

impl Ledger {
    fn new() -> Self {
        let mut world = World::new();
        world.claimant = world.mock("Account");
        let intents: Vec<_> = [(0, 0), (9, 0), (0, 7), (5, 11)]
            .into_iter()
            .zip(1..)
            .map(|((native, tokens), salt)| {
                let legs = if tokens == 0 { vec![] } else { vec![leg(world.token, tokens)] };
                empty(&world, salt).rewarding(native, &legs)
            })
            .collect();
        for account in [world.creator, world.solver, world.stranger] {
            world.give(account, world.token, 1_000);
            world.chain.set_balance(account, U256::from(1_000)).unwrap();
        }
        for intent in &intents {
            world.approve(world.creator, world.token, world.vault(intent));
        }
        let mut accounts = vec![
            world.creator,
            world.solver,
            world.stranger,
            world.claimant,
            world.source,
            world.inbox,
            world.executor,
            protocol::puppet::first_created(world.source),
        ];
        accounts.extend(intents.iter().map(|intent| world.vault(intent)));
        let mut this = Self { world, intents, accounts, native: U256::ZERO, tokens: 0 };
        this.native = this.all_native();
        this.tokens = this.all_tokens();
        this
    }

    fn all_native(&self) -> U256 {
        self.accounts.iter().map(|account| self.world.native(*account)).sum()
    }

    fn all_tokens(&self) -> u64 {
        self.accounts.iter().map(|account| self.world.tokens(self.world.token, *account)).sum()
    }

    fn status(&self, intent: &Intent) -> u8 {
        self.world.status(intent) as u8
    }

    fn claimant(&self, intent: &Intent) -> B256 {
        self.world.view(self.world.inbox, &claimantsCall { intentHash: intent.id() })
    }

    /// One random action by a random account. It may revert: that is fine.
    fn act(&self, rng: &mut StdRng) -> Outcome {
        let world = &self.world;
        let intent = self.intents.choose(rng).unwrap();
        let other = self.intents.choose(rng).unwrap();
        let from = *[world.creator, world.solver, world.stranger].choose(rng).unwrap();
        let (value, partial) = (rng.random_range(0..20_u64), rng.random_bool(0.5));
        let (destination, route_hash, reward) =
            (intent.destination, intent.route_hash(), intent.reward.clone());
        match rng.random_range(0..14_u8) {
            0 => world.try_publish_and_fund(from, intent, U256::from(value), partial),
            1 => world.fund(from, intent, value, partial),
            2 => {
                let call = fundForCall {
                    destination,
                    routeHash: route_hash,
                    reward,
                    allowPartial: partial,
                    funder: world.creator,
                    permitContract: Address::ZERO,
                };
                world.send_value(from, world.source, U256::from(value), &call)
            }
            3 => world.send_raw(from, world.vault(intent), U256::from(value), vec![]),
            4 => {
                let to = world.vault(intent);
                let call = Token::transferCall { to, amount: U256::from(value) };
                world.send(from, world.token, &call)
            }
            5 => {
                let call = fulfill_call(intent, world.claimant.into_word());
                world.send_value(from, world.inbox, U256::from(value), &call)
            }
            6 => {
                // Proven where it was fulfilled, or, by a prover gone wrong, elsewhere.
                if !self.claimant(intent).is_zero() {
                    let right = rng.random_bool(0.8);
                    world.prove_at(intent, if right { intent.destination } else { 1 });
                }
                world.fund(from, intent, 0, true)
            }
            7 | 8 => world.send(from, world.source, &withdraw_call(intent)),
            9 => {
                let both = [intent, other];
                let call = batchWithdrawCall {
                    destinations: both.iter().map(|it| it.destination).collect(),
                    routeHashes: both.iter().map(|it| it.route_hash()).collect(),
                    rewards: both.iter().map(|it| it.reward.clone()).collect(),
                };
                world.send(from, world.source, &call)
            }
            10 => world.send(from, world.source, &refund_call(intent)),
            11 => {
                let call =
                    refundToCall { destination, routeHash: route_hash, reward, refundee: from };
                world.send(from, world.source, &call)
            }
            12 => {
                let token = world.token;
                let call = recoverTokenCall { destination, routeHash: route_hash, reward, token };
                world.send(from, world.source, &call)
            }
            _ => {
                if rng.random_bool(0.3) {
                    world.chain.increase_time(60_000);
                }
                // The claimant tries to withdraw or refund another intent while it is paid.
                let data = if partial {
                    withdraw_call(other).abi_encode()
                } else {
                    refund_call(other).abi_encode()
                };
                let call = Account::setCallbackCall { target: world.source, data: data.into() };
                world.send(from, world.claimant, &call)
            }
        }
    }

    /// Counts everything again.
    fn check(&self, outcome: &Outcome, seen: &mut Seen, context: &str) {
        let world = &self.world;
        assert_eq!(self.all_native(), self.native, "native currency, {context}");
        assert_eq!(self.all_tokens(), self.tokens, "tokens, {context}");
        for keeper in [world.source, world.inbox] {
            assert_eq!(world.native(keeper), U256::ZERO, "{keeper} keeps ether, {context}");
            assert_eq!(world.tokens(world.token, keeper), 0, "{keeper} keeps tokens, {context}");
        }
        for event in outcome.events::<IntentWithdrawn>() {
            let index = self.intents.iter().position(|it| it.id() == event.intentHash).unwrap();
            assert_eq!(event.claimant, world.claimant, "paid to another, {context}");
            assert_ne!(self.claimant(&self.intents[index]), B256::ZERO, "unproven, {context}");
            seen.paid[index] += 1;
            assert_eq!(seen.paid[index], 1, "paid twice, {context}");
        }
        for (index, intent) in self.intents.iter().enumerate() {
            let (before, now) = (seen.statuses[index], self.status(intent));
            assert!(now >= before, "status {before} to {now}, {context}");
            assert!(now == before || before != Status::Refunded as u8, "left Refunded, {context}");
            seen.statuses[index] = now;
            let (before, now) = (seen.claimants[index], self.claimant(intent));
            assert!(before.is_zero() || before == now, "claimant changed, {context}");
            seen.claimants[index] = now;
        }
    }

    fn run(&self, seed: u64) {
        let snapshot = self.world.chain.snapshot();
        let mut rng = StdRng::seed_from_u64(seed);
        let count = self.intents.len();
        let mut seen = Seen {
            statuses: vec![0; count],
            claimants: vec![B256::ZERO; count],
            paid: vec![0; count],
        };
        for step in 0..STEPS {
            let outcome = self.act(&mut rng);
            self.check(&outcome, &mut seen, &format!("seed {seed}, step {step}"));
        }
        self.world.chain.revert(snapshot).unwrap();
    }
}

#[test]
fn no_order_of_actions_makes_or_loses_money() {
    let ledger = Ledger::new();
    if let Ok(seed) = std::env::var("METALAYER_SEED") {
        ledger.run(seed.parse().unwrap());
        return;
    }
    let sequences = if std::env::var_os("METALAYER_LONG").is_some() { 100_000 } else { 2_000 };
    for seed in 0..sequences {
        ledger.run(seed);
    }
}
