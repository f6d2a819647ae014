//! Several calls in one transaction: Multicall3's interface, and a form with a gas limit for each call.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// A call without value.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }

    /// A call with value.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct Call3Value {
        address target;
        bool allowFailure;
        uint256 value;
        bytes callData;
    }

    /// A call with value and a gas limit of its own; a limit of 0 stands for all that is left.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct Call3Gas {
        address target;
        bool allowFailure;
        uint256 value;
        uint64 gasLimit;
        bytes callData;
    }

    /// What a call answered.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct CallResult {
        bool success;
        bytes returnData;
    }

    /// Runs calls in order; one that fails without leave to do so undoes all.
    interface Multicall {
        function aggregate3(Call3[] calldata calls) external payable returns (CallResult[] memory returnData);
        function aggregate3Value(Call3Value[] calldata calls) external payable returns (CallResult[] memory returnData);
        function aggregate3Gas(Call3Gas[] calldata calls) external payable returns (CallResult[] memory returnData);
        function getEthBalance(address account) external view returns (uint256 balance);
        function getCurrentBlockTimestamp() external view returns (uint256 timestamp);
        function getChainId() external view returns (uint256 chainid);

        error CallFailed(uint256 index, bytes reason);
        error GasTooLow(uint256 index, uint64 gasLimit);
        error ValueMismatch(uint256 expected, uint256 given);
    }
}
