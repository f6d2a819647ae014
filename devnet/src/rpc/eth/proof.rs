//! Merkle proofs of accounts and storage.
//!
//! They verify against the Merkle root of the state, which `devnet_stateRoot` computes: headers
//! carry a cheaper commitment (see [`Block`](crate::Block)).

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256},
    rlp,
    rpc::types::{EIP1186AccountProofResponse, EIP1186StorageProof},
    serde::JsonStorageKey,
    trie::{HashBuilder, Nibbles, TrieAccount, proof::ProofRetainer},
};

use super::{Answer, Params, Reader, block_id, value};
use crate::genesis::Account;

/// `eth_getProof`.
pub(super) fn get(reader: &Reader<'_>, params: &Params) -> Answer {
    let address: Address = params.required(0, "address")?;
    let keys: Vec<JsonStorageKey> = params.optional(1, "storage keys")?.unwrap_or_default();
    let version = reader.state(block_id(params, 2)?)?;
    let accounts = reader.inner.state.accounts_at(version);
    let (_, account_proof) = prove_accounts(&accounts, address);
    let account = accounts.get(&address).cloned().unwrap_or_default();
    let targets: Vec<B256> = keys.iter().map(JsonStorageKey::as_b256).collect();
    let (storage_hash, proofs) = prove_storage(&account, &targets);
    let storage_proof = keys
        .into_iter()
        .zip(proofs)
        .map(|(key, proof)| {
            let value = account.storage.get(&key.as_b256().into()).copied().unwrap_or_default();
            EIP1186StorageProof { key, value, proof }
        })
        .collect();
    value(EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: code_hash(&account),
        nonce: account.nonce,
        storage_hash,
        account_proof,
        storage_proof,
    })
}

/// The Merkle root of the state after a block, which the proofs lead to.
pub(in crate::rpc) fn state_root(reader: &Reader<'_>, params: &Params) -> Answer {
    let version = reader.state(block_id(params, 0)?)?;
    let accounts = reader.inner.state.accounts_at(version);
    value(prove_accounts(&accounts, Address::ZERO).0)
}

fn prove_accounts(accounts: &BTreeMap<Address, Account>, target: Address) -> (B256, Vec<Bytes>) {
    let leaves = accounts.iter().map(|(address, account)| {
        let (storage_root, _) = prove_storage(account, &[]);
        let leaf = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root,
            code_hash: code_hash(account),
        };
        (keccak256(address), rlp::encode(leaf))
    });
    let (root, mut proofs) = prove(leaves.collect(), &[keccak256(target)]);
    (root, proofs.pop().unwrap_or_default())
}

fn prove_storage(account: &Account, targets: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
    let leaves = account.storage.iter().map(|(key, value): (&U256, &U256)| {
        (keccak256(key.to_be_bytes::<32>()), rlp::encode(value))
    });
    let targets: Vec<B256> = targets.iter().map(keccak256).collect();
    prove(leaves.collect(), &targets)
}

/// The root of a trie with `leaves`, and the nodes on the way to each of `targets`.
fn prove(leaves: BTreeMap<B256, Vec<u8>>, targets: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
    let paths: Vec<Nibbles> = targets.iter().map(Nibbles::unpack).collect();
    let retainer = ProofRetainer::new(paths.clone());
    let mut trie = HashBuilder::default().with_proof_retainer(retainer);
    for (key, leaf) in &leaves {
        trie.add_leaf(Nibbles::unpack(key), leaf);
    }
    let root = trie.root();
    let nodes = trie.take_proof_nodes();
    let proofs = paths
        .iter()
        .map(|path| nodes.matching_nodes_sorted(path).into_iter().map(|(_, node)| node).collect());
    (root, proofs.collect())
}

fn code_hash(account: &Account) -> B256 {
    if account.code.is_empty() { KECCAK256_EMPTY } else { keccak256(&account.code) }
}
