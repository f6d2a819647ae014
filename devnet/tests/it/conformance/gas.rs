//! Gas and refunds of programs beside those of EVM code that does the same.

use alloy::primitives::{Address, U256};
use proptest::prelude::*;

use super::{
    bare::Bare,
    world::{program, words},
};

/// Flushes one write after the other. Call data: slot and value of each, a word each; a slot beyond
/// 255 ends them.
const WRITES: &str = "(call $read_args (i32.const 0))
    (loop $next
        (if (i32.eqz (i32.load8_u (i32.add (local.get $i) (i32.const 30)))) (then
            (call $storage_cache_bytes32
                (local.get $i) (i32.add (local.get $i) (i32.const 32)))
            (call $storage_flush_cache (i32.const 1))
            (local.set $i (i32.add (local.get $i) (i32.const 64)))
            (br $next))))
    (i32.const 0)";

/// Enough call data that the cap on refunds, a fifth of all gas, never binds.
const PADDING: usize = 60_000;

#[derive(Debug, Clone)]
struct Case {
    before: [u64; 3],
    writes: Vec<(u64, u64)>,
}

fn cases() -> impl Strategy<Value = Case> {
    let writes = prop::collection::vec((0..3u64, 0..3u64), 0..12);
    (prop::array::uniform3(0..3u64), writes).prop_map(|(before, writes)| Case { before, writes })
}

impl Case {
    fn data(&self) -> Vec<u8> {
        let writes = self.writes.iter().flat_map(|&(slot, value)| words([slot, value]));
        writes.chain(words([256])).chain([0xff; PADDING]).collect()
    }

    /// The same writes as EVM code.
    fn code(&self) -> Vec<u8> {
        self.writes
            .iter()
            .flat_map(|&(slot, value)| [0x60, value as u8, 0x60, slot as u8, 0x55])
            .collect()
    }

    /// Gas spent, refund, and the slots afterwards.
    fn run(&self, bare: &mut Bare, target: Address, before: [u64; 3]) -> (u64, u64, [U256; 3]) {
        for (slot, value) in before.into_iter().enumerate() {
            bare.db.insert_account_storage(target, U256::from(slot), U256::from(value)).unwrap();
        }
        let outcome = bare.execute(bare.transaction(target, self.data()));
        assert!(outcome.result.is_success(), "{:?}", outcome.result);
        let gas = outcome.result.gas();
        let account = &outcome.state[&target];
        let slots = [0, 1, 2].map(|slot| {
            account
                .storage
                .get(&U256::from(slot))
                .map_or(U256::from(before[slot]), |word| word.present_value)
        });
        (gas.total_gas_spent(), gas.inner_refunded(), slots)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// What a write costs and refunds depends on the slot alone, not on who writes.
    #[test]
    fn writes_cost_and_refund_what_they_do_in_evm_code(case in cases()) {
        let mut bare = Bare::new();
        let writer = bare.program(&program(WRITES).code);
        let code = bare.contract(&[&case.code()[..], &[0x00]].concat());
        let (gas, refund, slots) = case.run(&mut bare, writer, case.before);
        let (evm_gas, evm_refund, evm_slots) = case.run(&mut bare, code, case.before);
        prop_assert_eq!(slots, evm_slots);
        prop_assert_eq!(refund, evm_refund);
        // The ink is the same whatever the slots hold, so it cancels out; up to a rounding.
        let (other_gas, ..) = case.run(&mut bare, writer, [1; 3]);
        let (other_evm_gas, ..) = case.run(&mut bare, code, [1; 3]);
        let difference = gas as i64 - other_gas as i64;
        let evm_difference = evm_gas as i64 - other_evm_gas as i64;
        prop_assert!((difference - evm_difference).abs() <= 1, "{} {}", difference, evm_difference);
    }
}

#[test]
fn gas_does_not_depend_on_what_has_been_translated() {
    let mut bare = Bare::new();
    let target = bare.program(&program(WRITES).code);
    let data = Case { before: [0; 3], writes: vec![(0, 1), (1, 2)] }.data();
    let first = bare.call(target, data.clone()).tx_gas_used();
    assert_eq!(bare.call(target, data.clone()).tx_gas_used(), first);
    bare.executor = devnet::vm::Executor::new();
    assert_eq!(bare.call(target, data).tx_gas_used(), first);
}

#[test]
fn a_block_remembers_what_ran_in_it() {
    let mut bare = Bare::new();
    let target = bare.program(&program("(i32.const 0)").code);
    let tx = bare.transaction(target, vec![]);
    let mut block = Bare::environment();
    let mut gas = || {
        let outcome = bare.executor.execute(&mut block, &mut bare.db, tx.clone()).unwrap();
        outcome.result.tx_gas_used()
    };
    let (first, second) = (gas(), gas());
    assert!(first - second > 8_000, "{first} {second}");
    assert_eq!(gas(), second);
}
