//! The intent protocol: `spec/intents.md` sections 3 to 10, as compatible integrators know it.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// An amount of one ERC-20 token, in its smallest unit.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
    struct TokenAmount {
        address token;
        uint256 amount;
    }

    /// One call of a route.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
    struct Call {
        address target;
        bytes data;
        uint256 value;
    }

    /// What must happen on the destination.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
    struct Route {
        bytes32 salt;
        uint64 deadline;
        address portal;
        uint256 nativeAmount;
        TokenAmount[] tokens;
        Call[] calls;
    }

    /// What the solver gets on the origin.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
    struct Reward {
        uint64 deadline;
        address creator;
        address prover;
        uint256 nativeAmount;
        TokenAmount[] tokens;
    }

    /// A wish: what must happen where, and what it is worth.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "camelCase"))]
    struct Intent {
        uint64 destination;
        Route route;
        Reward reward;
    }

    /// A recorded proof. No claimant means no proof.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ProofData {
        address claimant;
        uint64 destination;
    }

    /// One entry of a prover's map from messaging domains to chain ids.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct Domain {
        uint64 domain;
        uint64 chainId;
    }

    /// An ERC-7683 order opened by its user.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct OnchainCrossChainOrder {
        uint32 fillDeadline;
        bytes32 orderDataType;
        bytes orderData;
    }

    /// An ERC-7683 order signed by its user and opened by anyone.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct GaslessCrossChainOrder {
        address originSettler;
        address user;
        uint256 nonce;
        uint256 originChainId;
        uint32 openDeadline;
        uint32 fillDeadline;
        bytes32 orderDataType;
        bytes orderData;
    }

    /// An amount of a token for someone on some chain, in ERC-7683's words.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct Output {
        bytes32 token;
        uint256 amount;
        bytes32 recipient;
        uint256 chainId;
    }

    /// The `orderData` of our orders.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct OrderData {
        uint64 destination;
        bytes route;
        Reward reward;
        bytes32 routePortal;
        uint64 routeDeadline;
        Output[] maxSpent;
    }

    /// How to fill a resolved order.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct FillInstruction {
        uint256 destinationChainId;
        bytes32 destinationSettler;
        bytes originData;
    }

    /// An ERC-7683 order as any filler understands it.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ResolvedCrossChainOrder {
        address user;
        uint256 originChainId;
        uint32 openDeadline;
        uint32 fillDeadline;
        bytes32 orderId;
        Output[] maxSpent;
        Output[] minReceived;
        FillInstruction[] fillInstructions;
    }

    /// Where the reward of an intent stands.
    enum Status {
        /// Neither funded nor settled; also whatever was never heard of.
        Initial,
        /// The vault holds the whole reward.
        Funded,
        /// Paid to the proven claimant.
        Withdrawn,
        /// Returned to the creator.
        Refunded
    }

    /// The origin side. Overloads: `_0` takes the `Intent`, `_1` the encoded route, `_2` the route hash.
    interface IntentSource {
        function GASLESS_CROSSCHAIN_ORDER_TYPEHASH() external view returns (bytes32);
        function version() external pure returns (string memory);
        function domainSeparatorV4() external view returns (bytes32);
        function eip712Domain() external view returns (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] memory extensions);
        function getRewardStatus(bytes32 intentHash) external view returns (uint8 status);
        function getIntentHash(Intent calldata intent) external pure returns (bytes32 intentHash, bytes32 routeHash, bytes32 rewardHash);
        function getIntentHash(uint64 destination, bytes calldata route, Reward calldata reward) external pure returns (bytes32 intentHash, bytes32 routeHash, bytes32 rewardHash);
        function getIntentHash(uint64 destination, bytes32 routeHash_, Reward calldata reward) external pure returns (bytes32 intentHash, bytes32 routeHash, bytes32 rewardHash);
        function intentVaultAddress(Intent calldata intent) external view returns (address);
        function intentVaultAddress(uint64 destination, bytes calldata route, Reward calldata reward) external view returns (address);
        function isIntentFunded(Intent calldata intent) external view returns (bool);
        function isIntentFunded(uint64 destination, bytes calldata route, Reward calldata reward) external view returns (bool);
        function publish(Intent calldata intent) external returns (bytes32 intentHash, address vault);
        function publish(uint64 destination, bytes calldata route, Reward calldata reward) external returns (bytes32 intentHash, address vault);
        function publishAndFund(Intent calldata intent, bool allowPartial) external payable returns (bytes32 intentHash, address vault);
        function publishAndFund(uint64 destination, bytes calldata route, Reward calldata reward, bool allowPartial) external payable returns (bytes32 intentHash, address vault);
        function publishAndFundFor(Intent calldata intent, bool allowPartial, address funder, address permitContract) external payable returns (bytes32 intentHash, address vault);
        function publishAndFundFor(uint64 destination, bytes calldata route, Reward calldata reward, bool allowPartial, address funder, address permitContract) external payable returns (bytes32 intentHash, address vault);
        function fund(uint64 destination, bytes32 routeHash, Reward calldata reward, bool allowPartial) external payable returns (bytes32 intentHash);
        function fundFor(uint64 destination, bytes32 routeHash, Reward calldata reward, bool allowPartial, address funder, address permitContract) external payable returns (bytes32 intentHash);
        function withdraw(uint64 destination, bytes32 routeHash, Reward calldata reward) external;
        function batchWithdraw(uint64[] calldata destinations, bytes32[] calldata routeHashes, Reward[] calldata rewards) external;
        function refund(uint64 destination, bytes32 routeHash, Reward calldata reward) external;
        function refundTo(uint64 destination, bytes32 routeHash, Reward calldata reward, address refundee) external;
        function recoverToken(uint64 destination, bytes32 routeHash, Reward calldata reward, address token) external;
        function open(OnchainCrossChainOrder calldata order) external payable;
        function openFor(GaslessCrossChainOrder calldata order, bytes calldata signature, bytes calldata originFillerData) external payable;
        function resolve(OnchainCrossChainOrder calldata order) external view returns (ResolvedCrossChainOrder memory);
        function resolveFor(GaslessCrossChainOrder calldata order, bytes calldata originFillerData) external view returns (ResolvedCrossChainOrder memory);
        function _resolve(uint32 openDeadline, OrderData memory orderData) external view returns (ResolvedCrossChainOrder memory);

        event EIP712DomainChanged();
        event IntentPublished(bytes32 indexed intentHash, uint64 destination, bytes route, address indexed creator, address indexed prover, uint64 rewardDeadline, uint256 rewardNativeAmount, TokenAmount[] rewardTokens);
        event IntentFunded(bytes32 intentHash, address funder, bool complete);
        event IntentWithdrawn(bytes32 intentHash, address indexed claimant);
        event IntentRefunded(bytes32 intentHash, address indexed refundee);
        event IntentTokenRecovered(bytes32 intentHash, address indexed refundee, address indexed token);
        event Open(bytes32 indexed orderId, ResolvedCrossChainOrder resolvedOrder);

        error AddressEmptyCode(address target);
        error AddressInsufficientBalance(address account);
        error ArrayLengthMismatch();
        error ChainIdTooLarge(uint256 chainId);
        error FailedInnerCall();
        error InsufficientFunds(bytes32 intentHash);
        error InsufficientNativeRewardAmount();
        error IntentAlreadyExists(bytes32 intentHash);
        error IntentNotClaimed(bytes32 intentHash);
        error InvalidClaimant();
        error InvalidCreatorBinding(address user, address creator);
        error InvalidOriginChainId(uint256 expected, uint256 actual);
        error InvalidOriginSettler(address expected, address actual);
        error InvalidRecoverToken(address token);
        error InvalidShortString();
        error InvalidSignature();
        error InvalidStatusForFunding(uint8 status);
        error InvalidStatusForRefund(uint8 status, uint256 currentTime, uint256 deadline);
        error InvalidStatusForWithdrawal(uint8 status);
        error NotCreatorCaller(address caller);
        error OpenDeadlinePassed();
        error ReentrancyGuardReentrantCall();
        error RewardTokensNotUnique(address token);
        error SafeERC20FailedOperation(address token);
        error StringTooLong(string str);
        error TypeSignatureMismatch();
    }

    /// The destination side.
    interface Inbox {
        function executor() external view returns (address);
        function claimants(bytes32 intentHash) external view returns (bytes32);
        function version() external pure returns (string memory);
        function fulfill(bytes32 intentHash, Route memory route, bytes32 rewardHash, bytes32 claimant) external payable returns (bytes[] memory);
        function fulfillAndProve(bytes32 intentHash, Route memory route, bytes32 rewardHash, bytes32 claimant, address prover, uint64 sourceChainDomainID, bytes memory data) external payable returns (bytes[] memory);
        function prove(address prover, uint64 sourceChainDomainID, bytes32[] memory intentHashes, bytes memory data) external payable;
        function fill(bytes32 orderId, bytes calldata originData, bytes calldata fillerData) external payable;

        event IntentFulfilled(bytes32 indexed intentHash, bytes32 indexed claimant);
        event IntentProven(bytes32 indexed intentHash, bytes32 indexed claimant);
        event OrderFilled(bytes32 orderId, address solver);

        error AddressEmptyCode(address target);
        error AddressInsufficientBalance(address account);
        error ChainIdTooLarge(uint256 chainId);
        error FailedInnerCall();
        error InsufficientNativeAmount(uint256 sent, uint256 required);
        error IntentAlreadyFulfilled(bytes32 intentHash);
        error IntentExpired();
        error IntentNotFulfilled(bytes32 intentHash);
        error InvalidHash(bytes32 expectedHash);
        error InvalidPortal(address portal);
        error ReentrancyGuardReentrantCall();
        error SafeERC20FailedOperation(address token);
        error ZeroClaimant();
    }

    /// ERC-7683's destination side, which the [`Inbox`] answers too.
    interface IDestinationSettler {
        function fill(bytes32 orderId, bytes calldata originData, bytes calldata fillerData) external payable;

        event OrderFilled(bytes32 orderId, address solver);
    }

    /// Runs the calls of a route for the [`Inbox`].
    interface RouteExecutor {
        function execute(Call[] calldata calls) external payable returns (bytes[] memory);

        error CallFailed(Call call, bytes reason);
        error CallToEOA(address target);
        error NonPortalCaller(address caller);
    }

    /// Holds the reward of one intent for the [`IntentSource`].
    interface Vault {
        function fundFor(Reward calldata reward, address funder, address permit) external;
        function withdraw(Reward calldata reward, address claimant) external;
        function refund(Reward calldata reward, address refundee) external;
        function recover(address refundee, address token) external;

        error AddressEmptyCode(address target);
        error AddressInsufficientBalance(address account);
        error FailedInnerCall();
        error NativeTransferFailed(address to, uint256 amount);
        error NotPortalCaller(address caller);
        error SafeERC20FailedOperation(address token);
        error ZeroRecoverTokenBalance(address token);
    }

    /// What the two sides ask of any prover.
    interface IProver {
        function version() external pure returns (string memory);
        function getProofType() external pure returns (string memory);
        function prove(address sender, uint64 sourceChainDomainID, bytes calldata encodedProofs, bytes calldata data) external payable;
        function provenIntents(bytes32 intentHash) external view returns (ProofData memory);
        function challengeIntentProof(uint64 destination, bytes32 routeHash, bytes32 rewardHash) external;

        event IntentProven(bytes32 indexed intentHash, address indexed claimant, uint64 destination);
        event IntentAlreadyProven(bytes32 intentHash);
        event IntentProofInvalidated(bytes32 indexed intentHash);

        error ArrayLengthMismatch();
        error ChainIdTooLarge(uint256 chainId);
        error ZeroPortal();
    }

    /// The prover that sends its proofs through the Metalayer router, at one finality tier.
    interface MetaProver {
        function version() external pure returns (string memory);
        function PROOF_TYPE() external view returns (string memory);
        function getProofType() external pure returns (string memory);
        function PORTAL() external view returns (address);
        function ROUTER() external view returns (address);
        function MIN_GAS_LIMIT() external view returns (uint256);
        function FINALITY() external view returns (uint8);
        function chainIdByDomain(uint64 domain) external view returns (uint64);
        function isWhitelisted(bytes32 addr) external view returns (bool);
        function getWhitelist() external view returns (bytes32[] memory);
        function getWhitelistSize() external view returns (uint256);
        function supportsInterface(bytes4 interfaceId) external view returns (bool);
        function fetchFee(uint64 domainID, bytes calldata encodedProofs, bytes calldata data) external view returns (uint256);
        function prove(address sender, uint64 domainID, bytes calldata encodedProofs, bytes calldata data) external payable;
        function provenIntents(bytes32 intentHash) external view returns (ProofData memory);
        function challengeIntentProof(uint64 destination, bytes32 routeHash, bytes32 rewardHash) external;
        function handle(uint32 origin, bytes32 sender, bytes calldata message, (uint32, address, bytes)[] calldata reads, bytes[] calldata readResults) external payable;

        event DomainRegistered(uint64 indexed domain, uint64 indexed chainId);
        event IntentProven(bytes32 indexed intentHash, address indexed claimant, uint64 destination);
        event IntentAlreadyProven(bytes32 intentHash);
        event IntentProofInvalidated(bytes32 indexed intentHash);

        error AddressNotWhitelisted(bytes32 addr);
        error ArrayLengthMismatch();
        error ChainIdMismatch(uint64 domain, uint64 expected, uint64 actual);
        error ChainIdTooLarge(uint256 chainId);
        error DomainIdTooLarge(uint64 domainId);
        error InsufficientFee(uint256 requiredFee);
        error InvalidAddress(bytes32 value);
        error InvalidDomainConfig(uint64 domain, uint64 chainId);
        error InvalidFinality(uint8 finality);
        error InvalidProofMessage();
        error MessageOriginChainDomainIDCannotBeZero();
        error MessageSenderCannotBeZeroAddress();
        error MessengerContractCannotBeZeroAddress();
        error RefundFailed(address recipient, uint256 amount);
        error UnauthorizedIncomingProof(bytes32 sender);
        error UnauthorizedSender(address expected, address actual);
        error UnregisteredDomain(uint64 domain);
        error WhitelistSizeExceeded(uint256 size, uint256 maxSize);
        error ZeroPortal();
    }

    /// The prover of intents whose origin is their destination.
    interface ILocalProver {
        function version() external pure returns (string memory);
        function getProofType() external pure returns (string memory);
        function prove(address sender, uint64 sourceChainDomainID, bytes calldata encodedProofs, bytes calldata data) external payable;
        function provenIntents(bytes32 intentHash) external view returns (ProofData memory);
        function challengeIntentProof(uint64 destination, bytes32 routeHash, bytes32 rewardHash) external pure;
        function flashFulfill(Route calldata route, Reward calldata reward, bytes32 claimant) external payable returns (bytes[] memory results);

        event FlashFulfilled(bytes32 indexed intentHash, bytes32 indexed claimant, uint256 nativeFee);
        event IntentProven(bytes32 indexed intentHash, address indexed claimant, uint64 destination);
        event IntentAlreadyProven(bytes32 intentHash);
        event IntentProofInvalidated(bytes32 indexed intentHash);

        error AddressEmptyCode(address target);
        error AddressInsufficientBalance(address account);
        error ArrayLengthMismatch();
        error ChainIdTooLarge(uint256 chainId);
        error FailedInnerCall();
        error InvalidAddress(bytes32 value);
        error InvalidClaimant();
        error InvalidProver();
        error NativeTransferFailed();
        error ReentrancyGuardReentrantCall();
        error RefundFailed(address recipient, uint256 amount);
        error SafeERC20FailedOperation(address token);
        error ZeroPortal();
    }
}
