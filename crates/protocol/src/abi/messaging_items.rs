//! The Metalayer router, its ISMs, and what a recipient implements.

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// A view that validators execute on another chain and whose result travels with a message.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ReadOperation {
        uint32 domain;
        address target;
        bytes callData;
    }

    /// The block of one domain at which its reads were executed.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ReadAnchor {
        uint32 domain;
        uint64 number;
        bytes32 blockHash;
    }

    /// What one read answered; a failed read has no data.
    #[cfg_attr(feature = "stylus", derive(stylus_sdk::stylus_proc::AbiType))]
    struct ReadResult {
        bool ok;
        bytes data;
    }

    /// Sends and receives Metalayer messages.
    ///
    /// Overloads: `dispatch_0` and `quoteDispatch_0` take the recipient as an address, `dispatch_1` and
    /// `quoteDispatch_1` as 32 bytes; `quoteDispatch_2` is the form with hook metadata, `quoteDispatch_3` the one
    /// with three arguments.
    interface MetalayerRouter {
        function dispatch(uint32 destinationDomain, address recipient, ReadOperation[] calldata reads, bytes calldata writeCallData, uint8 finalityState, uint256 gasLimit) external payable returns (bytes32 messageId);
        function dispatch(uint32 destinationDomain, bytes32 recipient, ReadOperation[] calldata reads, bytes calldata writeCallData, uint8 finalityState, uint256 gasLimit) external payable returns (bytes32 messageId);
        function quoteDispatch(uint32 destinationDomain, address recipient, ReadOperation[] calldata reads, bytes calldata writeCallData, uint8 finalityState, uint256 gasLimit) external view returns (uint256 fee);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipient, ReadOperation[] calldata reads, bytes calldata writeCallData, uint8 finalityState, uint256 gasLimit) external view returns (uint256 fee);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipient, bytes calldata messageBody, bytes calldata defaultHookMetadata) external view returns (uint256 fee);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipient, bytes calldata messageBody) external view returns (uint256 fee);

        function handle(uint32 origin, bytes32 sender, bytes calldata message) external payable;
        function interchainSecurityModule() external view returns (address);
        function currentDelivery() external view returns (bytes32 messageId, uint8 finality, uint64 timestamp, uint256 failedReads);

        function confirm(uint32 originDomain, bytes32[] calldata ids, uint8 finality) external payable returns (bytes32 messageId);
        function quoteConfirm(uint32 originDomain, uint256 count, uint8 finality) external view returns (uint256 fee);
        function delivered(bytes32 messageId) external view returns (bool isDelivered, uint32 origin, uint8 finality);
        function confirmed(bytes32 messageId) external view returns (bool);
        function confirmationTier(bytes32 messageId) external view returns (bool isConfirmed, uint8 finality);
        function dispatched(bytes32 messageId) external view returns (uint32 destination, uint8 finality);

        function setFinalityPolicy(uint8 acceptedTiers) external;
        function narrowFinalityPolicy(address application, uint8 acceptedTiers) external;
        function finalityPolicy(address application) external view returns (uint8 acceptedTiers);

        function owner() external view returns (address);
        function pendingOwner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function guardian() external view returns (address);
        function setGuardian(address newGuardian) external;
        function enrollRemoteRouter(uint32 domain, bytes32 remote) external;
        function enrollRemoteRouters(uint32[] calldata domains, bytes32[] calldata remotes) external;
        function unenrollRemoteRouter(uint32 domain) external;
        function retireRouter(uint32 domain, bytes32 remote) external;
        function routers(uint32 domain) external view returns (bytes32);
        function acceptedRouters(uint32 domain) external view returns (bytes32[] memory);
        function domains() external view returns (uint32[] memory);
        function supportedTiers(uint32 domain) external view returns (uint8);
        function setSupportedTiers(uint32 domain, uint8 tiers) external;
        function readDomains(uint32 domain) external view returns (bool);
        function setReadDomain(uint32 domain, bool readable) external;
        function setInterchainSecurityModule(address module) external;
        function readIsm() external view returns (address);
        function setReadIsm(address module) external;
        function igp() external view returns (address);
        function setIgp(address paymaster) external;
        function pause() external;
        function unpause() external;
        function paused() external view returns (bool);
        function pausedAt() external view returns (uint64 timestamp);

        function mailbox() external view returns (address);
        function localDomain() external view returns (uint32);
        function nonce() external view returns (uint32);
        function version() external view returns (string memory);

        event MetalayerDispatch(bytes32 indexed messageId, uint32 indexed destinationDomain, bytes32 indexed recipient, address sender, bytes32 mailboxMessageId, bytes message);
        event MetalayerDelivered(bytes32 indexed messageId, uint32 indexed originDomain, bytes32 indexed recipient);
        event MetalayerConfirmed(bytes32 indexed messageId, uint32 indexed destinationDomain, uint8 tier);
        event FinalityPolicySet(address indexed application, uint8 acceptedTiers, address setBy);
        event RemoteRouterEnrolled(uint32 indexed domain, bytes32 indexed remote);
        event RemoteRouterUnenrolled(uint32 indexed domain, bytes32 indexed remote);
        event RemoteRouterRetired(uint32 indexed domain, bytes32 indexed remote);
        event SupportedTiersSet(uint32 indexed domain, uint8 tiers);
        event ReadDomainSet(uint32 indexed domain, bool readable);
        event InterchainSecurityModuleSet(address indexed module);
        event ReadIsmSet(address indexed module);
        event IgpSet(address indexed paymaster);
        event GuardianSet(address indexed guardian);
        event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
        event PauseStarted(address indexed by, uint64 until);
        event PauseLifted(address indexed by);

        error AlreadyDelivered(bytes32 messageId);
        error ArrayLengthMismatch();
        error BodyTooLarge(uint256 length, uint256 limit);
        error EnvelopeMismatch();
        error InsufficientFee(uint256 required, uint256 given);
        error InvalidDomain(uint32 domain);
        error InvalidFinality(uint8 finality);
        error InvalidGasLimit();
        error InvalidHookMetadata();
        error InvalidIdCount(uint256 count, uint256 limit);
        error InvalidMessage();
        error InvalidModule(address module);
        error InvalidRecipient();
        error InvalidTierMask(uint8 mask);
        error MalformedControlMessage();
        error NonceExhausted();
        error NotAuthorized(address caller);
        error NotConfirmable(bytes32 messageId);
        error OnlyMailbox(address caller);
        error OwnableInvalidOwner(address owner);
        error OwnableUnauthorizedAccount(address account);
        error Paused();
        error PauseTooSoon(uint64 earliest);
        error PolicyAlreadySet(address application);
        error PolicyWidened(uint8 current, uint8 given);
        error ReadDomainUnsupported(uint32 domain);
        error ReadResultsMissing(bytes32 messageId);
        error ReadTooLarge(uint256 length, uint256 limit);
        error RecipientNotContract(address recipient);
        error RefundFailed(address caller, uint256 amount);
        error RouterNotAccepted(uint32 domain, bytes32 remote);
        error RouterNotEnrolled(uint32 domain);
        error TierRefused(uint8 requiredMask, uint8 given);
        error TierUnsupported(uint32 domain, uint8 finality);
        error TooManyReads(uint256 count, uint256 limit);
        error UnauthorizedRouter(uint32 origin, bytes32 sender);
        error ZeroAddress();
    }

    /// Routes an envelope to the module of its origin and tier.
    interface MetalayerIsm {
        function moduleType() external view returns (uint8);
        function route(bytes calldata envelope) external view returns (address);
        function verify(bytes calldata metadata, bytes calldata envelope) external returns (bool);

        function setApplicationIsm(address module) external;
        function applicationIsm(address application) external view returns (address);
        function previous() external view returns (address);

        function module(uint32 origin, uint8 tier) external view returns (address);
        function setModule(uint32 origin, uint8 tier, address newModule) external;
        function readModule(uint32 origin, uint8 tier) external view returns (address);
        function setReadModule(uint32 origin, uint8 tier, address newModule) external;
        function suspended(uint32 origin, uint8 tier) external view returns (bool);
        function suspend(uint32 origin, uint8 tier) external;
        function resume(uint32 origin, uint8 tier) external;

        function router() external view returns (address);
        function localDomain() external view returns (uint32);
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function guardian() external view returns (address);
        function setGuardian(address newGuardian) external;
        function version() external view returns (string memory);

        event ApplicationIsmSet(address indexed application, address indexed module);
        event ModuleSet(uint32 indexed origin, uint8 indexed tier, address module);
        event ReadModuleSet(uint32 indexed origin, uint8 indexed tier, address module);
        event TierSuspended(uint32 indexed origin, uint8 indexed tier, address by);
        event TierResumed(uint32 indexed origin, uint8 indexed tier);
        event GuardianSet(address indexed guardian);
        event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

        error EnvelopeMismatch();
        error InvalidFinality(uint8 finality);
        error InvalidMessage();
        error InvalidModule(address module);
        error NoModule(uint32 origin, uint8 tier);
        error NotAuthorized(address caller);
        error OwnableInvalidOwner(address owner);
        error OwnableUnauthorizedAccount(address account);
        error Suspended(uint32 origin, uint8 tier);
        error TierKeyShared(address validator);
        error ZeroAddress();
    }

    /// Checks attested results of cross-chain reads and hands them to the router within one transaction.
    interface ReadIsm {
        function moduleType() external view returns (uint8);
        function getOffchainVerifyInfo(bytes calldata envelope) external view;
        function verify(bytes calldata metadata, bytes calldata envelope) external returns (bool);
        function take(bytes32 messageId) external returns (uint64 timestamp, uint256 failedReads, bytes[] memory results);

        function signers(uint32 origin, uint8 tier) external view returns (address);
        function setSigners(uint32 origin, uint8 tier, address module) external;
        function urls() external view returns (string[] memory);
        function setUrls(string[] calldata newUrls) external;

        function router() external view returns (address);
        function localDomain() external view returns (uint32);
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
        function version() external view returns (string memory);

        event SignersSet(uint32 indexed origin, uint8 indexed tier, address module);
        event UrlsSet(string[] urls);
        event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

        error EnvelopeMismatch();
        error InvalidFinality(uint8 finality);
        error InvalidMessage();
        error InvalidModule(address module);
        error MalformedReadMetadata();
        error NoSigners(uint32 origin, uint8 tier);
        error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);
        error OnlyRouter(address caller);
        error OwnableInvalidOwner(address owner);
        error OwnableUnauthorizedAccount(address account);
        error ReadResultsMissing(bytes32 messageId);
        error ResultsConflict(bytes32 messageId);
        error ThresholdNotMet();
        error TooFewUrls(uint256 count, uint256 minimum);
        error ZeroAddress();
    }

    /// What a contract implements to receive Metalayer messages; its caller is the router.
    interface IMetalayerRecipient {
        function handle(uint32 origin, bytes32 sender, bytes calldata message, ReadOperation[] calldata reads, bytes[] calldata readResults) external payable;
    }
}
