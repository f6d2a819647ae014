//! Hyperlane's published bytecode decides as its vectors say, so our metadata codecs are checked against the real modules.

use std::{collections::BTreeMap, fs, path::PathBuf};

use alloy::{
    primitives::{Address, Bytes, U256, aliases::U96, bytes},
    sol,
    sol_types::SolValue,
};
use contract_tests::messaging::{Network, OWNER, STRANGER, Side};
use deploy::hyperlane::Contract;
use protocol::{abi::hyperlane::InterchainSecurityModule, create2};
use serde_json::Value;

/// The vector files: the project's own, or those of `VECTORS_DIR`.
fn files() -> Vec<Value> {
    let folder = std::env::var_os("VECTORS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/protocol/vectors")),
        PathBuf::from,
    );
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names
        .filter(|name| name.extension().is_some_and(|extension| extension == "json"))
        .map(|name| serde_json::from_slice(&fs::read(name).unwrap()).unwrap())
        .collect()
}

sol! {
    interface Package {
        struct ValidatorInfo { address signingAddress; uint96 weight; }
        function deploy(ValidatorInfo[] _validators, uint96 _thresholdWeight) external returns (address);
        function deploy(address _owner, uint32[] _domains, address[] _modules) external returns (address);
        function initialize(address _owner, address[] _validators, uint8 _threshold) external;
        function setValidatorsAndThreshold(address[] _validators, uint8 _threshold) external;
        function pause() external;
    }
}

/// The domain that the vectors' messages come from.
const ORIGIN: u32 = 31_337;
/// Says no to everything.
const NAYSAYER: Address = Address::repeat_byte(0x4e);

/// Every module of the vectors, made as they say.
struct Modules<'a> {
    side: &'a Side,
    by_name: BTreeMap<&'static str, Address>,
    pausable: Address,
}

impl<'a> Modules<'a> {
    fn new(side: &'a Side, keys: &[Address]) -> Self {
        let message_id = side.multisig(keys, 2);
        let merkle_root = side.static_set(side.merkle_root_factory, keys, 2);
        let pausable = side.create(Contract::PausableIsm, &OWNER.abi_encode());
        let both = side.aggregation(&[message_id, pausable], 2);
        side.chain.set_code(NAYSAYER, bytes!("5f5f5260205ff3")).unwrap();
        let by_name = BTreeMap::from([
            ("MESSAGE_ID 2/3", message_id),
            ("MESSAGE_ID 3/3", side.multisig(keys, 3)),
            ("MESSAGE_ID 1/1 (v2)", side.multisig(&keys[1..2], 1)),
            ("MERKLE_ROOT 2/3", merkle_root),
            (
                "AGGREGATION 1/2 [MESSAGE_ID, MERKLE_ROOT]",
                side.aggregation(&[message_id, merkle_root], 1),
            ),
            ("AGGREGATION 2/2 [MESSAGE_ID 2/3, PAUSABLE]", both),
            ("AGGREGATION 1/1 [TestIsm=false]", side.aggregation(&[NAYSAYER], 1)),
            ("ROUTING(origin 31337 -> AGGREGATION)", routing(side, both)),
            ("STORAGE MESSAGE_ID 2/3", stored(side, keys)),
            ("STORAGE MESSAGE_ID rotated to 1/1 [v3]", rotated(side, keys)),
            ("WEIGHTED_MESSAGE_ID [5e9,3e9,2e9] threshold 7e9", weighted(side, keys)),
        ]);
        Self { side, by_name, pausable }
    }

    fn accepts(&self, case: &Value) -> bool {
        let module = self.by_name[case["ism"].as_str().unwrap()];
        if case["name"] == "paused" {
            self.side.own(self.pausable, &Package::pauseCall {});
        }
        let bytes = |key: &str| case[key].as_str().unwrap().parse::<Bytes>().unwrap();
        let call = InterchainSecurityModule::verifyCall {
            _metadata: bytes("metadata"),
            _message: bytes("message"),
        };
        let outcome = self.side.ask(STRANGER, module, &call);
        outcome.success && outcome.answer::<InterchainSecurityModule::verifyCall>()
    }
}

fn routing(side: &Side, module: Address) -> Address {
    let factory = side.create(Contract::DomainRoutingIsmFactory, &[]);
    let call =
        Package::deploy_1Call { _owner: OWNER, _domains: vec![ORIGIN], _modules: vec![module] };
    side.send(OWNER, factory, &call).answer::<Package::deploy_1Call>()
}

/// A set in storage, behind a proxy as it is meant to be.
fn stored(side: &Side, keys: &[Address]) -> Address {
    let admin = side.create(Contract::ProxyAdmin, &[]);
    let nobody = (Vec::<Address>::new(), U256::ZERO).abi_encode_params();
    let initialize =
        Package::initializeCall { _owner: OWNER, _validators: keys.to_vec(), _threshold: 2 };
    side.create_proxy(Contract::StorageMessageIdMultisigIsm, nobody, admin, &initialize)
}

fn rotated(side: &Side, keys: &[Address]) -> Address {
    let module = stored(side, keys);
    let rotate =
        Package::setValidatorsAndThresholdCall { _validators: keys[2..].to_vec(), _threshold: 1 };
    side.own(module, &rotate);
    module
}

fn weighted(side: &Side, keys: &[Address]) -> Address {
    let factory = side.create(Contract::StaticMessageIdWeightedMultisigIsmFactory, &[]);
    let validators = keys.iter().zip([5_000_000_000_u64, 3_000_000_000, 2_000_000_000]);
    let call = Package::deploy_0Call {
        _validators: validators
            .map(|(key, weight)| Package::ValidatorInfo {
                signingAddress: *key,
                weight: U96::from(weight),
            })
            .collect(),
        _thresholdWeight: U96::from(7_000_000_000_u64),
    };
    side.send(OWNER, factory, &call).answer::<Package::deploy_0Call>()
}

#[test]
fn accepted_and_rejected_metadata_are_so_by_the_published_code() {
    let net = Network::new();
    let mut cases = 0;
    for file in files().iter().filter(|file| file["ismVerify"].is_array()) {
        let keys: Vec<Address> = file["meta"]["validators"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["address"].as_str().unwrap().parse().unwrap())
            .collect();
        let modules = Modules::new(&net.b, &keys);
        for case in file["ismVerify"].as_array().unwrap() {
            let wanted = case["result"] == "true";
            assert_eq!(modules.accepts(case), wanted, "{}: {}", case["ism"], case["name"]);
            cases += 1;
        }
    }
    assert!(cases >= 42 || std::env::var_os("VECTORS_DIR").is_some(), "{cases} cases replayed");
}

#[test]
fn the_address_of_a_static_set_is_known_before_it_exists() {
    let net = Network::new();
    let values = [STRANGER, Address::repeat_byte(7)];
    let factory = net.a.message_id_factory;
    let implementation = net.a.view(
        factory,
        &protocol::abi::hyperlane::StaticThresholdAddressSetFactory::implementationCall {},
    );
    let predicted = create2::static_set(factory, implementation, &values, 2);
    assert_eq!(net.a.multisig(&values, 2), predicted);
}
