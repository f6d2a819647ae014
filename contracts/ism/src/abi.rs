//! The table of functions: `protocol::abi::ism`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use parts::{
    Frame, Program, Revert, answer,
    module::{kind, lane},
    program::refuse_value,
};
use protocol::abi::ism::*;
use stylus_sdk::{alloy_primitives::aliases::U32, prelude::*};

use crate::MetalayerIsm;

impl Program for MetalayerIsm {
    /// Takes router, local domain, owner, guardian, and the module this one replaces (or zero).
    fn construct(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        self.router.set(a.address(0)?);
        self.local_domain.set(U32::from(a.uint32(1)?));
        self.ownable.initialize(a.address(2)?)?;
        self.set_guardian(a.address(3)?);
        self.previous.set(a.address(4)?);
        Ok(())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        refuse_value(self.vm())?;
        if let Some(answer) = self.view(selector, a)? {
            return Ok(answer);
        }
        match selector {
            verifyCall::SELECTOR => {
                return self.verify(a.bytes(0)?, a.bytes(1)?).map(answer::boolean);
            }
            setApplicationIsmCall::SELECTOR => self.set_application_ism(a.address(0)?)?,
            suspendCall::SELECTOR => self.suspend(a.uint32(0)?, byte(a, 1)?)?,
            transferOwnershipCall::SELECTOR => self.ownable.transfer_ownership(a.address(0)?)?,
            acceptOwnershipCall::SELECTOR => self.ownable.accept_ownership()?,
            _ => self.administrate(selector, a)?,
        }
        Ok(Vec::new())
    }
}

impl MetalayerIsm {
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let address = |address: Address| answer::address(address);
        Ok(Some(match selector {
            moduleTypeCall::SELECTOR => answer::number(kind::ROUTING),
            routeCall::SELECTOR => address(self.route(a.bytes(0)?)?),
            moduleCall::SELECTOR => address(self.modules.get(lane(a.uint32(0)?, byte(a, 1)?))),
            readModuleCall::SELECTOR => {
                address(self.read_modules.get(lane(a.uint32(0)?, byte(a, 1)?)))
            }
            suspendedCall::SELECTOR => {
                answer::boolean(self.suspended.get(lane(a.uint32(0)?, byte(a, 1)?)))
            }
            applicationIsmCall::SELECTOR => address(self.application_ism(a.address(0)?)?),
            previousCall::SELECTOR => address(self.previous.get()),
            routerCall::SELECTOR => address(self.router.get()),
            localDomainCall::SELECTOR => answer::number(self.local_domain.get().to()),
            guardianCall::SELECTOR => address(self.guardian.get()),
            ownerCall::SELECTOR => address(self.ownable.owner()),
            pendingOwnerCall::SELECTOR => address(self.ownable.pending_owner()),
            versionCall::SELECTOR => answer::text(env!("CARGO_PKG_VERSION")),
            _ => return Ok(None),
        }))
    }

    /// What only the owner may do.
    fn administrate(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<(), Revert> {
        let is_owners = matches!(
            selector,
            setModuleCall::SELECTOR
                | setReadModuleCall::SELECTOR
                | resumeCall::SELECTOR
                | setGuardianCall::SELECTOR
        );
        if !is_owners {
            return Err(Revert::empty());
        }
        self.ownable.only_owner()?;
        if selector == setGuardianCall::SELECTOR {
            self.set_guardian(a.address(0)?);
            return Ok(());
        }
        let (origin, tier) = (a.uint32(0)?, byte(a, 1)?);
        match selector {
            setModuleCall::SELECTOR => self.set_module(origin, tier, a.address(2)?),
            setReadModuleCall::SELECTOR => self.set_read_module(origin, tier, a.address(2)?),
            _ => {
                self.resume(origin, tier);
                Ok(())
            }
        }
    }
}

fn byte(a: Frame<'_>, index: usize) -> Result<u8, Revert> {
    u8::try_from(a.uint64(index)?).map_err(|_| Revert::empty())
}
