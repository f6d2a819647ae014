//! ERC-7683 orders: an order is an intent in that standard's words.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, external::log};
use protocol::{
    abi::{
        intent::{GaslessCrossChainOrder, OnchainCrossChainOrder, OrderData},
        intent_source::{
            InvalidCreatorBinding, InvalidOriginChainId, InvalidOriginSettler, InvalidSignature,
            Open, OpenDeadlinePassed, TypeSignatureMismatch,
        },
    },
    erc7683,
    intent::hash_route_bytes,
};
use stylus_sdk::{host::VM, prelude::*};

use crate::{IntentSource, escrow::Escrow, signature};

impl IntentSource {
    /// Publishes and funds the order's intent from the caller, who need not be its creator.
    ///
    /// # Errors
    /// `TypeSignatureMismatch()`; an empty revert for undecodable order data; as publishing and funding.
    pub(crate) fn open_onchain(&mut self, order: &OnchainCrossChainOrder) -> Result<(), Revert> {
        check_type(order.orderDataType)?;
        let data = OrderData::decode(&order.orderData)?;
        let (funder, now) = (self.vm().msg_sender(), now(self.vm()));
        self.open_data(&data, funder, now)
    }

    /// Publishes and funds the order's intent from its user, who signed it: native currency from the caller, tokens by the
    /// user's allowances to this contract. The nonce is signed and not kept: the same order is the same intent.
    ///
    /// # Errors
    /// In this order: `OpenDeadlinePassed()`, `InvalidOriginSettler(given, this)`, `InvalidOriginChainId(given, actual)`,
    /// `TypeSignatureMismatch()`, `InvalidSignature()`, an empty revert for undecodable order data,
    /// `InvalidCreatorBinding(user, creator)`; then as publishing and funding.
    pub(crate) fn open_gasless(
        &mut self,
        order: &GaslessCrossChainOrder,
        signature: &[u8],
    ) -> Result<(), Revert> {
        let vm = self.vm();
        let (this, chain_id) = (vm.contract_address(), vm.chain_id());
        if vm.block_timestamp() > u64::from(order.openDeadline) {
            return Err(OpenDeadlinePassed {}.into());
        }
        if order.originSettler != this {
            return Err(InvalidOriginSettler { expected: order.originSettler, actual: this }.into());
        }
        if order.originChainId != U256::from(chain_id) {
            return Err(InvalidOriginChainId {
                expected: order.originChainId,
                actual: U256::from(chain_id),
            }
            .into());
        }
        check_type(order.orderDataType)?;
        let digest = erc7683::digest(order, chain_id, this);
        if !signature::is_signed_by(vm, order.user, digest, signature) {
            return Err(InvalidSignature {}.into());
        }
        let data = OrderData::decode(&order.orderData)?;
        let creator = data.reward.creator;
        if order.user != creator {
            return Err(InvalidCreatorBinding { user: order.user, creator }.into());
        }
        self.open_data(&data, order.user, order.openDeadline)
    }

    fn open_data(
        &mut self,
        data: &OrderData,
        funder: Address,
        open_deadline: u32,
    ) -> Result<(), Revert> {
        let route_hash = hash_route_bytes(&data.route);
        let escrow = Escrow::new(self.vm(), data.destination, route_hash, data.reward.clone());
        self.announce(&escrow, &data.route)?;
        let spent = self.fund_by_allowance(&escrow, funder, false)?;
        self.return_excess(spent)?;
        let resolved = resolve(self.vm(), data, open_deadline);
        log(self.vm(), &[Open::SIGNATURE_HASH, escrow.hash.0], &resolved);
        Ok(())
    }
}

/// This block's time as `openDeadline` of an order that is opened now: the standard has 32 bits for it.
pub(crate) fn now(vm: &VM) -> u32 {
    vm.block_timestamp() as u32
}

/// The encoded `ResolvedCrossChainOrder`: what `resolve` returns and `Open` carries.
pub(crate) fn resolve(vm: &VM, data: &OrderData, open_deadline: u32) -> Vec<u8> {
    erc7683::resolve(data, open_deadline, vm.chain_id()).encode()
}

fn check_type(order_data_type: B256) -> Result<(), Revert> {
    if order_data_type == erc7683::ORDER_DATA_TYPEHASH {
        Ok(())
    } else {
        Err(TypeSignatureMismatch {}.into())
    }
}
