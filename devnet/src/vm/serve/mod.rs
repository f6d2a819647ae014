//! Serving what programs ask of the chain.

mod accounts;
mod calls;
mod storage;

use revm::{
    Database,
    context_interface::Host,
    interpreter::{FrameInput, Gas, InstructionResult, Interpreter},
    primitives::{Address, U256, hardfork::SpecId},
};
use wasmi::{AsContextMut, Store, Val};

use super::{
    VmContext,
    ink::{FUEL_PER_GAS, Ink},
    machine::{Machine, Request, pay},
};

pub(super) use calls::Pending;

type Served<T> = Result<T, InstructionResult>;

/// What becomes of a program whose request has been served.
pub(super) enum Answer {
    /// It goes on, with the result of the host function if that has one.
    Resume(Option<Val>),
    /// It waits for a child frame.
    Enter { input: FrameInput, pending: Pending },
}

/// One program together with the chain it runs on.
pub(super) struct Server<'a, DB: Database> {
    ctx: &'a mut VmContext<DB>,
    store: &'a mut Store<Machine>,
    /// Only for refunds; while the program runs, its gas is the store's fuel.
    gas: &'a mut Gas,
    spec: SpecId,
}

impl<'a, DB: Database> Server<'a, DB> {
    pub(super) fn new(
        ctx: &'a mut VmContext<DB>,
        store: &'a mut Store<Machine>,
        interpreter: &'a mut Interpreter,
    ) -> Self {
        let spec = interpreter.runtime_flag.spec_id;
        Self { ctx, store, gas: &mut interpreter.gas, spec }
    }

    /// Serves one request.
    ///
    /// # Errors
    /// How the frame ends when the request cannot be served.
    pub(super) fn serve(&mut self, request: &Request) -> Served<Answer> {
        match request {
            // The driver ends the frame by itself.
            Request::Exit { .. } => Ok(Answer::Resume(None)),
            Request::OutOfInk => Err(InstructionResult::OutOfGas),
            Request::LoadStorage { key, dest } => self.load_storage(*key, *dest),
            Request::FlushStorage { clear } => self.flush_storage(*clear),
            Request::LoadTransient { key, dest } => self.load_transient(*key, *dest),
            Request::StoreTransient { key, value } => self.store_transient(*key, *value),
            Request::Call(call) => self.call(call),
            Request::Create(create) => self.create(create),
            Request::EmitLog { topics, data } => {
                self.require_writable()?;
                self.ctx.log(Request::log(self.acting(), topics, data));
                Ok(Answer::Resume(None))
            }
            Request::Balance { of, dest } => self.balance(*of, *dest),
            Request::Code { of, offset, size, dest } => self.code(*of, *offset, *size, *dest),
            Request::CodeSize { of } => self.code_size(*of),
            Request::CodeHash { of, dest } => self.code_hash(*of, *dest),
        }
    }

    fn acting(&self) -> Address {
        self.store.data().call.acting
    }

    /// A static frame that writes fails.
    fn require_writable(&self) -> Served<()> {
        if self.store.data().call.is_static { Err(InstructionResult::Revert) } else { Ok(()) }
    }

    fn gas_left(&self) -> u64 {
        self.store.get_fuel().unwrap_or(0) / FUEL_PER_GAS
    }

    fn charge(&mut self, gas: u64) -> Served<()> {
        pay(self.store.as_context_mut(), Ink::from_gas(gas))
            .map_err(|_| InstructionResult::OutOfGas)
    }

    /// Writes into the program's memory; a bad pointer traps.
    fn put(&mut self, dest: u32, bytes: &[u8]) -> Served<()> {
        let memory = self.store.data().memory.ok_or(InstructionResult::Revert)?;
        memory
            .write(self.store.as_context_mut(), dest as usize, bytes)
            .map_err(|_| InstructionResult::Revert)
    }

    fn put_word(&mut self, dest: u32, word: U256) -> Served<Answer> {
        self.put(dest, &word.to_be_bytes::<32>())?;
        Ok(Answer::Resume(None))
    }
}

/// The database failed; the context holds its error.
const FATAL: InstructionResult = InstructionResult::FatalExternalError;
