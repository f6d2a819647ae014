//! Chains with everything deployed, users, and messages that arrive when the test says so.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    signers::SignerSync,
    sol_types::{SolCall, SolEvent, SolValue},
};
use chain::{
    FinalityRule, KeySource, Manifest,
    manifest::{ChainManifest, Contracts, TierName, ValidatorSet},
};
use deploy::{ChainConfig as DeployedChain, RemoteGas};
use devnet::{
    Chain, ChainConfig, Clock, Transact,
    genesis::{DEV_ADDRESSES, MNEMONIC},
};
use protocol::{
    abi::{
        erc20, inbox,
        intent::{GaslessCrossChainOrder, OrderData},
        intent_source, prover,
    },
    erc7683,
    ids::{ChainId, Claimant, Domain, IntentHash},
    intent::{Call, Intent, Reward, Route, TokenAmount},
    proof::{self, Proof},
};
use solver::{Config, Handle, order::State};
use tempfile::TempDir;

/// How long anything in a test may take: many times what it takes on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) const FIRST: u64 = 700_001;
pub(crate) const SECOND: u64 = 700_002;
pub(crate) const THIRD: u64 = 700_003;
pub(crate) const USER: Address = DEV_ADDRESSES[10];
pub(crate) const RECIPIENT: Address = Address::repeat_byte(0xee);

/// One whole test token.
pub(crate) const TT: u64 = 1_000_000;

/// Waits until the condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until an order is in a state, for a reason that contains these words.
pub(crate) async fn until(solver: &Handle, hash: IntentHash, state: State, words: &str) {
    eventually(words, async || {
        let order = solver.store().order(hash).await.unwrap();
        order.is_some_and(|order| order.state == state && order.reason.contains(words))
    })
    .await;
}

/// Waits until every one of these orders is in a state.
pub(crate) async fn all_in(solver: &Handle, hashes: &[IntentHash], state: State) {
    eventually(state.name(), async || {
        let mut there = true;
        for hash in hashes {
            let order = solver.store().order(*hash).await.unwrap();
            there &= order.is_some_and(|order| order.state == state);
        }
        there
    })
    .await;
}

/// Which prover settles an intent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settle {
    Instant,
    Finalized,
    Local,
}

/// The chains, the deployment, and a folder.
pub(crate) struct World {
    pub(crate) network: devnet::Handle,
    pub(crate) manifest: Manifest,
    pub(crate) folder: TempDir,
    salt: std::sync::atomic::AtomicU64,
}

impl World {
    /// Two chains.
    pub(crate) async fn new() -> Self {
        Self::of(&[FIRST, SECOND]).await
    }

    /// These chains.
    pub(crate) async fn of(ids: &[u64]) -> Self {
        let chains = ids.iter().map(|id| {
            ChainConfig::new(*id).block_time(Duration::from_millis(100)).clock(Clock::Wall)
        });
        let config = devnet::Config { chains: chains.collect(), ..devnet::Config::default() };
        let network = devnet::spawn(config).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let manifest = deploy::apply(deployment(&network, &folder)).await.unwrap();
        manifest.save(folder.path().join("manifest.json")).unwrap();
        let world = Self { network, manifest, folder, salt: 0.into() };
        for id in world.ids() {
            for account in [8, 9, 10] {
                world.mint(id, DEV_ADDRESSES[account], U256::from(1_000_000 * TT));
            }
        }
        world
    }

    /// The chains' ids.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.network.chains().iter().map(devnet::ChainHandle::chain_id).collect()
    }

    pub(crate) fn chain(&self, id: u64) -> Chain {
        self.network.chain(id).unwrap().chain()
    }

    pub(crate) fn at(&self, id: u64) -> &ChainManifest {
        self.manifest.by_chain_id(ChainId(id)).unwrap().1
    }

    pub(crate) fn contracts(&self, id: u64) -> &Contracts {
        &self.at(id).contracts
    }

    pub(crate) fn token(&self, id: u64) -> Address {
        self.contracts(id).test_token.unwrap()
    }

    pub(crate) fn mint(&self, id: u64, to: Address, value: U256) {
        self.send(id, to, self.token(id), &erc20::mintCall { to, value }, U256::ZERO);
    }

    /// Sends a transaction that must work.
    pub(crate) fn send(
        &self,
        id: u64,
        from: Address,
        to: Address,
        call: &impl SolCall,
        value: U256,
    ) {
        let tx = Transact::call(from, to, call.abi_encode()).value(value).gas(20_000_000);
        let receipt = self.chain(id).transact(tx).unwrap();
        assert!(receipt.success, "reverted: {:?}", receipt.output);
    }

    pub(crate) fn view<C: SolCall>(&self, id: u64, to: Address, call: &C) -> C::Return {
        let outcome = self.chain(id).call(Transact::call(USER, to, call.abi_encode())).unwrap();
        assert!(outcome.success, "reverted: {}", outcome.output);
        C::abi_decode_returns(&outcome.output).unwrap()
    }

    pub(crate) fn balance(&self, id: u64, token: Address, account: Address) -> U256 {
        if token.is_zero() {
            self.chain(id).balance(account)
        } else {
            self.view(id, token, &erc20::balanceOfCall { account })
        }
    }

    /// The configuration of a solver with one wallet, changed by `change`.
    pub(crate) fn config(&self, index: usize, change: impl FnOnce(String) -> String) -> Config {
        service::config::parse(&change(self.config_text(index))).unwrap()
    }

    /// The configuration file of a solver with one wallet.
    pub(crate) fn config_text(&self, index: usize) -> String {
        let database = self.folder.path().join(format!("solver-{index}.db"));
        let mut text = format!(
            "environment = \"development\"\nmanifest = \"{}\"\ndatabase = \"sqlite:{}\"\n\
             api_listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token = \"token\"\n\
             tick = \"50ms\"\n",
            self.folder.path().join("manifest.json").display(),
            database.display(),
        );
        for id in self.ids() {
            text += &format!(
                "[chains.{id}]\nwallets = [\"mnemonic:{index}:{MNEMONIC}\"]\nnative = \"ETH\"\n\
                 poll = \"50ms\"\nconfirm = \"blocks(1)\"\n\
                 [chains.{id}.tokens.TT]\naddress = \"{}\"\ndecimals = 6\n",
                self.token(id)
            );
        }
        text += "[prices]\nminimum_sources = 1\n[[prices.sources]]\nname = \"table\"\n\
                 kind = \"fixed\"\nprices = { ETH = \"3000\", TT = \"1\" }\n\
                 [[routes]]\nleast_profit = \"0\"\nlargest = \"50000\"\n\
                 [limits]\nexposure = \"1000000\"\n[lists]\n\
                 [tiers]\ninstant = \"60s\"\nfinalized = \"60s\"\npause = \"0s\"\nmargin = \"30s\"\n\
                 fill = \"5s\"\n[batches]\nwithdrawal_wait = \"200ms\"\nlongest_wait = \"2s\"\n";
        text
    }

    pub(crate) async fn solver(&self, index: usize) -> Handle {
        solver::spawn(self.config(index, |text| text)).await.unwrap()
    }

    fn prover(&self, id: u64, settle: Settle) -> Address {
        let contracts = self.contracts(id);
        match settle {
            Settle::Instant => contracts.meta_prover_instant,
            Settle::Finalized => contracts.meta_prover_finalized,
            Settle::Local => contracts.local_prover,
        }
    }

    /// An intent that moves the reward's token to the recipient, with a fee.
    pub(crate) fn intent(
        &self,
        destination: u64,
        origin: u64,
        settle: Settle,
        reward: (Address, U256),
        pay: (Address, U256),
    ) -> Intent {
        let salt = self.salt.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let far = self.chain(origin).timestamp() + 3_600;
        let leg = |(token, amount): (Address, U256)| {
            if token.is_zero() {
                (amount, Vec::new())
            } else {
                (U256::ZERO, vec![TokenAmount { token, amount }])
            }
        };
        let (native_amount, tokens) = leg(pay);
        let call = if pay.0.is_zero() {
            Call { target: RECIPIENT, data: Bytes::new(), value: pay.1 }
        } else {
            let data = erc20::transferCall { to: RECIPIENT, value: pay.1 }.abi_encode().into();
            Call { target: pay.0, data, value: U256::ZERO }
        };
        let (reward_native, reward_tokens) = leg(reward);
        Intent {
            destination,
            route: Route {
                salt: keccak256(salt.to_be_bytes()),
                deadline: far,
                portal: self.contracts(destination).inbox,
                nativeAmount: native_amount,
                tokens,
                calls: vec![call],
            },
            reward: Reward {
                deadline: far,
                creator: USER,
                prover: self.prover(origin, settle),
                nativeAmount: reward_native,
                tokens: reward_tokens,
            },
        }
    }

    /// The user publishes and funds.
    pub(crate) fn publish(&self, origin: u64, intent: &Intent) -> IntentHash {
        let source = self.contracts(origin).intent_source;
        for leg in &intent.reward.tokens {
            let call = erc20::approveCall { spender: source, value: U256::MAX };
            self.send(origin, USER, leg.token, &call, U256::ZERO);
        }
        let call =
            intent_source::publishAndFund_0Call { intent: intent.clone(), allowPartial: false };
        self.send(origin, USER, source, &call, intent.reward.nativeAmount);
        intent.hash()
    }

    /// The user signs an order that opens this intent on the first chain, and lets the IntentSource take its reward.
    pub(crate) fn sign(&self, nonce: u64, intent: &Intent) -> (GaslessCrossChainOrder, Bytes) {
        let source = self.contracts(FIRST).intent_source;
        let Intent { destination, route, reward } = intent.clone();
        for leg in &reward.tokens {
            let call = erc20::approveCall { spender: source, value: U256::MAX };
            self.send(FIRST, USER, leg.token, &call, U256::ZERO);
        }
        let data = OrderData {
            destination,
            routePortal: route.portal.into_word(),
            routeDeadline: route.deadline,
            route: route.encode().into(),
            reward,
            maxSpent: Vec::new(),
        };
        let order = GaslessCrossChainOrder {
            originSettler: source,
            user: USER,
            nonce: U256::from(nonce),
            originChainId: U256::from(FIRST),
            openDeadline: u32::MAX,
            fillDeadline: u32::MAX,
            orderDataType: erc7683::ORDER_DATA_TYPEHASH,
            orderData: data.abi_encode().into(),
        };
        let key: KeySource = format!("mnemonic:10:{MNEMONIC}").parse().unwrap();
        let digest = erc7683::digest(&order, FIRST, source);
        let signature = key.load().unwrap().sign_hash_sync(&digest).unwrap();
        (order, signature.as_bytes().to_vec().into())
    }

    /// The user publishes and funds nothing.
    pub(crate) fn publish_unfunded(&self, origin: u64, intent: &Intent) -> IntentHash {
        let source = self.contracts(origin).intent_source;
        let call = intent_source::publish_0Call { intent: intent.clone() };
        self.send(origin, USER, source, &call, U256::ZERO);
        intent.hash()
    }

    /// Where the reward of an intent lies.
    pub(crate) fn vault(&self, origin: u64, intent: IntentHash) -> Address {
        protocol::puppet::vault(self.contracts(origin).intent_source, intent)
    }

    /// Delivers every proof that an Inbox has emitted, as the router would.
    pub(crate) fn deliver_proofs(&self) {
        for destination in self.ids() {
            for (hash, claimant) in self.proven_at(destination) {
                // A proof says nothing of its origin; on a chain that has no such intent it lies idle.
                for origin in self.ids().into_iter().filter(|origin| *origin != destination) {
                    if !self.is_delivered(origin, hash) {
                        self.deliver(destination, origin, destination, &[(hash, claimant)]);
                    }
                }
            }
        }
    }

    /// Whether the provers of the origin hold a proof of the intent. Both are given every proof.
    fn is_delivered(&self, origin: u64, intent: IntentHash) -> bool {
        let prover = self.contracts(origin).meta_prover_instant;
        let call = prover::provenIntentsCall { intentHash: intent.0 };
        !self.view(origin, prover, &call).claimant.is_zero()
    }

    /// Proofs that the Inbox of a chain has sent.
    pub(crate) fn proven_at(&self, destination: u64) -> Vec<(IntentHash, B256)> {
        let filter = alloy::rpc::types::Filter::new()
            .address(self.contracts(destination).inbox)
            .event_signature(inbox::IntentProven::SIGNATURE_HASH)
            .from_block(0);
        let logs = self.chain(destination).logs(&filter).unwrap();
        logs.iter().map(|log| (IntentHash(log.topics()[1]), log.topics()[2])).collect()
    }

    /// One proof message, with the chain id in its header that it claims to come from.
    pub(crate) fn deliver(
        &self,
        destination: u64,
        origin: u64,
        header: u64,
        pairs: &[(IntentHash, B256)],
    ) {
        let pairs = pairs
            .iter()
            .map(|(intent, claimant)| Proof { intent: *intent, claimant: Claimant(*claimant) });
        let message: Bytes = proof::encode(ChainId(header), pairs).into();
        let contracts = self.contracts(origin);
        // Both tiers get it: only the prover that the reward names matters.
        for prover in [contracts.meta_prover_instant, contracts.meta_prover_finalized] {
            let call = prover::handleCall {
                origin: u32::try_from(destination).unwrap(),
                sender: prover.into_word(),
                message: message.clone(),
                reads: Vec::new(),
                readResults: Vec::new(),
            };
            self.send(origin, contracts.router, prover, &call, U256::ZERO);
        }
    }

    /// Delivers proofs until every order is in one of these states.
    pub(crate) async fn settle(&self, solver: &Handle, hashes: &[IntentHash], ends: &[State]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.deliver_proofs();
            let mut states = BTreeMap::new();
            for hash in hashes {
                let order = solver.store().order(*hash).await.unwrap();
                states.insert(*hash, order.map(|o| (o.state, o.reason)));
            }
            let done = states.values().all(|s| s.as_ref().is_some_and(|s| ends.contains(&s.0)));
            if done {
                return;
            }
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {states:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn deployment(network: &devnet::Handle, folder: &TempDir) -> deploy::Config {
    let name = |id: u64| format!("chain-{id}");
    let set = |range: std::ops::Range<usize>| ValidatorSet {
        validators: DEV_ADDRESSES[range].to_vec(),
        threshold: 2,
    };
    let ids: Vec<u64> = network.chains().iter().map(devnet::ChainHandle::chain_id).collect();
    let chain = |id: u64| DeployedChain {
        chain_id: ChainId(id),
        domain: Domain(u32::try_from(id).unwrap()),
        rpc: vec![network.chain(id).unwrap().http_url().parse().unwrap()],
        ws: Vec::new(),
        stack: "nitro".to_owned(),
        data_availability: "none".to_owned(),
        finality: FinalityRule::Instant,
        native_erc20: Address::ZERO,
        router_initial_nonce: 0,
        read_urls: Vec::new(),
        validators: [(TierName::Instant, set(1..4)), (TierName::Finalized, set(4..7))].into(),
        gas: (ids.iter().filter(|other| **other != id))
            .map(|other| (name(*other), RemoteGas::default()))
            .collect(),
        hyperlane: None,
    };
    deploy::Config {
        chains: ids.iter().map(|id| (name(*id), chain(*id))).collect(),
        manifest: folder.path().join("manifest.json"),
        deployer: KeySource::Mnemonic { index: 0, phrase: MNEMONIC.to_owned() },
        owner: None,
        guardian: None,
        dev: true,
        salt: "test".to_owned(),
        test_token: true,
        multicall: true,
        hyperlane_dir: None,
    }
}
