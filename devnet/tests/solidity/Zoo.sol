// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A contract that another calls, delegates to and destroys.
contract Child {
    uint256 public total;
    address public maker;

    event Poked(address indexed by, uint256 value);

    error Odd(uint256 value);

    constructor() payable {
        maker = msg.sender;
    }

    function poke(uint256 value) external payable returns (uint256) {
        if (value % 5 == 3) revert Odd(value);
        total += value;
        emit Poked(msg.sender, value);
        return total;
    }

    function destroy(address payable heir) external {
        selfdestruct(heir);
    }
}

/// One of everything that the EVM can do, to compare two implementations of it.
contract Zoo {
    uint256 public total;
    mapping(uint256 => uint256) public values;
    uint256[] public list;
    bytes public blob;
    Child[] public children;

    event Set(uint256 indexed key, uint256 value, address who);
    event Stored(bytes data);
    event Anonymous(bytes32 indexed a, bytes32 indexed b, bytes32 indexed c) anonymous;

    error TooBig(uint256 given, uint256 limit);

    receive() external payable {
        total += msg.value;
    }

    function set(uint256 key, uint256 value) external returns (uint256 old) {
        if (value > 1 << 200) revert TooBig(value, 1 << 200);
        old = values[key];
        values[key] = value;
        emit Set(key, value, msg.sender);
    }

    function push(uint256 value) external returns (uint256) {
        list.push(value);
        return list.length;
    }

    function pop() external returns (uint256 value) {
        value = list[list.length - 1];
        list.pop();
    }

    function divide(uint256 a, uint256 b) external returns (uint256) {
        total = a / b;
        return total;
    }

    function store(bytes calldata data) external {
        blob = data;
        emit Stored(data);
    }

    function spawn(bytes32 salt) external payable returns (address) {
        Child child = new Child{salt: salt, value: msg.value}();
        children.push(child);
        return address(child);
    }

    function poke(uint256 index, uint256 value) external payable returns (uint256) {
        return children[index].poke{value: msg.value}(value);
    }

    function tryPoke(uint256 index, uint256 value) external returns (bool ok, bytes memory data) {
        (ok, data) = address(children[index]).call(abi.encodeCall(Child.poke, (value)));
        total += ok ? 1 : 2;
    }

    function delegatePoke(uint256 index, uint256 value) external returns (bool ok, bytes memory data) {
        (ok, data) = address(children[index]).delegatecall(abi.encodeCall(Child.poke, (value)));
    }

    function staticPoke(uint256 index, uint256 value) external view returns (bool ok, bytes memory data) {
        (ok, data) = address(children[index]).staticcall{gas: 50_000}(abi.encodeCall(Child.poke, (value)));
    }

    function destroyChild(uint256 index, address payable heir) external returns (uint256) {
        children[index].destroy(heir);
        return address(children[index]).code.length;
    }

    function pay(address payable to, uint256 value) external payable returns (bool ok) {
        (ok,) = to.call{value: value}("");
    }

    function hashes(uint256 rounds, bytes32 seed) external returns (bytes32) {
        for (uint256 i = 0; i < rounds; i++) {
            seed = i % 2 == 0 ? keccak256(abi.encode(seed)) : sha256(abi.encode(seed));
        }
        emit Anonymous(seed, bytes32(rounds), bytes32(0));
        address signer = ecrecover(seed, 27, seed, seed);
        return seed ^ bytes32(uint256(uint160(signer)));
    }

    function recurse(uint256 depth) external returns (uint256) {
        total += 1;
        return depth == 0 ? total : this.recurse(depth - 1);
    }

    function spin(uint256 rounds) external returns (uint256) {
        for (uint256 i = 0; i < rounds; i++) total += i;
        return total;
    }

    function swap(uint256 key, uint256 value) external returns (uint256 old, uint256 now_) {
        assembly {
            old := tload(key)
            tstore(key, value)
            now_ := tload(key)
        }
    }

    function world() external view returns (uint256, uint256, uint256, address, address, uint256, bytes32) {
        return (
            block.timestamp, block.number, block.chainid, tx.origin, msg.sender,
            address(this).balance, address(this).codehash
        );
    }
}
