//! Fulfillment: a route is executed as a whole or not at all, once.

use alloc::vec::Vec;

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use executor::Executor;
use parts::{Frame, Revert, erc20, external, external::log};
use protocol::{
    abi::{
        inbox::{
            InsufficientNativeAmount, IntentAlreadyFulfilled, IntentExpired, IntentFulfilled,
            InvalidHash, InvalidPortal, OrderFilled, ZeroClaimant,
        },
        prover::RefundFailed,
    },
    ids::ChainId,
    intent::{Route, intent_hash},
    words::Malformed,
};
use stylus_sdk::prelude::*;

use crate::{Inbox, proving::Delivery};

/// What a solver says it fulfills, and who shall get the reward.
#[derive(Debug)]
pub(crate) struct Fulfillment {
    intent: B256,
    route: Route,
    reward_hash: B256,
    claimant: B256,
}

impl Fulfillment {
    /// Reads the arguments `(bytes32 intentHash, Route, bytes32 rewardHash, bytes32 claimant, ..)`.
    pub(crate) fn read(a: Frame<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            intent: a.word(0)?,
            route: Route::read(a.tuple(1)?)?,
            reward_hash: a.word(2)?,
            claimant: a.word(3)?,
        })
    }
}

impl Inbox {
    /// Fulfills, and returns what the route did not need of the value.
    ///
    /// # Errors
    /// As [`Self::fulfill`], and `RefundFailed(caller, amount)`.
    pub(crate) fn fulfill_and_refund(
        &mut self,
        fulfillment: Fulfillment,
    ) -> Result<Vec<Bytes>, Revert> {
        let spent = fulfillment.route.nativeAmount;
        let answers = self.fulfill(fulfillment)?;
        self.return_excess(spent)?;
        Ok(answers)
    }

    /// Fulfills, and spends the rest of the value on proving it.
    ///
    /// # Errors
    /// As [`Self::fulfill`] and [`Self::prove`].
    pub(crate) fn fulfill_and_prove(
        &mut self,
        fulfillment: Fulfillment,
        delivery: Delivery<'_>,
    ) -> Result<Vec<Bytes>, Revert> {
        let (intent, spent) = (fulfillment.intent, fulfillment.route.nativeAmount);
        let answers = self.fulfill(fulfillment)?;
        // Not an underflow: fulfilling refuses less value than the route needs.
        let value = self.vm().msg_value() - spent;
        self.prove(&[intent], delivery, value)?;
        Ok(answers)
    }

    /// ERC-7683: as [`Self::fulfill_and_prove`], with the order's id as the intent's hash.
    ///
    /// # Errors
    /// As that, and an empty revert for undecodable data.
    pub(crate) fn fill(
        &mut self,
        order_id: B256,
        origin_data: &[u8],
        filler_data: &[u8],
    ) -> Result<(), Revert> {
        let (origin, filler) = (Frame(origin_data), Frame(filler_data));
        let fulfillment = Fulfillment {
            intent: order_id,
            // Decoded and encoded again before it is hashed, so that trailing bytes do not matter.
            route: Route::read(Frame(origin.bytes(0)?).tuple(0)?)?,
            reward_hash: origin.word(1)?,
            claimant: filler.word(2)?,
        };
        let delivery = Delivery {
            prover: filler.address(0)?,
            domain: filler.uint64(1)?,
            data: filler.bytes(3)?,
        };
        let vm = self.vm();
        let data = [order_id, vm.msg_sender().into_word()].concat();
        log(vm, &[OrderFilled::SIGNATURE_HASH], &data);
        self.fulfill_and_prove(fulfillment, delivery).map(|_| ())
    }

    /// Executes a route. Whether the intent was ever published or funded is the solver's to know.
    ///
    /// # Errors
    /// In this order: `IntentExpired()`, `InvalidPortal(portal)`, `InvalidHash(hash)`, `IntentAlreadyFulfilled(hash)`,
    /// `ZeroClaimant()`, `InsufficientNativeAmount(sent, required)`; as [`erc20::check`] for a token that will not move; as
    /// [`Executor::execute`].
    fn fulfill(&mut self, fulfillment: Fulfillment) -> Result<Vec<Bytes>, Revert> {
        let Fulfillment { intent, route, reward_hash, claimant } = fulfillment;
        self.check(intent, &route, reward_hash, claimant)?;

        self.claimants.insert(intent, claimant);
        let vm = self.vm();
        log(vm, &[IntentFulfilled::SIGNATURE_HASH, intent, claimant], &[]);

        let (sent, required) = (vm.msg_value(), route.nativeAmount);
        if sent < required {
            return Err(InsufficientNativeAmount { sent, required }.into());
        }
        let (solver, executor) = (vm.msg_sender(), Executor::of(vm));
        for leg in &route.tokens {
            erc20::transfer_from(vm, leg.token, solver, executor.address(), leg.amount)?;
        }
        executor.execute(vm, required, route.calls)
    }

    fn check(
        &self,
        intent: B256,
        route: &Route,
        reward_hash: B256,
        claimant: B256,
    ) -> Result<(), Revert> {
        let vm = self.vm();
        if vm.block_timestamp() > route.deadline {
            return Err(IntentExpired {}.into());
        }
        if route.portal != vm.contract_address() {
            return Err(InvalidPortal { portal: route.portal }.into());
        }
        let chain = ChainId(vm.chain_id());
        if intent_hash(chain, route.hash(), reward_hash.into()).0 != intent {
            return Err(InvalidHash { expectedHash: intent }.into());
        }
        if !self.claimants.get(intent).is_zero() {
            return Err(IntentAlreadyFulfilled { intentHash: intent }.into());
        }
        if claimant.is_zero() {
            return Err(ZeroClaimant {}.into());
        }
        Ok(())
    }

    /// Returns the part of the caller's value that was not spent, with all gas.
    fn return_excess(&self, spent: U256) -> Result<(), Revert> {
        let vm = self.vm();
        // Not an underflow: fulfilling refuses less value than the route needs.
        let excess = vm.msg_value() - spent;
        let caller = vm.msg_sender();
        if excess.is_zero() || external::send(vm, caller, excess, &[]) {
            Ok(())
        } else {
            Err(RefundFailed { recipient: caller, amount: excess }.into())
        }
    }
}
