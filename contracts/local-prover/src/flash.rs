//! Flash fulfillment: an intent of this chain is paid for with its own reward, in one call.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{Frame, Lock, Revert, Writer, erc20, external, external::log, transient};
use protocol::{
    abi::{
        inbox::fulfillCall,
        intent_source::withdrawCall,
        local_prover::{FlashFulfilled, InvalidAddress, InvalidClaimant, InvalidProver},
    },
    ids::ChainId,
    intent::{Reward, Route, intent_hash},
    words::address_of,
};
use stylus_sdk::prelude::*;

use crate::{LocalProver, RUNNING};

impl LocalProver {
    /// `flashFulfill(Route, Reward, bytes32 claimant)`: withdraws the reward to this program, fulfills the route with it and
    /// with the caller's value, and sends all that is left of the reward's tokens, and all ETH here, to the claimant.
    /// Answers with what the Inbox answered.
    ///
    /// # Errors
    /// `InvalidClaimant()`; `InvalidProver()` when the reward names another one; `InvalidAddress(claimant)`; what
    /// IntentSource, the Inbox or a token reverts with.
    pub(crate) fn flash_fulfill(&mut self, a: Frame<'_>) -> Result<Vec<u8>, Revert> {
        let route = Route::read(a.tuple(0)?)?;
        let reward = Reward::read(a.tuple(1)?)?;
        let claimant = a.word(2)?;
        let _lock = Lock::enter()?;

        let vm = self.vm();
        let this = vm.contract_address();
        if claimant.is_zero() || claimant == this.into_word() {
            return Err(InvalidClaimant {}.into());
        }
        if reward.prover != this {
            return Err(InvalidProver {}.into());
        }
        let chain = vm.chain_id();
        let (route_hash, reward_hash) = (route.hash(), reward.hash());
        let intent = intent_hash(ChainId(chain), route_hash, reward_hash).0;

        transient::store(RUNNING, intent);
        self.withdraw(chain, route_hash.0, &reward)?;
        let answers = self.fulfill(intent, &route, reward_hash.0, claimant)?;
        let paid = self.pay_out(&reward, claimant)?;
        let topics = [FlashFulfilled::SIGNATURE_HASH, intent, claimant];
        log(self.vm(), &topics, Writer::new(1).uint(paid).as_slice());
        transient::store(RUNNING, B256::ZERO);
        Ok(answers)
    }

    fn withdraw(&self, chain: u64, route_hash: B256, reward: &Reward) -> Result<(), Revert> {
        let reward = reward.encode();
        // The encoding of a lone dynamic struct starts with its offset; here the arguments come before it.
        let mut request = Writer::call(withdrawCall::SELECTOR, 3)
            .uint64(chain)
            .word(route_hash)
            .size(0x60)
            .finish();
        request.extend_from_slice(&reward[32..]);
        external::call(self.vm(), self.intent_source.get(), U256::ZERO, &request).map(|_| ())
    }

    fn fulfill(
        &self,
        intent: B256,
        route: &Route,
        reward_hash: B256,
        claimant: B256,
    ) -> Result<Vec<u8>, Revert> {
        let (vm, inbox) = (self.vm(), self.inbox.get());
        for leg in &route.tokens {
            erc20::increase_allowance(vm, leg.token, inbox, leg.amount)?;
        }
        let route = route.encode();
        let mut request = Writer::call(fulfillCall::SELECTOR, 4)
            .word(intent)
            .size(0x80)
            .word(reward_hash)
            .word(claimant)
            .finish();
        request.extend_from_slice(&route[32..]);
        external::call(vm, inbox, vm.balance(vm.contract_address()), &request)
    }

    /// Sends every token of the reward and all ETH to the claimant. ETH that it does not take stays.
    fn pay_out(&self, reward: &Reward, claimant: B256) -> Result<U256, Revert> {
        let vm = self.vm();
        let this = vm.contract_address();
        let to: Address = address_of(claimant).ok_or(InvalidAddress { value: claimant })?;
        for leg in &reward.tokens {
            let amount = erc20::balance_of(vm, leg.token, this)?;
            if !amount.is_zero() {
                erc20::transfer(vm, leg.token, to, amount)?;
            }
        }
        let amount = vm.balance(this);
        if !amount.is_zero() {
            let _taken = external::send(vm, to, amount, &[]);
        }
        Ok(amount)
    }
}
