use revm::{
    Database,
    context_interface::{CreateScheme, Host},
    interpreter::{
        CallInput, CallInputs, CallScheme, CallValue, CreateInputs, FrameInput, InstructionResult,
        instructions::contract::load_account_delegated,
    },
    primitives::{Address, U256},
};
use wasmi::{AsContextMut, Store, Val};

use super::{Answer, Served, Server};
use crate::vm::machine::{CallRequest, CreateRequest, Machine};

/// What the program waits for.
pub(in crate::vm) enum Pending {
    Call { len_dest: u32 },
    Create { address_dest: u32, len_dest: u32 },
}

/// Result of a call that worked.
const SUCCESS: i32 = 0;
/// Result of a call that did not.
const FAILURE: i32 = 2;

impl Pending {
    /// Writes the child's outcome where the program wants it. `outcome` is what the EVM pushes: one
    /// or zero for a call, the address or zero for a creation.
    pub(in crate::vm) fn settle(
        &self,
        store: &mut Store<Machine>,
        outcome: U256,
    ) -> Result<Option<Val>, wasmi::Error> {
        let machine = store.data();
        let len = (machine.return_data.len() as u32).to_le_bytes();
        let memory = machine.memory.ok_or_else(|| wasmi::Error::new("no memory"))?;
        let mut write =
            |dest: u32, bytes: &[u8]| memory.write(store.as_context_mut(), dest as usize, bytes);
        match *self {
            Self::Call { len_dest } => {
                write(len_dest, &len)?;
                Ok(Some(Val::I32(if outcome.is_zero() { FAILURE } else { SUCCESS })))
            }
            Self::Create { address_dest, len_dest } => {
                write(len_dest, &len)?;
                write(address_dest, Address::from_word(outcome.into()).as_slice())?;
                Ok(None)
            }
        }
    }
}

impl<DB: Database> Server<'_, DB> {
    pub(super) fn call(&mut self, call: &CallRequest) -> Served<Answer> {
        let transfers = call.scheme == CallScheme::Call && !call.value.is_zero();
        if transfers {
            self.require_writable()?;
        }
        let (access, _, bytecode, code_hash) = load_account_delegated(
            self.ctx,
            self.spec,
            self.gas_left(),
            call.to,
            transfers,
            call.scheme == CallScheme::Call,
        )?;
        let (warm, transfer, stipend) = {
            let params = self.ctx.gas_params();
            let transfer = if transfers { params.transfer_value_cost() } else { 0 };
            let stipend = if transfers { params.call_stipend() } else { 0 };
            (params.warm_storage_read_cost(), transfer, stipend)
        };
        self.charge(warm + access + transfer)?;
        let forwarded = self.all_but_one_64th().min(call.gas);
        self.charge(forwarded)?;

        let facts = self.store.data().call;
        let delegates = call.scheme == CallScheme::DelegateCall;
        let inputs = CallInputs {
            input: CallInput::Bytes(call.data.clone()),
            return_memory_offset: 0..0,
            gas_limit: forwarded.saturating_add(stipend),
            reservoir: 0,
            bytecode_address: call.to,
            known_bytecode: (code_hash, bytecode),
            target_address: if delegates { facts.acting } else { call.to },
            caller: if delegates { facts.sender } else { facts.acting },
            value: if delegates {
                CallValue::Apparent(facts.value)
            } else {
                CallValue::Transfer(call.value)
            },
            scheme: call.scheme,
            is_static: facts.is_static || call.scheme == CallScheme::StaticCall,
            charged_new_account_state_gas: false,
        };
        Ok(Answer::Enter {
            input: FrameInput::Call(Box::new(inputs)),
            pending: Pending::Call { len_dest: call.len_dest },
        })
    }

    pub(super) fn create(&mut self, create: &CreateRequest) -> Served<Answer> {
        self.require_writable()?;
        let len = create.code.len();
        if len > self.ctx.max_initcode_size() {
            return Err(InstructionResult::CreateInitCodeSizeLimit);
        }
        let gas = {
            let params = self.ctx.gas_params();
            params.initcode_cost(len)
                + match create.scheme {
                    CreateScheme::Create2 { .. } => params.create2_cost(len),
                    _ => params.create_cost(),
                }
        };
        self.charge(gas)?;
        let forwarded = self.all_but_one_64th();
        self.charge(forwarded)?;
        let (acting, code) = (self.acting(), create.code.clone());
        let inputs = CreateInputs::new(acting, create.scheme, create.value, code, forwarded, 0);
        let (address_dest, len_dest) = (create.address_dest, create.len_dest);
        Ok(Answer::Enter {
            input: FrameInput::Create(Box::new(inputs)),
            pending: Pending::Create { address_dest, len_dest },
        })
    }

    /// Most gas that a child frame can have (EIP-150).
    fn all_but_one_64th(&self) -> u64 {
        self.ctx.gas_params().call_stipend_reduction(self.gas_left())
    }
}
