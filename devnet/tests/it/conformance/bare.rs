use alloy::primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy::sol_types::SolCall;
use devnet::{
    arbos::{ARB_WASM, genesis_accounts},
    genesis::DEV_ADDRESSES,
    vm::{Environment, Executor},
};
use revm::{
    DatabaseCommit,
    context::{BlockEnv, TxEnv},
    context_interface::result::{ExecutionResult, ResultAndState},
    database::{CacheDB, EmptyDB},
    state::{AccountInfo, Bytecode},
};

use super::activation::activateProgramCall;

const USER: Address = DEV_ADDRESSES[0];
const GAS_LIMIT: u64 = 30_000_000;

/// The virtual machine on a database in memory, without a chain around it.
pub(super) struct Bare {
    pub(super) executor: Executor,
    pub(super) db: CacheDB<EmptyDB>,
}

impl Bare {
    pub(super) fn new() -> Self {
        let mut db = CacheDB::new(EmptyDB::new());
        for (address, info) in genesis_accounts() {
            db.insert_account_info(address, info);
        }
        db.insert_account_info(USER, AccountInfo::from_balance(U256::MAX / U256::from(2)));
        Self { executor: Executor::new(), db }
    }

    pub(super) fn contract(&mut self, code: &[u8]) -> Address {
        let address = Address::from_slice(&keccak256(code)[..20]);
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        self.db.insert_account_info(address, AccountInfo::from_bytecode(code));
        address
    }

    pub(super) fn program(&mut self, code: &[u8]) -> Address {
        let program = self.contract(code);
        let mut tx = self.transaction(ARB_WASM, activateProgramCall { program }.abi_encode());
        tx.value = U256::from(10).pow(U256::from(18));
        let outcome = self.execute(tx);
        assert!(outcome.result.is_success(), "{:?}", outcome.result);
        self.db.commit(outcome.state);
        program
    }

    pub(super) fn environment() -> Environment {
        let block = BlockEnv { gas_limit: GAS_LIMIT, ..BlockEnv::default() };
        Environment::new(1, block)
    }

    pub(super) fn transaction(&self, to: Address, data: Vec<u8>) -> TxEnv {
        let nonce = self.db.cache.accounts.get(&USER).unwrap().info.nonce;
        TxEnv {
            caller: USER,
            gas_limit: GAS_LIMIT,
            kind: TxKind::Call(to),
            data: data.into(),
            nonce,
            chain_id: Some(1),
            ..TxEnv::default()
        }
    }

    pub(super) fn execute(&mut self, tx: TxEnv) -> ResultAndState {
        self.executor.execute(&mut Self::environment(), &mut self.db, tx).unwrap()
    }

    /// The result of a call whose changes are dropped.
    pub(super) fn call(&mut self, to: Address, data: Vec<u8>) -> ExecutionResult {
        self.execute(self.transaction(to, data)).result
    }
}
