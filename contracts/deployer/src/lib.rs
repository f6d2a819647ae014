//! Deployer: creates, activates and constructs a program in one transaction, so that nobody can construct it first.
//!
//! It has StylusDeployer's interface and is the only deployer our tools use. The CREATE2 salt is keccak256(caller ‖ salt):
//! an address depends on caller, salt and code, never on constructor arguments, so that programs which name one another can
//! be deployed at addresses known before. A program of its own rather than EVM code: it is as readable as the others, is
//! built and checked as they are, and its gas does not matter. It is put on a chain through the CREATE2 factory and
//! activated once.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]

extern crate alloc;

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{
    Frame, Program, Revert, Writer, answer::address, external, external::log, program::refuse_value,
};
use protocol::{
    abi::{
        arbos::{ARB_WASM, ArbWasm},
        deployer::{
            ContractDeployed, ContractDeploymentError, ContractInitializationError, EmptyBytecode,
            InitValueButNotInitData, ProgramActivationError, RefundExcessValueError, addressOfCall,
            deployCall, versionCall,
        },
    },
    create2,
};
use stylus_sdk::{ArbResult, host::VM, prelude::*};

/// What a program's code starts with.
const PROGRAM_PREFIX: [u8; 3] = [0xef, 0xf0, 0x00];

/// Stateless: it holds nothing between calls.
#[derive(Debug)]
pub struct Deployer {
    vm: VM,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    Deployer { vm: vm.clone() }.enter(&vm, &input)
}

/// What to deploy.
struct Order<'a> {
    init_code: &'a [u8],
    init_data: &'a [u8],
    init_value: U256,
    salt: B256,
}

impl Program for Deployer {
    /// Has none: it is created by the CREATE2 factory.
    fn construct(&mut self, _: Frame<'_>) -> Result<(), Revert> {
        Err(Revert::empty())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            deployCall::SELECTOR => {
                let order = Order {
                    init_code: a.bytes(0)?,
                    init_data: a.bytes(1)?,
                    init_value: a.uint(2)?,
                    salt: a.word(3)?,
                };
                self.deploy(&order).map(address)
            }
            addressOfCall::SELECTOR => {
                refuse_value(&self.vm)?;
                let salt = create2::deployer_salt(a.address(0)?, a.word(1)?);
                Ok(address(create2::address(self.vm.contract_address(), salt, a.word(2)?)))
            }
            versionCall::SELECTOR => {
                refuse_value(&self.vm)?;
                Ok(Writer::new(3).size(0x20).bytes(env!("CARGO_PKG_VERSION").as_bytes()).finish())
            }
            _ => Err(Revert::empty()),
        }
    }

    /// The precompile returns what activation did not cost.
    fn receive(&mut self) -> Result<(), Revert> {
        Ok(())
    }
}

impl Deployer {
    /// Creates the contract, activates it when it is a program that is not active, calls it with the init data, and returns
    /// what is left of the value to the caller.
    ///
    /// # Errors
    /// `EmptyBytecode()`, `InitValueButNotInitData()`, `ContractDeploymentError(bytecode)`,
    /// `ProgramActivationError(contract, data)`, `ContractInitializationError(contract, data)`,
    /// `RefundExcessValueError(excess)`.
    fn deploy(&self, order: &Order<'_>) -> Result<Address, Revert> {
        let vm = &self.vm;
        if order.init_code.is_empty() {
            return Err(EmptyBytecode {}.into());
        }
        if order.init_data.is_empty() && !order.init_value.is_zero() {
            return Err(InitValueButNotInitData {}.into());
        }
        let (caller, this) = (vm.msg_sender(), vm.contract_address());
        // Not an underflow: the balance includes the value.
        let before = vm.balance(this) - vm.msg_value();

        let salt = create2::deployer_salt(caller, order.salt);
        let created =
            external::create(vm, order.init_code, U256::ZERO, Some(salt)).map_err(|_| {
                Revert::from(ContractDeploymentError { bytecode: order.init_code.to_vec().into() })
            })?;
        self.activate(created, order.init_value)?;
        if !order.init_data.is_empty() {
            external::call(vm, created, order.init_value, order.init_data).map_err(|revert| {
                Revert::from(ContractInitializationError {
                    newContract: created,
                    data: revert.0.into(),
                })
            })?;
        }
        log(vm, &[ContractDeployed::SIGNATURE_HASH], created.into_word().as_slice());

        // Whatever was here before this call stays out of it.
        let excess = vm.balance(this).saturating_sub(before);
        if excess.is_zero() || external::send(vm, caller, excess, &[]) {
            Ok(created)
        } else {
            Err(RefundExcessValueError { excessValue: excess }.into())
        }
    }

    /// Activates a program whose code is not active at the chain's version, paying from the value beyond `reserved`.
    fn activate(&self, created: Address, reserved: U256) -> Result<(), Revert> {
        let vm = &self.vm;
        if !vm.code(created).starts_with(&PROGRAM_PREFIX) || self.is_active(created) {
            return Ok(());
        }
        let request =
            Writer::call(ArbWasm::activateProgramCall::SELECTOR, 1).address(created).finish();
        let value = vm.msg_value().saturating_sub(reserved);
        external::call(vm, ARB_WASM, value, &request).map(|_| ()).map_err(|revert| {
            ProgramActivationError { newContract: created, data: revert.0.into() }.into()
        })
    }

    fn is_active(&self, program: Address) -> bool {
        let vm = &self.vm;
        let of_code = Writer::call(ArbWasm::codehashVersionCall::SELECTOR, 1)
            .word(vm.code_hash(program))
            .finish();
        let of_chain = Writer::call(ArbWasm::stylusVersionCall::SELECTOR, 0).finish();
        let version = |query: &[u8]| external::view(vm, ARB_WASM, query).ok();
        version(&of_code).is_some_and(|active| Some(active) == version(&of_chain))
    }
}
