//! The functions a program may import.

/// The module that offers every host function.
pub const HOST_MODULE: &str = "vm_hooks";

/// A number type of WebAssembly that host functions use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32 bits: pointers, lengths, flags.
    I32,
    /// 64 bits: gas, ink, block numbers.
    I64,
}

/// Name and type of a function that the host offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFunction {
    /// Name within [`HOST_MODULE`].
    pub name: &'static str,
    /// Types of the arguments.
    pub params: &'static [ValueType],
    /// Type of the result, if there is one.
    pub result: Option<ValueType>,
}

use ValueType::{I32, I64};

const fn function(
    name: &'static str,
    params: &'static [ValueType],
    result: Option<ValueType>,
) -> HostFunction {
    HostFunction { name, params, result }
}

/// Every host function of a chain without debug mode.
pub const HOST_FUNCTIONS: &[HostFunction] = &[
    function("account_balance", &[I32, I32], None),
    function("account_code", &[I32, I32, I32, I32], Some(I32)),
    function("account_code_size", &[I32], Some(I32)),
    function("account_codehash", &[I32, I32], None),
    function("block_basefee", &[I32], None),
    function("block_coinbase", &[I32], None),
    function("block_gas_limit", &[], Some(I64)),
    function("block_number", &[], Some(I64)),
    function("block_timestamp", &[], Some(I64)),
    function("call_contract", &[I32, I32, I32, I32, I64, I32], Some(I32)),
    function("chainid", &[], Some(I64)),
    function("contract_address", &[I32], None),
    function("create1", &[I32, I32, I32, I32, I32], None),
    function("create2", &[I32, I32, I32, I32, I32, I32], None),
    function("delegate_call_contract", &[I32, I32, I32, I64, I32], Some(I32)),
    function("emit_log", &[I32, I32, I32], None),
    function("evm_gas_left", &[], Some(I64)),
    function("evm_ink_left", &[], Some(I64)),
    function("exit_early", &[I32], None),
    function("math_add_mod", &[I32, I32, I32], None),
    function("math_div", &[I32, I32], None),
    function("math_mod", &[I32, I32], None),
    function("math_mul_mod", &[I32, I32, I32], None),
    function("math_pow", &[I32, I32], None),
    function("msg_reentrant", &[], Some(I32)),
    function("msg_sender", &[I32], None),
    function("msg_value", &[I32], None),
    function("native_keccak256", &[I32, I32, I32], None),
    function("pay_for_memory_grow", &[I32], None),
    function("read_args", &[I32], None),
    function("read_return_data", &[I32, I32, I32], Some(I32)),
    function("return_data_size", &[], Some(I32)),
    function("static_call_contract", &[I32, I32, I32, I64, I32], Some(I32)),
    function("storage_cache_bytes32", &[I32, I32], None),
    function("storage_flush_cache", &[I32], None),
    function("storage_load_bytes32", &[I32, I32], None),
    function("transient_load_bytes32", &[I32, I32], None),
    function("transient_store_bytes32", &[I32, I32], None),
    function("tx_gas_price", &[I32], None),
    function("tx_ink_price", &[], Some(I32)),
    function("tx_origin", &[I32], None),
    function("write_result", &[I32, I32], None),
];

impl HostFunction {
    /// The host function of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        HOST_FUNCTIONS.iter().find(|function| function.name == name)
    }
}
