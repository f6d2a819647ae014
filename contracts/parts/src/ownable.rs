//! Ownership in two steps.

use alloc::{vec, vec::Vec};

use alloy_primitives::Address;
use alloy_sol_types::sol;
use stylus_sdk::{prelude::*, storage::StorageAddress};

use crate::Revert;

sol! {
    /// The owner named a successor, who has to accept.
    #[derive(Debug, PartialEq, Eq)]
    event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
    /// Ownership changed hands.
    #[derive(Debug, PartialEq, Eq)]
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    /// The caller is not who this function is for.
    #[derive(Debug, PartialEq, Eq)]
    error OwnableUnauthorizedAccount(address account);
    /// Nobody can be no one.
    #[derive(Debug, PartialEq, Eq)]
    error OwnableInvalidOwner(address owner);
}

/// Who owns a program. A successor takes over only by accepting, so a mistyped address never does.
#[storage]
#[derive(Debug)]
pub struct Ownable {
    owner: StorageAddress,
    pending: StorageAddress,
}

impl Ownable {
    /// Sets the first owner.
    ///
    /// # Errors
    /// `OwnableInvalidOwner(0)`.
    pub fn initialize(&mut self, owner: Address) -> Result<(), Revert> {
        if owner.is_zero() {
            return Err(OwnableInvalidOwner { owner }.into());
        }
        self.hand_over(owner);
        Ok(())
    }

    /// The owner.
    pub fn owner(&self) -> Address {
        self.owner.get()
    }

    /// Who may accept ownership; zero when nobody was named.
    pub fn pending_owner(&self) -> Address {
        self.pending.get()
    }

    /// Refuses every caller but the owner.
    ///
    /// # Errors
    /// `OwnableUnauthorizedAccount(caller)`.
    pub fn only_owner(&self) -> Result<(), Revert> {
        self.only(self.owner.get())
    }

    /// Names a successor; zero takes the name back.
    ///
    /// # Errors
    /// `OwnableUnauthorizedAccount(caller)` unless called by the owner.
    pub fn transfer_ownership(&mut self, new_owner: Address) -> Result<(), Revert> {
        self.only_owner()?;
        self.pending.set(new_owner);
        let previous_owner = self.owner.get();
        self.vm()
            .log(OwnershipTransferStarted { previousOwner: previous_owner, newOwner: new_owner });
        Ok(())
    }

    /// Takes ownership over.
    ///
    /// # Errors
    /// `OwnableUnauthorizedAccount(caller)` unless called by the named successor.
    pub fn accept_ownership(&mut self) -> Result<(), Revert> {
        let successor = self.pending.get();
        self.only(successor)?;
        self.pending.set(Address::ZERO);
        self.hand_over(successor);
        Ok(())
    }

    fn only(&self, account: Address) -> Result<(), Revert> {
        let caller = self.vm().msg_sender();
        if caller == account {
            Ok(())
        } else {
            Err(OwnableUnauthorizedAccount { account: caller }.into())
        }
    }

    fn hand_over(&mut self, new_owner: Address) {
        let previous_owner = self.owner.get();
        self.owner.set(new_owner);
        self.vm().log(OwnershipTransferred { previousOwner: previous_owner, newOwner: new_owner });
    }
}
