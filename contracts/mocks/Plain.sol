// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// An ERC-20 with nothing special about it: what transfers cost where gas is compared.
contract Coin {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        totalSupply += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    /// Every allowance shrinks, also one without limit.
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// A prover that is told what was proven, and forgets what was proven wrongly.
contract PlainProver {
    event IntentProofInvalidated(bytes32 indexed intentHash);

    struct Proof { address claimant; uint64 destination; }

    mapping(bytes32 => Proof) public provenIntents;

    function set(bytes32 intent, address claimant, uint64 destination) external {
        provenIntents[intent] = Proof(claimant, destination);
    }

    function challengeIntentProof(uint64 destination, bytes32 routeHash, bytes32 rewardHash) external {
        bytes32 intent = keccak256(abi.encodePacked(destination, routeHash, rewardHash));
        Proof memory proof = provenIntents[intent];
        if (proof.claimant == address(0) || proof.destination == destination) return;
        delete provenIntents[intent];
        emit IntentProofInvalidated(intent);
    }
}

/// A router that takes a constant fee and keeps nothing.
contract PlainRouter {
    struct ReadOperation { uint32 domain; address target; bytes callData; }

    function quoteDispatch(uint32, bytes32, bytes calldata, bytes calldata) external pure returns (uint256) {
        return 100;
    }

    function dispatch(uint32, bytes32, ReadOperation[] calldata, bytes calldata, uint8, uint256) external payable {}
}

/// What routes call where answers are compared: it counts its calls.
contract Counter {
    uint256 public hits;

    function hit(bytes calldata data) external payable returns (uint256, bytes memory) {
        hits += 1;
        return (hits, data);
    }

    function noop() external payable {}
}

/// Reverts with the call data that it was called with, so that a caller that passes errors on shows what it sends.
contract Echo {
    fallback() external payable {
        assembly {
            calldatacopy(0, 0, calldatasize())
            revert(0, calldatasize())
        }
    }
}
