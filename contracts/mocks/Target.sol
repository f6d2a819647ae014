// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// What routes call.
contract Target {
    event Hit(address sender, uint256 value, bytes data);

    bool public nestedOk;
    bytes public nestedAnswer;

    function hit(bytes calldata data) external payable returns (bytes memory) {
        emit Hit(msg.sender, msg.value, data);
        return data;
    }

    function noop() external payable {}

    function fail() external payable { revert("boom"); }

    function failSilently() external payable { revert(); }

    function bomb(uint256 size) external payable returns (bytes memory) { return new bytes(size); }

    function nest(address to, uint256 value, bytes calldata data) external payable {
        (nestedOk, nestedAnswer) = to.call{value: value}(data);
    }

    function exhaust() external payable { while (true) {} }

    receive() external payable {}
}
