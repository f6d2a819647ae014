//! Arbitrum's other system contracts.

use alloy::{
    primitives::{Address, B256, Bytes, U256, address, keccak256},
    sol,
    sol_types::{SolCall, SolEvent},
};
use devnet::{
    Transact,
    arbos::{ARB_GAS_INFO, ARB_INFO, ARB_OWNER_PUBLIC, ARB_SYS, ARB_WASM, NODE_INTERFACE},
};

use super::{
    evm,
    world::{FORWARD, STORE, USER, World, to, words},
};

sol! {
    function arbBlockNumber() view returns (uint256);
    function arbBlockHash(uint256 arbBlockNum) view returns (bytes32);
    function arbChainID() view returns (uint256);
    function arbOSVersion() view returns (uint256);
    function isTopLevelCall() view returns (bool);
    function myCallersAddressWithoutAliasing() view returns (address);
    function mapL1SenderContractAddressToL2Alias(address sender, address unused) pure returns (address);
    function withdrawEth(address destination) payable returns (uint256);
    function sendTxToL1(address destination, bytes data) payable returns (uint256);
    function sendMerkleTreeState() view returns (uint256 size, bytes32 root, bytes32[] partials);
    event L2ToL1Tx(address caller, address indexed destination, uint256 indexed hash, uint256 indexed position, uint256 arbBlockNum, uint256 ethBlockNum, uint256 timestamp, uint256 callvalue, bytes data);

    function getBalance(address account) view returns (uint256);
    function getCode(address account) view returns (bytes);
    function getNetworkFeeAccount() view returns (address);
    function isChainOwner(address addr) view returns (bool);
    function getMinimumGasPrice() view returns (uint256);
    function getL1BaseFeeEstimate() view returns (uint256);
    function gasEstimateComponents(address to, bool contractCreation, bytes data) payable returns (uint64 gasEstimate, uint64 gasEstimateForL1, uint256 baseFee, uint256 l1BaseFeeEstimate);
    function gasEstimateL1Component(address to, bool contractCreation, bytes data) payable returns (uint64 gasEstimateForL1, uint256 baseFee, uint256 l1BaseFeeEstimate);

    function stylusVersion() view returns (uint16);
    function inkPrice() view returns (uint32);
    function maxStackDepth() view returns (uint32);
    function freePages() view returns (uint16);
    function pageGas() view returns (uint16);
    function pageLimit() view returns (uint16);
    function expiryDays() view returns (uint16);
    function keepaliveDays() view returns (uint16);
    function blockCacheSize() view returns (uint16);
}

fn ask<C: SolCall>(world: &World, contract: Address, call: C) -> C::Return {
    C::abi_decode_returns(&world.output(contract, call.abi_encode())).unwrap()
}

#[test]
fn arb_sys_knows_the_chain() {
    let world = World::new();
    world.chain.mine(5).unwrap();
    let head = world.chain.head();
    let number = head.header.number;
    assert_eq!(ask(&world, ARB_SYS, arbChainIDCall {}), U256::from(700_001));
    assert_eq!(ask(&world, ARB_SYS, arbOSVersionCall {}), U256::from(55 + 60));
    assert_eq!(ask(&world, ARB_SYS, arbBlockNumberCall {}), U256::from(number + 1));
    let hash = |number: u64| arbBlockHashCall { arbBlockNum: U256::from(number) };
    assert_eq!(ask(&world, ARB_SYS, hash(number)), head.hash);
    assert!(!world.call(ARB_SYS, hash(number + 5).abi_encode()).success);
}

#[test]
fn arb_sys_knows_who_calls() {
    let world = World::new();
    let (program, contract) = (world.program(FORWARD), world.contract(&evm::FORWARD));
    let top = isTopLevelCallCall {}.abi_encode();
    let caller = myCallersAddressWithoutAliasingCall {}.abi_encode();
    assert_eq!(world.word(ARB_SYS, &top), U256::from(1));
    for outer in [program, contract] {
        let once = [to(ARB_SYS), top.clone()].concat();
        assert_eq!(world.word(outer, &once), U256::from(1));
        assert_eq!(world.word(program, [to(contract), once].concat()), U256::ZERO);
        let who = [to(ARB_SYS), caller.clone()].concat();
        assert_eq!(world.output(outer, &who), to(USER));
    }
    let who = [to(contract), to(ARB_SYS), caller].concat();
    assert_eq!(world.output(program, who), to(program));
}

#[test]
fn addresses_of_the_parent_chain_are_shifted() {
    let world = World::new();
    let alias = mapL1SenderContractAddressToL2AliasCall {
        sender: address!("ffffffffffffffffffffffffffffffffffffffff"),
        unused: Address::ZERO,
    };
    assert_eq!(ask(&world, ARB_SYS, alias), address!("1111000000000000000000000000000000001110"));
}

#[test]
fn messages_to_the_parent_chain_are_counted_and_leave_with_their_value() {
    let world = World::new();
    let destination = Address::repeat_byte(0xde);
    for position in 0..5u64 {
        let data = Bytes::from(vec![position as u8; 40]);
        let call = sendTxToL1Call { destination, data: data.clone() }.abi_encode();
        let tx = Transact::call(USER, ARB_SYS, call).value(U256::from(9));
        let receipt = world.transact(tx);
        assert_eq!(receipt.output, words([position]));
        let log = receipt.logs.last().unwrap();
        let event = L2ToL1Tx::decode_log_data(&log.data).unwrap();
        assert_eq!((event.caller, event.destination, &event.data), (USER, destination, &data));
        assert_eq!((event.position, event.callvalue), (U256::from(position), U256::from(9)));
        assert_eq!(world.chain.balance(ARB_SYS), U256::ZERO, "the value has left");
    }
    let withdraw = withdrawEthCall { destination }.abi_encode();
    let tx = Transact::call(USER, ARB_SYS, withdraw).value(U256::from(1));
    assert_eq!(world.transact(tx).output, words([5]));
}

#[test]
fn the_tree_of_messages_grows_by_its_leaves() {
    let world = World::new();
    let state = || {
        let data = sendMerkleTreeStateCall {}.abi_encode();
        let call = Transact::call(Address::ZERO, ARB_SYS, data);
        let output = world.simulate(call).output;
        sendMerkleTreeStateCall::abi_decode_returns(&output).unwrap()
    };
    assert_eq!((state().size, state().root), (U256::ZERO, B256::ZERO));
    let mut leaves = Vec::new();
    for _ in 0..3 {
        let call = withdrawEthCall { destination: USER }.abi_encode();
        let receipt = world.send(ARB_SYS, call);
        let log = receipt.logs.last().unwrap();
        let hash: B256 = L2ToL1Tx::decode_log_data(&log.data).unwrap().hash.into();
        leaves.push(keccak256(hash));
    }
    let node = |left: B256, right: B256| keccak256([left, right].concat());
    let left = node(leaves[0], leaves[1]);
    let state = state();
    assert_eq!(state.size, U256::from(3));
    assert_eq!(state.partials, [leaves[2], left]);
    assert_eq!(state.root, node(left, node(leaves[2], B256::ZERO)));
    assert!(!world.call(ARB_SYS, sendMerkleTreeStateCall {}.abi_encode()).success);
}

#[test]
fn parameters_are_those_of_arbos_60() {
    let world = World::new();
    assert_eq!(ask(&world, ARB_WASM, stylusVersionCall {}), 2);
    assert_eq!(ask(&world, ARB_WASM, inkPriceCall {}), 10_000);
    assert_eq!(ask(&world, ARB_WASM, maxStackDepthCall {}), 22_000);
    assert_eq!(ask(&world, ARB_WASM, freePagesCall {}), 2);
    assert_eq!(ask(&world, ARB_WASM, pageGasCall {}), 1_000);
    assert_eq!(ask(&world, ARB_WASM, pageLimitCall {}), 128);
    assert_eq!(ask(&world, ARB_WASM, expiryDaysCall {}), 365);
    assert_eq!(ask(&world, ARB_WASM, keepaliveDaysCall {}), 31);
    assert_eq!(ask(&world, ARB_WASM, blockCacheSizeCall {}), 32);
}

#[test]
fn information_contracts_answer() {
    let world = World::new();
    let balance = getBalanceCall { account: USER };
    assert_eq!(ask(&world, ARB_INFO, balance), world.chain.balance(USER));
    let echo = world.contract(&evm::ECHO);
    assert_eq!(ask(&world, ARB_INFO, getCodeCall { account: echo })[..], evm::ECHO);
    let coinbase = Address::repeat_byte(0xc0);
    world.chain.set_coinbase(coinbase);
    assert_eq!(ask(&world, ARB_OWNER_PUBLIC, getNetworkFeeAccountCall {}), coinbase);
    assert!(!ask(&world, ARB_OWNER_PUBLIC, isChainOwnerCall { addr: USER }));
    let base_fee = U256::from(world.chain.config().base_fee);
    assert_eq!(ask(&world, ARB_GAS_INFO, getMinimumGasPriceCall {}), base_fee);
    assert_eq!(ask(&world, ARB_GAS_INFO, getL1BaseFeeEstimateCall {}), U256::ZERO);
}

#[test]
fn unknown_functions_unwanted_value_and_little_gas_fail() {
    let world = World::new();
    assert!(!world.call(ARB_SYS, [1, 2, 3, 4]).success);
    assert!(!world.call(ARB_SYS, []).success);
    let data = arbChainIDCall {}.abi_encode();
    let paid = Transact::call(USER, ARB_SYS, data.clone()).value(U256::from(1));
    assert!(!world.simulate(paid).success);
    let poor = Transact { gas: Some(21_500), ..Transact::call(USER, ARB_SYS, data) };
    assert!(!world.simulate(poor).success);
}

#[test]
fn system_contracts_have_code_that_does_not_run() {
    let world = World::new();
    for contract in [ARB_SYS, ARB_INFO, ARB_OWNER_PUBLIC, ARB_GAS_INFO, ARB_WASM] {
        assert_eq!(world.chain.code(contract)[..], [0xfe]);
    }
}

#[test]
fn the_node_estimates_gas_in_calls_only() {
    let world = World::new();
    let store = world.program(STORE);
    let data = Bytes::from(words([1, 1]));
    let ask = |to: Address, creation: bool, data: &Bytes| gasEstimateComponentsCall {
        to,
        contractCreation: creation,
        data: data.clone(),
    };
    let output = world.output(NODE_INTERFACE, ask(store, false, &data).abi_encode());
    let estimate = gasEstimateComponentsCall::abi_decode_returns(&output).unwrap();
    assert_eq!(estimate.gasEstimateForL1, 0);
    let limited = |gas: u64| {
        let call = Transact::call(USER, store, data.clone());
        world.transact(Transact { gas: Some(gas), ..call }).success
    };
    assert!(!limited(estimate.gasEstimate * 9 / 10));
    assert!(limited(estimate.gasEstimate));
    let creation = ask(Address::ZERO, true, &devnet::init_code(&evm::ECHO)).abi_encode();
    assert!(world.call(NODE_INTERFACE, creation).success);
    let echo = world.contract(&evm::REVERT);
    let outcome = world.call(NODE_INTERFACE, ask(echo, false, &data).abi_encode());
    assert!(!outcome.success && outcome.output == data);
    let l1 = gasEstimateL1ComponentCall { to: store, contractCreation: false, data };
    assert!(world.call(NODE_INTERFACE, l1.abi_encode()).success);
    // In a transaction there is nothing at this address.
    let receipt = world.send(NODE_INTERFACE, gasEstimateComponentsCall::SELECTOR);
    assert!(receipt.success && receipt.output.is_empty());
}
