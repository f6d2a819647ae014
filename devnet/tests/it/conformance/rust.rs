//! Programs written in Rust with the Stylus SDK, among contracts of the Solidity compiler.

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex},
    sol,
    sol_types::{SolCall, SolError, SolEvent, SolValue},
};
use devnet::{Transact, init_code};
use stylus_program::{Program, Programs};

use super::world::{USER, World, to};
use crate::tools;

sol! {
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct CallResult { bool success; bytes returnData; }

    interface Token {
        function decimals() view returns (uint8);
        function totalSupply() view returns (uint256);
        function balanceOf(address account) view returns (uint256);
        function allowance(address owner, address spender) view returns (uint256);
        function mint(address to, uint256 amount);
        function approve(address spender, uint256 amount) returns (bool);
        function transfer(address to, uint256 amount) returns (bool);
        function transferFrom(address from, address to, uint256 amount) returns (bool);
        event Transfer(address indexed from, address indexed to, uint256 value);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    }

    interface Multicall {
        function aggregate3(Call3[] calls) payable returns (CallResult[] results);
        error CallFailed(uint256 index, bytes reason);
    }

    interface Deployer {
        function deploy(bytes bytecode, bytes initData, uint256 initValue, bytes32 salt) payable returns (address);
        event ContractDeployed(address deployedContract);
        error ContractDeploymentError(bytes bytecode);
        error ContractInitializationError(address newContract, bytes data);
    }

    function borrow(address program, bytes data) payable returns (bytes);
    error Failed(address to, bytes reason);
}

/// keccak256("stylus_constructor()"), first four bytes.
const CONSTRUCTOR: [u8; 4] = hex!("5585258d");
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

fn program(name: &str) -> Program {
    Programs::load_or_build().unwrap().get(name).unwrap().clone()
}

fn put(world: &World, name: &str) -> Address {
    world.chain.deploy_program(&program(name).code).unwrap()
}

fn solidity(world: &World, name: &str) -> Address {
    let compiled = tools::compile("Nesting.sol");
    let code = hex::decode(compiled[name]["bytecode"].as_str().unwrap()).unwrap();
    world.transact(Transact::create(USER, code)).contract_address.unwrap()
}

fn number(number: u64) -> U256 {
    U256::from(number)
}

fn construction(decimals: u64) -> Bytes {
    [&CONSTRUCTOR[..], &number(decimals).abi_encode()].concat().into()
}

/// A deployment of the token through the deployer, with an ether for its activation.
fn deployment(deployer: Address, init_data: Bytes, salt: u8) -> Transact {
    let call = Deployer::deployCall {
        bytecode: init_code(&program("test-token").code),
        initData: init_data,
        initValue: U256::ZERO,
        salt: B256::repeat_byte(salt),
    };
    let ether = number(10).pow(number(18));
    Transact::call(USER, deployer, call.abi_encode()).value(ether)
}

/// A token with six decimals, of which the user has a thousand.
fn token(world: &World) -> Address {
    let token = put(world, "test-token");
    assert!(world.send(token, construction(6)).success);
    let mint = Token::mintCall { to: USER, amount: number(1_000) };
    assert!(world.send(token, mint.abi_encode()).success);
    token
}

fn balance(world: &World, token: Address, account: Address) -> U256 {
    world.word(token, Token::balanceOfCall { account }.abi_encode())
}

#[test]
fn the_deployer_creates_activates_and_constructs_a_token_once() {
    let world = World::new();
    let deployer = put(&world, "deployer");
    let before = world.chain.balance(deployer);
    let receipt = world.transact(deployment(deployer, construction(9), 1));
    assert!(receipt.success, "{receipt:?}");
    let deployed = receipt.logs.iter().find(|log| log.address == deployer).unwrap();
    let token = Deployer::ContractDeployed::decode_log(deployed).unwrap().deployedContract;
    assert_eq!(Address::abi_decode(&receipt.output).unwrap(), token);
    assert_eq!(world.word(token, Token::decimalsCall {}.abi_encode()), number(9));
    assert_eq!(world.chain.balance(deployer), before, "the excess went back");
    // Nobody constructs it again, and nothing else comes to its address.
    let again = world.send(token, construction(8));
    assert!(!again.success && again.output.is_empty());
    let again = world.transact(deployment(deployer, construction(9), 1));
    assert!(!again.success);
    assert!(Deployer::ContractDeploymentError::abi_decode(&again.output).is_ok());
    // Arguments that do not decode undo the deployment.
    let failed = world.transact(deployment(deployer, CONSTRUCTOR.into(), 2));
    let error = Deployer::ContractInitializationError::abi_decode(&failed.output).unwrap();
    assert!(world.chain.code(error.newContract).is_empty() && error.data.is_empty());
}

#[test]
fn the_token_moves_and_refuses_as_erc20_says() {
    let world = World::new();
    let token = token(&world);
    let transfer = Token::transferCall { to: ALICE, amount: number(300) };
    let receipt = world.send(token, transfer.abi_encode());
    assert!(receipt.success && bool::abi_decode(&receipt.output).unwrap());
    let log = Token::Transfer::decode_log(&receipt.logs[0]).unwrap();
    assert_eq!((log.from, log.to, log.value), (USER, ALICE, number(300)));
    assert_eq!(
        (balance(&world, token, USER), balance(&world, token, ALICE)),
        (number(700), number(300))
    );
    assert_eq!(world.word(token, Token::totalSupplyCall {}.abi_encode()), number(1_000));

    let too_much = Token::transferCall { to: ALICE, amount: number(701) }.abi_encode();
    let refused = world.send(token, &too_much);
    let expected =
        Token::ERC20InsufficientBalance { sender: USER, balance: number(700), needed: number(701) };
    assert!(!refused.success && refused.logs.is_empty());
    assert_eq!(refused.output, expected.abi_encode());

    let spend = |amount| Token::transferFromCall { from: ALICE, to: BOB, amount: number(amount) };
    let approve = Token::approveCall { spender: USER, amount: number(100) }.abi_encode();
    world.chain.set_balance(ALICE, number(10).pow(number(18))).unwrap();
    let approved = world.chain.transact(Transact::call(ALICE, token, approve)).unwrap();
    assert!(approved.success);
    assert!(world.send(token, spend(60).abi_encode()).success);
    let refused = world.send(token, spend(41).abi_encode());
    let expected = Token::ERC20InsufficientAllowance {
        spender: USER,
        allowance: number(40),
        needed: number(41),
    };
    assert_eq!(refused.output, expected.abi_encode());
    let left = Token::allowanceCall { owner: ALICE, spender: USER }.abi_encode();
    assert_eq!(world.word(token, left), number(40));
    assert_eq!(balance(&world, token, BOB), number(60));
}

#[test]
fn a_proxy_and_a_contract_run_the_token_on_their_own_storage() {
    let world = World::new();
    let token = token(&world);
    let (proxy, client) = (world.proxy(token), solidity(&world, "Client"));
    let mint = Bytes::from(Token::mintCall { to: USER, amount: number(5) }.abi_encode());
    let receipt = world.send(proxy, &mint);
    assert!(receipt.success && receipt.logs[0].address == proxy);
    // The proxy's token is constructed apart from the one whose code it runs.
    assert!(world.send(proxy, construction(3)).success);
    let decimals = Token::decimalsCall {}.abi_encode();
    assert_eq!(world.word(proxy, &decimals), number(3));
    assert_eq!(world.word(token, &decimals), number(6));
    let borrowed = world.send(client, borrowCall { program: token, data: mint }.abi_encode());
    assert!(borrowed.success && borrowed.logs[0].address == client);
    let asked = Token::balanceOfCall { account: USER }.abi_encode().into();
    let answer = world.output(client, borrowCall { program: token, data: asked }.abi_encode());
    let answer = borrowCall::abi_decode_returns(&answer).unwrap();
    assert_eq!(U256::abi_decode(&answer).unwrap(), number(5));
    assert_eq!(balance(&world, proxy, USER), number(5));
    assert_eq!(balance(&world, token, USER), number(1_000));
}

/// `data` for `target`, inside of batches and relays that alternate, `depth` frames in all with the
/// target's. The outermost of them is a batch when the depth is odd.
fn nested(
    batch: Address,
    relay: Address,
    target: Address,
    data: Vec<u8>,
    depth: usize,
) -> (Address, Vec<u8>) {
    (1..depth).fold((target, data), |(inner, data), level| match level % 2 {
        1 => (relay, [to(inner), data].concat()),
        _ => {
            let call = Call3 { target: inner, allowFailure: false, callData: data.into() };
            (batch, Multicall::aggregate3Call { calls: vec![call] }.abi_encode())
        }
    })
}

#[test]
fn a_token_is_reached_through_up_to_ten_frames_of_rust_and_solidity() {
    let world = World::new();
    let (token, batch, relay) =
        (token(&world), put(&world, "multicall"), solidity(&world, "Relay"));
    let move_to =
        |amount: u64| Token::transferCall { to: ALICE, amount: number(amount) }.abi_encode();
    // The relay is the token's caller at every depth above one.
    let fund = Token::transferCall { to: relay, amount: number(100) };
    assert!(world.send(token, fund.abi_encode()).success);
    let mut moved = 0;
    for depth in 2..=10 {
        let (outermost, data) = nested(batch, relay, token, move_to(depth as u64), depth);
        let receipt = world.send(outermost, data);
        assert!(receipt.success, "depth {depth}: {receipt:?}");
        moved += depth as u64;
        assert_eq!(balance(&world, token, ALICE), number(moved), "depth {depth}");
        // Each relay logs its call, and the token its transfer.
        assert_eq!(receipt.logs.len(), depth / 2 + 1, "depth {depth}");
    }
    // What the token refuses comes up wrapped by every frame, and nothing is left of the attempt.
    let (outermost, data) = nested(batch, relay, token, move_to(1_000), 5);
    let receipt = world.send(outermost, data);
    assert!(!receipt.success && receipt.logs.is_empty());
    let mut reason = receipt.output;
    for _ in 0..2 {
        let outer = Multicall::CallFailed::abi_decode(&reason).unwrap();
        assert_eq!(outer.index, U256::ZERO);
        reason = Failed::abi_decode(&outer.reason).unwrap().reason;
    }
    let refused = Token::ERC20InsufficientBalance::abi_decode(&reason).unwrap();
    assert_eq!((refused.sender, refused.needed), (relay, number(1_000)));
    assert_eq!(balance(&world, token, ALICE), number(moved));
}

#[test]
fn a_failing_call_of_a_batch_is_undone_alone_when_it_may_fail() {
    let world = World::new();
    let (token, batch) = (token(&world), put(&world, "multicall"));
    let mint = |amount| Token::mintCall { to: batch, amount: number(amount) }.abi_encode().into();
    let spend =
        |amount| Token::transferCall { to: BOB, amount: number(amount) }.abi_encode().into();
    let call =
        |allow_failure, data| Call3 { target: token, allowFailure: allow_failure, callData: data };
    let calls = vec![call(false, mint(10)), call(true, spend(11)), call(false, spend(4))];
    let receipt = world.send(batch, Multicall::aggregate3Call { calls }.abi_encode());
    assert!(receipt.success, "{receipt:?}");
    let results = Multicall::aggregate3Call::abi_decode_returns(&receipt.output).unwrap();
    let succeeded: Vec<_> = results.iter().map(|result| result.success).collect();
    assert_eq!(succeeded, [true, false, true]);
    assert!(Token::ERC20InsufficientBalance::abi_decode(&results[1].returnData).is_ok());
    assert_eq!(
        (balance(&world, token, batch), balance(&world, token, BOB)),
        (number(6), number(4))
    );
}
