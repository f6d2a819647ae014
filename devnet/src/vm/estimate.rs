use revm::{
    Database,
    context::TxEnv,
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction},
};

use super::{Environment, Executor};

/// What came of an estimate.
pub(super) enum Estimate {
    /// The least gas limit, within [`TOLERANCE`], with which the transaction succeeds.
    Gas(u64),
    /// It fails whatever its gas.
    Failed(ExecutionResult),
}

/// An estimate is at most one part in this many above the least limit.
const TOLERANCE: u64 = 64;

impl Executor {
    /// Searches for the least gas limit of `tx`.
    pub(super) fn estimate<DB: Database>(
        &self,
        env: &Environment,
        db: &mut DB,
        tx: &TxEnv,
    ) -> Result<Estimate, EVMError<DB::Error, InvalidTransaction>> {
        let mut run = |gas_limit: u64| {
            let tx = TxEnv { gas_limit, ..tx.clone() };
            Ok::<_, EVMError<DB::Error, InvalidTransaction>>(
                self.run_plainly(&mut env.clone(), &mut *db, tx)?.result,
            )
        };
        let mut enough = env.block.gas_limit;
        let result = run(enough)?;
        if !result.is_success() {
            return Ok(Estimate::Failed(result));
        }
        let mut too_little = result.tx_gas_used().saturating_sub(1);
        while enough - too_little > 1 + enough / TOLERANCE {
            // The answer is mostly near the low end, so the search begins there.
            let middle = too_little + ((enough - too_little) / 2).min(too_little / 2 + 1);
            if run(middle)?.is_success() {
                enough = middle;
            } else {
                too_little = middle;
            }
        }
        Ok(Estimate::Gas(enough))
    }
}
