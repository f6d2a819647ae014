use revm::{
    Database,
    context_interface::{ContextTr, JournalTr},
    primitives::{B256, U256, keccak256},
};

use super::{ARBOS_STATE, program::ProgramRecord};
use crate::vm::VmContext;

/// What the system contracts remember, in the storage of [`ARBOS_STATE`].
pub(crate) struct SystemState<'a, DB: Database> {
    ctx: &'a mut VmContext<DB>,
}

/// Keys are hashes of a name and what the entry is about.
fn key(name: &str, about: &[u8]) -> U256 {
    keccak256([name.as_bytes(), about].concat()).into()
}

/// The slot of a program's activation.
pub(super) fn program_key(code_hash: B256) -> U256 {
    key("program", code_hash.as_slice())
}

impl<'a, DB: Database> SystemState<'a, DB> {
    pub(crate) const fn new(ctx: &'a mut VmContext<DB>) -> Self {
        Self { ctx }
    }

    /// The activation of the program with this code.
    pub(crate) fn program(&mut self, code_hash: B256) -> Result<Option<ProgramRecord>, DB::Error> {
        Ok(ProgramRecord::from_word(self.get(program_key(code_hash))?))
    }

    pub(super) fn set_program(
        &mut self,
        code_hash: B256,
        record: ProgramRecord,
    ) -> Result<(), DB::Error> {
        self.set(program_key(code_hash), record.to_word())
    }

    /// How many messages have been sent to the parent chain.
    pub(super) fn sent_messages(&mut self) -> Result<u64, DB::Error> {
        Ok(self.get(key("sent messages", &[]))?.saturating_to())
    }

    pub(super) fn set_sent_messages(&mut self, count: u64) -> Result<(), DB::Error> {
        self.set(key("sent messages", &[]), U256::from(count))
    }

    /// The last complete subtree of this level in the tree of sent messages.
    pub(super) fn partial(&mut self, level: u64) -> Result<B256, DB::Error> {
        Ok(self.get(key("partial", &level.to_be_bytes()))?.into())
    }

    pub(super) fn set_partial(&mut self, level: u64, root: B256) -> Result<(), DB::Error> {
        self.set(key("partial", &level.to_be_bytes()), root.into())
    }

    fn get(&mut self, key: U256) -> Result<U256, DB::Error> {
        let journal = self.ctx.journal_mut();
        journal.load_account(ARBOS_STATE)?;
        Ok(journal.sload(ARBOS_STATE, key)?.data)
    }

    fn set(&mut self, key: U256, value: U256) -> Result<(), DB::Error> {
        let journal = self.ctx.journal_mut();
        journal.load_account(ARBOS_STATE)?;
        journal.touch_account(ARBOS_STATE);
        journal.sstore(ARBOS_STATE, key, value)?;
        Ok(())
    }
}
