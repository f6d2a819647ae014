// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A prover that says what it is told to, or misbehaves.
contract Prover {
    enum Mode { Honest, Reverts, ReturnsNothing, ReturnsDirtyAddress, ReturnsDirtyChain, CallsBack }

    event Challenged(uint64 destination, bytes32 routeHash, bytes32 rewardHash);
    event Proving(address sender, uint64 domain, bytes payload, bytes data, uint256 value);

    struct Proof { address claimant; uint64 destination; }

    mapping(bytes32 => Proof) private proofs;
    Mode public mode;
    uint256 public fee;
    address public target;
    bytes public data;
    bool public callbackOk;
    bytes public callbackAnswer;

    function set(bytes32 intent, address claimant, uint64 destination) external {
        proofs[intent] = Proof(claimant, destination);
    }

    function setMode(Mode mode_) external { mode = mode_; }
    function setFee(uint256 fee_) external { fee = fee_; }
    function setCallback(address target_, bytes calldata data_) external {
        (mode, target, data) = (Mode.CallsBack, target_, data_);
    }

    function provenIntents(bytes32 intent) external view returns (address, uint64) {
        require(mode != Mode.Reverts, "no");
        Proof memory proof = proofs[intent];
        uint256 first = uint160(proof.claimant);
        uint256 second = proof.destination;
        if (mode == Mode.ReturnsNothing) assembly { return(0, 0) }
        if (mode == Mode.ReturnsDirtyAddress) first = type(uint256).max;
        if (mode == Mode.ReturnsDirtyChain) second = type(uint256).max;
        assembly {
            mstore(0, first)
            mstore(32, second)
            return(0, 64)
        }
    }

    function challengeIntentProof(uint64 destination, bytes32 routeHash, bytes32 rewardHash) external {
        emit Challenged(destination, routeHash, rewardHash);
        if (mode == Mode.CallsBack) (callbackOk, callbackAnswer) = target.call(data);
    }

    /// Keeps the fee, returns the rest to the sender, as provers must.
    function prove(address sender, uint64 domain, bytes calldata payload, bytes calldata data_) external payable {
        require(mode != Mode.Reverts, "no");
        emit Proving(sender, domain, payload, data_, msg.value);
        if (mode == Mode.CallsBack) (callbackOk, callbackAnswer) = target.call(data);
        if (msg.value > fee) {
            (bool taken,) = sender.call{value: msg.value - fee}("");
            require(taken, "refund");
        }
    }
}
