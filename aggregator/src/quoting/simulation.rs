use std::time::Duration;

use alloy::rpc::types::TransactionRequest;
use api::aggregator::{Simulation, Step};

use super::{Account, assembly::not_simulated, origin::Origin};
use crate::provider::Offer;

/// Extra gas on top of an estimate, in percent: state moves between the quote and the transaction.
const GAS_MARGIN_PERCENT: u64 = 20;

/// How much of a chain's node is spent on quotes, which are many more than orders: those who fill
/// orders ask the same nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulations {
    /// Questions about senders and steps to one chain at once.
    pub at_once: usize,
    /// How long one more waits for its turn before it is left out, and said to be.
    pub wait: Duration,
    /// How long the chain may take for an answer.
    pub deadline: Duration,
}

impl Default for Simulations {
    /// As many as a node answers beside its other work, and less time than providers are given.
    fn default() -> Self {
        Self { at_once: 8, wait: Duration::from_millis(100), deadline: Duration::from_secs(1) }
    }
}

/// Runs the steps on the latest block as the account would, as far as one can before the earlier
/// ones are mined, and writes into each what came out.
pub(super) async fn simulate(origin: &Origin, account: Account, offer: &Offer, steps: &mut [Step]) {
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
            run(origin, &request).await
        };
        earlier = true;
    }
}

async fn run(origin: &Origin, request: &TransactionRequest) -> (Option<u64>, Simulation) {
    let estimate = match origin.ask(origin.client.estimate(request)).await {
        Ok(estimate) => estimate,
        Err(unasked) => return (None, not_simulated(unasked)),
    };
    match estimate {
        Ok(gas) => {
            let limit = gas.saturating_add(gas / 100 * GAS_MARGIN_PERCENT);
            (Some(limit), Simulation::Succeeded)
        }
        Err(error) if error.revert().is_some() => {
            (None, Simulation::Failed { reason: error.to_string() })
        }
        Err(error) => (None, not_simulated(format!("the chain did not answer: {error}"))),
    }
}
