//! The table of functions: `protocol::abi::read_ism`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{
    Frame, Program, Revert, Writer, answer, external,
    module::{kind, lane},
    program::refuse_value,
};
use protocol::abi::read_ism::*;
use stylus_sdk::{alloy_primitives::aliases::U32, prelude::*};

use crate::{ReadIsm, results::Results};

/// The fewest gateways that may be named: one operator's outage must not stop reads.
const MIN_URLS: usize = 2;

impl Program for ReadIsm {
    /// Takes router, local domain and owner.
    fn construct(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        self.router.set(a.address(0)?);
        self.local_domain.set(U32::from(a.uint32(1)?));
        self.ownable.initialize(a.address(2)?)
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        refuse_value(self.vm())?;
        let address = |address: Address| Ok(answer::address(address));
        match selector {
            verifyCall::SELECTOR => self.verify(a.bytes(0)?, a.bytes(1)?).map(answer::boolean),
            takeCall::SELECTOR => self.take(a.word(0)?),
            getOffchainVerifyInfoCall::SELECTOR => self.offchain_lookup(a.bytes(0)?),
            moduleTypeCall::SELECTOR => Ok(answer::number(kind::CCIP_READ)),
            signersCall::SELECTOR => address(self.signers.get(lane(a.uint32(0)?, byte(a, 1)?))),
            urlsCall::SELECTOR => Ok(self.urls()),
            routerCall::SELECTOR => address(self.router.get()),
            localDomainCall::SELECTOR => Ok(answer::number(self.local_domain.get().to())),
            ownerCall::SELECTOR => address(self.ownable.owner()),
            pendingOwnerCall::SELECTOR => address(self.ownable.pending_owner()),
            versionCall::SELECTOR => Ok(answer::text(env!("CARGO_PKG_VERSION"))),
            _ => self.administrate(selector, a).map(|()| Vec::new()),
        }
    }
}

impl ReadIsm {
    /// What the owner sets.
    fn administrate(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<(), Revert> {
        match selector {
            transferOwnershipCall::SELECTOR => self.ownable.transfer_ownership(a.address(0)?),
            acceptOwnershipCall::SELECTOR => self.ownable.accept_ownership(),
            setSignersCall::SELECTOR => {
                self.ownable.only_owner()?;
                self.set_signers(a.uint32(0)?, byte(a, 1)?, a.address(2)?)
            }
            setUrlsCall::SELECTOR => {
                self.ownable.only_owner()?;
                self.set_urls(a)
            }
            _ => Err(Revert::empty()),
        }
    }

    /// `abi.encode(string[])` of the gateways.
    pub(crate) fn urls(&self) -> Vec<u8> {
        let words = (0..self.urls.len()).filter_map(|index| self.urls.get(index));
        words.flat_map(|word| word.0).collect()
    }

    fn set_urls(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        let (count, elements) = a.array(0, 1)?;
        if count < MIN_URLS {
            let (count, minimum) = (U256::from(count), U256::from(MIN_URLS));
            return Err(TooFewUrls { count, minimum }.into());
        }
        let urls = (0..count).map(|index| elements.bytes(index)).collect::<Result<Vec<_>, _>>()?;
        let encoded = Writer::new(2 + 4 * count).size(0x20).bytes_array(&urls).finish();
        while self.urls.pop().is_some() {}
        for word in encoded.as_chunks::<32>().0 {
            self.urls.push(B256::new(*word));
        }
        external::log(self.vm(), &[UrlsSet::SIGNATURE_HASH], &encoded);
        Ok(())
    }

    /// Hands the results of a message to the router, once.
    fn take(&self, message: B256) -> Result<Vec<u8>, Revert> {
        let caller = self.vm().msg_sender();
        if caller != self.router.get() {
            return Err(OnlyRouter { caller }.into());
        }
        Results::of(message.into()).take()
    }
}

fn byte(a: Frame<'_>, index: usize) -> Result<u8, Revert> {
    u8::try_from(a.uint64(index)?).map_err(|_| Revert::empty())
}
