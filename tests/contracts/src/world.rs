//! A chain with the intent programs deployed, mock tokens, and actors.

use std::sync::OnceLock;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use devnet::{Chain, ChainConfig, Transact, genesis::DEV_ADDRESSES, init_code};
use protocol::{
    abi::{
        constructor::{
            Constructor, InboxArguments, IntentSourceArguments, LocalProverArguments,
            MetaProverArguments,
        },
        deployer::deployCall,
        inbox, intent_source,
        intent_source::{fundCall, refundCall, withdrawCall},
    },
    ids::IntentHash,
    intent::{Intent, Status},
};
use stylus_program::{Program, Programs};

use crate::{
    Outcome,
    intents::IntentExt,
    mocks::{self, Token},
};

/// The reference ran on this chain id; so do we.
pub const CHAIN_ID: u64 = 42_161;

/// Gas of every transaction unless said otherwise: what the chain allows.
const ACTIVATION_VALUE: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// A deployed world.
#[derive(Debug, Clone)]
pub struct World {
    pub chain: Chain,
    pub deployer: Address,
    pub source: Address,
    pub inbox: Address,
    pub executor: Address,
    pub prover: Address,
    pub token: Address,
    pub other_token: Address,
    pub owner: Address,
    pub creator: Address,
    pub solver: Address,
    pub claimant: Address,
    pub stranger: Address,
}

/// The programs, built once a process.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::load_or_build().expect("the programs build"))
}

/// One program.
pub fn program(name: &str) -> &'static Program {
    programs().get(name).expect("a program of ours")
}

impl World {
    /// On a chain with the reference's id, without an ERC-20 that mirrors the native balance.
    pub fn new() -> Self {
        Self::with(CHAIN_ID, Address::ZERO)
    }

    /// On a chain with this id and this ERC-20 as the mirror of the native balance.
    pub fn with(chain_id: u64, native_erc20: Address) -> Self {
        let chain = Chain::new(ChainConfig::new(chain_id));
        let deployer = chain.deploy_program(&program("deployer").code).unwrap();
        let mut world = Self {
            chain,
            deployer,
            source: Address::ZERO,
            inbox: Address::ZERO,
            executor: Address::ZERO,
            prover: Address::ZERO,
            token: Address::ZERO,
            other_token: Address::ZERO,
            owner: DEV_ADDRESSES[0],
            creator: DEV_ADDRESSES[1],
            solver: DEV_ADDRESSES[3],
            claimant: DEV_ADDRESSES[4],
            stranger: DEV_ADDRESSES[9],
        };
        let arguments = IntentSourceArguments { nativeErc20: native_erc20 };
        world.source = world.deploy("intent-source", &arguments);
        world.inbox = world.deploy("inbox", &InboxArguments);
        world.executor = world.view(world.inbox, &inbox::executorCall {});
        world.prover = world.mock("Prover");
        world.token = world.mock("Token");
        world.other_token = world.mock("Token");
        world
    }

    /// Deploys a program through the deployer, by the owner.
    #[track_caller]
    pub fn deploy(&self, name: &str, arguments: &impl Constructor) -> Address {
        self.try_deploy(name, arguments.calldata(), B256::ZERO).answer::<deployCall>()
    }

    /// As [`Self::deploy`], with any constructor data and salt.
    pub fn try_deploy(&self, name: &str, init_data: Vec<u8>, salt: B256) -> Outcome {
        let order = deployCall {
            bytecode: init_code(&program(name).code),
            initData: init_data.into(),
            initValue: U256::ZERO,
            salt,
        };
        self.send_value(self.owner, self.deployer, ACTIVATION_VALUE, &order)
    }

    /// Deploys a MetaProver with its defaults over a router.
    pub fn meta_prover(&self, arguments: &MetaProverArguments) -> Address {
        self.deploy("meta-prover", arguments)
    }

    /// Deploys a LocalProver.
    pub fn local_prover(&self) -> Address {
        let arguments = LocalProverArguments { inbox: self.inbox, intentSource: self.source };
        self.deploy("local-prover", &arguments)
    }

    /// Deploys a mock.
    #[track_caller]
    pub fn mock(&self, name: &str) -> Address {
        let create = Transact::create(self.owner, mocks::creation_code(name));
        let receipt = self.chain.transact(create).unwrap();
        assert!(receipt.success, "{name}: {}", receipt.output);
        receipt.contract_address.unwrap()
    }

    /// Sends a transaction.
    pub fn send<C: SolCall>(&self, from: Address, to: Address, call: &C) -> Outcome {
        self.send_value(from, to, U256::ZERO, call)
    }

    /// Sends a transaction with value.
    pub fn send_value<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Outcome {
        self.send_raw(from, to, value, call.abi_encode())
    }

    /// Sends a transaction with any data.
    pub fn send_raw(
        &self,
        from: Address,
        to: Address,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Outcome {
        self.chain.transact(Transact::call(from, to, data).value(value)).unwrap().into()
    }

    /// Asks a view function, and expects an answer.
    #[track_caller]
    pub fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        self.ask(to, call).answer::<C>()
    }

    /// Asks a view function.
    pub fn ask<C: SolCall>(&self, to: Address, call: &C) -> Outcome {
        self.simulate(self.stranger, to, U256::ZERO, call.abi_encode())
    }

    /// Executes without keeping anything.
    pub fn simulate(
        &self,
        from: Address,
        to: Address,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Outcome {
        self.chain.call(Transact::call(from, to, data).value(value)).unwrap().into()
    }

    /// Mints tokens and approves them to IntentSource and Inbox.
    pub fn give(&self, account: Address, token: Address, amount: u64) {
        let amount = U256::from(amount);
        self.send(self.owner, token, &Token::mintCall { to: account, amount }).ok();
        self.approve(account, token, self.source);
        self.approve(account, token, self.inbox);
    }

    /// Approves without limit.
    pub fn approve(&self, account: Address, token: Address, spender: Address) {
        self.send(account, token, &Token::approveCall { spender, amount: U256::MAX }).ok();
    }

    /// Balance of a token.
    #[track_caller]
    pub fn tokens(&self, token: Address, account: Address) -> u64 {
        self.view(token, &Token::balanceOfCall { account }).to()
    }

    /// Balance in wei.
    pub fn native(&self, account: Address) -> U256 {
        self.chain.balance(account)
    }

    /// The vault of an intent.
    pub fn vault(&self, intent: &Intent) -> Address {
        protocol::puppet::vault(self.source, IntentHash(intent.id()))
    }

    /// The status of an intent.
    pub fn status(&self, intent: &Intent) -> Status {
        let call = intent_source::getRewardStatusCall { intentHash: intent.id() };
        Status::try_from(self.view(self.source, &call)).unwrap()
    }

    /// `publishAndFund(Intent, false)` by the creator, with the native reward as value.
    #[track_caller]
    pub fn publish_and_fund(&self, intent: &Intent) -> Outcome {
        self.try_publish_and_fund(self.creator, intent, intent.reward.nativeAmount, false).ok()
    }

    /// `publishAndFund(Intent, allowPartial)`.
    pub fn try_publish_and_fund(
        &self,
        from: Address,
        intent: &Intent,
        value: U256,
        allow_partial: bool,
    ) -> Outcome {
        let call = intent_source::publishAndFund_0Call {
            intent: intent.clone(),
            allowPartial: allow_partial,
        };
        self.send_value(from, self.source, value, &call)
    }

    /// `fund`.
    pub fn fund(&self, from: Address, intent: &Intent, value: u64, allow_partial: bool) -> Outcome {
        let call = fundCall {
            destination: intent.destination,
            routeHash: intent.route_hash(),
            reward: intent.reward.clone(),
            allowPartial: allow_partial,
        };
        self.send_value(from, self.source, U256::from(value), &call)
    }

    /// `withdraw` by a stranger.
    pub fn withdraw(&self, intent: &Intent) -> Outcome {
        self.send(self.stranger, self.source, &withdraw_call(intent))
    }

    /// `refund` by a stranger.
    pub fn refund(&self, intent: &Intent) -> Outcome {
        self.send(self.stranger, self.source, &refund_call(intent))
    }

    /// Has the mock prover say that the claimant fulfilled the intent at its destination.
    pub fn prove(&self, intent: &Intent) {
        self.prove_at(intent, intent.destination);
    }

    /// Has the mock prover say that the claimant fulfilled the intent on this chain.
    pub fn prove_at(&self, intent: &Intent, destination: u64) {
        let proof =
            mocks::Prover::setCall { intent: intent.id(), claimant: self.claimant, destination };
        self.send(self.owner, intent.reward.prover, &proof).ok();
    }

    /// `fulfill` for the claimant.
    pub fn fulfill(&self, from: Address, intent: &Intent, value: u64) -> Outcome {
        let call = fulfill_call(intent, self.claimant.into_word());
        self.send_value(from, self.inbox, U256::from(value), &call)
    }

    /// Moves time past both deadlines of the intent.
    pub fn expire(&self, intent: &Intent) {
        let deadline = intent.reward.deadline.max(intent.route.deadline);
        let now = self.chain.timestamp();
        if now <= deadline {
            self.chain.increase_time(deadline - now + 1);
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// `withdraw` of an intent.
pub fn withdraw_call(intent: &Intent) -> withdrawCall {
    withdrawCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
    }
}

/// `refund` of an intent.
pub fn refund_call(intent: &Intent) -> refundCall {
    refundCall {
        destination: intent.destination,
        routeHash: intent.route_hash(),
        reward: intent.reward.clone(),
    }
}

/// `fulfill` of an intent.
pub fn fulfill_call(intent: &Intent, claimant: B256) -> inbox::fulfillCall {
    inbox::fulfillCall {
        intentHash: intent.id(),
        route: intent.route.clone(),
        rewardHash: intent.reward_hash(),
        claimant,
    }
}
