//! Multicall: several calls in one transaction, with Multicall3's interface and a form with a gas limit for each call.
//!
//! It keeps nothing between calls: whatever value a caller sends must be what its calls carry.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use parts::{Frame, Program, Revert, Writer, answer, external, program::refuse_value};
use protocol::{
    abi::multicall::*,
    words::{Malformed, padded},
};
use stylus_sdk::{ArbResult, host::VM, prelude::*};

/// Gas that a frame keeps back for each call, beside the 64th part that the chain keeps.
const GAS_RESERVE: u64 = 10_000;

/// It has no storage.
#[storage]
pub struct Multicall {}

/// One call of a batch.
struct Item<'a> {
    target: Address,
    allow_failure: bool,
    value: U256,
    /// Zero for all that is left.
    gas_limit: u64,
    data: &'a [u8],
}

impl Program for Multicall {
    fn construct(&mut self, _: Frame<'_>) -> Result<(), Revert> {
        Err(Revert::empty())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            aggregate3Call::SELECTOR => {
                return self
                    .aggregate(a, |item| Ok(Item { data: item.bytes(2)?, ..Item::plain(item)? }));
            }
            aggregate3ValueCall::SELECTOR => {
                return self.aggregate(a, |item| {
                    Ok(Item { value: item.uint(2)?, data: item.bytes(3)?, ..Item::plain(item)? })
                });
            }
            aggregate3GasCall::SELECTOR => {
                return self.aggregate(a, |item| {
                    Ok(Item {
                        value: item.uint(2)?,
                        gas_limit: item.uint64(3)?,
                        data: item.bytes(4)?,
                        ..Item::plain(item)?
                    })
                });
            }
            _ => {}
        }
        let vm = self.vm();
        refuse_value(vm)?;
        match selector {
            getEthBalanceCall::SELECTOR => Ok(answer::word(vm.balance(a.address(0)?).into())),
            getCurrentBlockTimestampCall::SELECTOR => Ok(answer::number(vm.block_timestamp())),
            getChainIdCall::SELECTOR => Ok(answer::number(vm.chain_id())),
            _ => Err(Revert::empty()),
        }
    }
}

impl<'a> Item<'a> {
    fn plain(item: Frame<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            target: item.address(0)?,
            allow_failure: item.boolean(1)?,
            value: U256::ZERO,
            gas_limit: 0,
            data: &[],
        })
    }
}

impl Multicall {
    /// Runs a batch in order. One that fails without leave to do so undoes all.
    fn aggregate<'a>(
        &self,
        a: Frame<'a>,
        read: impl Fn(Frame<'a>) -> Result<Item<'a>, Malformed>,
    ) -> Result<Vec<u8>, Revert> {
        let vm = self.vm();
        let (count, elements) = a.array(0, 1)?;
        let items =
            (0..count).map(|index| read(elements.tuple(index)?)).collect::<Result<Vec<_>, _>>()?;
        let expected = items.iter().try_fold(U256::ZERO, |sum, item| sum.checked_add(item.value));
        let (expected, given) = (expected.ok_or_else(Revert::overflow)?, vm.msg_value());
        if expected != given {
            return Err(ValueMismatch { expected, given }.into());
        }
        let mut answers = Vec::with_capacity(count);
        for (index, item) in items.iter().enumerate() {
            let answer = run(vm, index, item)?;
            if let (Err(reason), false) = (&answer, item.allow_failure) {
                let index = U256::from(index);
                return Err(CallFailed { index, reason: reason.0.clone().into() }.into());
            }
            answers.push(answer);
        }
        Ok(encode(&answers))
    }
}

/// Makes one call. A limit that can no longer be kept stops the batch, so that nobody can make a call fail, where failing is
/// allowed, by sending the batch with too little gas.
fn run(vm: &VM, index: usize, item: &Item<'_>) -> Result<Result<Vec<u8>, Revert>, Revert> {
    if item.gas_limit == 0 {
        return Ok(external::call(vm, item.target, item.value, item.data));
    }
    let left = vm.evm_gas_left().saturating_sub(GAS_RESERVE);
    if left - left / 64 < item.gas_limit {
        return Err(GasTooLow { index: U256::from(index), gasLimit: item.gas_limit }.into());
    }
    Ok(external::call_with_gas(vm, item.target, item.value, item.gas_limit, item.data))
}

/// `abi.encode((bool success, bytes returnData)[])`.
fn encode(answers: &[Result<Vec<u8>, Revert>]) -> Vec<u8> {
    let data = |answer: &Result<Vec<u8>, Revert>| match answer {
        Ok(data) => data.clone(),
        Err(reason) => reason.0.clone(),
    };
    let mut writer = Writer::new(2 + 6 * answers.len()).size(0x20).size(answers.len());
    let mut offset = 32 * answers.len();
    for answer in answers {
        writer = writer.size(offset);
        offset += 96 + padded(data(answer).len());
    }
    for answer in answers {
        writer = writer.uint64(answer.is_ok().into()).size(0x40).bytes(&data(answer));
    }
    writer.finish()
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { Multicall::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
