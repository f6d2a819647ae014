//! The other chains' routers.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, Writer, external};
use protocol::abi::router::{
    InvalidDomain, ReadDomainSet, RemoteRouterEnrolled, RemoteRouterRetired,
    RemoteRouterUnenrolled, RouterNotAccepted, RouterNotEnrolled, SupportedTiersSet, ZeroAddress,
};
use stylus_sdk::{
    alloy_primitives::aliases::{U8, U32},
    prelude::*,
};

use crate::{Router, policy::valid};

impl Router {
    /// Sends to `router` from now on, and accepts its messages until it is retired.
    pub(crate) fn enroll(&mut self, domain: u32, router: B256) -> Result<(), Revert> {
        if domain == 0 {
            return Err(InvalidDomain { domain }.into());
        }
        if router.is_zero() {
            return Err(ZeroAddress {}.into());
        }
        if self.remote(domain).router.get().is_zero() {
            self.domains.push(U32::from(domain));
        }
        let is_accepted = self.accepts(domain, router);
        let mut remote = self.remote_mut(domain);
        remote.router.set(router);
        if !is_accepted {
            remote.accepted.push(router);
        }
        self.announce(RemoteRouterEnrolled::SIGNATURE_HASH, domain, router);
        Ok(())
    }

    /// Sends nothing to `domain` any more. What is on its way still arrives.
    pub(crate) fn unenroll(&mut self, domain: u32) -> Result<(), Revert> {
        let router = self.remote(domain).router.get();
        if router.is_zero() {
            return Err(RouterNotEnrolled { domain }.into());
        }
        self.remote_mut(domain).router.set(B256::ZERO);
        let count = self.domains.len();
        for index in 0..count {
            if self.domain_at(index) == domain {
                let last = self.domain_at(count - 1);
                if let Some(mut slot) = self.domains.setter(index) {
                    slot.set(U32::from(last));
                }
                self.domains.pop();
                break;
            }
        }
        self.announce(RemoteRouterUnenrolled::SIGNATURE_HASH, domain, router);
        Ok(())
    }

    /// Accepts nothing from `router` any more; if it is the enrolled one, sends nothing to it either.
    pub(crate) fn retire(&mut self, domain: u32, router: B256) -> Result<(), Revert> {
        let mut kept = self.accepted(domain);
        let Some(index) = kept.iter().position(|accepted| *accepted == router) else {
            return Err(RouterNotAccepted { domain, remote: router }.into());
        };
        kept.swap_remove(index);
        let mut remote = self.remote_mut(domain);
        remote.accepted.pop();
        if let (Some(mut slot), Some(moved)) = (remote.accepted.setter(index), kept.get(index)) {
            slot.set(*moved);
        }
        if self.remote(domain).router.get() == router {
            self.unenroll(domain)?;
        }
        self.announce(RemoteRouterRetired::SIGNATURE_HASH, domain, router);
        Ok(())
    }

    /// Whether messages of this router are delivered.
    pub(crate) fn accepts(&self, domain: u32, router: B256) -> bool {
        self.accepted(domain).contains(&router)
    }

    /// Every router of a domain whose messages are delivered.
    pub(crate) fn accepted(&self, domain: u32) -> Vec<B256> {
        let remote = self.remote(domain);
        (0..remote.accepted.len()).filter_map(|index| remote.accepted.get(index)).collect()
    }

    /// Every domain that messages can be sent to.
    pub(crate) fn enrolled_domains(&self) -> Vec<u32> {
        (0..self.domains.len()).map(|index| self.domain_at(index)).collect()
    }

    /// The tiers that may be dispatched at to a domain. None until the owner says so.
    pub(crate) fn set_supported_tiers(&mut self, domain: u32, tiers: u8) -> Result<(), Revert> {
        if tiers != 0 {
            valid(tiers)?;
        }
        self.remote_mut(domain).tiers.set(U8::from(tiers));
        self.announce_setting(SupportedTiersSet::SIGNATURE_HASH, domain, tiers);
        Ok(())
    }

    /// Whether messages may carry reads of a domain.
    pub(crate) fn set_read_domain(&mut self, domain: u32, readable: bool) {
        self.remote_mut(domain).readable.set(readable);
        self.announce_setting(ReadDomainSet::SIGNATURE_HASH, domain, readable.into());
    }

    fn domain_at(&self, index: usize) -> u32 {
        self.domains.get(index).map_or(0, |domain| domain.to())
    }

    fn announce(&self, event: B256, domain: u32, router: B256) {
        external::log(self.vm(), &[event, U256::from(domain).into(), router], &[]);
    }

    fn announce_setting(&self, event: B256, domain: u32, setting: u8) {
        let data = Writer::new(1).uint64(setting.into()).finish();
        external::log(self.vm(), &[event, U256::from(domain).into()], &data);
    }
}
