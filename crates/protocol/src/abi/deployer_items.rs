//! The deployer of our programs: `StylusDeployer`'s interface, with addresses independent of init data.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// Creates, activates and constructs a program in one transaction.
    ///
    /// The CREATE2 salt is keccak256(caller ‖ salt) as 52 packed bytes, so an address depends on caller, salt and
    /// init code, never on constructor arguments.
    interface StylusDeployer {
        function deploy(bytes calldata bytecode, bytes calldata initData, uint256 initValue, bytes32 salt) external payable returns (address deployed);
        function addressOf(address caller, bytes32 salt, bytes32 initCodeHash) external view returns (address predicted);
        function version() external view returns (string memory);

        event ContractDeployed(address deployedContract);

        error ContractDeploymentError(bytes bytecode);
        error ContractInitializationError(address newContract, bytes data);
        error EmptyBytecode();
        error InitValueButNotInitData();
        error ProgramActivationError(address newContract, bytes data);
        error RefundExcessValueError(uint256 excessValue);
    }
}
