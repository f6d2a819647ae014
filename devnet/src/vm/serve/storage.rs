use revm::{Database, context_interface::Host, interpreter::InstructionResult, primitives::U256};

use super::{Answer, FATAL, Served, Server};
use crate::vm::machine::CachedWord;

/// A write needs more gas than this to be left (EIP-2200), so that a bare transfer cannot write.
const WRITE_SENTRY: u64 = 2_300;

impl<DB: Database> Server<'_, DB> {
    pub(super) fn load_storage(&mut self, key: U256, dest: u32) -> Served<Answer> {
        let acting = self.acting();
        let loaded = self.ctx.sload(acting, key).ok_or(FATAL)?;
        let (warm, cold) = {
            let params = self.ctx.gas_params();
            (params.warm_storage_read_cost(), params.cold_storage_additional_cost())
        };
        self.charge(warm + if loaded.is_cold { cold } else { 0 })?;
        let value = loaded.data;
        self.store.data_mut().storage.insert(key, CachedWord { value, stored: Some(value) });
        self.put_word(dest, value)
    }

    /// Writes every changed word, in the order of keys.
    pub(super) fn flush_storage(&mut self, clear: bool) -> Served<Answer> {
        self.require_writable()?;
        let acting = self.acting();
        let dirty: Vec<_> = self
            .store
            .data()
            .storage
            .iter()
            .filter(|(_, word)| word.is_dirty())
            .map(|(key, word)| (*key, word.value))
            .collect();
        for (key, value) in dirty {
            if self.gas_left() <= WRITE_SENTRY {
                return Err(InstructionResult::OutOfGas);
            }
            let stored = self.ctx.sstore(acting, key, value).ok_or(FATAL)?;
            let (gas, refund) = {
                let params = self.ctx.gas_params();
                let dynamic = params.sstore_dynamic_gas(true, &stored.data, stored.is_cold);
                (params.sstore_static_gas() + dynamic, params.sstore_refund(true, &stored.data))
            };
            self.charge(gas)?;
            self.gas.record_refund(refund);
            self.store.data_mut().storage.insert(key, CachedWord { value, stored: Some(value) });
        }
        if clear {
            self.store.data_mut().storage.clear();
        }
        Ok(Answer::Resume(None))
    }

    pub(super) fn load_transient(&mut self, key: U256, dest: u32) -> Served<Answer> {
        let acting = self.acting();
        let value = self.ctx.tload(acting, key);
        self.put_word(dest, value)
    }

    pub(super) fn store_transient(&mut self, key: U256, value: U256) -> Served<Answer> {
        self.require_writable()?;
        let acting = self.acting();
        self.ctx.tstore(acting, key, value);
        Ok(Answer::Resume(None))
    }
}
