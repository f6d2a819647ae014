//! Who must have signed the results.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use parts::{
    Frame, Revert, Writer, external,
    module::{self, kind, lane, module_type, validators_and_threshold},
};
use protocol::{
    abi::read_ism::{
        InvalidFinality, InvalidModule, MalformedReadMetadata, NoSigners, OffchainLookup,
        SignersSet, ThresholdNotMet, verifyCall,
    },
    finality::Tier,
    ids::Domain,
    multisig::verify_signatures,
    read::ReadDigest,
    signable::Signable,
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::{ReadIsm, metadata::Metadata, results::Results};

impl ReadIsm {
    /// Checks the threshold of the origin's and tier's signers, and keeps the results for the router.
    pub(crate) fn verify(&mut self, metadata: &[u8], bytes: &[u8]) -> Result<bool, Revert> {
        let vm = self.vm();
        let (_, message) = module::open(bytes, self.router.get(), self.local_domain.get().to())?;
        let metadata =
            Metadata::read(Frame(metadata), message.reads).map_err(|_| MalformedReadMetadata {})?;
        let (origin, tier) = (message.header.origin.0, message.header.tier.byte());
        let signers = self.signers.get(lane(origin, tier));
        if signers.is_zero() {
            return Err(NoSigners { origin, tier }.into());
        }
        let digest = ReadDigest {
            local_domain: Domain(self.local_domain.get().to()),
            read_ism: vm.contract_address(),
            message: message.id(),
            timestamp: metadata.timestamp,
            anchors: &metadata.anchors,
            wrapped: &metadata.wrapped,
        };
        let (validators, threshold) = validators_and_threshold(vm, signers, bytes)?;
        verify_signatures(
            digest.digest(),
            metadata.signatures,
            &validators,
            threshold,
            |digest, signature| module::recover(vm, digest, signature),
        )
        .map_err(|_| ThresholdNotMet {})?;
        Results::of(message.id()).keep(digest.results_hash(), || metadata.answer())?;
        Ok(true)
    }

    /// EIP-3668: tells a relayer to ask a gateway for the metadata of an envelope.
    pub(crate) fn offchain_lookup(&self, bytes: &[u8]) -> Result<Vec<u8>, Revert> {
        module::open(bytes, self.router.get(), self.local_domain.get().to())?;
        let urls = self.urls();
        // The stored words are abi.encode(string[]): an offset word, then the array itself.
        let array = urls.get(32..).unwrap_or_default();
        let bytes_size = 32 + padded(bytes.len());
        let mut selector = B256::ZERO;
        selector[..4].copy_from_slice(&verifyCall::SELECTOR);
        let head = Writer::call(OffchainLookup::SELECTOR, 5)
            .address(self.vm().contract_address())
            .size(0xa0)
            .size(0xa0 + array.len())
            .word(selector)
            .size(0xa0 + array.len() + bytes_size)
            .finish();
        let tail = Writer::new(2 * bytes_size / 32).bytes(bytes).bytes(bytes).finish();
        Err(Revert([&head, array, &tail].concat()))
    }

    /// Names the multisig module whose validators attest reads of an origin's messages at a tier; zero for none.
    pub(crate) fn set_signers(
        &mut self,
        origin: u32,
        finality: u8,
        module: Address,
    ) -> Result<(), Revert> {
        Tier::try_from(finality).map_err(|_| InvalidFinality { finality })?;
        if !module.is_zero() {
            let vm = self.vm();
            let is_multisig = matches!(
                module_type(vm, module),
                Some(kind::MERKLE_ROOT_MULTISIG | kind::MESSAGE_ID_MULTISIG)
            );
            if !is_multisig || validators_and_threshold(vm, module, &[])?.1 == 0 {
                return Err(InvalidModule { module }.into());
            }
        }
        self.signers.insert(lane(origin, finality), module);
        let topics =
            [SignersSet::SIGNATURE_HASH, U256::from(origin).into(), U256::from(finality).into()];
        external::log(self.vm(), &topics, &Writer::new(1).address(module).finish());
        Ok(())
    }
}
