//! The table of functions: `protocol::abi::router`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use parts::{Frame, Program, Revert, Writer, answer, external, program::refuse_value};
use protocol::{
    abi::{hyperlane::Mailbox, router::*},
    finality::Tier,
};
use stylus_sdk::{alloy_primitives::aliases::U32, prelude::*};

use crate::{
    Router,
    receiving::Delivery,
    records::Record,
    sending::{Outgoing, gas_limit_of},
};

impl Program for Router {
    /// Takes mailbox, owner, guardian, and a nonce above that of every earlier router of this domain.
    fn construct(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        let mailbox = a.address(0)?;
        let data = Writer::call(Mailbox::localDomainCall::SELECTOR, 0).finish();
        let local_domain = Frame(&external::view(self.vm(), mailbox, &data)?).uint32(0)?;
        self.mailbox.set(mailbox);
        self.local_domain.set(U32::from(local_domain));
        self.nonce.set(U32::from(a.uint32(3)?));
        self.ownable.initialize(a.address(1)?)?;
        self.set_guardian(a.address(2)?);
        Ok(())
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            dispatch_0Call::SELECTOR => {
                let out = Outgoing::read(a.address(1)?.into_word(), a)?;
                return self.dispatch(&out).map(answer::word);
            }
            dispatch_1Call::SELECTOR => {
                let out = Outgoing::read(a.word(1)?, a)?;
                return self.dispatch(&out).map(answer::word);
            }
            handleCall::SELECTOR => {
                self.handle(a.uint32(0)?, a.word(1)?, a.bytes(2)?)?;
                return Ok(Vec::new());
            }
            confirmCall::SELECTOR => {
                return self.confirm(a.uint32(0)?, &a.words(1)?, a.uint64(2)?).map(answer::word);
            }
            _ => refuse_value(self.vm())?,
        }
        if let Some(answer) = self.quote(selector, a)? {
            return Ok(answer);
        }
        if let Some(answer) = self.view(selector, a)? {
            return Ok(answer);
        }
        match selector {
            setFinalityPolicyCall::SELECTOR => self.set_finality_policy(byte(a, 0)?)?,
            acceptOwnershipCall::SELECTOR => self.ownable.accept_ownership()?,
            pauseCall::SELECTOR => self.pause()?,
            _ => self.administrate(selector, a)?,
        }
        Ok(Vec::new())
    }
}

impl Router {
    /// What sending costs.
    fn quote(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let fee = match selector {
            quoteDispatch_0Call::SELECTOR => {
                self.quote_checked(&Outgoing::read(a.address(1)?.into_word(), a)?)?
            }
            quoteDispatch_1Call::SELECTOR => self.quote_checked(&Outgoing::read(a.word(1)?, a)?)?,
            quoteDispatch_2Call::SELECTOR => {
                self.quote_plain(&Outgoing::read_plain(a, gas_limit_of(a.bytes(3)?)?)?)?
            }
            quoteDispatch_3Call::SELECTOR => {
                self.quote_plain(&Outgoing::read_plain(a, gas_limit_of(&[])?)?)?
            }
            quoteConfirmCall::SELECTOR => {
                let count = a.uint(1)?.saturating_to();
                self.quote_confirm(a.uint32(0)?, count, a.uint64(2)?)?
            }
            _ => return Ok(None),
        };
        Ok(Some(answer::word(fee.into())))
    }

    /// What the router knows.
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let address = |address: Address| answer::address(address);
        Ok(Some(match selector {
            interchainSecurityModuleCall::SELECTOR => address(self.module.get()),
            mailboxCall::SELECTOR => address(self.mailbox.get()),
            readIsmCall::SELECTOR => address(self.read_ism.get()),
            igpCall::SELECTOR => address(self.igp.get()),
            guardianCall::SELECTOR => address(self.guardian.get()),
            ownerCall::SELECTOR => address(self.ownable.owner()),
            pendingOwnerCall::SELECTOR => address(self.ownable.pending_owner()),
            localDomainCall::SELECTOR => answer::number(self.local_domain().into()),
            nonceCall::SELECTOR => answer::number(self.nonce.get().to()),
            pausedCall::SELECTOR => answer::boolean(self.is_paused()),
            pausedAtCall::SELECTOR => answer::number(self.paused_at.get().to()),
            versionCall::SELECTOR => answer::text(env!("CARGO_PKG_VERSION")),
            finalityPolicyCall::SELECTOR => {
                answer::number(self.accepted_tiers(a.address(0)?).bits().into())
            }
            routersCall::SELECTOR => answer::word(self.remote(a.uint32(0)?).router.get()),
            acceptedRoutersCall::SELECTOR => words(&self.accepted(a.uint32(0)?)),
            domainsCall::SELECTOR => {
                let domains = self.enrolled_domains();
                words(&domains.into_iter().map(|d| U256::from(d).into()).collect::<Vec<_>>())
            }
            supportedTiersCall::SELECTOR => {
                answer::number(self.remote(a.uint32(0)?).tiers.get().to())
            }
            readDomainsCall::SELECTOR => answer::boolean(self.remote(a.uint32(0)?).readable.get()),
            _ => return self.view_message(selector, a),
        }))
    }

    /// What the router knows of messages.
    fn view_message(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Option<Vec<u8>>, Revert> {
        let dispatched = |index| Ok::<_, Revert>(Record::read(self.dispatched.get(a.word(index)?)));
        Ok(Some(match selector {
            currentDeliveryCall::SELECTOR => {
                let delivery = Delivery::current();
                Writer::new(4)
                    .word(delivery.id)
                    .uint64(delivery.finality.into())
                    .uint64(delivery.timestamp)
                    .word(delivery.failed_reads)
                    .finish()
            }
            deliveredCall::SELECTOR => {
                let record = Record::read(self.delivered.get(a.word(0)?));
                Writer::new(3).uint64(record.is_some().into()).finish_record(record)
            }
            dispatchedCall::SELECTOR => Writer::new(2).finish_record(dispatched(0)?),
            confirmedCall::SELECTOR => answer::boolean(dispatched(0)?.is_some_and(|record| {
                let own = Tier::try_from(record.tier).ok();
                record.confirmation().zip(own).is_some_and(|(known, own)| known.at_least(own))
            })),
            confirmationTierCall::SELECTOR => {
                let known = dispatched(0)?.and_then(Record::confirmation);
                Writer::new(2)
                    .uint64(known.is_some().into())
                    .uint64(known.map_or(0, Tier::byte).into())
                    .finish()
            }
            _ => return Ok(None),
        }))
    }

    /// What only the owner may do.
    fn administrate(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<(), Revert> {
        if selector == narrowFinalityPolicyCall::SELECTOR {
            return self.narrow_finality_policy(a.address(0)?, byte(a, 1)?);
        }
        if selector == transferOwnershipCall::SELECTOR {
            return self.ownable.transfer_ownership(a.address(0)?);
        }
        if !is_owners(selector) {
            return Err(Revert::empty());
        }
        self.ownable.only_owner()?;
        match selector {
            enrollRemoteRouterCall::SELECTOR => self.enroll(a.uint32(0)?, a.word(1)?),
            enrollRemoteRoutersCall::SELECTOR => {
                let (domains, remotes) = (a.words(0)?, a.words(1)?);
                if domains.len() != remotes.len() {
                    return Err(ArrayLengthMismatch {}.into());
                }
                domains.iter().zip(&remotes).try_for_each(|(domain, remote)| {
                    self.enroll(Frame(domain.as_slice()).uint32(0)?, *remote)
                })
            }
            unenrollRemoteRouterCall::SELECTOR => self.unenroll(a.uint32(0)?),
            retireRouterCall::SELECTOR => self.retire(a.uint32(0)?, a.word(1)?),
            setSupportedTiersCall::SELECTOR => self.set_supported_tiers(a.uint32(0)?, byte(a, 1)?),
            setReadDomainCall::SELECTOR => {
                self.set_read_domain(a.uint32(0)?, a.boolean(1)?);
                Ok(())
            }
            setInterchainSecurityModuleCall::SELECTOR => self.set_module(a.address(0)?),
            setReadIsmCall::SELECTOR => self.set_read_ism(a.address(0)?),
            setIgpCall::SELECTOR => {
                self.set_igp(a.address(0)?);
                Ok(())
            }
            setGuardianCall::SELECTOR => {
                self.set_guardian(a.address(0)?);
                Ok(())
            }
            unpauseCall::SELECTOR => {
                self.unpause();
                Ok(())
            }
            _ => Err(Revert::empty()),
        }
    }
}

/// The functions of the owner that check nothing but that.
const fn is_owners(selector: [u8; 4]) -> bool {
    matches!(
        selector,
        enrollRemoteRouterCall::SELECTOR
            | enrollRemoteRoutersCall::SELECTOR
            | unenrollRemoteRouterCall::SELECTOR
            | retireRouterCall::SELECTOR
            | setSupportedTiersCall::SELECTOR
            | setReadDomainCall::SELECTOR
            | setInterchainSecurityModuleCall::SELECTOR
            | setReadIsmCall::SELECTOR
            | setIgpCall::SELECTOR
            | setGuardianCall::SELECTOR
            | unpauseCall::SELECTOR
    )
}

/// The end of the answers about a message: its other domain and its tier.
trait FinishRecord {
    fn finish_record(self, record: Option<Record>) -> Vec<u8>;
}

impl FinishRecord for Writer {
    fn finish_record(self, record: Option<Record>) -> Vec<u8> {
        let (domain, tier) = record.map_or((0, 0), |record| (record.domain, record.tier));
        self.uint64(domain.into()).uint64(tier.into()).finish()
    }
}

fn byte(a: Frame<'_>, index: usize) -> Result<u8, Revert> {
    u8::try_from(a.uint64(index)?).map_err(|_| Revert::empty())
}

fn words(words: &[B256]) -> Vec<u8> {
    words
        .iter()
        .fold(Writer::new(2 + words.len()).size(0x20).size(words.len()), |w, word| w.word(*word))
        .finish()
}
