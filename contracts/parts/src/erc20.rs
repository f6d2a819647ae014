//! ERC-20 calls, strict where the caller must know and tolerant where real tokens differ.
//!
//! Transfers follow OpenZeppelin 5.0's `SafeERC20` to the selector of each error, because clients match on them.

use alloc::vec::Vec;

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};
use stylus_sdk::{host::VM, prelude::*};

use crate::{Frame, Revert, Writer, external};

sol! {
    /// A call that should have reached a contract reached an account without code.
    #[derive(Debug, PartialEq, Eq)]
    error AddressEmptyCode(address target);
    /// A call failed and said nothing.
    #[derive(Debug, PartialEq, Eq)]
    error FailedInnerCall();
    /// The token answered `false`.
    #[derive(Debug, PartialEq, Eq)]
    error SafeERC20FailedOperation(address token);

    function balanceOf(address account) external view returns (uint256);
    function allowance(address owner, address spender) external view returns (uint256);
    function approve(address spender, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// `token.balanceOf(account)`. A token without code, or with an answer below 32 bytes, is an empty revert.
pub fn balance_of(vm: &VM, token: Address, account: Address) -> Result<U256, Revert> {
    let data = Writer::call(balanceOfCall::SELECTOR, 1).address(account).finish();
    Ok(Frame(&external::view(vm, token, &data)?).uint(0)?)
}

/// `token.allowance(owner, spender)`, as strict as [`balance_of`].
pub fn allowance(
    vm: &VM,
    token: Address,
    owner: Address,
    spender: Address,
) -> Result<U256, Revert> {
    let data = Writer::call(allowanceCall::SELECTOR, 2).address(owner).address(spender).finish();
    Ok(Frame(&external::view(vm, token, &data)?).uint(0)?)
}

/// Call data of `transfer(to, amount)`.
pub fn transfer_data(to: Address, amount: U256) -> Vec<u8> {
    Writer::call(transferCall::SELECTOR, 2).address(to).uint(amount).finish()
}

/// Call data of `transferFrom(from, to, amount)`.
pub fn transfer_from_data(from: Address, to: Address, amount: U256) -> Vec<u8> {
    Writer::call(transferFromCall::SELECTOR, 3).address(from).address(to).uint(amount).finish()
}

/// Moves `amount` of `token` from the calling program to `to`.
///
/// # Errors
/// As [`check`].
pub fn transfer(vm: &VM, token: Address, to: Address, amount: U256) -> Result<(), Revert> {
    check(vm, token, external::call(vm, token, U256::ZERO, &transfer_data(to, amount)))
}

/// Moves `amount` of `token` from `from` to `to` by the allowance given to the calling program.
///
/// # Errors
/// As [`check`].
pub fn transfer_from(
    vm: &VM,
    token: Address,
    from: Address,
    to: Address,
    amount: U256,
) -> Result<(), Revert> {
    check(vm, token, external::call(vm, token, U256::ZERO, &transfer_from_data(from, to, amount)))
}

/// Lets `spender` move `amount` more of the calling program's `token` than before. For tokens that want it, by way of
/// zero.
///
/// # Errors
/// `Panic(0x11)` when the allowance would overflow; as [`check`].
pub fn increase_allowance(
    vm: &VM,
    token: Address,
    spender: Address,
    amount: U256,
) -> Result<(), Revert> {
    let current = allowance(vm, token, vm.contract_address(), spender)?;
    let wanted = current.checked_add(amount).ok_or_else(Revert::overflow)?;
    approve(vm, token, spender, wanted).or_else(|_| {
        approve(vm, token, spender, U256::ZERO)?;
        approve(vm, token, spender, wanted)
    })
}

fn approve(vm: &VM, token: Address, spender: Address, amount: U256) -> Result<(), Revert> {
    let data = Writer::call(approveCall::SELECTOR, 2).address(spender).uint(amount).finish();
    check(vm, token, external::call(vm, token, U256::ZERO, &data))
}

/// Judges what a token answered to a transfer.
///
/// # Errors
/// What the token reverted with; `FailedInnerCall()` when it reverted without data; `AddressEmptyCode(token)` when there
/// is no token; `SafeERC20FailedOperation(token)` when it answered false; an empty revert when the answer is no boolean.
pub fn check(vm: &VM, token: Address, outcome: Result<Vec<u8>, Revert>) -> Result<(), Revert> {
    match outcome {
        Err(revert) if revert.0.is_empty() => Err(FailedInnerCall {}.into()),
        Err(revert) => Err(revert),
        Ok(answer) if answer.is_empty() => {
            if external::has_code(vm, token) {
                Ok(())
            } else {
                Err(AddressEmptyCode { target: token }.into())
            }
        }
        Ok(answer) => {
            if !Frame(&answer).boolean(0)? {
                Err(SafeERC20FailedOperation { token }.into())
            } else {
                Ok(())
            }
        }
    }
}
