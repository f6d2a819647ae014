//! The chain without a server.

use alloy::{
    primitives::{Address, Bytes, U256, hex},
    rpc::types::Filter,
};
use devnet::{Chain, ChainConfig, ReorgMode, Transact, genesis::DEV_ADDRESSES, init_code};

/// Adds one to slot 0, logs the new value with topic 1, and returns it.
pub(crate) const COUNTER: [u8; 27] = hex!("6001600054018060005580600052600160206000a160206000f300");

fn chain() -> Chain {
    Chain::new(ChainConfig::new(700_001))
}

fn counter(chain: &Chain) -> Address {
    let created = chain.transact(Transact::create(DEV_ADDRESSES[0], init_code(&COUNTER))).unwrap();
    assert!(created.success);
    created.contract_address.unwrap()
}

fn count(chain: &Chain, counter: Address) -> u64 {
    let receipt = chain.transact(Transact::call(DEV_ADDRESSES[1], counter, [])).unwrap();
    assert!(receipt.success, "{receipt:?}");
    U256::from_be_slice(&receipt.output).to()
}

#[test]
fn transactions_change_state_and_calls_do_not() {
    let chain = chain();
    let counter = counter(&chain);
    assert_eq!([count(&chain, counter), count(&chain, counter)], [1, 2]);
    let outcome = chain.call(Transact::call(Address::ZERO, counter, [])).unwrap();
    assert_eq!(U256::from_be_slice(&outcome.output), U256::from(3));
    assert_eq!(outcome.logs.len(), 1);
    assert_eq!(chain.storage(counter, U256::ZERO), U256::from(2));
    assert_eq!(chain.head().number(), 3);
}

#[test]
fn free_transactions_cost_their_value_only() {
    let chain = chain();
    let before = chain.balance(DEV_ADDRESSES[3]);
    let pay = Transact::call(DEV_ADDRESSES[3], Address::repeat_byte(9), []).value(U256::from(7));
    chain.transact(pay).unwrap();
    assert_eq!(before - chain.balance(DEV_ADDRESSES[3]), U256::from(7));
}

#[test]
fn transact_refuses_value_that_the_sender_lacks() {
    let chain = chain();
    let poor = Transact::call(Address::repeat_byte(1), Address::ZERO, []).value(U256::from(1));
    assert!(chain.transact(poor).unwrap_err().to_string().contains("lack of funds"));
    assert_eq!(chain.head().number(), 0, "no block for a refused transaction");
}

#[test]
fn logs_are_found_by_block_and_address() {
    let chain = chain();
    let counter = counter(&chain);
    for _ in 0..3 {
        count(&chain, counter);
    }
    let all = chain.logs(&Filter::new().from_block(0).address(counter)).unwrap();
    assert_eq!(all.iter().map(|log| log.block_number.unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
    let one = chain.logs(&Filter::new().from_block(3).to_block(3)).unwrap();
    assert_eq!(one, all[1..2]);
    assert!(chain.logs(&Filter::new().from_block(5).to_block(4)).is_err());
}

#[test]
fn snapshot_brings_everything_back() {
    let chain = chain();
    let counter = counter(&chain);
    count(&chain, counter);
    chain.set_balance(counter, U256::from(5)).unwrap();
    let id = chain.snapshot();
    let (head, time) = (chain.head(), chain.timestamp());
    chain.increase_time(1_000);
    chain.set_balance(counter, U256::from(6)).unwrap();
    assert_eq!(count(&chain, counter), 2);
    assert_eq!(chain.timestamp(), time + 1_001);
    chain.revert(id).unwrap();
    assert_eq!((chain.head(), chain.balance(counter)), (head, U256::from(5)));
    assert_eq!(count(&chain, counter), 2);
    assert_eq!(chain.timestamp(), time + 1);
    assert!(chain.revert(id).is_err(), "a snapshot serves once");
}

#[test]
fn reorg_keeps_or_drops_transactions_and_changes_hashes() {
    for (mode, left) in [(ReorgMode::Keep, 3), (ReorgMode::Drop, 1)] {
        let chain = chain();
        let counter = counter(&chain);
        for _ in 0..3 {
            count(&chain, counter);
        }
        let old = chain.head();
        chain.reorg(2, mode).unwrap();
        assert_eq!(chain.head().number(), old.number() + 1);
        assert_ne!(chain.block(old.number()).unwrap().hash, old.hash);
        assert_eq!(chain.storage(counter, U256::ZERO), U256::from(left));
        let logs = chain.logs(&Filter::new().from_block(0)).unwrap();
        assert_eq!(logs.len(), left);
    }
}

#[test]
fn reorg_deeper_than_the_chain_is_refused() {
    let chain = chain();
    chain.mine(3).unwrap();
    assert!(chain.reorg(4, ReorgMode::Keep).is_err());
    assert_eq!(chain.head().number(), 3);
}

#[test]
fn same_requests_and_seed_give_the_same_hashes() {
    let run = |seed| {
        let chain = Chain::with_seed(ChainConfig::new(700_001), seed);
        let counter = counter(&chain);
        count(&chain, counter);
        chain.reorg(1, ReorgMode::Keep).unwrap();
        chain.head().hash
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn history_is_bounded_and_the_past_is_refused() {
    let chain = Chain::new(ChainConfig::new(700_001).history(10));
    let counter = counter(&chain);
    for _ in 0..50 {
        count(&chain, counter);
    }
    assert!(chain.block(40).is_none());
    assert!(chain.block(41).is_some());
    assert!(chain.block(0).is_some(), "genesis stays");
    assert_eq!(count(&chain, counter), 51);
}

#[test]
fn a_chain_goes_on_from_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let open = || Chain::open(ChainConfig::new(700_001), 3, &path).unwrap();
    let (head, counter) = {
        let chain = open();
        let counter = counter(&chain);
        count(&chain, counter);
        count(&chain, counter);
        chain.reorg(1, ReorgMode::Keep).unwrap();
        chain.set_balance(counter, U256::from(77)).unwrap();
        (chain.head(), counter)
    };
    // What a kill leaves behind: a line without an end.
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [whole.clone(), b"{\"kind\":\"blo".to_vec()].concat()).unwrap();
    let chain = open();
    assert_eq!(std::fs::read(&path).unwrap(), whole, "the unfinished line is cut off");
    assert_eq!((chain.head(), chain.balance(counter)), (head, U256::from(77)));
    assert_eq!(count(&chain, counter), 3);
    assert_eq!(chain.logs(&Filter::new().from_block(0)).unwrap().len(), 3);
    let other = Chain::open(ChainConfig::new(700_002), 3, &path).unwrap_err();
    assert!(other.to_string().contains("expected chain 700002"), "{other}");
}

#[test]
fn create2_factory_deploys_at_the_computed_address() {
    let chain = chain();
    let code = init_code(&COUNTER);
    let factory = devnet::genesis::CREATE2_FACTORY;
    let data: Bytes = [&[0; 32][..], &code].concat().into();
    let receipt = chain.transact(Transact::call(DEV_ADDRESSES[0], factory, data)).unwrap();
    let expected = factory.create2_from_code([0; 32], &code);
    assert_eq!(Address::from_slice(&receipt.output), expected);
    assert_eq!(count(&chain, expected), 1);
}
