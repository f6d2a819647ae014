use std::num::NonZeroUsize;

use revm::{
    Context, Database, Inspector, Journal,
    context::{BlockEnv, CfgEnv, ContextTr, JournalTr, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, InvalidTransaction, ResultAndState},
    handler::{EthFrame, Handler, MainnetHandler},
    inspector::InspectorHandler,
};

use super::{Environment, Scope, estimate::Estimate, evm::StylusEvm, modules::Modules};
use crate::arbos::node_interface;

/// Context that inspectors of [`Executor::inspect`] see.
pub type VmContext<DB> = Context<BlockEnv, TxEnv, CfgEnv, DB, Journal<DB>, Scope>;

type Failure<DB> = EVMError<<DB as Database>::Error, InvalidTransaction>;

/// Runs transactions. Cheap to clone; all clones share the translated programs.
#[derive(Clone, Debug)]
pub struct Executor {
    modules: Modules,
}

/// Translated programs that an executor keeps.
const MODULES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor {
    /// An executor without any translated program.
    pub fn new() -> Self {
        Self { modules: Modules::new(MODULES) }
    }

    /// Runs one transaction on `db` and returns its result with the accounts it touched.
    ///
    /// Nothing is written to `db`: commit the returned state to keep it.
    ///
    /// # Errors
    /// A transaction that the rules refuse ([`EVMError::Transaction`], [`EVMError::Header`]), or a
    /// failing database. A transaction that reverts or runs out of gas is a result, not an error.
    pub fn execute<DB: Database>(
        &self,
        env: &mut Environment,
        db: DB,
        tx: TxEnv,
    ) -> Result<ResultAndState, Failure<DB>> {
        let mut db = db;
        if let Some(question) = node_interface::transaction_to_estimate(env, &tx) {
            match self.estimate(env, &mut db, &question)? {
                Estimate::Gas(gas) => env.estimate = gas,
                Estimate::Failed(result) => {
                    return Ok(ResultAndState::new(result, Default::default()));
                }
            }
        }
        self.run_plainly(env, db, tx)
    }

    /// As [`Self::execute`], while `inspector` watches calls, creations, logs and EVM steps.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn inspect<DB: Database, I: Inspector<VmContext<DB>>>(
        &self,
        env: &mut Environment,
        db: DB,
        tx: TxEnv,
        inspector: I,
    ) -> Result<ResultAndState, Failure<DB>> {
        self.run(env, db, tx, inspector, |evm| {
            MainnetHandler::<_, Failure<DB>, EthFrame>::default().inspect_run(evm)
        })
    }

    pub(super) fn run_plainly<DB: Database>(
        &self,
        env: &mut Environment,
        db: DB,
        tx: TxEnv,
    ) -> Result<ResultAndState, Failure<DB>> {
        self.run(env, db, tx, (), |evm| {
            MainnetHandler::<_, Failure<DB>, EthFrame>::default().run(evm)
        })
    }

    fn run<DB: Database, I>(
        &self,
        env: &mut Environment,
        db: DB,
        tx: TxEnv,
        inspector: I,
        handler: impl FnOnce(&mut StylusEvm<DB, I>) -> Result<ExecutionResult, Failure<DB>>,
    ) -> Result<ResultAndState, Failure<DB>> {
        let cfg = env.config();
        let spec = cfg.spec;
        let mut context =
            VmContext::new(db, spec).with_cfg(cfg).with_block(env.block.clone()).with_tx(tx);
        context.chain = env.open_scope();
        let mut evm = StylusEvm::new(context, spec, self.modules.clone(), inspector);
        let result = handler(&mut evm);
        let context = evm.context_mut();
        env.close_scope(std::mem::take(&mut context.chain));
        let state = context.journal_mut().finalize();
        Ok(ResultAndState::new(result?, state))
    }
}
