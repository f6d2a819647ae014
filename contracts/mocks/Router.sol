// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A router with a constant fee that sends nothing.
contract Router {
    uint256 public fee;
    uint8 public policy;
    address public policyOf;
    bytes public lastQuote;
    bytes public lastDispatch;
    uint256 public lastValue;

    function setFee(uint256 fee_) external { fee = fee_; }

    function setFinalityPolicy(uint8 mask) external { (policy, policyOf) = (mask, msg.sender); }

    function quoteDispatch(uint32, bytes32, bytes calldata, bytes calldata) external view returns (uint256) {
        return fee;
    }

    struct ReadOperation { uint32 domain; address target; bytes callData; }

    function dispatch(uint32, bytes32, ReadOperation[] calldata, bytes calldata, uint8, uint256) external payable {
        require(msg.value >= fee, "fee");
        (lastDispatch, lastValue) = (msg.data, msg.value);
    }
}
