// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

interface IToken {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// A permit2-like contract: honest, generous, lying, or calling back. It pulls by the allowance given to itself.
contract Permit {
    uint160 public amount;
    uint48 public expiration;
    uint256 public extra;
    bool public lies;
    address public target;
    bytes public data;
    bool public calledBack;
    bool public callbackOk;
    bytes public callbackAnswer;

    function allow(uint160 amount_, uint48 expiration_) external {
        (amount, expiration) = (amount_, expiration_);
    }

    function setExtra(uint256 extra_) external { extra = extra_; }
    function setLies(bool lies_) external { lies = lies_; }
    function setCallback(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function allowance(address, address, address) external view returns (uint160, uint48, uint48) {
        return (amount, expiration, 0);
    }

    function transferFrom(address from, address to, uint160 value, address token) external {
        if (target != address(0)) {
            calledBack = true;
            (callbackOk, callbackAnswer) = target.call(data);
        }
        if (lies) return;
        IToken(token).transferFrom(from, to, value + extra);
    }
}
