//! What the reference of the intent protocol computed.

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use protocol::{
    abi::{inbox, intent_source, prover},
    create2,
    erc7683::{
        self, FillerData, GaslessCrossChainOrder, OnchainCrossChainOrder, OrderData, OriginData,
        Output, ResolvedCrossChainOrder,
    },
    ids::{ChainId, Claimant, IntentHash, RewardHash, RouteHash},
    intent::{Call, Intent, Reward, Route, TokenAmount, hash_route_bytes, intent_hash},
    proof::{self, Proof, ProverData},
};
use serde_json::Value;

use crate::vectors::Field;

fn tokens(of: &Value) -> Vec<TokenAmount> {
    let token =
        |leg: &Value| TokenAmount { token: leg.address("token"), amount: leg.uint("amount") };
    of.list("tokens").iter().map(token).collect()
}

fn route(of: &Value) -> Route {
    let call = |call: &Value| Call {
        target: call.address("target"),
        data: call.bytes("data"),
        value: call.uint("value"),
    };
    Route {
        salt: of.word("salt"),
        deadline: of.number("deadline"),
        portal: of.address("portal"),
        nativeAmount: of.uint("nativeAmount"),
        tokens: tokens(of),
        calls: of.list("calls").iter().map(call).collect(),
    }
}

fn reward(of: &Value) -> Reward {
    Reward {
        deadline: of.number("deadline"),
        creator: of.address("creator"),
        prover: of.address("prover"),
        nativeAmount: of.uint("nativeAmount"),
        tokens: tokens(of),
    }
}

fn outputs(list: &[Value]) -> Vec<Output> {
    let output = |of: &Value| Output {
        token: of.word("token"),
        amount: of.uint("amount"),
        recipient: of.word("recipient"),
        chainId: of.uint("chainId"),
    };
    list.iter().map(output).collect()
}

/// Hash, reward and vault, which hold whatever the route is.
fn identity(case: &Value, file: &Value, route: RouteHash) {
    let reward = reward(&case["reward"]);
    assert_eq!(reward.abi_encode(), case.bytes("encodedReward"));
    assert_eq!(reward.encode(), case.bytes("encodedReward"));
    assert_eq!(reward.hash(), RewardHash(case.word("rewardHash")));
    assert_eq!(route, RouteHash(case.word("routeHash")));
    let destination = ChainId(case.number("destination"));
    let intent = intent_hash(destination, route, reward.hash());
    assert_eq!(intent, IntentHash(case.word("intentHash")));
    let source = &file["deployment"]["src"];
    let init_code_hash = source.word("proxyInitCodeHash");
    let vault = create2::vault(source.address("portal"), intent, init_code_hash);
    assert_eq!(vault, case.address("vault"));
}

pub(crate) fn intent(case: &Value, file: &Value) {
    let intent = Intent {
        destination: case.number("destination"),
        route: route(&case["route"]),
        reward: reward(&case["reward"]),
    };
    assert_eq!(intent.route.abi_encode(), case.bytes("encodedRoute"));
    assert_eq!(intent.route.encode(), case.bytes("encodedRoute"));
    identity(case, file, intent.route.hash());
    assert_eq!(intent.hash(), IntentHash(case.word("intentHash")));
    if case["publishCalldata"].is_string() {
        let call = intent_source::publish_0Call { intent };
        assert_eq!(call.abi_encode(), case.bytes("publishCalldata"));
    }
}

pub(crate) fn universal_intent(case: &Value, file: &Value) {
    identity(case, file, hash_route_bytes(&case.bytes("routeBytes")));
}

pub(crate) fn proof(case: &Value, _: &Value) {
    let words = |key: &str| -> Vec<B256> {
        case.list(key).iter().map(|word| word.as_str().unwrap().parse().unwrap()).collect()
    };
    let proofs: Vec<Proof> = words("intentHashes")
        .into_iter()
        .zip(words("claimants"))
        .map(|(intent, claimant)| Proof { intent: intent.into(), claimant: Claimant(claimant) })
        .collect();
    let chain = ChainId(case.number("destinationChainId"));
    let payload = proof::encode(chain, proofs.clone());
    assert_eq!(payload, case.bytes("encodedProofs"));
    assert_eq!(payload, case.bytes("wireMessage"));
    assert_eq!(proof::decode(&payload), Ok((chain, proofs)));
    let fields = &case["proverDataFields"];
    let data = ProverData {
        sourceChainProver: fields.word("sourceChainProver"),
        gasLimit: fields.uint("gasLimitRequested"),
    };
    assert_eq!(data.abi_encode(), case.bytes("proverData"));
    let call = inbox::proveCall::abi_decode(&case.bytes("proveCalldata")).unwrap();
    assert_eq!(call.data, case.bytes("proverData"));
    let call = prover::proveCall::abi_decode(&case.bytes("calldataInboxToProver")).unwrap();
    assert_eq!(call.encodedProofs, payload);
}

pub(crate) fn constants(case: &Value, _: &Value) {
    assert_eq!(erc7683::ORDER_DATA_TYPEHASH, case.word("ORDER_DATA_TYPEHASH"));
    assert_eq!(keccak256(case.text("ORDER_DATA_TYPE")), erc7683::ORDER_DATA_TYPEHASH);
    assert_eq!(
        erc7683::GASLESS_CROSSCHAIN_ORDER_TYPEHASH,
        case.word("GASLESS_CROSSCHAIN_ORDER_TYPEHASH")
    );
    assert_eq!(
        keccak256(case.text("GASLESS_CROSSCHAIN_ORDER_TYPE")),
        erc7683::GASLESS_CROSSCHAIN_ORDER_TYPEHASH
    );
    let domain = &case["eip712Domain"];
    assert_eq!(domain.text("name"), erc7683::DOMAIN_NAME);
    assert_eq!(domain.text("version"), erc7683::DOMAIN_VERSION);
    let settler = domain.address("srcVerifyingContract");
    assert_eq!(
        erc7683::domain_separator(domain.number("srcChainId"), settler),
        domain.word("srcDomainSeparator")
    );
}

fn order_data(case: &Value) -> OrderData {
    let fields = &case["orderDataFields"];
    OrderData {
        destination: fields.number("destination"),
        route: fields.bytes("route"),
        reward: reward(&fields["reward"]),
        routePortal: fields.word("routePortal"),
        routeDeadline: fields.number("routeDeadline"),
        maxSpent: outputs(fields.list("maxSpent")),
    }
}

fn resolves(data: &OrderData, expected: &Value, chain: u64) -> ResolvedCrossChainOrder {
    let resolved = erc7683::resolve(data, expected.number("openDeadline") as u32, chain);
    assert_eq!(resolved.user, expected.address("user"));
    assert_eq!(resolved.originChainId, expected.uint("originChainId"));
    assert_eq!(resolved.fillDeadline as u64, expected.number("fillDeadline"));
    assert_eq!(resolved.orderId, expected.word("orderId"));
    assert_eq!(resolved.maxSpent, outputs(expected.list("maxSpent")));
    assert_eq!(resolved.minReceived, outputs(expected.list("minReceived")));
    let [instruction] = &resolved.fillInstructions[..] else { panic!("one instruction") };
    let [expected] = expected.list("fillInstructions") else { panic!("one instruction") };
    assert_eq!(instruction.destinationChainId, expected.uint("destinationChainId"));
    assert_eq!(instruction.destinationSettler, expected.word("destinationSettler"));
    assert_eq!(instruction.originData, expected.bytes("originData"));
    resolved
}

pub(crate) fn onchain_order(case: &Value, file: &Value) {
    let data = order_data(case);
    assert_eq!(data.abi_encode(), case.bytes("orderData"));
    assert_eq!(OrderData::abi_decode_validate(&case.bytes("orderData")).as_ref(), Ok(&data));
    let chain = file["deployment"]["src"].number("chainId");
    let resolved = resolves(&data, &case["resolvedFromOpenEvent"], chain);
    assert_eq!(resolved.abi_encode(), case["openEvent"].bytes("data"));
    let order = OnchainCrossChainOrder {
        fillDeadline: case["order"].number("fillDeadline") as u32,
        orderDataType: case["order"].word("orderDataType"),
        orderData: case.bytes("orderData"),
    };
    let call = intent_source::openCall { order };
    assert_eq!(call.abi_encode(), case.bytes("openCalldata"));
}

pub(crate) fn gasless_order(case: &Value, _: &Value) {
    let of = &case["order"];
    let order = GaslessCrossChainOrder {
        originSettler: of.address("originSettler"),
        user: of.address("user"),
        nonce: of.uint("nonce"),
        originChainId: of.uint("originChainId"),
        openDeadline: of.number("openDeadline") as u32,
        fillDeadline: of.number("fillDeadline") as u32,
        orderDataType: of.word("orderDataType"),
        orderData: of.bytes("orderData"),
    };
    assert_eq!(erc7683::struct_hash(&order), case.word("structHash"));
    let chain = order.originChainId.to();
    let digest = erc7683::digest(&order, chain, order.originSettler);
    assert_eq!(digest, case.word("digest"));
    let signature = case.bytes("signature").to_vec().try_into().unwrap();
    let signer: Option<Address> = protocol::multisig::recover(digest, &signature);
    assert_eq!(signer, Some(case.address("signer")));
    let data = order_data(case);
    assert_eq!(data.abi_encode(), order.orderData);
    let resolved = resolves(&data, &case["resolved"], chain);
    assert_eq!(resolved.abi_encode(), case["openEvent"].bytes("data"));
}

pub(crate) fn fill(case: &Value, _: &Value) {
    let fields = &case["fillerDataFields"];
    let data = FillerData {
        prover: fields.address("prover"),
        source: fields.number("source"),
        claimant: fields.word("claimant"),
        proverData: fields.bytes("proverData"),
    };
    assert_eq!(data.abi_encode_params(), case.bytes("fillerData"));
    let origin = OriginData::abi_decode_params_validate(&case.bytes("originData")).unwrap();
    assert_eq!(erc7683::origin_data(origin.route, origin.rewardHash), case.bytes("originData"));
}
