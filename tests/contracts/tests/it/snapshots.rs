//! Size of each program, gas of each operation of the reference's table and of messaging, against the committed
//! `contracts/snapshots.json`. `METALAYER_UPDATE=1` writes it again.

use std::{collections::BTreeMap, path::Path};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use contract_tests::{
    Outcome, World,
    intents::{IntentExt, call, empty, leg},
    mocks::{Permit, Target, Token},
    world::{CHAIN_ID, fulfill_call, program, programs, refund_call, withdraw_call},
};
use protocol::{
    abi::{
        constructor::MetaProverArguments,
        inbox::{fulfillAndProveCall, proveCall},
        intent_source::{
            batchWithdrawCall, fundForCall, openCall, publish_0Call, publish_1Call,
            publishAndFund_0Call, publishAndFundFor_0Call, recoverTokenCall, refundToCall,
        },
        local_prover::flashFulfillCall,
        prover::{challengeIntentProofCall, handleCall},
    },
    erc7683::{ORDER_DATA_TYPEHASH, OnchainCrossChainOrder, OrderData, Output},
    intent::{Call, Intent, TokenAmount},
    proof::ProverData,
};
use serde::{Deserialize, Serialize};

use crate::messaging;

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Snapshots {
    /// Bytes of code as an account holds it, for each program.
    size: BTreeMap<String, usize>,
    /// Gas used by each operation.
    gas: BTreeMap<String, Gas>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Gas {
    /// With every program of ours in the chain's cache.
    cached: u64,
    /// With none of them in it.
    uncached: u64,
}

const LIMIT: usize = 24_576;

#[test]
fn sizes_and_gas_are_the_committed_ones() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/snapshots.json");
    let mut given = Snapshots::default();
    for entry in &programs().index().programs {
        let size = program(&entry.name).code.len();
        assert!(size < LIMIT, "{} has {size} bytes", entry.name);
        given.size.insert(entry.name.clone(), size);
    }
    let run = |cached| {
        let mut gas = Bench::new(cached).run();
        gas.extend(messaging::gas::rows(cached));
        gas
    };
    let (cached, uncached) = (run(true), run(false));
    for (name, cached) in cached {
        given.gas.insert(name.clone(), Gas { cached, uncached: uncached[&name] });
    }
    if std::env::var_os("METALAYER_UPDATE").is_some() {
        let mut text = serde_json::to_string_pretty(&given).unwrap();
        text.push('\n');
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed: Snapshots =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(given, committed, "run with METALAYER_UPDATE=1 and review the difference");
}

/// The operations of the reference's table, in its order, with mocks as plain as the reference's: whoever pays or is paid
/// tokens has some before, unless it is a vault, the Executor, or the claimant.
struct Bench {
    world: World,
    third_token: Address,
    router: Address,
    meta: Address,
    permit: Address,
    target: Address,
    salt: std::cell::Cell<u64>,
    results: BTreeMap<String, u64>,
}

impl Bench {
    fn new(cached: bool) -> Self {
        alloy::sol! { function cacheProgram(address addr) external; }
        let mut world = World::new();
        world.prover = world.mock("PlainProver");
        (world.token, world.other_token) = (world.mock("Coin"), world.mock("Coin"));
        let third_token = world.mock("Coin");
        let router = world.mock("PlainRouter");
        let meta = world.meta_prover(&MetaProverArguments {
            router,
            portal: world.inbox,
            provers: vec![B256::repeat_byte(1)],
            minGasLimit: U256::ZERO,
            domains: vec![],
            finality: 0,
        });
        if cached {
            let cache = Address::with_last_byte(0x72);
            for addr in [world.source, world.inbox, meta] {
                world.send(world.owner, cache, &cacheProgramCall { addr }).ok();
            }
        }
        for token in [world.token, world.other_token, third_token] {
            for account in [world.creator, world.solver, world.stranger] {
                world.give(account, token, 1_000_000_000);
            }
        }
        let (permit, target) = (world.mock("Permit"), world.mock("Target"));
        let allow = Permit::allowCall {
            amount: alloy::primitives::aliases::U160::MAX,
            expiration: alloy::primitives::aliases::U48::MAX,
        };
        world.send(world.owner, permit, &allow).ok();
        for token in [world.token, world.other_token, third_token] {
            world.approve(world.creator, token, permit);
        }
        Self {
            world,
            third_token,
            router,
            meta,
            permit,
            target,
            salt: std::cell::Cell::new(0),
            results: BTreeMap::new(),
        }
    }

    fn run(mut self) -> BTreeMap<String, u64> {
        self.funding();
        self.funding_for_someone();
        self.destination();
        self.proving();
        self.settlement();
        self.local();
        self.results
    }

    #[track_caller]
    fn note(&mut self, name: &str, outcome: Outcome) {
        self.results.insert(name.to_owned(), outcome.ok().gas_used);
    }

    fn intent(&self) -> Intent {
        self.salt.set(self.salt.get() + 1);
        let target = self.world.token;
        let transfer = Token::transferCall { to: self.world.stranger, amount: U256::from(10) };
        empty(&self.world, self.salt.get()).asking(
            0,
            &[leg(target, 10)],
            &[call(target, 0, transfer.abi_encode())],
        )
    }

    fn native(&self) -> Intent {
        self.intent().rewarding(100, &[])
    }

    fn one(&self) -> Intent {
        self.intent().rewarding(0, &[leg(self.world.token, 10)])
    }

    fn three(&self) -> Vec<TokenAmount> {
        [self.world.token, self.world.other_token, self.third_token]
            .map(|token| leg(token, 10))
            .to_vec()
    }

    fn publish_and_fund(&self, intent: Intent, value: u64) -> Outcome {
        let call = publishAndFund_0Call { intent, allowPartial: false };
        let world = &self.world;
        world.send_value(world.creator, world.source, U256::from(value), &call)
    }

    fn funding(&mut self) {
        let (source, creator) = (self.world.source, self.world.creator);
        let intent = self.one();
        let publish = publish_0Call { intent: intent.clone() };
        let outcome = self.world.send(creator, source, &publish);
        self.note("publish(Intent)", outcome);
        let publish = publish_1Call {
            destination: intent.destination,
            route: intent.route.encode().into(),
            reward: intent.reward,
        };
        let outcome = self.world.send(creator, source, &publish);
        self.note("publish(uint64,bytes,Reward)", outcome);
        let native = self.native();
        let outcome = self.publish_and_fund(native, 100);
        self.note("publishAndFund native", outcome);
        let native = self.native();
        let outcome = self.publish_and_fund(native, 101);
        self.note("publishAndFund native, 1 wei excess", outcome);
        let one = self.one();
        let outcome = self.publish_and_fund(one.clone(), 0);
        self.note("publishAndFund 1 ERC20", outcome);
        let outcome = self.world.fund(creator, &one, 0, false);
        self.note("fund, already Funded", outcome);
        let three = self.intent().rewarding(0, &self.three());
        let outcome = self.publish_and_fund(three, 0);
        self.note("publishAndFund 3 ERC20", outcome);
        let both = self.intent().rewarding(100, &[leg(self.world.token, 10)]);
        let outcome = self.publish_and_fund(both, 100);
        self.note("publishAndFund native + 1 ERC20", outcome);
        let native = self.native();
        let outcome = self.world.fund(creator, &native, 100, false);
        self.note("fund native", outcome);
        let one = self.one();
        let outcome = self.world.fund(creator, &one, 0, false);
        self.note("fund 1 ERC20", outcome);
        let three = self.intent().rewarding(0, &self.three());
        let outcome = self.world.fund(creator, &three, 0, false);
        self.note("fund 3 ERC20", outcome);
        let one = self.one();
        let order = OrderData {
            destination: one.destination,
            route: one.route.encode().into(),
            reward: one.reward.clone(),
            routePortal: one.route.portal.into_word(),
            routeDeadline: one.route.deadline,
            maxSpent: vec![Output {
                token: self.world.token.into_word(),
                amount: U256::from(10),
                recipient: self.world.stranger.into_word(),
                chainId: U256::from(one.destination),
            }],
        };
        let order = OnchainCrossChainOrder {
            fillDeadline: 0,
            orderDataType: ORDER_DATA_TYPEHASH,
            orderData: order.abi_encode().into(),
        };
        let outcome = self.world.send(creator, source, &openCall { order });
        self.note("open 1 ERC20", outcome);
    }

    fn funding_for_someone(&mut self) {
        let (source, creator, solver) = (self.world.source, self.world.creator, self.world.solver);
        for (name, permit) in [
            ("fundFor 1 ERC20, allowance to the vault", Address::ZERO),
            ("fundFor 1 ERC20, permit", self.permit),
        ] {
            let one = self.one();
            self.world.approve(creator, self.world.token, self.world.vault(&one));
            let call = fundForCall {
                destination: one.destination,
                routeHash: one.route_hash(),
                reward: one.reward,
                allowPartial: false,
                funder: creator,
                permitContract: permit,
            };
            let outcome = self.world.send(solver, source, &call);
            self.note(name, outcome);
        }
        let call = publishAndFundFor_0Call {
            intent: self.intent().rewarding(0, &self.three()),
            allowPartial: false,
            funder: creator,
            permitContract: self.permit,
        };
        let outcome = self.world.send(solver, source, &call);
        self.note("publishAndFundFor 3 ERC20, permit", outcome);
    }

    fn fulfill(&self, intent: &Intent, value: u64) -> Outcome {
        let call = fulfill_call(intent, self.world.claimant.into_word());
        self.world.send_value(self.world.solver, self.world.inbox, U256::from(value), &call)
    }

    fn destination(&mut self) {
        let erc20 = self.intent();
        let outcome = self.fulfill(&erc20, 0);
        self.note("fulfill ERC20", outcome);
        let pays = [call(self.world.stranger, 5, [])];
        let native = self.intent().asking(5, &[], &pays);
        let outcome = self.fulfill(&native, 5);
        self.note("fulfill native", outcome);
        let native = self.intent().asking(5, &[], &pays);
        let outcome = self.fulfill(&native, 6);
        self.note("fulfill native, 1 wei excess", outcome);
        let nothing = self.intent().asking(0, &[], &[]);
        let outcome = self.fulfill(&nothing, 0);
        self.note("fulfill empty", outcome);
        let noop: Call = call(self.target, 0, Target::noopCall {}.abi_encode());
        let ten = self.intent().asking(0, &[], &vec![noop; 10]);
        let outcome = self.fulfill(&ten, 0);
        self.note("fulfill 10 noop calls", outcome);
        for (name, value, intent) in [
            ("fulfillAndProve ERC20", 100, self.intent()),
            ("fulfillAndProve ERC20, 1 wei refunded", 101, self.intent()),
            ("fulfillAndProve native", 105, self.intent().asking(5, &[], &pays)),
        ] {
            let call = fulfillAndProveCall {
                intentHash: intent.id(),
                rewardHash: intent.reward_hash(),
                route: intent.route,
                claimant: self.world.claimant.into_word(),
                prover: self.meta,
                sourceChainDomainID: CHAIN_ID,
                data: self.prover_data(),
            };
            let (solver, inbox) = (self.world.solver, self.world.inbox);
            let outcome = self.world.send_value(solver, inbox, U256::from(value), &call);
            self.note(name, outcome);
        }
    }

    fn prover_data(&self) -> Bytes {
        ProverData { sourceChainProver: self.meta.into_word(), gasLimit: U256::ZERO }
            .abi_encode()
            .into()
    }

    fn proving(&mut self) {
        for count in [1_u64, 10, 50] {
            let intents: Vec<_> = (0..count).map(|_| self.intent().asking(0, &[], &[])).collect();
            for intent in &intents {
                self.fulfill(intent, 0).ok();
            }
            let call = proveCall {
                prover: self.meta,
                sourceChainDomainID: CHAIN_ID,
                intentHashes: intents.iter().map(IntentExt::id).collect(),
                data: self.prover_data(),
            };
            let (solver, inbox) = (self.world.solver, self.world.inbox);
            let outcome = self.world.send_value(solver, inbox, U256::from(100), &call);
            self.note(&format!("prove {count} intents"), outcome);

            let mut message = CHAIN_ID.to_be_bytes().to_vec();
            for intent in &intents {
                message.extend_from_slice(intent.id().as_slice());
                message.extend_from_slice(self.world.claimant.into_word().as_slice());
            }
            let handle = handleCall {
                origin: CHAIN_ID as u32,
                sender: self.meta.into_word(),
                message: message.into(),
                reads: vec![],
                readResults: vec![],
            };
            let outcome = self.world.send(self.router, self.meta, &handle);
            self.note(&format!("handle {count} pairs, new"), outcome);
            if count == 10 {
                let outcome = self.world.send(self.router, self.meta, &handle);
                self.note("handle 10 pairs, proven before", outcome);
            }
        }
        let elsewhere = self.native().to(1).proven_by(self.meta);
        let mut message = CHAIN_ID.to_be_bytes().to_vec();
        message.extend_from_slice(elsewhere.id().as_slice());
        message.extend_from_slice(self.world.claimant.into_word().as_slice());
        let handle = handleCall {
            origin: CHAIN_ID as u32,
            sender: self.meta.into_word(),
            message: message.into(),
            reads: vec![],
            readResults: vec![],
        };
        self.world.send(self.router, self.meta, &handle).ok();
        let challenge = challengeIntentProofCall {
            destination: 1,
            routeHash: elsewhere.route_hash(),
            rewardHash: elsewhere.reward_hash(),
        };
        let outcome = self.world.send(self.world.stranger, self.meta, &challenge);
        self.note("challengeIntentProof", outcome);
    }

    fn funded(&self, intent: Intent) -> Intent {
        self.world.publish_and_fund(&intent);
        intent
    }

    fn settlement(&mut self) {
        let (source, stranger) = (self.world.source, self.world.stranger);
        for (name, intent) in [
            ("withdraw native", self.native()),
            ("withdraw 1 ERC20", self.one()),
            ("withdraw 3 ERC20", self.intent().rewarding(0, &self.three())),
        ] {
            let intent = self.funded(intent);
            self.world.prove(&intent);
            let outcome = self.world.send(stranger, source, &withdraw_call(&intent));
            self.note(name, outcome);
        }
        for count in [1_usize, 3, 10] {
            let intents: Vec<_> = (0..count).map(|_| self.funded(self.one())).collect();
            for intent in &intents {
                self.world.prove(intent);
            }
            let call = batchWithdrawCall {
                destinations: intents.iter().map(|intent| intent.destination).collect(),
                routeHashes: intents.iter().map(IntentExt::route_hash).collect(),
                rewards: intents.iter().map(|intent| intent.reward.clone()).collect(),
            };
            let outcome = self.world.send(stranger, source, &call);
            self.note(&format!("batchWithdraw {count} x 1 ERC20"), outcome);
        }
        let wrong = self.funded(self.native());
        self.world.prove_at(&wrong, 1);
        let outcome = self.world.withdraw(&wrong);
        self.note("withdraw of a proof of the wrong chain", outcome);
        let stray = self.one();
        let mint = Token::mintCall { to: self.world.vault(&stray), amount: U256::from(3) };
        let recover = recoverTokenCall {
            destination: stray.destination,
            routeHash: stray.route_hash(),
            reward: stray.reward,
            token: self.world.other_token,
        };
        for name in ["recoverToken, vault deployed in the call", "recoverToken"] {
            self.world.send(self.world.owner, self.world.other_token, &mint).ok();
            let outcome = self.world.send(stranger, source, &recover);
            self.note(name, outcome);
        }
        self.refunds();
    }

    fn refunds(&mut self) {
        let (source, stranger) = (self.world.source, self.world.stranger);
        let to = self.funded(self.native());
        let all = [
            ("refund native", self.funded(self.native())),
            ("refund 3 ERC20", self.funded(self.intent().rewarding(0, &self.three()))),
            ("refund 1 ERC20", self.funded(self.one())),
        ];
        self.world.expire(&all[2].1);
        for (name, intent) in &all {
            let outcome = self.world.send(stranger, source, &refund_call(intent));
            self.note(name, outcome);
        }
        let outcome = self.world.send(stranger, source, &refund_call(&all[2].1));
        self.note("refund again, nothing left", outcome);
        let refund_to = refundToCall {
            destination: to.destination,
            routeHash: to.route_hash(),
            reward: to.reward,
            refundee: self.world.solver,
        };
        let outcome = self.world.send(self.world.creator, source, &refund_to);
        self.note("refundTo native", outcome);
    }

    fn local(&mut self) {
        let prover = self.world.local_prover();
        let intent = self.intent().rewarding(100, &[leg(self.world.token, 10)]).proven_by(prover);
        let intent = self.funded(intent);
        let call = flashFulfillCall {
            route: intent.route,
            reward: intent.reward,
            claimant: self.world.claimant.into_word(),
        };
        let outcome = self.world.send(self.world.solver, prover, &call);
        self.note("flashFulfill 1 ERC20 + native", outcome);
    }
}
