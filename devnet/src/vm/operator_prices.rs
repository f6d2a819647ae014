use wasmi::OperatorCost;

use super::ink::INK_PER_FUEL;

/// Price of every WASM operator in fuel, from the published ink prices.
///
/// A chain charges 2,450 ink for every basic block; here that is part of the operator that ends one.
pub(super) fn operator_prices() -> OperatorCost {
    let mut prices = OperatorCost::default();
    macro_rules! price {
        ($($ink:expr => $($operator:ident)*;)*) => { $( $( prices.$operator = fuel($ink); )* )* };
    }
    price! {
        0 => block;
        1 => nop i32_const i64_const unreachable else_ end;
        9 => drop;
        2_451 => return_ loop_;
        3_215 => br br_if if_;
        4_900 => br_table;
        6_250 => call;
        6_375 => call_indirect;
        1_250 => select;
        75 => local_get local_tee;
        210 => local_set;
        225 => global_get;
        575 => global_set;
        670 => i32_load i32_load8_s i32_load8_u i32_load16_s i32_load16_u;
        680 => i64_load i64_load8_s i64_load8_u i64_load16_s i64_load16_u i64_load32_s i64_load32_u;
        825 => i32_store i32_store8 i32_store16;
        950 => i64_store i64_store8 i64_store16 i64_store32 memory_copy memory_fill;
        3_000 => memory_size;
        6_375 => memory_grow;
        170 => i32_eqz i32_eq i32_ne i32_lt_s i32_lt_u i32_gt_s i32_gt_u i32_le_s i32_le_u i32_ge_s
            i32_ge_u;
        225 => i64_eqz i64_eq i64_ne i64_lt_s i64_lt_u i64_gt_s i64_gt_u i64_le_s i64_le_u i64_ge_s
            i64_ge_u;
        210 => i32_clz i32_ctz i64_clz i64_ctz;
        2_650 => i32_popcnt;
        6_000 => i64_popcnt;
        70 => i32_add i32_sub i32_and i32_or i32_xor i32_shl i32_shr_s i32_shr_u i32_rotl i32_rotr;
        160 => i32_mul i64_mul;
        1_120 => i32_div_s i32_div_u i32_rem_s i32_rem_u;
        1_270 => i64_div_s i64_div_u i64_rem_s i64_rem_u;
        100 => i64_add i64_sub i64_and i64_or i64_xor i64_shl i64_shr_s i64_shr_u i64_rotl i64_rotr
            i32_wrap_i64 i64_extend_i32_s i64_extend_i32_u i32_extend8_s i32_extend16_s
            i64_extend8_s i64_extend16_s i64_extend32_s;
    }
    prices
}

/// The largest price the engine can express is 6,375 ink.
const fn fuel(ink: u64) -> u8 {
    let fuel = ink.div_ceil(INK_PER_FUEL);
    if fuel > u8::MAX as u64 { u8::MAX } else { fuel as u8 }
}
