//! Construction and the table of functions: `protocol::abi::prover`, selector by selector.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U8, U64, U256, aliases::U96};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{
    Frame, Program, Revert, Writer,
    answer::{address, boolean, number, text, word},
    external,
    external::log,
    program::refuse_value,
};
use protocol::{
    abi::{
        prover::{
            DomainRegistered, FINALITYCall, InvalidDomainConfig, InvalidFinality,
            MIN_GAS_LIMITCall, MessengerContractCannotBeZeroAddress, PORTALCall, PROOF_TYPECall,
            ROUTERCall, WhitelistSizeExceeded, ZeroPortal, chainIdByDomainCall,
            challengeIntentProofCall, fetchFeeCall, getProofTypeCall, getWhitelistCall,
            getWhitelistSizeCall, handleCall, isWhitelistedCall, proveCall, provenIntentsCall,
            supportsInterfaceCall, versionCall,
        },
        router::setFinalityPolicyCall,
    },
    finality::Tier,
};
use stylus_sdk::prelude::*;

use crate::MetaProver;

/// The greatest number of whitelisted provers.
const MAX_WHITELIST: usize = 20;

/// The least gas limit of a proof unless the constructor says otherwise.
const DEFAULT_MIN_GAS_LIMIT: u64 = 200_000;

/// `IProver`'s interface id (ERC-165), without `version()`.
const PROVER_INTERFACE: [u8; 4] = [0x42, 0xc7, 0xe0, 0xfe];

/// ERC-165's own interface id.
const ERC165_INTERFACE: [u8; 4] = [0x01, 0xff, 0xc9, 0xa7];

impl Program for MetaProver {
    /// `(address router, address portal, bytes32[] provers, uint256 minGasLimit, (uint64 domain, uint64 chainId)[]
    /// domains, uint8 finality)`. `provers` names the others: a prover always believes its own address on other chains.
    ///
    /// In this order: `ZeroPortal()`, `WhitelistSizeExceeded(n, 20)`, `InvalidDomainConfig(domain, chainId)`,
    /// `MessengerContractCannotBeZeroAddress()`, `InvalidFinality(finality)`; an empty revert for a gas limit above 96 bits.
    fn construct(&mut self, a: Frame<'_>) -> Result<(), Revert> {
        let (router, portal, provers) = (a.address(0)?, a.address(1)?, a.words(2)?);
        let min_gas_limit = a.uint_of(3, 96)?;
        let finality = a.uint_of(5, 8)?.to();
        if portal.is_zero() {
            return Err(ZeroPortal {}.into());
        }
        self.portal.set(portal);
        self.believe(&provers)?;
        self.min_gas_limit.set(if min_gas_limit.is_zero() {
            U96::from(DEFAULT_MIN_GAS_LIMIT)
        } else {
            min_gas_limit.to()
        });
        let (count, domains) = a.array(4, 2)?;
        for index in 0..count {
            self.register(domains, index)?;
        }
        if router.is_zero() {
            return Err(MessengerContractCannotBeZeroAddress {}.into());
        }
        self.router.set(router);
        self.send_at(router, finality)
    }

    fn call(&mut self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        match selector {
            proveCall::SELECTOR => {
                self.prove(a.address(0)?, a.uint64(1)?, a.bytes(2)?, a.bytes(3)?)?;
                Ok(Vec::new())
            }
            handleCall::SELECTOR => {
                a.array(3, 1)?;
                a.array(4, 1)?;
                self.handle(a.uint32(0)?, a.word(1)?, a.bytes(2)?)?;
                Ok(Vec::new())
            }
            challengeIntentProofCall::SELECTOR => {
                refuse_value(self.vm())?;
                self.challenge(a.uint64(0)?, a.word(1)?.into(), a.word(2)?.into());
                Ok(Vec::new())
            }
            _ => {
                refuse_value(self.vm())?;
                self.view(selector, a)
            }
        }
    }
}

impl MetaProver {
    fn view(&self, selector: [u8; 4], a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        Ok(match selector {
            versionCall::SELECTOR => text(env!("CARGO_PKG_VERSION")),
            PROOF_TYPECall::SELECTOR | getProofTypeCall::SELECTOR => text("Meta"),
            PORTALCall::SELECTOR => address(self.portal.get()),
            ROUTERCall::SELECTOR => address(self.router.get()),
            MIN_GAS_LIMITCall::SELECTOR => word(self.min_gas_limit.get().to::<U256>().into()),
            FINALITYCall::SELECTOR => number(self.finality.get().to()),
            chainIdByDomainCall::SELECTOR => {
                number(self.chain_id_of(a.uint64(0)?).unwrap_or_default())
            }
            isWhitelistedCall::SELECTOR => boolean(self.believes(a.word(0)?)),
            getWhitelistCall::SELECTOR => self.whitelist(),
            getWhitelistSizeCall::SELECTOR => number(self.whitelisted.len() as u64),
            supportsInterfaceCall::SELECTOR => supports_interface(a.word(0)?)?,
            fetchFeeCall::SELECTOR => {
                word(self.quote(a.uint64(0)?, a.bytes(1)?, a.bytes(2)?)?.fee.into())
            }
            provenIntentsCall::SELECTOR => {
                let proof = self.proof_of(a.word(0)?);
                Writer::new(2).address(proof.claimant).uint64(proof.chain_id).finish()
            }
            _ => return Err(Revert::empty()),
        })
    }

    /// Takes the list of provers to believe. A zero entry is listed and never matches.
    fn believe(&mut self, provers: &[B256]) -> Result<(), Revert> {
        if provers.len() > MAX_WHITELIST {
            return Err(WhitelistSizeExceeded {
                size: U256::from(provers.len()),
                maxSize: U256::from(MAX_WHITELIST),
            }
            .into());
        }
        for prover in provers {
            self.whitelisted.push(*prover);
            self.whitelist.insert(*prover, true);
        }
        Ok(())
    }

    /// Takes one entry of the domain map. No domain and no chain may appear twice, or one could speak for another.
    fn register(&mut self, domains: Frame<'_>, index: usize) -> Result<(), Revert> {
        let (domain, chain_id) = (domains.uint64(2 * index)?, domains.uint64(2 * index + 1)?);
        let mut repeated = false;
        for earlier in 0..index {
            repeated |= domains.uint64(2 * earlier)? == domain;
            repeated |= domains.uint64(2 * earlier + 1)? == chain_id;
        }
        if domain == 0 || chain_id == 0 || repeated {
            return Err(InvalidDomainConfig { domain, chainId: chain_id }.into());
        }
        self.chain_ids.insert(U64::from(domain), U64::from(chain_id));
        self.has_chain_ids.set(true);
        let topics = [
            DomainRegistered::SIGNATURE_HASH,
            U256::from(domain).into(),
            U256::from(chain_id).into(),
        ];
        log(self.vm(), &topics, &[]);
        Ok(())
    }

    /// Takes the tier. A finalized prover tells the router to refuse anything weaker on its behalf: the tier of a message
    /// is its sender's word, and a recipient is not told which tier was verified.
    fn send_at(&mut self, router: Address, finality: u8) -> Result<(), Revert> {
        let tier = match Tier::try_from(finality) {
            Ok(tier @ (Tier::Instant | Tier::Finalized)) => tier,
            Ok(Tier::Espresso) | Err(_) => return Err(InvalidFinality { finality }.into()),
        };
        self.finality.set(U8::from(tier.byte()));
        if tier == Tier::Instant {
            return Ok(());
        }
        if !external::has_code(self.vm(), router) {
            return Err(Revert::empty());
        }
        let request = Writer::call(setFinalityPolicyCall::SELECTOR, 1)
            .uint64(tier.mask().bits().into())
            .finish();
        external::call(self.vm(), router, U256::ZERO, &request).map(|_| ())
    }

    fn whitelist(&self) -> Vec<u8> {
        let size = self.whitelisted.len();
        let mut list = Writer::new(2 + size).size(0x20).size(size);
        for index in 0..size {
            list = list.word(self.whitelisted.get(index).unwrap_or_default());
        }
        list.finish()
    }
}

fn supports_interface(id: B256) -> Result<Vec<u8>, Revert> {
    let (id, rest) = id.split_at(4);
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Revert::empty());
    }
    Ok(boolean(id == PROVER_INTERFACE || id == ERC165_INTERFACE))
}
