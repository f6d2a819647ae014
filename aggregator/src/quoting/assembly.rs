use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use api::aggregator::{Check, SignatureStep, Simulation, Step, TransactionStep};
use protocol::{
    abi::{erc20, intent_source},
    ids::ChainId,
};

use super::{
    Route,
    signing::{gasless_order, typed_data},
};
use crate::provider::{Offer, Plan};

/// Turns offers into steps that a wallet can run without knowing the provider.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    /// Our IntentSource on each chain.
    pub intent_sources: BTreeMap<ChainId, Address>,
    /// Tokens whose allowance must be set to zero before it is set anew.
    pub reset_approvals: BTreeSet<(ChainId, Address)>,
}

/// What is known of the sender on the origin chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The sender.
    pub address: Address,
    /// What the spender may take already.
    pub allowance: U256,
    /// What it holds of the origin token.
    pub balance: U256,
}

/// The steps of one offer, and the order that they open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    /// What the wallet does, in this order.
    pub steps: Vec<Step>,
    /// The intent hash, for routes of our own.
    pub order_id: Option<B256>,
}

/// What remains to be done once the approvals stand.
struct Action {
    spender: Address,
    step: Step,
    order_id: Option<B256>,
}

/// Gas of our own steps where it cannot be simulated: what they take on the development chain, and
/// a third.
const APPROVE_GAS: u64 = 65_000;
/// Gas of publishing and funding with one token, or natively.
const PUBLISH_GAS: u64 = 160_000;

impl Assembly {
    /// Who must be allowed to take the origin token.
    pub fn spender(&self, route: &Route, offer: &Offer) -> Option<Address> {
        match &offer.plan {
            Plan::Intent(_) => self.intent_sources.get(&route.origin).copied(),
            Plan::Transaction { spender, .. } => Some(*spender),
        }
    }

    /// The steps of an offer. Approvals that the account has given already are left out; without
    /// an account they are all there. `None` when the origin has no IntentSource.
    pub fn assemble(
        &self,
        route: &Route,
        offer: &Offer,
        account: Option<Account>,
    ) -> Option<Assembled> {
        let action = self.action(route, offer)?;
        let mut steps = self.approvals(route, offer, action.spender, account);
        steps.push(action.step);
        Some(Assembled { steps, order_id: action.order_id })
    }

    fn action(&self, route: &Route, offer: &Offer) -> Option<Action> {
        let description = format!(
            "Send {} of the smallest unit of {} into escrow on chain {}",
            offer.amount_in, route.token_in.symbol, route.origin.0
        );
        let transaction = |to, data, value: U256, check| {
            Step::Transaction(TransactionStep {
                id: "publish".into(),
                description: description.clone(),
                chain_id: route.origin.0,
                to,
                data,
                value: value.into(),
                gas_limit: None,
                simulation: not_simulated("no sender was given"),
                check,
            })
        };
        Some(match &offer.plan {
            Plan::Intent(intent) => {
                let source = *self.intent_sources.get(&route.origin)?;
                let id = intent.hash().0;
                let check = Some(Check { path: format!("/v1/orders/{id}") });
                let step = if route.gasless {
                    let user = route.sender?;
                    let order = gasless_order(route.origin, source, user, intent, offer.expires_at);
                    Step::Signature(SignatureStep {
                        id: "sign_order".into(),
                        description,
                        typed_data: typed_data(&order),
                        context: serde_json::to_value(&order).ok()?,
                        post: "/v1/orders".into(),
                        check,
                    })
                } else {
                    let call = intent_source::publishAndFund_0Call {
                        intent: (**intent).clone(),
                        allowPartial: false,
                    };
                    let value = intent.reward.nativeAmount;
                    transaction(source, call.abi_encode().into(), value, check)
                };
                Action { spender: source, step, order_id: Some(id) }
            }
            Plan::Transaction { spender, to, data, value, .. } => Action {
                spender: *spender,
                step: transaction(*to, data.clone(), *value, None),
                order_id: None,
            },
        })
    }

    /// Gas that the sender pays for these steps: as simulated, or what our own contracts usually
    /// take. `None` for contracts of others that could not be simulated.
    pub(super) fn gas(&self, route: &Route, offer: &Offer, steps: &[Step]) -> Option<u64> {
        let ours = matches!(offer.plan, Plan::Intent(_));
        steps.iter().try_fold(0_u64, |sum, step| {
            let gas = match step {
                Step::Signature(_) => 0,
                Step::Transaction(step) => match step.gas_limit {
                    Some(simulated) => simulated,
                    None if step.to == route.token_in.address => APPROVE_GAS,
                    None if ours => PUBLISH_GAS,
                    None => return None,
                },
            };
            Some(sum.saturating_add(gas))
        })
    }

    fn approvals(
        &self,
        route: &Route,
        offer: &Offer,
        spender: Address,
        account: Option<Account>,
    ) -> Vec<Step> {
        let token = &route.token_in;
        let allowance = account.map(|account| account.allowance);
        if token.is_native() || allowance.is_some_and(|given| given >= offer.amount_in) {
            return Vec::new();
        }
        let approve = |id: &str, amount: U256| {
            let call = erc20::approveCall { spender, value: amount };
            Step::Transaction(TransactionStep {
                id: id.into(),
                description: format!(
                    "Let {spender:#x} take {amount} of the smallest unit of {}",
                    token.symbol
                ),
                chain_id: route.origin.0,
                to: token.address,
                data: call.abi_encode().into(),
                value: U256::ZERO.into(),
                gas_limit: None,
                simulation: not_simulated("no sender was given"),
                check: None,
            })
        };
        let resets = self.reset_approvals.contains(&(route.origin, token.address))
            && allowance != Some(U256::ZERO);
        let reset = resets.then(|| approve("approve_reset", U256::ZERO));
        reset.into_iter().chain([approve("approve", offer.amount_in)]).collect()
    }
}

pub(super) fn not_simulated(reason: impl Into<String>) -> Simulation {
    Simulation::Skipped { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use api::aggregator::SecurityDescription;

    use super::*;
    use crate::{
        book::tests::{CHAIN_A, USDX_A},
        quoting::route::tests::usdx,
    };

    const BRIDGE: Address = Address::repeat_byte(0xd0);

    /// An offer that takes 1,000 units of a token.
    fn offer() -> Offer {
        Offer {
            amount_in: U256::from(1_000),
            amount_out: U256::from(999),
            min_amount_out: U256::from(999),
            seconds: 1,
            tier: None,
            security: SecurityDescription {
                tier: None,
                validators: None,
                threshold: None,
                trust: String::new(),
            },
            liquidity: None,
            expires_at: 1,
            plan: Plan::Transaction {
                spender: BRIDGE,
                to: BRIDGE,
                chain_id: CHAIN_A,
                data: Default::default(),
                value: U256::ZERO,
                native_fee: U256::ZERO,
            },
            costs: None,
            solver: None,
            cached: None,
        }
    }

    /// What a wallet that has given this allowance is asked to approve, in order.
    fn approvals(assembly: &Assembly, allowance: Option<u64>) -> Vec<(String, U256)> {
        let account = allowance.map(|allowance| Account {
            address: BRIDGE,
            allowance: U256::from(allowance),
            balance: U256::MAX,
        });
        let mut steps = assembly.assemble(&usdx(), &offer(), account).unwrap().steps;
        assert!(matches!(steps.pop(), Some(Step::Transaction(step)) if step.to == BRIDGE));
        let approved = |step: Step| {
            let Step::Transaction(step) = step else { panic!("nothing is signed") };
            assert_eq!((step.to, step.chain_id), (USDX_A, CHAIN_A));
            let call = erc20::approveCall::abi_decode(&step.data).unwrap();
            assert_eq!(call.spender, BRIDGE);
            (step.id, call.value)
        };
        steps.into_iter().map(approved).collect()
    }

    #[test]
    fn an_allowance_that_is_too_small_is_set_to_zero_first_where_the_token_wants_it() {
        let approve = ("approve".to_owned(), U256::from(1_000));
        let reset = ("approve_reset".to_owned(), U256::ZERO);
        let plain = Assembly::default();
        let resets = BTreeSet::from([(ChainId(CHAIN_A), USDX_A)]);
        let wary = Assembly { reset_approvals: resets, ..Assembly::default() };
        for assembly in [&plain, &wary] {
            assert!(approvals(assembly, Some(1_000)).is_empty());
            assert_eq!(approvals(assembly, Some(0)), slice::from_ref(&approve));
        }
        for allowance in [Some(999), None] {
            assert_eq!(approvals(&plain, allowance), slice::from_ref(&approve));
            assert_eq!(approvals(&wary, allowance), [reset.clone(), approve.clone()]);
        }
    }
}
