use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use api::aggregator::{Check, Simulation, Step, TransactionStep};
use chain::ChainClient;
use protocol::{
    abi::{erc20, intent_source},
    ids::ChainId,
};

use super::Route;
use crate::provider::{Offer, Plan};

/// Extra gas on top of an estimate, in percent: state moves between the quote and the transaction.
const GAS_MARGIN_PERCENT: u64 = 20;

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

struct Action {
    spender: Address,
    to: Address,
    data: Bytes,
    value: U256,
    order_id: Option<B256>,
}

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
        let mut steps = self.approvals(route, offer, &action, account);
        let check = action.order_id.map(|id| Check { path: format!("/v1/orders/{id}") });
        steps.push(Step::Transaction(TransactionStep {
            id: "publish".into(),
            description: format!(
                "Send {} of the smallest unit of {} into escrow on chain {}",
                offer.amount_in, route.token_in.symbol, route.origin.0
            ),
            chain_id: route.origin.0,
            to: action.to,
            data: action.data,
            value: action.value.into(),
            gas_limit: None,
            simulation: not_simulated("no sender was given"),
            check,
        }));
        Some(Assembled { steps, order_id: action.order_id })
    }

    fn action(&self, route: &Route, offer: &Offer) -> Option<Action> {
        Some(match &offer.plan {
            Plan::Intent(intent) => {
                let source = *self.intent_sources.get(&route.origin)?;
                let call = intent_source::publishAndFund_0Call {
                    intent: (**intent).clone(),
                    allowPartial: false,
                };
                Action {
                    spender: source,
                    to: source,
                    data: call.abi_encode().into(),
                    value: intent.reward.nativeAmount,
                    order_id: Some(intent.hash().0),
                }
            }
            Plan::Transaction { spender, to, data, value, .. } => Action {
                spender: *spender,
                to: *to,
                data: data.clone(),
                value: *value,
                order_id: None,
            },
        })
    }

    fn approvals(
        &self,
        route: &Route,
        offer: &Offer,
        action: &Action,
        account: Option<Account>,
    ) -> Vec<Step> {
        let token = &route.token_in;
        let allowance = account.map(|account| account.allowance);
        if token.is_native() || allowance.is_some_and(|given| given >= offer.amount_in) {
            return Vec::new();
        }
        let approve = |id: &str, amount: U256| {
            let call = erc20::approveCall { spender: action.spender, value: amount };
            Step::Transaction(TransactionStep {
                id: id.into(),
                description: format!(
                    "Let {} take {amount} of the smallest unit of {}",
                    action.spender, token.symbol
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

/// Runs the steps on the latest block as the account would, as far as one can before the earlier
/// ones are mined, and writes into each what came out.
pub(super) async fn simulate(
    client: &ChainClient,
    account: Account,
    offer: &Offer,
    steps: &mut [Step],
) {
    let mut earlier = false;
    for step in steps {
        let Step::Transaction(step) = step else { continue };
        (step.gas_limit, step.simulation) = if earlier {
            (None, not_simulated("it needs the steps before it"))
        } else if account.balance < offer.amount_in {
            let (held, needed) = (account.balance, offer.amount_in);
            let reason = format!("the sender holds {held}, {needed} are needed");
            (None, Simulation::Failed { reason })
        } else {
            let request = TransactionRequest::default()
                .from(account.address)
                .to(step.to)
                .value(step.value.0)
                .input(step.data.clone().into());
            match client.estimate(&request).await {
                Ok(gas) => {
                    let limit = gas.saturating_add(gas / 100 * GAS_MARGIN_PERCENT);
                    (Some(limit), Simulation::Succeeded)
                }
                Err(error) if error.revert().is_some() => {
                    (None, Simulation::Failed { reason: error.to_string() })
                }
                Err(error) => (None, not_simulated(format!("the chain did not answer: {error}"))),
            }
        };
        earlier = true;
    }
}

fn not_simulated(reason: impl Into<String>) -> Simulation {
    Simulation::Skipped { reason: reason.into() }
}
