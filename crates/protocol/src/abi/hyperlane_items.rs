//! The parts of Hyperlane's core that we deploy, call or index (package `@hyperlane-xyz/core` 7.1.1).

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives = true)]

    /// What the gas oracle knows of one remote domain.
    struct RemoteGasDataConfig {
        uint32 remoteDomain;
        uint128 tokenExchangeRate;
        uint128 gasPrice;
    }

    /// Where the paymaster finds prices for a domain, and what it adds to every gas limit.
    struct DomainGasConfig {
        address gasOracle;
        uint96 gasOverhead;
    }

    /// One entry of `setDestinationGasConfigs`.
    struct GasParam {
        uint32 remoteDomain;
        DomainGasConfig config;
    }

    /// Sends and processes envelopes. `dispatch_0` uses the default hook without metadata, `dispatch_1` the
    /// default hook, `dispatch_2` a hook of the caller's; the quotes likewise.
    interface Mailbox {
        function initialize(address _owner, address _defaultIsm, address _defaultHook, address _requiredHook) external;
        function dispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody) external payable returns (bytes32);
        function dispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody, bytes calldata hookMetadata) external payable returns (bytes32);
        function dispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody, bytes calldata metadata, address hook) external payable returns (bytes32);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody) external view returns (uint256 fee);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody, bytes calldata defaultHookMetadata) external view returns (uint256 fee);
        function quoteDispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes calldata messageBody, bytes calldata metadata, address hook) external view returns (uint256 fee);
        function process(bytes calldata metadata, bytes calldata message) external payable;
        function recipientIsm(address recipient) external view returns (address);
        function delivered(bytes32 messageId) external view returns (bool);
        function processor(bytes32 id) external view returns (address);
        function processedAt(bytes32 id) external view returns (uint48);
        function nonce() external view returns (uint32);
        function latestDispatchedId() external view returns (bytes32);
        function deployedBlock() external view returns (uint256);
        function localDomain() external view returns (uint32);
        function VERSION() external view returns (uint8);
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function defaultIsm() external view returns (address);
        function defaultHook() external view returns (address);
        function requiredHook() external view returns (address);
        function setDefaultIsm(address _module) external;
        function setDefaultHook(address _hook) external;
        function setRequiredHook(address _hook) external;

        event Dispatch(address indexed sender, uint32 indexed destination, bytes32 indexed recipient, bytes message);
        event DispatchId(bytes32 indexed messageId);
        event Process(uint32 indexed origin, bytes32 indexed sender, address indexed recipient);
        event ProcessId(bytes32 indexed messageId);
        event DefaultIsmSet(address indexed module);
        event DefaultHookSet(address indexed hook);
        event RequiredHookSet(address indexed hook);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    }

    /// The incremental tree over every dispatched envelope's id.
    interface MerkleTreeHook {
        function count() external view returns (uint32);
        function root() external view returns (bytes32);
        function tree() external view returns (bytes32[32] memory branch, uint256 count);
        function latestCheckpoint() external view returns (bytes32 root, uint32 index);
        function hookType() external view returns (uint8);
        function postDispatch(bytes calldata metadata, bytes calldata message) external payable;
        function quoteDispatch(bytes calldata metadata, bytes calldata message) external view returns (uint256);

        event InsertedIntoTree(bytes32 messageId, uint32 index);
    }

    /// Sells gas on remote domains for native currency.
    interface InterchainGasPaymaster {
        function initialize(address _owner, address _beneficiary) external;
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function beneficiary() external view returns (address);
        function setBeneficiary(address _beneficiary) external;
        function claim() external;
        function hookType() external view returns (uint8);
        function destinationGasConfigs(uint32 domain) external view returns (address gasOracle, uint96 gasOverhead);
        function setDestinationGasConfigs(GasParam[] calldata _configs) external;
        function destinationGasLimit(uint32 _destinationDomain, uint256 _gasLimit) external view returns (uint256);
        function getExchangeRateAndGasPrice(uint32 _destinationDomain) external view returns (uint128 tokenExchangeRate, uint128 gasPrice);
        function quoteGasPayment(uint32 _destinationDomain, uint256 _gasLimit) external view returns (uint256);
        function payForGas(bytes32 _messageId, uint32 _destinationDomain, uint256 _gasLimit, address _refundAddress) external payable;
        function postDispatch(bytes calldata metadata, bytes calldata message) external payable;
        function quoteDispatch(bytes calldata metadata, bytes calldata message) external view returns (uint256);

        event GasPayment(bytes32 indexed messageId, uint32 indexed destinationDomain, uint256 gasAmount, uint256 payment);
        event DestinationGasConfigSet(uint32 remoteDomain, address gasOracle, uint96 gasOverhead);
        event BeneficiarySet(address beneficiary);
    }

    /// Gas prices and exchange rates (scaled by 1e10), kept by their owner.
    interface StorageGasOracle {
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function remoteGasData(uint32 domain) external view returns (uint128 tokenExchangeRate, uint128 gasPrice);
        function getExchangeRateAndGasPrice(uint32 _destinationDomain) external view returns (uint128 tokenExchangeRate, uint128 gasPrice);
        function setRemoteGasData(RemoteGasDataConfig calldata _config) external;
        function setRemoteGasDataConfigs(RemoteGasDataConfig[] calldata _configs) external;

        event RemoteGasDataSet(uint32 indexed remoteDomain, uint128 tokenExchangeRate, uint128 gasPrice);
    }

    /// Where validators say they publish their signatures.
    interface ValidatorAnnounce {
        function announce(address _validator, string calldata _storageLocation, bytes calldata _signature) external returns (bool);
        function getAnnouncedStorageLocations(address[] calldata _validators) external view returns (string[][] memory);
        function getAnnouncedValidators() external view returns (address[] memory);
        function mailbox() external view returns (address);
        function localDomain() external view returns (uint32);

        event ValidatorAnnouncement(address indexed validator, string storageLocation);
    }

    /// Makes immutable sets (multisig or aggregation ISMs) at predictable addresses.
    interface StaticThresholdAddressSetFactory {
        function implementation() external view returns (address);
        function deploy(address[] calldata _values, uint8 _threshold) external returns (address);
        function getAddress(address[] calldata _values, uint8 _threshold) external view returns (address);
    }

    /// What every interchain security module answers.
    interface InterchainSecurityModule {
        function moduleType() external view returns (uint8);
        function verify(bytes calldata _metadata, bytes calldata _message) external returns (bool);
    }

    /// A module that counts validators' signatures.
    interface MultisigIsm {
        function moduleType() external view returns (uint8);
        function verify(bytes calldata _metadata, bytes calldata _message) external returns (bool);
        function validatorsAndThreshold(bytes calldata _message) external view returns (address[] memory validators, uint8 threshold);
    }

    /// A module that asks several others.
    interface AggregationIsm {
        function moduleType() external view returns (uint8);
        function verify(bytes calldata _metadata, bytes calldata _message) external returns (bool);
        function modulesAndThreshold(bytes calldata _message) external view returns (address[] memory modules, uint8 threshold);
    }

    /// A module that hands the question to another one.
    interface RoutingIsm {
        function moduleType() external view returns (uint8);
        function verify(bytes calldata _metadata, bytes calldata _message) external returns (bool);
        function route(bytes calldata _message) external view returns (address);
    }

    /// A module whose metadata comes from an off-chain server (EIP-3668).
    interface CcipReadIsm {
        function moduleType() external view returns (uint8);
        function verify(bytes calldata _metadata, bytes calldata _message) external returns (bool);
        function getOffchainVerifyInfo(bytes calldata _message) external view;

        error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);
    }

    /// A recipient of envelopes.
    interface MessageRecipient {
        function handle(uint32 _origin, bytes32 _sender, bytes calldata _message) external payable;
        function interchainSecurityModule() external view returns (address);
    }

    /// OpenZeppelin's proxy administrator, which the mailbox's proxy names while it is set up.
    interface ProxyAdmin {
        function owner() external view returns (address);
        function transferOwnership(address newOwner) external;
        function getProxyImplementation(address proxy) external view returns (address);
        function getProxyAdmin(address proxy) external view returns (address);
        function upgrade(address proxy, address implementation) external;
    }

    /// OpenZeppelin's timelock, which owns everything in production.
    interface TimelockController {
        function getMinDelay() external view returns (uint256);
        function hasRole(bytes32 role, address account) external view returns (bool);
        function schedule(address target, uint256 value, bytes calldata data, bytes32 predecessor, bytes32 salt, uint256 delay) external;
        function execute(address target, uint256 value, bytes calldata payload, bytes32 predecessor, bytes32 salt) external payable;
    }
}
