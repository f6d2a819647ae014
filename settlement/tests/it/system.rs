//! The whole path with our router and modules: tiers, batches, reads, confirmations.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes, U256, address},
    sol_types::SolEvent as _,
};
use chain::{
    FinalityRule, Manifest,
    manifest::{ChainManifest, TierName, ValidatorSet},
};
use devnet::{Chain, ChainConfig, Config, Fault, FaultRule};
use protocol::{
    abi::{
        arbos::{ARB_WASM, ArbWasm},
        hyperlane::MerkleTreeHook,
        messaging::ReadOperation,
        router,
    },
    finality::Tier,
    ids::{ChainId, Domain},
};
use settlement::{
    checkpoints::FetchPolicy,
    relayer::{self, Confirmations, RelayerConfig, gas::GasPolicy},
    validator::{self, Announce, ValidatorConfig},
};

use crate::world::{FINALITY, address_of, eventually, key, metric, pay, view};

/// Takes everything: its code is one STOP.
const ACCEPTS_ALL: Address = address!("0x00000000000000000000000000000000000acce9");

pub(crate) struct System {
    pub(crate) devnet: devnet::Handle,
    manifest: Manifest,
    data: tempfile::TempDir,
    gateway: u16,
}

impl System {
    /// Two chains with a block every 100 ms.
    async fn deploy() -> Self {
        let block = Duration::from_millis(100);
        let chain = |id| ChainConfig::new(id).block_time(block).lags(2, FINALITY);
        Self::deploy_on([700_001, 700_002].map(chain)).await
    }

    pub(crate) async fn deploy_on(chains: [ChainConfig; 2]) -> Self {
        let config = Config { chains: chains.to_vec(), ..Config::default() };
        let devnet = devnet::spawn(config).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let gateway = free_port();
        let chains = devnet
            .chains()
            .iter()
            .map(|handle| (format!("chain{}", handle.chain_id()), wanted(handle, gateway)))
            .collect();
        let manifest = deploy::apply(deploy::Config {
            chains,
            manifest: data.path().join("manifest.json"),
            deployer: key(0),
            owner: None,
            guardian: None,
            dev: true,
            salt: "test".into(),
            test_token: false,
            multicall: true,
            hyperlane_dir: None,
        })
        .await
        .unwrap();
        for handle in devnet.chains() {
            handle.chain().set_code(ACCEPTS_ALL, vec![0]).unwrap();
        }
        Self { devnet, manifest, data, gateway }
    }

    pub(crate) fn chain(&self, id: u64) -> (Chain, &ChainManifest) {
        let manifest = self.manifest.by_chain_id(ChainId(id)).unwrap().1;
        (self.devnet.chain(id).unwrap().chain(), manifest)
    }

    pub(crate) async fn validator(&self, number: u32) -> validator::Handle {
        let folder = self.data.path().join(format!("validator{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        validator::spawn(ValidatorConfig {
            manifest: self.manifest.clone(),
            database: format!("sqlite:{}", folder.join("validator.db").display()),
            storage: folder.join("checkpoints"),
            listen: "127.0.0.1:0".parse().unwrap(),
            admin: Some("127.0.0.1:0".parse().unwrap()),
            announce: Announce::Listen,
            interval: Duration::from_millis(50),
            keys: [(TierName::Instant, key(number)), (TierName::Finalized, key(number + 3))].into(),
            chains: BTreeMap::new(),
        })
        .await
        .unwrap()
    }

    pub(crate) async fn relayer(&self) -> relayer::Handle {
        relayer::spawn(RelayerConfig {
            manifest: self.manifest.clone(),
            database: format!("sqlite:{}", self.data.path().join("relayer.db").display()),
            listen: ([127, 0, 0, 1], self.gateway).into(),
            admin: Some("127.0.0.1:0".parse().unwrap()),
            signers: vec![key(7), key(17)],
            fetch: FetchPolicy { allow_file: true, allow_private: true },
            gas_policy: GasPolicy::Fraction { numerator: 1, denominator: 2 },
            confirmations: Confirmations::Always,
            interval: Duration::from_millis(50),
            max_batch: 8,
            suspicion: Duration::from_secs(30),
            keep_alive: true,
            chains: BTreeMap::new(),
        })
        .await
        .unwrap()
    }

    /// Dispatches from the first chain to the second. Gives the message id.
    pub(crate) fn dispatch(&self, tier: Tier, reads: &[ReadOperation], body: &[u8]) -> B256 {
        let (chain, manifest) = self.chain(700_001);
        let router = manifest.contracts.router;
        let quote = router::quoteDispatch_1Call {
            destinationDomain: 700_002,
            recipient: ACCEPTS_ALL.into_word(),
            reads: reads.to_vec(),
            writeCallData: Bytes::copy_from_slice(body),
            finalityState: tier.byte(),
            gasLimit: U256::from(100_000),
        };
        let fee = view(&chain, router, &quote);
        let call = router::dispatch_1Call {
            destinationDomain: 700_002,
            recipient: ACCEPTS_ALL.into_word(),
            reads: reads.to_vec(),
            writeCallData: Bytes::copy_from_slice(body),
            finalityState: tier.byte(),
            gasLimit: U256::from(100_000),
        };
        let receipt = pay(&chain, router, &call, fee);
        let dispatched =
            receipt.logs.iter().find_map(|log| router::MetalayerDispatch::decode_log(log).ok());
        dispatched.unwrap().messageId
    }

    pub(crate) fn is_delivered(&self, id: B256) -> bool {
        let (chain, manifest) = self.chain(700_002);
        let call = router::deliveredCall { messageId: id };
        view(&chain, manifest.contracts.router, &call).isDelivered
    }

    pub(crate) fn is_confirmed(&self, id: B256) -> bool {
        let (chain, manifest) = self.chain(700_001);
        view(&chain, manifest.contracts.router, &router::confirmedCall { messageId: id })
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wanted(handle: &devnet::ChainHandle, gateway: u16) -> deploy::ChainConfig {
    let id = handle.chain_id();
    let other = if id == 700_001 { "chain700002" } else { "chain700001" };
    let set = |first: u32| ValidatorSet {
        validators: (first..first + 3).map(address_of).collect(),
        threshold: 2,
    };
    deploy::ChainConfig {
        chain_id: ChainId(id),
        domain: Domain(u32::try_from(id).unwrap()),
        rpc: vec![handle.http_url().parse().unwrap()],
        ws: Vec::new(),
        stack: "nitro".into(),
        data_availability: "none".into(),
        finality: FinalityRule::Blocks(FINALITY),
        native_erc20: Address::ZERO,
        router_initial_nonce: 0,
        read_urls: vec![
            format!("http://127.0.0.1:{gateway}/gateway"),
            format!("http://localhost:{gateway}/gateway"),
        ],
        validators: [(TierName::Instant, set(1)), (TierName::Finalized, set(4))].into(),
        gas: [(other.to_owned(), deploy::RemoteGas::default())].into(),
        hyperlane: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_both_tiers_reads_and_confirmations_go_the_whole_way() {
    let system = System::deploy().await;
    let _validators =
        [system.validator(1).await, system.validator(2).await, system.validator(3).await];
    let relayer = system.relayer().await;

    let ids: Vec<B256> = (0_u8..40)
        .map(|number| {
            let tier = if number % 2 == 0 { Tier::Instant } else { Tier::Finalized };
            system.dispatch(tier, &[], &[number])
        })
        .collect();
    for id in &ids {
        eventually("delivery", async || system.is_delivered(*id)).await;
    }

    let (_, other) = system.chain(700_002);
    let operation = |domain: u32, target: Address| ReadOperation {
        domain,
        target,
        callData: alloy::sol_types::SolCall::abi_encode(&MerkleTreeHook::countCall {}).into(),
    };
    let reads = [
        operation(700_001, system.chain(700_001).1.contracts.merkle_tree_hook),
        operation(700_002, other.contracts.merkle_tree_hook),
        operation(700_002, Address::repeat_byte(9)),
    ];
    let with_reads = system.dispatch(Tier::Instant, &reads, b"reads");
    eventually("delivery with reads", async || system.is_delivered(with_reads)).await;

    for id in ids.iter().chain([&with_reads]) {
        eventually("confirmation", async || system.is_confirmed(*id)).await;
    }

    // Both signers have delivered, each on its own nonces.
    for signer in [7, 17] {
        assert!(system.chain(700_002).0.nonce(address_of(signer)) > 0, "signer {signer} idled");
    }
    // Programs have a year left, which the keeper found out.
    let left = metric(relayer.admin().unwrap(), "metalayer_program_seconds_left").await;
    assert!(left > 300.0 * 86_400.0, "{left}");
    let base = format!("http://{}", relayer.address());
    let page = reqwest::get(&base).await.unwrap().text().await.unwrap();
    assert!(page.contains("<h1>Relayer</h1>") && page.contains("<td>done<td>"), "{page}");
    let status: relayer::status::Status =
        reqwest::get(format!("{base}/status")).await.unwrap().json().await.unwrap();
    let done = status.counts.iter().filter(|count| count.state == "done");
    assert!(done.map(|count| count.messages).sum::<u64>() >= 41, "{:?}", status.counts);
    assert!(status.parked.is_empty() && status.contradictions.is_empty());
    let unknown = reqwest::get(format!("{base}/messages/{}", B256::ZERO)).await.unwrap();
    assert_eq!(unknown.status(), 404);

    // Ten months later nobody has touched the programs but the keeper.
    relayer.stop().await.unwrap();
    const DAY: u64 = 86_400;
    let (chain, manifest) = system.chain(700_002);
    let programs = manifest.programs.values().filter_map(|program| program.addresses.first());
    let programs: Vec<Address> = programs.copied().collect();
    let least = || {
        let left = |program: &Address| {
            view(&chain, ARB_WASM, &ArbWasm::programTimeLeftCall { program: *program })
        };
        programs.iter().map(left).min().unwrap()
    };
    let head = chain.head().number();
    chain.increase_time(300 * DAY);
    // The keeper looks at the newest block, once an hour.
    eventually("a block of that time", async || chain.head().number() > head + 1).await;
    eventually("ten months", async || least() < 90 * DAY).await;
    // At first its node cannot tell: it is asked again within seconds, not after an hour.
    let message = "missing trie node".to_owned();
    let fault = FaultRule::new(&["eth_call"], Fault::Error { code: -32_000, message }).times(8);
    system.devnet.chain(700_002).unwrap().set_fault(fault);
    let _relayer = system.relayer().await;
    eventually("another year for every program", async || least() > 300 * DAY).await;
}
