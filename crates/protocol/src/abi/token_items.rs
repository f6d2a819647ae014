//! Tokens, permits and contract signatures.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// One transfer of a batch.
    struct AllowanceTransferDetails {
        address from;
        address to;
        uint160 amount;
        address token;
    }

    /// ERC-20 with its metadata, and the open mint of our test token.
    interface IERC20 {
        function name() external view returns (string memory);
        function symbol() external view returns (string memory);
        function decimals() external view returns (uint8);
        function totalSupply() external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function approve(address spender, uint256 value) external returns (bool);
        function transferFrom(address from, address to, uint256 value) external returns (bool);
        function mint(address to, uint256 value) external;

        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
    }

    /// The permit contract a vault may be funded through (Permit2's allowance transfer).
    /// `transferFrom_0` takes a batch, `transferFrom_1` one transfer.
    interface IPermit {
        function allowance(address user, address token, address spender) external view returns (uint160 amount, uint48 expiration, uint48 nonce);
        function transferFrom(AllowanceTransferDetails[] calldata transferDetails) external;
        function transferFrom(address from, address to, uint160 amount, address token) external;

        event Approval(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 expiration);
        event Lockdown(address indexed owner, address token, address spender);
        event NonceInvalidation(address indexed owner, address indexed token, address indexed spender, uint48 newNonce, uint48 oldNonce);
        event Permit(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 expiration, uint48 nonce);

        error AllowanceExpired(uint256 deadline);
        error ExcessiveInvalidation();
        error InsufficientAllowance(uint256 amount);
    }

    /// Signatures of contract wallets.
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes memory signature) external view returns (bytes4 magicValue);
    }
}
