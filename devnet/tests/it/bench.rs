//! The measurements measure something; what they find is for `docs/performance.md`.
//!
//! With `METALAYER_LONG=1` they run at full size.

use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256};
use devnet::{
    ChainConfig,
    bench::{self, Load},
};

use crate::network::Network;

/// What an ERC-20 transfer does to storage: two balances change and a log with three topics is
/// written. Calldata is ignored.
const TRANSFER: &str = r#"(module
    (import "vm_hooks" "storage_load_bytes32" (func $load (param i32 i32)))
    (import "vm_hooks" "storage_cache_bytes32" (func $cache (param i32 i32)))
    (import "vm_hooks" "storage_flush_cache" (func $flush (param i32)))
    (import "vm_hooks" "native_keccak256" (func $keccak (param i32 i32 i32)))
    (import "vm_hooks" "msg_sender" (func $sender (param i32)))
    (import "vm_hooks" "emit_log" (func $log (param i32 i32 i32)))
    (import "vm_hooks" "write_result" (func $write (param i32 i32)))
    (import "vm_hooks" "pay_for_memory_grow" (func (param i32)))
    (memory (export "memory") 1 1)
    (func $add (param $key i32) (param $amount i64)
        (call $keccak (local.get $key) (i32.const 64) (i32.const 256))
        (call $load (i32.const 256) (i32.const 288))
        (i64.store (i32.const 312)
            (i64.add (i64.load (i32.const 312)) (local.get $amount)))
        (call $cache (i32.const 256) (i32.const 288)))
    (func (export "user_entrypoint") (param i32) (result i32)
        (call $sender (i32.const 12))
        (call $add (i32.const 0) (i64.const -1))
        (i32.store8 (i32.const 95) (i32.const 7))
        (call $add (i32.const 64) (i64.const 1))
        (call $log (i32.const 0) (i32.const 128) (i32.const 3))
        (call $flush (i32.const 0))
        (i32.store8 (i32.const 31) (i32.const 1))
        (call $write (i32.const 0) (i32.const 32))
        (i32.const 0)))"#;

fn is_long() -> bool {
    std::env::var_os("METALAYER_LONG").is_some_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_start_and_take_load() {
    let start = bench::start(3).await.unwrap();
    let network = Network::start(ChainConfig::new(700_001)).await;
    let chain = network.chain();
    let code = stylus_program::compress(&wat::parse_str(TRANSFER).unwrap()).unwrap();
    let program = chain.chain().deploy_program(&code).unwrap();
    let times = bench::calls(&chain.chain(), program, &Bytes::new()).unwrap();
    assert!(times.warm > Duration::ZERO);
    let count = if is_long() { 10_000 } else { 80 };
    let pay =
        Load { to: Address::repeat_byte(1), value: U256::from(1), gas: 21_000, ..Load::default() };
    let paid = bench::throughput(chain, &pay, count).await.unwrap();
    assert_eq!(chain.chain().balance(pay.to), U256::from(count));
    let transfer = Load { to: program, gas: 200_000, ..Load::default() };
    let moved = bench::throughput(chain, &transfer, count).await.unwrap();
    assert!(start > Duration::ZERO && paid.per_second() > 0.0 && moved.per_second() > 0.0);
}

#[test]
fn bounded_history_bounds_memory() {
    let blocks = if is_long() { 100_000 } else { 2_000 };
    let footprint = bench::footprint(blocks, 1_000).unwrap();
    if cfg!(target_os = "linux") {
        assert!(footprint.resident.unwrap() < 1 << 30, "{footprint:?}");
    }
}
