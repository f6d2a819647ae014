//! What it takes to start a program: an activation that still holds, and its price.

use revm::{
    Database,
    context_interface::{Block, ContextTr},
    primitives::B256,
};

use super::VmContext;
use crate::arbos::{ProgramRecord, SystemState};

/// Gas of starting a program, from the length of its module.
///
/// Fitted to measurements of production metering at three sizes (7,427, 25,879 and 47,863 bytes),
/// within 1 % of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartCost {
    /// What ArbWasm reports for a start without the cache.
    pub(crate) declared: u32,
    /// A start of a cached program; ArbWasm reports the same.
    pub(crate) cached: u32,
}

/// Gas per thousand bytes of module, beside a fixed part.
struct Line {
    fixed: u64,
    per_thousand: u64,
}

const DECLARED: Line = Line { fixed: 9_184, per_thousand: 210 };
const CACHED: Line = Line { fixed: 1_300, per_thousand: 45 };
/// What a start without the cache costs beyond the declared gas.
const UNCACHED_EXTRA: Line = Line { fixed: 816, per_thousand: 35 };

impl Line {
    const fn at(&self, wasm_len: u64) -> u64 {
        self.fixed + self.per_thousand * wasm_len / 1_000
    }
}

impl StartCost {
    /// The cost for a module of this many bytes, which is at most 128 KiB.
    pub(crate) const fn of(wasm_len: usize) -> Self {
        let len = wasm_len as u64;
        Self { declared: DECLARED.at(len) as u32, cached: CACHED.at(len) as u32 }
    }
}

/// Gas of a start that finds the program in no cache.
fn uncached(record: &ProgramRecord) -> u64 {
    u64::from(record.start.declared) + UNCACHED_EXTRA.at(record.wasm_len.into())
}

/// Why a program does not start; all of them revert without data.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError<E> {
    #[error("program {0} is not activated")]
    NotActivated(B256),
    #[error("program {0} was activated for an older version")]
    NeedsUpgrade(B256),
    #[error("program {code_hash} has expired, activated {age} seconds ago")]
    Expired { code_hash: B256, age: u64 },
    #[error(transparent)]
    Database(E),
}

/// A program that may start.
pub(super) struct Start {
    /// Gas to pay first, memory at the start included.
    pub(super) gas: u64,
    /// Pages of memory at the start.
    pub(super) footprint: u16,
}

/// Looks up the activation and opens the program's memory.
pub(super) fn prepare<DB: Database>(
    ctx: &mut VmContext<DB>,
    code_hash: B256,
) -> Result<Start, StartError<DB::Error>> {
    let now = ctx.block().timestamp().saturating_to();
    let record = SystemState::new(ctx)
        .program(code_hash)
        .map_err(StartError::Database)?
        .ok_or(StartError::NotActivated(code_hash))?;
    if record.needs_upgrade() {
        return Err(StartError::NeedsUpgrade(code_hash));
    }
    if record.is_expired(now) {
        return Err(StartError::Expired { code_hash, age: record.age(now) });
    }
    let scope = &mut ctx.chain;
    let is_recent = scope.recent.note(code_hash);
    let start =
        if is_recent || record.cached { record.start.cached.into() } else { uncached(&record) };
    let gas = scope.pages.add(record.footprint).saturating_add(start);
    Ok(Start { gas, footprint: record.footprint })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Module length; gas that ArbWasm declares, uncached and cached; gas of an uncached start.
    const MEASURED: [(usize, f64, f64, f64); 3] = [
        (7_427, 10_976.0, 1_649.0, 11_800.0),
        (25_879, 14_465.0, 2_832.0, 16_500.0),
        (47_863, 19_048.0, 3_448.0, 21_700.0),
    ];

    #[test]
    fn start_costs_are_close_to_production() {
        for (wasm_len, declared, cached, start) in MEASURED {
            let cost = StartCost::of(wasm_len);
            let record = ProgramRecord::activated(0, wasm_len, 1);
            let error = |given: f64, measured: f64| (given / measured - 1.0).abs();
            assert!(error(cost.declared.into(), declared) < 0.03, "{cost:?}");
            assert!(error(cost.cached.into(), cached) < 0.14, "{cost:?}");
            assert!(error(uncached(&record) as f64, start) < 0.01, "{cost:?}");
        }
    }
}
