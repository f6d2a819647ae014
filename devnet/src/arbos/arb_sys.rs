use alloy::sol_types::SolValue;
use revm::{
    Database,
    context_interface::{
        Block, Cfg, ContextTr, JournalTr, journaled_state::account::JournaledAccountTr,
    },
    primitives::{Address, B256, Bytes, U256, address, keccak256},
};

use super::call::{Reply, SystemCall, WRITE_GAS, fail, refuse};

#[expect(
    clippy::too_many_arguments,
    reason = "an event of the published interface has nine fields"
)]
mod abi {
    use alloy::sol;

    sol! {
        #[derive(Debug)]
        interface ArbSys {
            function arbBlockNumber() view returns (uint256);
            function arbBlockHash(uint256 arbBlockNum) view returns (bytes32);
            function arbChainID() view returns (uint256);
            function arbOSVersion() view returns (uint256);
            function getStorageGasAvailable() view returns (uint256);
            function isTopLevelCall() view returns (bool);
            function mapL1SenderContractAddressToL2Alias(address sender, address unused) pure returns (address);
            function wasMyCallersAddressAliased() view returns (bool);
            function myCallersAddressWithoutAliasing() view returns (address);
            function withdrawEth(address destination) payable returns (uint256);
            function sendTxToL1(address destination, bytes data) payable returns (uint256);
            function sendMerkleTreeState() view returns (uint256 size, bytes32 root, bytes32[] partials);

            event L2ToL1Tx(address caller, address indexed destination, uint256 indexed hash, uint256 indexed position, uint256 arbBlockNum, uint256 ethBlockNum, uint256 timestamp, uint256 callvalue, bytes data);
            event SendMerkleUpdate(uint256 indexed reserved, bytes32 indexed hash, uint256 indexed position);

            error InvalidBlockNumber(uint256 requested, uint256 current);
        }
    }
}

use abi::{ArbSys, ArbSys::ArbSysCalls as Call};

/// The version that `arbOSVersion` reports is this much larger than the ArbOS version.
const VERSION_OFFSET: u64 = 55;
/// The ArbOS version whose rules these chains follow.
const ARBOS_VERSION: u64 = 60;
/// Added to the address of a contract on the parent chain when it sends a message.
const ALIAS_OFFSET: Address = address!("1111000000000000000000000000000000001111");
/// How far back block hashes are known.
const BLOCK_HASHES: u64 = 256;
/// Gas of hashing for one sent message.
const SEND_GAS: u64 = 2_000;
/// Where the level begins in the position of a node of the message tree.
const LEVEL_SHIFT: usize = 192;

pub(super) fn call<DB: Database>(call: &mut SystemCall<'_, DB>, data: &[u8]) -> Reply<DB> {
    let function = call.decode::<Call>(data)?;
    match function {
        Call::withdrawEth(function) => return send(call, function.destination, Bytes::new()),
        Call::sendTxToL1(function) => return send(call, function.destination, function.data),
        _ => call.require_no_value()?,
    }
    let reply = match function {
        Call::arbBlockNumber(_) => call.ctx.block().number().abi_encode(),
        Call::arbBlockHash(function) => block_hash(call, function.arbBlockNum)?.abi_encode(),
        Call::arbChainID(_) => U256::from(call.ctx.cfg().chain_id()).abi_encode(),
        Call::arbOSVersion(_) => U256::from(VERSION_OFFSET + ARBOS_VERSION).abi_encode(),
        Call::getStorageGasAvailable(_) => U256::ZERO.abi_encode(),
        // The caller's frame is the transaction's own, or the first that it calls.
        Call::isTopLevelCall(_) => (call.ctx.chain.frames.len() <= 1).abi_encode(),
        Call::mapL1SenderContractAddressToL2Alias(function) => alias(function.sender).abi_encode(),
        // No message arrives from a parent chain, so no address is an alias.
        Call::wasMyCallersAddressAliased(_) => false.abi_encode(),
        Call::myCallersAddressWithoutAliasing(_) => callers_caller(call).abi_encode(),
        Call::sendMerkleTreeState(_) => tree_state(call)?,
        Call::withdrawEth(_) | Call::sendTxToL1(_) => Vec::new(),
    };
    Ok(reply)
}

fn block_hash<DB: Database>(call: &mut SystemCall<'_, DB>, number: U256) -> Reply<DB, B256> {
    let current = call.ctx.block().number();
    let is_known = number < current && current - number <= U256::from(BLOCK_HASHES);
    if !is_known {
        return fail(ArbSys::InvalidBlockNumber { requested: number, current });
    }
    Ok(call.ctx.journal_mut().db_mut().block_hash(number.saturating_to())?)
}

/// Who called the caller; nobody did when the transaction itself calls ArbSys.
fn callers_caller<DB: Database>(call: &SystemCall<'_, DB>) -> Address {
    call.ctx.chain.frames.innermost().map_or(Address::ZERO, |frame| frame.caller)
}

fn alias(sender: Address) -> Address {
    let number = |address: Address| U256::from_be_slice(address.as_slice());
    Address::from_word(number(sender).wrapping_add(number(ALIAS_OFFSET)).into())
}

/// Writes down a message to the parent chain. Its value leaves this chain.
fn send<DB: Database>(
    call: &mut SystemCall<'_, DB>,
    destination: Address,
    data: Bytes,
) -> Reply<DB> {
    call.require_writable()?;
    call.burn(SEND_GAS + WRITE_GAS)?;
    let burnt = call.value;
    burn_value(call, burnt)?;
    let (number, timestamp) = (call.ctx.block().number(), call.ctx.block().timestamp());
    let caller = call.caller;
    let packed = (caller, destination, number, number, timestamp, burnt, data.clone());
    let hash = keccak256(packed.abi_encode_packed());
    let leaf = append(call, hash)?;
    call.emit(ArbSys::L2ToL1Tx {
        caller,
        destination,
        hash: hash.into(),
        position: U256::from(leaf),
        arbBlockNum: number,
        ethBlockNum: number,
        timestamp,
        callvalue: burnt,
        data,
    })?;
    Ok(U256::from(leaf).abi_encode())
}

fn burn_value<DB: Database>(call: &mut SystemCall<'_, DB>, amount: U256) -> Reply<DB, ()> {
    let contract = call.contract;
    let mut account = call.ctx.journal_mut().load_account_mut(contract)?;
    if account.decr_balance(amount) { Ok(()) } else { refuse() }
}

/// Adds a leaf to the tree of sent messages and returns its index.
///
/// `partials[n]` is the root of a complete subtree of 2^n leaves that has no right sibling yet.
fn append<DB: Database>(call: &mut SystemCall<'_, DB>, hash: B256) -> Reply<DB, u64> {
    let leaf = call.state().sent_messages()?;
    call.state().set_sent_messages(leaf + 1)?;
    let mut node = keccak256(hash);
    let mut level = 0;
    while leaf >> level & 1 == 1 {
        let left = call.state().partial(level)?;
        call.state().set_partial(level, B256::ZERO)?;
        node = keccak256([left, node].concat());
        level += 1;
        let position = (U256::from(level) << LEVEL_SHIFT) | U256::from(leaf);
        call.emit(ArbSys::SendMerkleUpdate { reserved: U256::ZERO, hash: node, position })?;
    }
    call.state().set_partial(level, node)?;
    Ok(leaf)
}

/// Size, root and partials; only for calls from the zero address, as on a real chain.
fn tree_state<DB: Database>(call: &mut SystemCall<'_, DB>) -> Reply<DB> {
    if call.caller != Address::ZERO {
        return refuse();
    }
    let size = call.state().sent_messages()?;
    let levels = u64::from(u64::BITS - size.leading_zeros());
    let mut partials = Vec::new();
    let mut root = B256::ZERO;
    for level in 0..levels {
        let partial = call.state().partial(level)?;
        partials.push(partial);
        root = match (root.is_zero(), partial.is_zero()) {
            (true, true) => root,
            (true, false) if level + 1 == levels => partial,
            (true, false) => keccak256([partial, B256::ZERO].concat()),
            (false, true) => keccak256([root, B256::ZERO].concat()),
            (false, false) => keccak256([partial, root].concat()),
        };
    }
    Ok((U256::from(size), root, partials).abi_encode_params())
}
