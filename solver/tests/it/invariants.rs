//! What must hold at the end of every case, whatever happened in it.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, I256, U256},
    sol_types::SolEvent,
};
use devnet::genesis::DEV_ADDRESSES;
use protocol::abi::inbox;
use solver::{
    Handle,
    order::{STATES, State},
    store::Totals,
};

use crate::world::World;

/// Balances of a solver's wallet on both chains before a case.
pub(crate) type Balances = BTreeMap<(u64, Address), U256>;

pub(crate) fn balances(world: &World, index: usize) -> Balances {
    let mut balances = BTreeMap::new();
    for id in world.ids() {
        for token in [Address::ZERO, world.token(id)] {
            balances.insert((id, token), world.balance(id, token, DEV_ADDRESSES[index]));
        }
    }
    balances
}

/// No double fill, no proven reward unclaimed, nothing in flight, nothing reserved, and the books
/// equal to the change of every balance.
pub(crate) async fn hold(world: &World, solver: &Handle, index: usize, before: &Balances) {
    for id in world.ids() {
        let filter = alloy::rpc::types::Filter::new()
            .address(world.contracts(id).inbox)
            .event_signature(inbox::IntentFulfilled::SIGNATURE_HASH)
            .from_block(0);
        let logs = world.chain(id).logs(&filter).unwrap();
        let mut fills: Vec<_> = logs.iter().map(|log| log.topics()[1]).collect();
        fills.sort();
        let all = fills.len();
        fills.dedup();
        assert_eq!(fills.len(), all, "an intent was filled twice on {id}");
    }
    let in_flight =
        STATES.into_iter().filter(|state| state.is_exposed() || *state == State::Reserved);
    for state in in_flight {
        let left = solver.store().in_state(state, 10).await.unwrap();
        assert!(left.is_empty(), "left in {state}: {left:#?}");
    }
    let entries = solver.store().entries(0).await.unwrap();
    let totals = Totals::of(&entries);
    let after = balances(world, index);
    for ((id, token), was) in before {
        let now = after[&(*id, *token)];
        let change = I256::try_from(now).unwrap() - I256::try_from(*was).unwrap();
        let asset = solver::money::Asset { chain: protocol::ids::ChainId(*id), token: *token };
        let booked =
            totals.changes.get(&(DEV_ADDRESSES[index], asset)).copied().unwrap_or_default();
        assert_eq!(booked, change, "books and balance of {asset} differ: {entries:#?}");
    }
    crate::world::eventually("every reservation is given back", async || {
        let holdings = solver.store().holdings().await.unwrap();
        holdings.iter().all(|(holding, free)| holding.amount == *free)
    })
    .await;
}
