//! Before money is at stake: is everything where the manifest says, and joined as it must be?

use std::fmt;

use alloy::{eips::BlockNumberOrTag, primitives::Address};
use protocol::abi::prover;

use crate::{
    network::Network,
    policy::{Policy, Served, Settlement},
};

/// Everything that is wrong, found in one go.
#[derive(Debug, thiserror::Error)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the solver does not start:\n  {}", self.0.join("\n  "))
    }
}

/// Checks every chain; reports every fault.
///
/// # Errors
/// [`Faults`], at least one.
pub(crate) async fn check(policy: &Policy, network: &Network) -> Result<(), Faults> {
    let mut faults = Vec::new();
    for served in policy.chains() {
        check_chain(served, policy, network, &mut faults).await;
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

async fn check_chain(
    served: &Served,
    policy: &Policy,
    network: &Network,
    faults: &mut Vec<String>,
) {
    let mut contracts = vec![("IntentSource", served.intent_source), ("Inbox", served.inbox)];
    contracts.extend(served.provers.keys().map(|prover| ("prover", *prover)));
    let tokens = served.tokens.iter().filter(|(address, _)| !address.is_zero());
    contracts.extend(tokens.map(|(address, _)| ("token", *address)));
    let chain = served.id;
    let Ok(link) = network.link(chain) else {
        faults.push(format!("chain {chain} is not connected"));
        return;
    };
    for (what, address) in contracts {
        match link.client.code(address, BlockNumberOrTag::Latest).await {
            Ok(code) if code.is_empty() => {
                faults.push(format!("chain {chain}: {what} {address} has no code"));
            }
            Ok(_) => {}
            Err(error) => faults.push(format!("chain {chain}: {what} {address}: {error}")),
        }
    }
    for (prover, settlement) in &served.provers {
        if let Settlement::Message(tier) = settlement {
            check_prover(served, *prover, tier.byte(), policy, network, faults).await;
        }
    }
}

/// A message prover must serve our Inbox at its tier, and accept its twins by their domains.
async fn check_prover(
    served: &Served,
    address: Address,
    tier: u8,
    policy: &Policy,
    network: &Network,
    faults: &mut Vec<String>,
) {
    let chain = served.id;
    let Ok(link) = network.link(chain) else { return };
    let at = BlockNumberOrTag::Latest;
    match link.client.call(address, &prover::PORTALCall {}, at).await {
        Ok(inbox) if inbox == served.inbox => {}
        Ok(inbox) => faults.push(format!(
            "chain {chain}: prover {address} serves inbox {inbox}, expected {}",
            served.inbox
        )),
        Err(error) => faults.push(format!("chain {chain}: prover {address}: {error}")),
    }
    match link.client.call(address, &prover::FINALITYCall {}, at).await {
        Ok(given) if given == tier => {}
        Ok(given) => faults
            .push(format!("chain {chain}: prover {address} has tier {given}, expected {tier}")),
        Err(error) => faults.push(format!("chain {chain}: prover {address}: {error}")),
    }
    for remote in policy.chains().filter(|remote| remote.id != chain) {
        let call = prover::chainIdByDomainCall { domain: u64::from(remote.domain.0) };
        match link.client.call(address, &call, at).await {
            // Unmapped domains count as their own chain id.
            Ok(0) if u64::from(remote.domain.0) == remote.id.0 => {}
            Ok(given) if given == remote.id.0 => {}
            Ok(given) => faults.push(format!(
                "chain {chain}: prover {address} maps domain {} to chain {given}, expected {}",
                remote.domain, remote.id
            )),
            Err(error) => faults.push(format!("chain {chain}: prover {address}: {error}")),
        }
    }
}
