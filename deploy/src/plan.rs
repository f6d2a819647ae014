//! What an `apply` would do now, and about what it would cost.

use std::fmt;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{U256, utils::format_ether},
};
use futures::future::try_join_all;
use serde::Serialize;

use crate::{
    activation,
    apply::{Deployment, Error, Target},
    crew::look_at,
    fact::{Fact, Phase, Remedy, Seen, Value},
    facts::Site,
};

/// Everything that is not true yet.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// One part for each chain.
    pub chains: Vec<ChainPlan>,
}

/// What is to be done on one chain.
#[derive(Clone, Debug, Serialize)]
pub struct ChainPlan {
    /// The chain.
    pub name: String,
    /// What the deployer has, in wei.
    pub balance: U256,
    /// Wei per gas now.
    pub gas_price: u128,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
}

/// One thing to be done.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What is true afterwards.
    pub what: String,
    /// Gas it takes, roughly. `None`: nothing we can send makes it true by itself.
    pub gas: Option<u64>,
    /// Wei sent along (activation fees).
    pub value: U256,
}

impl ChainPlan {
    /// Gas of all steps.
    pub fn gas(&self) -> u64 {
        self.steps.iter().filter_map(|step| step.gas).sum()
    }

    /// Wei of all steps: gas at the present price, and what is sent along.
    pub fn cost(&self) -> U256 {
        let fees = U256::from(self.gas()) * U256::from(self.gas_price);
        self.steps.iter().fold(fees, |cost, step| cost + step.value)
    }
}

impl Deployment {
    /// Looks at every chain and lists what is missing. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Chain`] when a chain cannot be asked.
    pub async fn plan(&self) -> Result<Plan, Error> {
        let plans = self.sites().map(|(name, target, site)| self.plan_chain(name, target, site));
        Ok(Plan { chains: try_join_all(plans).await? })
    }

    async fn plan_chain(
        &self,
        name: &str,
        target: &Target,
        site: Site<'_>,
    ) -> Result<ChainPlan, Error> {
        let client = &target.client;
        let failed = |cause| Error::Chain { chain: name.to_owned(), cause };
        client.check_chain_id().await.map_err(failed)?;
        let fees = client.fees().await.map_err(failed)?;
        let balance = client.balance(self.deployer(), BlockNumberOrTag::Latest);
        let balance = balance.await.map_err(failed)?;
        let mut steps = Vec::new();
        let facts = site.facts();
        let seen = look_at(client, &facts.iter().collect::<Vec<_>>()).await.map_err(failed)?;
        for (fact, seen) in facts.into_iter().zip(seen) {
            if seen == Seen::AsWanted {
                continue;
            }
            let value = match fact.remedy.as_ref().map(|remedy| &remedy.value) {
                Some(Value::Activation { code }) => {
                    activation::fee(client, self.deployer(), code).await.map_err(failed)?
                }
                Some(Value::None) | None => U256::ZERO,
            };
            let gas = fact.remedy.as_ref().map(gas_of);
            // Facts that follow from others need no mention.
            if gas.is_some() || is_precondition(&fact) {
                steps.push(Step { what: fact.what, gas, value });
            }
        }
        let gas_price = fees.base + fees.priority;
        Ok(ChainPlan { name: name.to_owned(), balance, gas_price, steps })
    }
}

/// Whether nothing that we do could make it true.
fn is_precondition(fact: &Fact) -> bool {
    fact.remedy.is_none() && fact.phase == Phase::Deploy && fact.step == 0
}

/// Gas of a remedy from what it carries: most cannot be estimated by a node before those ahead of them are done.
pub(crate) fn gas_of(remedy: &Remedy) -> u64 {
    const TRANSACTION: u64 = 21_000;
    const CALL: u64 = 80_000;
    /// Calldata, and storing it as code.
    const CODE_BYTE: u64 = 16 + 200;
    /// A constructor that writes a few slots.
    const CONSTRUCTOR: u64 = 150_000;
    /// Of ArbWasm, and the deployer's own work.
    const ACTIVATION: u64 = 1_800_000;
    let bytes = u64::try_from(remedy.data.len()).unwrap_or(u64::MAX);
    match &remedy.value {
        Value::Activation { .. } if bytes < 100 => TRANSACTION + ACTIVATION,
        Value::Activation { .. } => TRANSACTION + bytes * CODE_BYTE + ACTIVATION + CONSTRUCTOR,
        Value::None if bytes > 1_000 => TRANSACTION + bytes * CODE_BYTE + CONSTRUCTOR,
        Value::None => TRANSACTION + bytes * 16 + CALL,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chain in &self.chains {
            if chain.steps.is_empty() {
                writeln!(f, "{}: nothing to do", chain.name)?;
                continue;
            }
            writeln!(f, "{}: {} steps", chain.name, chain.steps.len())?;
            for step in &chain.steps {
                match step.gas {
                    Some(gas) => writeln!(f, "  {:>10} gas  {}", gas, step.what)?,
                    None => writeln!(f, "     MISSING      {}", step.what)?,
                }
            }
            let (cost, balance) = (chain.cost(), chain.balance);
            writeln!(
                f,
                "  about {} gas, {} ether with activation fees; the deployer has {}{}",
                chain.gas(),
                format_ether(cost),
                format_ether(balance),
                if balance < cost { ": NOT ENOUGH" } else { "" },
            )?;
        }
        Ok(())
    }
}
