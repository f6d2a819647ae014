//! Programs as frames of the EVM.
//!
//! A program runs until it ends or asks for something that needs the chain. Most requests are served
//! on the spot. A call or creation suspends the program: the action returned to the EVM opens the
//! child frame, and when that has ended the EVM runs this frame again, which resumes the program.
//! Nothing here recurses, so depth costs no native stack.

use revm::{
    Database,
    context_interface::{Block, Cfg, ContextTr, Host, Transaction},
    handler::EthFrame,
    interpreter::{
        InstructionResult, Interpreter, InterpreterAction, InterpreterResult,
        interpreter::EthInterpreter, interpreter_types::ReturnData,
    },
    primitives::{Address, Bytes, U256},
};
use wasmi::{
    AsContextMut, ResumableCall, ResumableCallHostTrap, Store, StoreLimitsBuilder, TrapCode, Val,
};

use super::{
    VmContext,
    ink::{FUEL_PER_GAS, Ink},
    machine::{CallFacts, ChainFacts, Machine, Request, pay},
    modules::{MEMORY_LIMIT, Modules},
    pages::Pages,
    serve::{Answer, Pending, Server},
    start::{self, StartError},
};

/// Programs that wait for a child frame, outermost first.
#[derive(Default)]
pub(super) struct SuspendedFrames(Vec<Suspended>);

struct Suspended {
    depth: usize,
    program: RunningProgram,
    trap: ResumableCallHostTrap,
    pending: Pending,
    /// Fuel that is less than one unit of gas.
    dust: u64,
}

struct RunningProgram {
    store: Store<Machine>,
    /// Pages that were open in the transaction before this program started.
    open_before: u16,
}

/// How a frame ends.
struct Ending {
    result: InstructionResult,
    output: Bytes,
}

impl From<InstructionResult> for Ending {
    fn from(result: InstructionResult) -> Self {
        Self { result, output: Bytes::new() }
    }
}

type Step = Result<ResumableCall, wasmi::Error>;

/// Runs the program of this frame from its start, or from where it was suspended.
pub(super) fn run<DB: Database>(
    modules: &Modules,
    suspended: &mut SuspendedFrames,
    ctx: &mut VmContext<DB>,
    frame: &mut EthFrame,
) -> InterpreterAction {
    let interpreter = &mut frame.interpreter;
    let mut status = [Val::I32(0)];
    let entered = match suspended.resume(frame.depth) {
        Some(waiting) => Ok(waiting.resume(ctx, interpreter, &mut status)),
        None => RunningProgram::start(modules, ctx, interpreter, &mut status),
    };
    let ending = match entered {
        Ok((mut program, step)) => {
            match program.serve_until_end(ctx, interpreter, step, &mut status) {
                Ok(Slice::Ended(ending)) => program.close(ctx, interpreter, ending),
                Ok(Slice::Entered(call)) => {
                    return call.suspend(ctx, interpreter, program, suspended, frame.depth);
                }
                Err(result) => {
                    let result = program.pay_growth(result);
                    program.close(ctx, interpreter, result.into())
                }
            }
        }
        Err(ending) => ending,
    };
    InterpreterAction::Return(InterpreterResult {
        result: ending.result,
        output: ending.output,
        gas: interpreter.gas,
    })
}

impl SuspendedFrames {
    /// The program that waits at this depth, when its child has returned.
    fn resume(&mut self, depth: usize) -> Option<Suspended> {
        self.0.pop_if(|frame| frame.depth == depth)
    }
}

impl Suspended {
    /// Hands the child's result to the program and lets it go on.
    fn resume<DB: Database>(
        self,
        ctx: &VmContext<DB>,
        interpreter: &mut Interpreter,
        status: &mut [Val],
    ) -> (RunningProgram, Step) {
        let Self { mut program, trap, pending, dust, .. } = self;
        // The EVM left the outcome on the frame's own stack, as for any other caller.
        let outcome = interpreter.stack.pop().unwrap_or_default();
        let store = &mut program.store;
        let machine = store.data_mut();
        machine.return_data = interpreter.return_data.buffer().clone();
        machine.pages = ctx.chain.pages;
        let fuel = interpreter.gas.remaining().saturating_mul(FUEL_PER_GAS) + dust;
        let step = store
            .set_fuel(fuel)
            .and_then(|()| pending.settle(store, outcome))
            .and_then(|answer| trap.resume(store, answer.as_slice(), status));
        (program, step)
    }
}

/// What one stretch of running led to.
enum Slice {
    Ended(Ending),
    Entered(Entered),
}

/// A call or creation that the EVM is to open.
struct Entered {
    trap: ResumableCallHostTrap,
    pending: Pending,
    input: revm::interpreter::FrameInput,
}

impl Entered {
    fn suspend<DB: Database>(
        self,
        ctx: &mut VmContext<DB>,
        interpreter: &mut Interpreter,
        program: RunningProgram,
        suspended: &mut SuspendedFrames,
        depth: usize,
    ) -> InterpreterAction {
        let fuel = program.store.get_fuel().unwrap_or(0);
        interpreter.gas.set_remaining(fuel / FUEL_PER_GAS);
        ctx.chain.pages = program.store.data().pages;
        let Self { trap, pending, input } = self;
        let dust = fuel % FUEL_PER_GAS;
        suspended.0.push(Suspended { depth, program, trap, pending, dust });
        InterpreterAction::NewFrame(input)
    }
}

impl RunningProgram {
    /// Checks the activation, takes the price of starting, and enters the program.
    fn start<DB: Database>(
        modules: &Modules,
        ctx: &mut VmContext<DB>,
        interpreter: &mut Interpreter,
        status: &mut [Val],
    ) -> Result<(Self, Step), Ending> {
        let code_hash = interpreter.bytecode.get_or_calculate_hash();
        let open_before = ctx.chain.pages.open();
        let start = start::prepare(ctx, code_hash).map_err(|error| match error {
            StartError::Database(error) => {
                *ctx.error() = Err(error.into());
                InstructionResult::FatalExternalError
            }
            refused => {
                tracing::debug!("{refused}");
                InstructionResult::Revert
            }
        })?;
        if !interpreter.gas.record_regular_cost(start.gas) {
            ctx.chain.pages.close_to(open_before);
            return Err(InstructionResult::OutOfGas.into());
        }
        let args = interpreter.input.input.bytes(ctx);
        let length = Val::I32(args.len() as i32);
        let machine = Machine {
            call: call_facts(ctx, interpreter),
            chain: chain_facts(ctx),
            pages: ctx.chain.pages,
            paid_pages: start.footprint,
            ..Machine::idle_with(args)
        };
        let mut program = Self { store: Store::new(modules.engine(), machine), open_before };
        let entered = modules
            .get(code_hash, interpreter.bytecode.original_byte_slice())
            .map_err(|error| error.to_string())
            .and_then(|module| {
                program
                    .enter(modules, &module, interpreter.gas.remaining(), &length, status)
                    .map_err(|error| error.to_string())
            });
        match entered {
            Ok(step) => Ok((program, step)),
            Err(error) => {
                // Activation has checked the module, so this is a fault of ours or of the record.
                tracing::warn!(%code_hash, error, "activated program does not start");
                Err(program.close(ctx, interpreter, InstructionResult::Revert.into()))
            }
        }
    }

    fn enter(
        &mut self,
        modules: &Modules,
        module: &wasmi::Module,
        gas: u64,
        length: &Val,
        status: &mut [Val],
    ) -> Result<Step, wasmi::Error> {
        let store = &mut self.store;
        store.limiter(|machine| &mut machine.limits);
        store.set_fuel(gas.saturating_mul(FUEL_PER_GAS))?;
        let instance = modules.linker().instantiate_and_start(&mut *store, module)?;
        store.data_mut().memory = instance.get_memory(&*store, "memory");
        let entrypoint = instance
            .get_func(&*store, "user_entrypoint")
            .ok_or_else(|| wasmi::Error::new("no entrypoint"))?;
        Ok(entrypoint.call_resumable(store, std::slice::from_ref(length), status))
    }

    /// Serves requests until the program ends or needs a child frame.
    fn serve_until_end<DB: Database>(
        &mut self,
        ctx: &mut VmContext<DB>,
        interpreter: &mut Interpreter,
        mut step: Step,
        status: &mut [Val; 1],
    ) -> Result<Slice, InstructionResult> {
        loop {
            let trap = match step {
                Ok(ResumableCall::HostTrap(trap)) => trap,
                Ok(ResumableCall::Finished) => {
                    return self.finish(status[0].i32().unwrap_or(1)).map(Slice::Ended);
                }
                Ok(ResumableCall::OutOfFuel(_)) => return Err(InstructionResult::OutOfGas),
                Err(error) => return Err(trapped(&error)),
            };
            let Some(request) = trap.host_error().downcast_ref::<Request>() else {
                return Err(trapped(trap.host_error()));
            };
            let mut server = Server::new(ctx, &mut self.store, interpreter);
            let answer = match request {
                Request::Exit { status } => return self.finish(*status).map(Slice::Ended),
                request => server.serve(request)?,
            };
            match answer {
                Answer::Resume(value) => {
                    step = trap.resume(&mut self.store, value.as_slice(), &mut status[..]);
                }
                Answer::Enter { input, pending } => {
                    return Ok(Slice::Entered(Entered { trap, pending, input }));
                }
            }
        }
    }

    /// Memory that grew since the last host call is paid for in a trap too.
    fn pay_growth(&mut self, result: InstructionResult) -> InstructionResult {
        match pay(self.store.as_context_mut(), Ink(0)) {
            Ok(()) => result,
            Err(_) => InstructionResult::OutOfGas,
        }
    }

    /// The end that the program chose: zero is success, everything else reverts.
    fn finish(&mut self, status: i32) -> Result<Ending, InstructionResult> {
        pay(self.store.as_context_mut(), Ink(0)).map_err(|_| InstructionResult::OutOfGas)?;
        let output = std::mem::take(&mut self.store.data_mut().result);
        let result =
            if status == 0 { InstructionResult::Return } else { InstructionResult::Revert };
        Ok(Ending { result, output })
    }

    /// Gives back what is left of gas and memory.
    fn close<DB: Database>(
        &self,
        ctx: &mut VmContext<DB>,
        interpreter: &mut Interpreter,
        ending: Ending,
    ) -> Ending {
        let mut pages = self.store.data().pages;
        pages.close_to(self.open_before);
        ctx.chain.pages = pages;
        let left = self.store.get_fuel().unwrap_or(0) / FUEL_PER_GAS;
        // Returning data is never cheaper than it is for EVM code, which pays for its memory.
        let floor = ctx.gas_params().memory_cost(ending.output.len().div_ceil(32));
        let most = interpreter.gas.limit().checked_sub(floor);
        let Some(most) = most else { return InstructionResult::OutOfGas.into() };
        interpreter.gas.set_remaining(left.min(most));
        ending
    }
}

/// A trap reverts without data; what it cannot pay for consumes all gas.
fn trapped(error: &wasmi::Error) -> InstructionResult {
    tracing::debug!("program trapped: {error}");
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => InstructionResult::OutOfGas,
        Some(TrapCode::StackOverflow) => InstructionResult::StackOverflow,
        _ => InstructionResult::Revert,
    }
}

fn call_facts<DB: Database>(
    ctx: &VmContext<DB>,
    interpreter: &Interpreter<EthInterpreter>,
) -> CallFacts {
    let acting = interpreter.input.target_address;
    CallFacts {
        acting,
        sender: interpreter.input.caller_address,
        value: interpreter.input.call_value,
        is_static: interpreter.runtime_flag.is_static,
        is_reentrant: ctx.chain.frames.is_reentrant(acting),
    }
}

fn chain_facts<DB: Database>(ctx: &VmContext<DB>) -> ChainFacts {
    let block = ctx.block();
    ChainFacts {
        origin: ctx.tx().caller(),
        gas_price: ctx.effective_gas_price(),
        base_fee: U256::from(block.basefee()),
        coinbase: block.beneficiary(),
        number: block.number().saturating_to(),
        timestamp: block.timestamp().saturating_to(),
        gas_limit: block.gas_limit(),
        chain_id: ctx.cfg().chain_id(),
    }
}

impl Machine {
    /// A machine that has not been told anything but its call data.
    pub(super) fn idle_with(args: Bytes) -> Self {
        Self {
            args,
            result: Bytes::new(),
            return_data: Bytes::new(),
            storage: Default::default(),
            memory: None,
            call: CallFacts {
                acting: Address::ZERO,
                sender: Address::ZERO,
                value: U256::ZERO,
                is_static: false,
                is_reentrant: false,
            },
            chain: ChainFacts {
                origin: Address::ZERO,
                gas_price: U256::ZERO,
                base_fee: U256::ZERO,
                coinbase: Address::ZERO,
                number: 0,
                timestamp: 0,
                gas_limit: 0,
                chain_id: 0,
            },
            limits: StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).build(),
            pages: Pages::default(),
            paid_pages: 0,
        }
    }
}
