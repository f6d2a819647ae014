//! `verify` sees every kind of tampering.

use alloy::{
    primitives::{Address, Bytes, U256, bytes, keccak256},
    sol_types::{SolCall, SolValue},
};
use chain::manifest::{ChainManifest, Manifest, TierName};
use deploy::{Deployment, apply};
use devnet::{Chain, Transact, genesis::DEV_ADDRESSES};
use protocol::{
    abi::{
        hyperlane::{
            DomainGasConfig, GasParam, InterchainGasPaymaster, Mailbox, ProxyAdmin,
            RemoteGasDataConfig, StaticThresholdAddressSetFactory, StorageGasOracle,
        },
        ism, read_ism, router,
    },
    ids::Domain,
};

use crate::world::{DEPLOYER, FIRST, World, name};

const STRANGER: Address = DEV_ADDRESSES[15];
const BETA: u32 = FIRST + 1;
const INSTANT: u8 = 0;
const FINALIZED: u8 = 1;

/// The first chain of a deployment, about to be tampered with.
struct Victim<'a> {
    chain: Chain,
    alpha: &'a ChainManifest,
}

impl Victim<'_> {
    fn send<C: SolCall>(&self, from: Address, to: Address, call: &C) {
        let receipt = self.chain.transact(Transact::call(from, to, call.abi_encode())).unwrap();
        assert!(receipt.success, "{} reverted", C::SIGNATURE);
    }

    /// As the owner, who may do all of it.
    fn owner<C: SolCall>(&self, to: Address, call: &C) {
        self.send(DEPLOYER, to, call);
    }

    fn router<C: SolCall>(&self, call: &C) {
        self.owner(self.alpha.contracts.router, call);
    }

    fn module(&self, tier: TierName) -> Address {
        self.alpha.modules[&Domain(BETA)][&tier].module
    }

    fn set(&self, factory: Address, values: Vec<Address>, threshold: u8) -> Address {
        let deploy =
            StaticThresholdAddressSetFactory::deployCall { _values: values, _threshold: threshold };
        let at = self.chain.call(Transact::call(STRANGER, factory, deploy.abi_encode())).unwrap();
        self.send(STRANGER, factory, &deploy);
        Address::abi_decode(&at.output).unwrap()
    }

    /// A multisig of keys that have nothing to do with the deployment.
    fn strange_module(&self) -> Address {
        let factory = self.alpha.contracts.message_id_multisig_factory;
        self.set(factory, vec![STRANGER, DEV_ADDRESSES[16]], 1)
    }

    fn copy_code(&self, from: Address, to: Address) {
        let code = self.chain.code(from);
        self.chain.set_code(to, code).unwrap();
    }
}

/// A way to tamper, and words of the finding it must lead to.
type Tampering = (&'static str, fn(&Victim<'_>));

const OWNERS: [Tampering; 6] = [
    ("mailbox belongs to the owner", |v| {
        v.owner(v.alpha.contracts.mailbox, &Mailbox::transferOwnershipCall { newOwner: STRANGER });
    }),
    ("gas oracle belongs to the owner", |v| {
        let call = StorageGasOracle::transferOwnershipCall { newOwner: STRANGER };
        v.owner(v.alpha.contracts.gas_oracle, &call);
    }),
    ("router belongs to its owner and is offered to nobody", |v| {
        v.router(&router::transferOwnershipCall { newOwner: STRANGER });
    }),
    ("ism belongs to the owner", |v| {
        let ism = v.alpha.contracts.ism;
        v.owner(ism, &ism::transferOwnershipCall { newOwner: STRANGER });
        v.send(STRANGER, ism, &ism::acceptOwnershipCall {});
    }),
    ("router has its guardian", |v| v.router(&router::setGuardianCall { newGuardian: STRANGER })),
    ("gas payments go to the owner", |v| {
        let call = InterchainGasPaymaster::setBeneficiaryCall { _beneficiary: STRANGER };
        v.owner(v.alpha.contracts.igp, &call);
    }),
];

const CORE: [Tampering; 5] = [
    ("mailbox asks our module by default", |v| {
        let fast = v.module(TierName::Instant);
        v.owner(v.alpha.contracts.mailbox, &Mailbox::setDefaultIsmCall { _module: fast });
    }),
    ("mailbox inserts every message into the tree", |v| {
        let igp = v.alpha.contracts.igp;
        v.owner(v.alpha.contracts.mailbox, &Mailbox::setRequiredHookCall { _hook: igp });
    }),
    ("mailbox sells gas by default", |v| {
        let hook = v.alpha.contracts.merkle_tree_hook;
        v.owner(v.alpha.contracts.mailbox, &Mailbox::setDefaultHookCall { _hook: hook });
    }),
    ("mailbox runs the published code", |v| {
        let contracts = &v.alpha.contracts;
        let upgrade = ProxyAdmin::upgradeCall {
            proxy: contracts.mailbox,
            implementation: contracts.merkle_tree_hook,
        };
        v.owner(contracts.proxy_admin.unwrap(), &upgrade);
    }),
    ("validator announce is there", |v| {
        v.chain.set_code(v.alpha.contracts.validator_announce, Bytes::new()).unwrap();
    }),
];

const MODULES: [Tampering; 6] = [
    ("ism asks beta's Instant validators", |v| {
        let module = v.strange_module();
        let call = ism::setModuleCall { origin: BETA, tier: INSTANT, newModule: module };
        v.owner(v.alpha.contracts.ism, &call);
    }),
    ("ism asks beta's Finalized validators and read-ism for reads", |v| {
        let members = vec![v.strange_module(), v.alpha.contracts.read_ism];
        let module = v.set(v.alpha.contracts.aggregation_factory, members, 1);
        let call = ism::setReadModuleCall { origin: BETA, tier: FINALIZED, newModule: module };
        v.owner(v.alpha.contracts.ism, &call);
    }),
    ("read-ism counts beta's Finalized validators", |v| {
        let module = v.module(TierName::Instant);
        let call = read_ism::setSignersCall { origin: BETA, tier: FINALIZED, module };
        v.owner(v.alpha.contracts.read_ism, &call);
    }),
    ("no validator of beta signs for two tiers", |v| {
        v.copy_code(v.module(TierName::Instant), v.module(TierName::Finalized));
    }),
    ("router is checked by our module", |v| {
        // Answers 1 to everything: a routing module by its own account.
        let impostor = Address::repeat_byte(0x15);
        v.chain.set_code(impostor, bytes!("60015f5260205ff3")).unwrap();
        v.router(&router::setInterchainSecurityModuleCall { module: impostor });
    }),
    ("read-ism names its gateways", |v| {
        let strange = vec!["http://evil.example".to_owned(), "http://evil2.example".to_owned()];
        v.owner(v.alpha.contracts.read_ism, &read_ism::setUrlsCall { newUrls: strange });
    }),
];

const ROUTES: [Tampering; 8] = [
    ("router sends to beta's router", |v| {
        v.router(&router::unenrollRemoteRouterCall { domain: BETA });
    }),
    ("router accepts no other router of beta", |v| {
        let contracts = &v.alpha.contracts;
        for remote in [STRANGER, contracts.router] {
            let remote = remote.into_word();
            v.router(&router::enrollRemoteRouterCall { domain: BETA, remote });
        }
    }),
    ("router knows no domain but those of the deployment", |v| {
        let remote = STRANGER.into_word();
        v.router(&router::enrollRemoteRouterCall { domain: 5, remote });
    }),
    ("router offers beta the tiers that have validators", |v| {
        v.router(&router::setSupportedTiersCall { domain: BETA, tiers: 7 });
    }),
    ("router takes reads of beta", |v| {
        v.router(&router::setReadDomainCall { domain: BETA, readable: false });
    }),
    ("gas oracle knows the price on beta", |v| {
        let zero = RemoteGasDataConfig { remoteDomain: BETA, tokenExchangeRate: 0, gasPrice: 0 };
        let call = StorageGasOracle::setRemoteGasDataConfigsCall { _configs: vec![zero] };
        v.owner(v.alpha.contracts.gas_oracle, &call);
    }),
    ("gas paymaster sells gas on beta", |v| {
        let config = DomainGasConfig {
            gasOracle: v.alpha.contracts.gas_oracle,
            gasOverhead: alloy::primitives::Uint::from(1),
        };
        let entry = GasParam { remoteDomain: BETA, config };
        let call = InterchainGasPaymaster::setDestinationGasConfigsCall { _configs: vec![entry] };
        v.owner(v.alpha.contracts.igp, &call);
    }),
    ("router buys gas from the paymaster", |v| {
        v.router(&router::setIgpCall { paymaster: STRANGER });
    }),
];

const PROGRAMS: [Tampering; 5] = [
    ("router delivers only finalized messages to meta-prover/finalized", |v| {
        let prover = v.alpha.contracts.meta_prover_finalized;
        let call = router::setFinalityPolicyCall { acceptedTiers: 7 };
        v.send(prover, v.alpha.contracts.router, &call);
    }),
    ("meta-prover/finalized maps beta to its own id", |v| {
        // Slot 1 of a MetaProver maps domains to chain ids; byte 21 of slot 2 says that the map has entries.
        let slot = keccak256((U256::from(BETA), U256::from(1)).abi_encode());
        let prover = v.alpha.contracts.meta_prover_finalized;
        v.chain.set_storage(prover, slot.into(), U256::from(1)).unwrap();
        let flag = U256::from(1) << (21 * 8);
        let word = v.chain.storage(prover, U256::from(2));
        v.chain.set_storage(prover, U256::from(2), word | flag).unwrap();
    }),
    ("local-prover is there", |v| {
        v.copy_code(v.alpha.contracts.inbox, v.alpha.contracts.local_prover);
    }),
    ("ism is activated", |v| v.chain.increase_time(366 * 24 * 3600)),
    ("meta-prover/finalized has its tier", |v| {
        // A prover of the other tier under the same code.
        let (from, to) =
            (v.alpha.contracts.meta_prover_instant, v.alpha.contracts.meta_prover_finalized);
        for slot in 0..8 {
            let word = v.chain.storage(from, U256::from(slot));
            v.chain.set_storage(to, U256::from(slot), word).unwrap();
        }
    }),
];

#[tokio::test]
async fn every_kind_of_tampering_is_found() {
    let world = World::new(2).await;
    let manifest: Manifest = apply(world.config(2)).await.unwrap();
    let deployment = Deployment::open(world.config(2)).unwrap();
    let cases = [&OWNERS[..], &CORE, &MODULES, &ROUTES, &PROGRAMS].concat();
    assert!(cases.len() >= 30);
    for (words, tamper) in cases {
        let chain = world.chain(0);
        let snapshot = chain.snapshot();
        tamper(&Victim { chain: chain.clone(), alpha: &manifest.chains[&name(0)] });
        chain.mine(1).unwrap();
        let report = deployment.verify().await.unwrap();
        assert!(
            report.findings.iter().any(|finding| finding.what.contains(words)),
            "{words}: not among\n{report}"
        );
        chain.revert(snapshot).unwrap();
    }
    let report = deployment.verify().await.unwrap();
    assert!(report.is_sound(), "{report}");
}
