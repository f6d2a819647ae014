//! Programs among contracts that the Solidity compiler made.

use alloy::{
    primitives::{Address, Bytes, U256, hex},
    sol,
    sol_types::{SolCall, SolError},
};
use devnet::Transact;

use super::world::{CONTEXT, FORWARD, STORE, USER, World, to, words};
use crate::tools;

sol! {
    function calls(address to) view returns (uint256);
    error Failed(address to, bytes reason);

    function ask(address program, uint256 number) returns (uint256);
    function tryToAsk(address program, uint256 number) returns (bool);
    function borrow(address program, bytes data) payable returns (bytes);
    function last() view returns (uint256);
    function reason() view returns (bytes);
}

/// Answers `ask(uint256)` with the number plus one, and reverts with the number when that is 7.
const ANSWER: &str = "(call $read_args (i32.const 0))
    (if (i32.eq (i32.load8_u (i32.const 35)) (i32.const 7)) (then
        (call $write_result (i32.const 4) (i32.const 32))
        (return (i32.const 1))))
    (i32.store8 (i32.const 35) (i32.add (i32.load8_u (i32.const 35)) (i32.const 1)))
    (call $write_result (i32.const 4) (i32.const 32))
    (i32.const 0)";

/// Deploys a contract of `Nesting.sol`.
fn contract(world: &World, name: &str) -> Address {
    let compiled = tools::compile("Nesting.sol");
    let code = hex::decode(compiled[name]["bytecode"].as_str().unwrap()).unwrap();
    world.transact(Transact::create(USER, code)).contract_address.unwrap()
}

fn send<C: SolCall>(world: &World, to: Address, call: C) -> C::Return {
    let receipt = world.send(to, call.abi_encode());
    assert!(receipt.success, "{receipt:?}");
    C::abi_decode_returns(&receipt.output).unwrap()
}

#[test]
fn ten_levels_alternate_between_solidity_and_programs() {
    let world = World::new();
    let (relay, program) = (contract(&world, "Relay"), world.program(FORWARD));
    let (store, seen) = (world.program(STORE), world.program(CONTEXT));
    let mut path: Vec<u8> =
        (0..9).flat_map(|level| to(if level % 2 == 0 { program } else { relay })).collect();
    path.extend(to(store));
    path.extend(words([4, 40]));
    let receipt = world.send(relay, &path);
    assert!(receipt.success, "{receipt:?}");
    assert_eq!(world.storage(store, 4), U256::from(40));
    // The relay ran at levels 0, 2, 4, 6 and 8 and always called the program.
    assert_eq!(receipt.logs.len(), 5);
    assert_eq!(world.word(relay, callsCall { to: program }.abi_encode()), U256::from(5));
    // Value goes down to the innermost.
    let path = [to(program), to(relay), to(program), to(seen)].concat();
    let outcome = world.simulate(Transact::call(USER, relay, path).value(U256::from(6)));
    assert_eq!(outcome.output, [to(seen), to(program), words([6])].concat());
}

/// Where `Relay` counts the calls of an address: the mapping in slot 0.
fn calls_slot(of: Address) -> U256 {
    alloy::primitives::keccak256([to(of), words([0])].concat()).into()
}

#[test]
fn reasons_of_failures_are_wrapped_on_their_way_up() {
    let world = World::new();
    let (relay, program) = (contract(&world, "Relay"), world.program(FORWARD));
    let answer = world.program(ANSWER);
    let mut question = vec![0; 4];
    question.extend(words([7]));
    let path = [to(program), to(relay), to(answer), question].concat();
    let receipt = world.send(relay, path);
    assert!(!receipt.success && receipt.logs.is_empty());
    let outer = Failed::abi_decode(&receipt.output).unwrap();
    let inner = Failed::abi_decode(&outer.reason).unwrap();
    assert_eq!((outer.to, inner.to), (program, answer));
    assert_eq!(inner.reason, words([7]));
    assert_eq!(world.chain.storage(relay, calls_slot(program)), U256::ZERO);
}

#[test]
fn the_compiler_calls_programs_like_contracts() {
    let world = World::new();
    let (client, program) = (contract(&world, "Client"), world.program(ANSWER));
    let number = |number: u64| U256::from(number);
    assert_eq!(send(&world, client, askCall { program, number: number(1) }), number(2));
    assert_eq!(world.word(client, lastCall {}.abi_encode()), number(2));
    assert!(send(&world, client, tryToAskCall { program, number: number(4) }));
    assert!(!send(&world, client, tryToAskCall { program, number: number(7) }));
    let reason = world.output(client, reasonCall {}.abi_encode());
    assert_eq!(reasonCall::abi_decode_returns(&reason).unwrap(), words([7]));
    let fails = askCall { program, number: number(7) }.abi_encode();
    assert_eq!(world.call(client, fails).output, words([7]));
}

#[test]
fn solidity_borrows_a_program() {
    let world = World::new();
    let (client, store) = (contract(&world, "Client"), world.program(STORE));
    let data = Bytes::from(words([0, 77]));
    send(&world, client, borrowCall { program: store, data });
    assert_eq!(world.word(client, lastCall {}.abi_encode()), U256::from(77));
    let context = borrowCall { program: world.program(CONTEXT), data: Bytes::new() }.abi_encode();
    let outcome = world.simulate(Transact::call(USER, client, context).value(U256::from(3)));
    let seen = borrowCall::abi_decode_returns(&outcome.output).unwrap();
    assert_eq!(seen, [to(client), to(USER), words([3])].concat());
}
