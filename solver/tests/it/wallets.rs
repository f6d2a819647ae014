//! Several wallets on one chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy::{
    primitives::{Address, U256},
    rpc::types::Filter,
    sol_types::SolEvent,
};
use devnet::{
    Mining,
    genesis::{DEV_ADDRESSES, MNEMONIC},
};
use protocol::{abi::inbox, ids::IntentHash};
use solver::order::State;

use crate::{
    invariants,
    world::{FIRST, SECOND, Settle, TT, World, all_in},
};

/// Fills of each wallet that wait for a block at the same time.
const EACH: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn wallets_of_one_chain_fill_at_the_same_time_each_with_its_own_nonces() {
    let world = World::new().await;
    let before = [8, 9].map(|index| invariants::balances(&world, index));
    let config = world.config(8, |text| {
        let key = |index: usize| format!("\"mnemonic:{index}:{MNEMONIC}\"");
        text.replace(&key(8), &format!("{}, {}", key(8), key(9)))
    });
    let solver = solver::spawn(config).await.unwrap();
    let chain = world.chain(SECOND);
    // What is sent stays out until both wallets have sent.
    chain.set_mining(Mining::Manual).unwrap();
    let publish = |_| {
        let tokens = |amount: u64| U256::from(amount * TT);
        let (given, taken) = (world.token(FIRST), world.token(SECOND));
        let (given, taken) = ((given, tokens(110)), (taken, tokens(100)));
        world.publish(FIRST, &world.intent(SECOND, FIRST, Settle::Instant, given, taken))
    };
    let mut hashes: Vec<IntentHash> = Vec::new();
    for _ in 0..2 {
        // Each time the wallet fills that has more left.
        let round: Vec<IntentHash> = (0..EACH).map(publish).collect();
        all_in(&solver, &round, State::Filling).await;
        hashes.extend(round);
    }
    chain.set_mining(Mining::Interval(Duration::from_millis(100))).unwrap();
    world.settle(&solver, &hashes, &[State::Claimed]).await;

    let filter = Filter::new()
        .address(world.contracts(SECOND).inbox)
        .event_signature(inbox::IntentFulfilled::SIGNATURE_HASH)
        .from_block(0);
    let logs = chain.logs(&filter).unwrap();
    let transactions: BTreeSet<_> = logs.iter().filter_map(|log| log.transaction_hash).collect();
    let mut fills: BTreeMap<Address, usize> = BTreeMap::new();
    for transaction in transactions {
        let receipt = chain.receipt(transaction).unwrap();
        *fills.entry(receipt.from).or_default() += 1;
    }
    let ours = [DEV_ADDRESSES[8], DEV_ADDRESSES[9]];
    assert_eq!(fills.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(ours));
    assert_eq!(fills.values().sum::<usize>(), hashes.len(), "each in a transaction of its own");
    for (index, before) in [8, 9].into_iter().zip(&before) {
        invariants::hold(&world, &solver, index, before).await;
    }
}
