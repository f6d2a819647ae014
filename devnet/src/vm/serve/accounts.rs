use revm::{Database, context_interface::Host, primitives::Address};
use wasmi::Val;

use super::{Answer, FATAL, Served, Server};

/// Reading code costs this beside the access, as `EXTCODECOPY` once did.
const CODE_GAS: u64 = 700;

impl<DB: Database> Server<'_, DB> {
    pub(super) fn balance(&mut self, of: Address, dest: u32) -> Served<Answer> {
        let balance = self.ctx.balance(of).ok_or(FATAL)?;
        self.charge_access(balance.is_cold, 0)?;
        self.put_word(dest, balance.data)
    }

    pub(super) fn code(
        &mut self,
        of: Address,
        offset: u32,
        size: u32,
        dest: u32,
    ) -> Served<Answer> {
        let code = self.ctx.load_account_code(of).ok_or(FATAL)?;
        self.charge_access(code.is_cold, CODE_GAS)?;
        let start = (offset as usize).min(code.data.len());
        let end = start.saturating_add(size as usize).min(code.data.len());
        self.put(dest, &code.data[start..end])?;
        Ok(Answer::Resume(Some(Val::I32((end - start) as i32))))
    }

    pub(super) fn code_size(&mut self, of: Address) -> Served<Answer> {
        let code = self.ctx.load_account_code(of).ok_or(FATAL)?;
        self.charge_access(code.is_cold, CODE_GAS)?;
        Ok(Answer::Resume(Some(Val::I32(code.data.len() as i32))))
    }

    pub(super) fn code_hash(&mut self, of: Address, dest: u32) -> Served<Answer> {
        let hash = self.ctx.load_account_code_hash(of).ok_or(FATAL)?;
        self.charge_access(hash.is_cold, 0)?;
        self.put(dest, hash.data.as_slice())?;
        Ok(Answer::Resume(None))
    }

    /// EIP-2929.
    fn charge_access(&mut self, is_cold: bool, extra: u64) -> Served<()> {
        let (warm, cold) = {
            let params = self.ctx.gas_params();
            (params.warm_storage_read_cost(), params.cold_account_additional_cost())
        };
        self.charge(warm + if is_cold { cold } else { 0 } + extra)
    }
}
