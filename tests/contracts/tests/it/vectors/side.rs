//! The reference's two chains, with our programs at its addresses.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use contract_tests::{Outcome, mocks, mocks::Token, world::program};
use devnet::{Chain, ChainConfig, Transact, genesis::DEV_ADDRESSES};
use protocol::abi::constructor::{
    Constructor, InboxArguments, IntentSourceArguments, MetaProverArguments,
};

use super::{address, assert_logs, bytes, cases, list, text, vectors};

/// One of the reference's two chains.
pub(super) struct Side {
    pub(super) chain: Chain,
    pub(super) portal: Address,
    pub(super) router: Address,
    pub(super) prover: Address,
}

pub(super) const OWNER: Address = DEV_ADDRESSES[0];

impl Side {
    /// Our program `portal` where the reference's contract is, with the mock tokens, router and prover of that chain.
    pub(super) fn new(name: &str, portal: &str) -> Self {
        let deployment = &vectors()["deployment"][name];
        // Shortly before the vectors' time: a program expires a year after its activation.
        let chain = Chain::new(ChainConfig {
            genesis_timestamp: 1_799_990_000,
            ..ChainConfig::new(deployment["chainId"].as_u64().unwrap())
        });
        // The reference's addresses are those of this account's first transactions: ours come after.
        chain.set_nonce(OWNER, 10_000).unwrap();
        let this = Self {
            chain,
            portal: address(&deployment["portal"]),
            router: address(&deployment["metaRouter"]),
            prover: address(&deployment["metaProver"]),
        };
        let arguments = match portal {
            "inbox" => InboxArguments.calldata(),
            _ => IntentSourceArguments { nativeErc20: Address::ZERO }.calldata(),
        };
        this.put_program(this.portal, portal, arguments);
        for token in list(&vectors()["deployment"]["mockTokens"][name]) {
            this.put_mock(address(token), "Token");
        }
        this.put_mock(address(&vectors()["deployment"]["mockTarget"][name]), "Counter");
        // On the source chain the router has the address that a mock token has on the other one.
        this.put_mock(this.router, "Router");
        let arguments = MetaProverArguments {
            router: this.router,
            portal: this.portal,
            provers: list(&deployment["metaProverConstructor"]["whitelist"])
                .iter()
                .map(|prover| text(prover).parse().unwrap())
                .collect(),
            minGasLimit: U256::ZERO,
            domains: vec![],
            finality: 0,
        };
        this.put_program(this.prover, "meta-prover", arguments.calldata());
        this
    }

    pub(super) fn put_program(&self, at: Address, name: &str, init_data: Vec<u8>) {
        let deployed = self.chain.deploy_program(&program(name).code).unwrap();
        self.chain.set_code(at, self.chain.code(deployed)).unwrap();
        self.chain.set_nonce(at, 1).unwrap();
        self.send(OWNER, at, U256::ZERO, init_data).ok();
    }

    pub(super) fn put_mock(&self, at: Address, name: &str) {
        let create = Transact::create(OWNER, mocks::creation_code(name));
        let created = self.chain.transact(create).unwrap().contract_address.unwrap();
        self.chain.set_code(at, self.chain.code(created)).unwrap();
    }

    pub(super) fn send(
        &self,
        from: Address,
        to: Address,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Outcome {
        self.chain.transact(Transact::call(from, to, data).value(value)).unwrap().into()
    }

    pub(super) fn at(&self, timestamp: u64) {
        self.chain.set_next_timestamp(timestamp).unwrap();
    }

    /// Mints a mock token to an account that approves it to `spender`.
    pub(super) fn give(&self, account: Address, token: Address, spender: Address) {
        let amount = U256::from(1_000_000_000_u64);
        self.send(OWNER, token, U256::ZERO, Token::mintCall { to: account, amount }.abi_encode())
            .ok();
        self.approve(account, token, spender);
    }

    pub(super) fn approve(&self, account: Address, token: Address, spender: Address) {
        let approve = Token::approveCall { spender, amount: U256::MAX };
        self.send(account, token, U256::ZERO, approve.abi_encode()).ok();
    }

    /// Delivers every proof of the vectors.
    pub(super) fn deliver_proofs(&self) {
        for proof in cases(&vectors()["proofs"]) {
            let handle = &proof["handle"];
            let outcome =
                self.send(self.router, self.prover, U256::ZERO, bytes(&handle["calldata"])).ok();
            assert_logs(&outcome, list(&handle["logs"]), self.prover, text(&proof["id"]), &[]);
        }
    }
}
