//! How a program is entered.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256, b256};
use protocol::{abi::constructor, words::Malformed};
use stylus_sdk::{ArbResult, host::VM, prelude::*};

use crate::{Frame, Revert};

/// keccak256("metalayer.constructed"): set once the constructor has run.
const CONSTRUCTED: B256 =
    b256!("0xe80e83cb01833e97179dc1347f751a344a98bff611cc5a0e4dc1df49ef083a94");

/// A program: storage, a constructor and a table of functions.
///
/// The table is a `match` over selectors of the `sol!` interface in `protocol::abi`, and arguments are read with
/// [`Frame`]. The SDK's `#[public]` router would decode each signature with generics of its own: four times the code,
/// and every byte of code is paid for at each start of the program.
pub trait Program: Sized {
    /// Runs once, in the transaction that creates the program.
    ///
    /// # Errors
    /// What it reverts with.
    fn construct(&mut self, arguments: Frame<'_>) -> Result<(), Revert>;

    /// Runs the function with this selector. Returns its encoded results.
    ///
    /// # Errors
    /// What it reverts with; an empty revert for an unknown selector.
    fn call(&mut self, selector: [u8; 4], arguments: Frame<'_>) -> Result<Vec<u8>, Revert>;

    /// Takes plain ETH. Refused unless a program says otherwise.
    ///
    /// # Errors
    /// An empty revert.
    fn receive(&mut self) -> Result<(), Revert> {
        Err(Revert::empty())
    }

    /// Enters the program with the call data of a transaction.
    ///
    /// # Errors
    /// What it reverts with.
    fn enter(&mut self, vm: &VM, input: &[u8]) -> ArbResult {
        let outcome = match input.split_first_chunk::<4>() {
            None if input.is_empty() => self.receive().map(|()| Vec::new()),
            None => Err(Revert::empty()),
            Some((&constructor::SELECTOR, arguments)) => {
                construct(self, vm, Frame(arguments)).map(|()| Vec::new())
            }
            Some((selector, arguments)) => self.call(*selector, Frame(arguments)),
        };
        outcome.map_err(Vec::from)
    }
}

/// Runs the constructor unless it has run. Value is refused.
#[expect(unsafe_code, reason = "the SDK has no type for a word at a slot")]
fn construct<P: Program>(program: &mut P, vm: &VM, arguments: Frame<'_>) -> Result<(), Revert> {
    refuse_value(vm)?;
    let slot = U256::from_be_bytes(CONSTRUCTED.0);
    if !vm.storage_load_bytes32(slot).is_zero() {
        return Err(Revert::empty());
    }
    // SAFETY: no storage type of any program is at this slot, which is a hash.
    unsafe { vm.storage_cache_bytes32(slot, B256::with_last_byte(1)) };
    program.construct(arguments)
}

/// The guard of functions that are not payable.
///
/// # Errors
/// An empty revert when value was sent.
pub fn refuse_value(vm: &VM) -> Result<(), Malformed> {
    if vm.msg_value().is_zero() { Ok(()) } else { Err(Malformed) }
}
