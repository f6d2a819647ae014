// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// An ERC-20 as real tokens are: honest, silent, lying, reverting, taking a fee, or calling back on transfer.
contract Token {
    enum Mode { Honest, ReturnsNothing, ReturnsFalse, Reverts, TakesFee, CallsBack, ReturnsJunk, RevertsSilently }

    event Transfer(address indexed from, address indexed to, uint256 value);

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;
    Mode public mode;
    address public target;
    bytes public data;
    bool public calledBack;
    bool public callbackOk;
    bytes public callbackAnswer;
    bool public strictApprove;

    function setMode(Mode mode_) external { mode = mode_; }

    function setCallback(address target_, bytes calldata data_) external {
        (mode, target, data) = (Mode.CallsBack, target_, data_);
    }

    /// As USDT: an allowance can only be changed from or to zero.
    function setStrictApprove(bool strict) external { strictApprove = strict; }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        totalSupply += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        require(!strictApprove || amount == 0 || allowance[msg.sender][spender] == 0, "from zero");
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount);
        answer();
    }

    function transferFrom(address from, address to, uint256 amount) external {
        require(allowance[from][msg.sender] >= amount, "allowance");
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        answer();
    }

    function move(address from, address to, uint256 amount) private {
        require(mode != Mode.Reverts, "blocked");
        if (mode == Mode.RevertsSilently) revert();
        require(balanceOf[from] >= amount, "balance");
        if (mode == Mode.ReturnsFalse) return;
        uint256 fee = mode == Mode.TakesFee ? amount / 10 : 0;
        balanceOf[from] -= amount;
        balanceOf[to] += amount - fee;
        totalSupply -= fee;
        emit Transfer(from, to, amount - fee);
        if (mode == Mode.CallsBack) {
            calledBack = true;
            (callbackOk, callbackAnswer) = target.call(data);
        }
    }

    function answer() private view {
        if (mode == Mode.ReturnsNothing) assembly { return(0, 0) }
        uint256 value = mode == Mode.ReturnsFalse ? 0 : mode == Mode.ReturnsJunk ? 2 : 1;
        assembly {
            mstore(0, value)
            return(0, 32)
        }
    }
}
