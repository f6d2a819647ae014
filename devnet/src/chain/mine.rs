//! How blocks are made.

use std::{sync::Arc, time::Duration};

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    primitives::{Address, B256, TxKind, U256},
};
use revm::{
    context::{BlockEnv, TxEnv},
    context_interface::result::{EVMError, ExecutionResult, Output},
    database_interface::WrapDatabaseRef,
};

use super::{Chain, Error, Event, Inner, Mining, create::randomness};
use crate::{
    block::{self, Block, BlockParts, Receipt, Transaction},
    mempool::{Against, Authority, Pooled, Refusal, check},
    persist::Record,
    state::{Changes, StateView},
    vm::{Environment, Rules},
};

/// A block under construction. Its transactions are already in the state: seal it.
struct Draft {
    env: Environment,
    parts: BlockParts,
    transactions: Vec<Transaction>,
    gas_used: u64,
    logs: u64,
    /// What the transactions changed, for the log on disk.
    changes: Vec<Changes>,
}

impl Chain {
    /// Makes `count` blocks at once; the first takes what waits in the pool.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn mine(&self, count: u64) -> Result<(), Error> {
        for _ in 0..count {
            self.mine_block()?;
        }
        Ok(())
    }

    /// Makes one block of what can go into it from the pool, and returns it.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn mine_block(&self) -> Result<Arc<Block>, Error> {
        self.mine_pool(&mut self.shared.inner.write())
    }

    /// What the interval does: as [`Self::mine_block`], unless the sequencer is paused.
    pub(crate) fn tick(&self) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        if !inner.paused {
            self.mine_pool(&mut inner)?;
        }
        Ok(())
    }

    /// Takes a transaction into the pool, and into a block at once when automining.
    pub(crate) fn submit(&self, tx: Pooled) -> Result<B256, Error> {
        let hash = tx.hash();
        let mut inner = self.shared.inner.write();
        if inner.ledger.transaction(hash).is_some() {
            return Err(Refusal::AlreadyKnown.into());
        }
        let account = inner.account(tx.sender);
        let against = Against {
            chain_id: self.chain_id(),
            tx_gas_limit: self.shared.config.tx_gas_limit,
            base_fee: inner.base_fee,
            balance: account.balance,
            nonce: account.nonce,
        };
        check(&tx, &against)?;
        inner.pool.insert(tx)?;
        self.publish(Event::Pending(hash));
        self.mine_if_automatic(&mut inner)?;
        Ok(hash)
    }

    /// Stops making blocks on its own: transactions wait in the pool. Asking for a block still
    /// makes one.
    pub fn pause(&self) {
        self.shared.inner.write().paused = true;
    }

    /// Goes on making blocks.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn resume(&self) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        inner.paused = false;
        self.mine_if_automatic(&mut inner)
    }

    /// Whether the sequencer is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.read().paused
    }

    /// Changes when blocks are made.
    ///
    /// # Errors
    /// When the chain cannot be written to disk.
    pub fn set_mining(&self, mining: Mining) -> Result<(), Error> {
        let mut inner = self.shared.inner.write();
        inner.mining = mining;
        self.shared.mining.send_replace(mining);
        self.mine_if_automatic(&mut inner)
    }

    /// Executes `tx` alone in a block of its own, whatever the mining mode.
    pub(super) fn mine_alone(&self, inner: &mut Inner, tx: &Pooled) -> Result<Receipt, Error> {
        let mut draft = self.open_draft(inner);
        self.execute(inner, &mut draft, tx)?;
        let block = self.seal(inner, draft)?;
        let receipt = block.transactions.first().map(|tx| tx.receipt.clone());
        receipt.ok_or_else(|| Error::Machine("block sealed without its transaction".into()))
    }

    /// Makes a block of exactly `txs`, leaving out those that have become invalid.
    pub(super) fn mine_these(
        &self,
        inner: &mut Inner,
        txs: &[Pooled],
    ) -> Result<Arc<Block>, Error> {
        let mut draft = self.open_draft(inner);
        for tx in txs {
            if draft.gas_used.saturating_add(tx.envelope.gas_limit()) > draft.parts.gas_limit {
                continue;
            }
            match self.execute(inner, &mut draft, tx) {
                Ok(()) => {}
                Err(Error::Invalid(reason)) => {
                    let hash = tx.hash();
                    tracing::debug!(%hash, %reason, "transaction dropped from the pool");
                    inner.pool.remove(hash);
                }
                Err(error) => return Err(error),
            }
        }
        self.seal(inner, draft)
    }

    fn mine_if_automatic(&self, inner: &mut Inner) -> Result<(), Error> {
        let automatic = inner.mining == Mining::Automatic && !inner.paused;
        if automatic && !inner.ready().is_empty() {
            self.mine_pool(inner)?;
        }
        Ok(())
    }

    fn mine_pool(&self, inner: &mut Inner) -> Result<Arc<Block>, Error> {
        let ready = inner.ready();
        self.mine_these(inner, &ready)
    }

    /// The block that would come next, without the transactions that wait for it.
    pub(crate) fn pending_block(&self, inner: &Inner) -> Block {
        block::build(&self.next_parts(inner), Vec::new())
    }

    /// What the block that would come next is made of.
    pub(super) fn next_parts(&self, inner: &Inner) -> BlockParts {
        let head = inner.ledger.head();
        let number = head.number() + 1;
        BlockParts {
            parent_hash: head.hash,
            number,
            timestamp: inner.time.peek(head.header.timestamp, inner.interval()),
            beneficiary: inner.coinbase,
            gas_limit: self.shared.config.block_gas_limit,
            base_fee: inner.base_fee,
            prevrandao: randomness(self.shared.seed, self.chain_id(), inner.forks, number),
            state_root: head.header.state_root,
        }
    }

    fn open_draft(&self, inner: &Inner) -> Draft {
        let parts = self.next_parts(inner);
        Draft {
            env: Environment::new(self.chain_id(), block_env(&parts)),
            parts,
            transactions: Vec::new(),
            gas_used: 0,
            logs: 0,
            changes: Vec::new(),
        }
    }

    fn execute(&self, inner: &mut Inner, draft: &mut Draft, tx: &Pooled) -> Result<(), Error> {
        draft.env.rules = rules(tx.authority);
        let before = inner.state.latest();
        let view = StateView { state: &inner.state, version: before, hashes: &inner.ledger };
        let mut tx_env = tx_env(&tx.envelope, tx.sender);
        // As on Arbitrum everybody who can pay the base fee pays just that.
        if tx_env.gas_price > u128::from(draft.parts.base_fee) {
            tx_env.gas_price = draft.parts.base_fee.into();
        }
        tx_env.gas_priority_fee = tx_env.gas_priority_fee.map(|_| 0);
        let gas_price = tx_env.gas_price;
        let outcome = self
            .shared
            .executor
            .execute(&mut draft.env, WrapDatabaseRef(view), tx_env)
            .map_err(machine_error)?;
        let changes = Changes::of_execution(outcome.state);
        draft.parts.state_root = changes.digest(draft.parts.state_root);
        inner.state.commit(&changes);
        draft.changes.push(changes);

        let mut receipt = receipt_of(tx, outcome.result);
        receipt.effective_gas_price = gas_price;
        draft.gas_used += receipt.gas_used;
        receipt.cumulative_gas_used = draft.gas_used;
        receipt.first_log_index = draft.logs;
        draft.logs += receipt.logs.len() as u64;
        let (envelope, sender) = (tx.envelope.clone(), tx.sender);
        draft.transactions.push(Transaction { envelope, sender, receipt, before });
        Ok(())
    }

    fn seal(&self, inner: &mut Inner, draft: Draft) -> Result<Arc<Block>, Error> {
        let block = Arc::new(block::build(&draft.parts, draft.transactions));
        let interval = inner.interval();
        inner.time.advance(block.header.timestamp, interval);
        inner.ledger.push(Arc::clone(&block), inner.state.latest());
        for tx in &block.transactions {
            let nonce = inner.account(tx.sender).nonce;
            inner.pool.forget_below(tx.sender, nonce);
        }
        inner.record(&Record::block(&block, &draft.changes))?;
        self.prune(inner);
        self.publish(Event::Added(Arc::clone(&block)));
        Ok(block)
    }

    fn prune(&self, inner: &mut Inner) {
        let Some(keep) = self.shared.config.history else { return };
        // A snapshot's state must stay: nothing behind it is forgotten until it is taken back.
        let snapshot = inner.snapshots.values().map(|snapshot| snapshot.number()).min();
        let held = snapshot.map_or(0, |number| inner.ledger.head().number() - number);
        if let Some(oldest) = inner.ledger.prune(keep.max(held)) {
            inner.state.prune(oldest);
        }
    }
}

impl Inner {
    /// What the interval is, when blocks come at one.
    pub(super) const fn interval(&self) -> Option<Duration> {
        self.mining.interval()
    }

    /// Appends to the log on disk, if there is one.
    pub(super) fn record(&mut self, record: &Record) -> Result<(), Error> {
        match &mut self.journal {
            Some(journal) => Ok(journal.append(record)?),
            None => Ok(()),
        }
    }

    fn ready(&self) -> Vec<Pooled> {
        self.pool.ready(self.base_fee, |sender| self.account(sender).nonce)
    }
}

/// The block as transactions see it.
pub(super) fn block_env(parts: &BlockParts) -> BlockEnv {
    BlockEnv {
        number: U256::from(parts.number),
        beneficiary: parts.beneficiary,
        timestamp: U256::from(parts.timestamp),
        gas_limit: parts.gas_limit,
        basefee: parts.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(parts.prevrandao),
        ..BlockEnv::default()
    }
}

/// The transaction as the virtual machine takes it.
pub(super) fn tx_env(envelope: &TxEnvelope, sender: Address) -> TxEnv {
    TxEnv {
        tx_type: envelope.tx_type() as u8,
        caller: sender,
        gas_limit: envelope.gas_limit(),
        gas_price: envelope.max_fee_per_gas(),
        kind: envelope.kind(),
        value: envelope.value(),
        data: envelope.input().clone(),
        nonce: envelope.nonce(),
        chain_id: envelope.chain_id(),
        access_list: envelope.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: envelope.max_priority_fee_per_gas(),
        ..TxEnv::default()
    }
}

/// The rules that a transaction of a block runs under.
pub(super) const fn rules(authority: Authority) -> Rules {
    match authority {
        Authority::Signature => Rules::BLOCK,
        Authority::Impersonation => Rules::IMPERSONATION,
        Authority::Operator => Rules { base_fee: false, ..Rules::IMPERSONATION },
    }
}

/// Tells a refused transaction from a failure of the machine.
pub(super) fn machine_error(error: EVMError<std::convert::Infallible>) -> Error {
    match error {
        EVMError::Transaction(reason) => Error::Invalid(reason),
        other => Error::Machine(other.to_string()),
    }
}

fn receipt_of(tx: &Pooled, result: ExecutionResult) -> Receipt {
    let mut receipt = Receipt::for_transaction(&tx.envelope, tx.sender);
    receipt.success = result.is_success();
    receipt.gas_used = result.tx_gas_used();
    match result {
        ExecutionResult::Success { logs, output, .. } => {
            receipt.logs = logs;
            if let Output::Create(_, address) = &output {
                receipt.contract_address = *address;
            }
            receipt.output = output.into_data();
        }
        ExecutionResult::Revert { output, .. } => receipt.output = output,
        ExecutionResult::Halt { reason, .. } => receipt.halt = Some(format!("{reason:?}")),
    }
    if tx.envelope.kind() == TxKind::Create && !receipt.success {
        // Clients expect the address that would have been created.
        receipt.contract_address = Some(tx.sender.create(tx.envelope.nonce()));
    }
    receipt
}
