// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

interface IDelivery {
    function currentDelivery() external view returns (bytes32, uint8, uint64, uint256);
}

/// An application: says what it is given, and misbehaves when told to.
contract Recipient {
    struct ReadOperation { uint32 domain; address target; bytes callData; }
    enum Mode { Takes, Refuses, Bombs, CallsBack, AnswersMuch }

    event Handled(uint32 origin, bytes32 sender, bytes message, ReadOperation[] reads, bytes[] results, uint256 value);
    event During(bytes32 id, uint8 finality, uint64 timestamp, uint256 failedReads);
    event CalledBack(bool ok, bytes answer);

    error Refused(uint256 why);

    Mode public mode;
    address public target;
    uint256 public carried;
    bytes public data;
    bool public refusesEther;
    address public readsOnRefund;

    function setMode(Mode mode_) external { mode = mode_; }
    function setRefusesEther(bool refuses) external { refusesEther = refuses; }
    function setReadsOnRefund(address router) external { readsOnRefund = router; }
    function setCallback(address target_, uint256 carried_, bytes calldata data_) external payable {
        (mode, target, carried, data) = (Mode.CallsBack, target_, carried_, data_);
    }

    function act(address to, uint256 value, bytes calldata data_) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = to.call{value: value}(data_);
        if (!ok) assembly { revert(add(answer, 32), mload(answer)) }
        return answer;
    }

    function handle(
        uint32 origin,
        bytes32 sender,
        bytes calldata message,
        ReadOperation[] calldata reads,
        bytes[] calldata results
    ) external payable {
        if (mode == Mode.Refuses) revert Refused(7);
        if (mode == Mode.Bombs) assembly { revert(0, 100000) }
        emit Handled(origin, sender, message, reads, results, msg.value);
        during();
        if (mode == Mode.CallsBack) {
            (bool ok, bytes memory answer) = target.call{value: carried}(data);
            emit CalledBack(ok, answer);
            during();
        }
        if (mode == Mode.AnswersMuch) assembly { return(0, 100000) }
    }

    function during() internal {
        (bytes32 id, uint8 finality, uint64 timestamp, uint256 failed) = IDelivery(msg.sender).currentDelivery();
        emit During(id, finality, timestamp, failed);
    }

    receive() external payable {
        require(!refusesEther, "no ether");
        if (readsOnRefund != address(0)) {
            (bool ok, bytes memory answer) = readsOnRefund.call(hex"affed0e0");
            emit CalledBack(ok, answer);
        }
    }
}
