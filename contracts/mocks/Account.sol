// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A contract account: acts for its tests, takes or refuses ETH, calls back when paid, and has an opinion on signatures.
contract Account {
    enum Mode { Takes, Refuses, CallsBack, BurnsGas }
    enum Opinion { Refuses, Accepts, WrongMagic, Reverts, AsksDomain }

    Mode public mode;
    Opinion public opinion;
    address public target;
    bytes public data;
    bool public callbackOk;
    bytes public callbackAnswer;
    uint256 public callbacks;

    function setMode(Mode mode_) external { mode = mode_; }
    function setOpinion(Opinion opinion_, address settler) external { (opinion, target) = (opinion_, settler); }
    function setCallback(address target_, bytes calldata data_) external {
        (mode, target, data) = (Mode.CallsBack, target_, data_);
    }

    function act(address to, uint256 value, bytes calldata data_) external payable returns (bytes memory) {
        (bool ok, bytes memory answer) = to.call{value: value}(data_);
        if (!ok) assembly { revert(add(answer, 32), mload(answer)) }
        return answer;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        require(opinion != Opinion.Reverts, "no opinion");
        if (opinion == Opinion.WrongMagic) return 0x12345678;
        if (opinion == Opinion.AsksDomain) {
            (bool ok, bytes memory answer) = target.staticcall(hex"84b0196e");
            return ok && answer.length > 32 ? bytes4(0x1626ba7e) : bytes4(0);
        }
        return opinion == Opinion.Accepts ? bytes4(0x1626ba7e) : bytes4(0);
    }

    receive() external payable {
        require(mode != Mode.Refuses, "no ether");
        if (mode == Mode.BurnsGas) while (true) {}
        if (mode == Mode.CallsBack) {
            callbacks += 1;
            (callbackOk, callbackAnswer) = target.call(data);
        }
    }
}
