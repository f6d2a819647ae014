// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IProgram {
    function ask(uint256 number) external returns (uint256);
}

/// Calls the address in the first word with the rest of the call data and all value, counts that,
/// and hands on what comes back.
contract Relay {
    mapping(address => uint256) public calls;

    event Relayed(address indexed to, uint256 value);
    error Failed(address to, bytes reason);

    fallback() external payable {
        address to = address(uint160(uint256(bytes32(msg.data[:32]))));
        calls[to] += 1;
        emit Relayed(to, msg.value);
        (bool success, bytes memory output) = to.call{value: msg.value}(msg.data[32:]);
        if (!success) revert Failed(to, output);
        assembly {
            return(add(output, 32), mload(output))
        }
    }
}

/// Uses a program as any other contract, with what the compiler puts around calls.
contract Client {
    uint256 public last;
    bytes public reason;

    function ask(IProgram program, uint256 number) external returns (uint256) {
        return last = program.ask(number);
    }

    function tryToAsk(IProgram program, uint256 number) external returns (bool) {
        try program.ask(number) returns (uint256 answer) {
            last = answer;
            return true;
        } catch (bytes memory data) {
            reason = data;
            return false;
        }
    }

    /// Runs the program's code on this contract's storage.
    function borrow(address program, bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory output) = program.delegatecall(data);
        require(success, "borrowed code failed");
        return output;
    }
}
