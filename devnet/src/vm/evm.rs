use revm::{
    Database, Inspector,
    context::{ContextTr, Evm, FrameStack, JournalTr},
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, ItemOrResult,
        evm::{ContextDbError, FrameInitResult, FrameTr},
        instructions::{EthInstructions, InstructionProvider},
    },
    inspector::{
        InspectorEvmTr,
        handler::{frame_end, inspect_instructions},
    },
    interpreter::{
        InstructionResult, InterpreterAction, InterpreterResult, interpreter::EthInterpreter,
    },
    primitives::{Bytes, hardfork::SpecId},
};
use stylus_program::CodeKind;

use super::{
    VmContext,
    frame::{self, SuspendedFrames},
    modules::Modules,
    scope::OpenFrame,
};
use crate::arbos::SystemContracts;

type Instructions<DB> = EthInstructions<EthInterpreter, VmContext<DB>>;
type Inner<DB, I> = Evm<VmContext<DB>, I, Instructions<DB>, SystemContracts, EthFrame>;
type Failure<DB> = ContextDbError<VmContext<DB>>;

/// The EVM of revm, with a frame loop that also runs programs.
pub(super) struct StylusEvm<DB: Database, I> {
    inner: Inner<DB, I>,
    modules: Modules,
    suspended: SuspendedFrames,
}

/// Frames that are allocated at once; deeper ones follow as they are needed.
const PREALLOCATED_FRAMES: usize = 8;

impl<DB: Database, I> StylusEvm<DB, I> {
    pub(super) fn new(ctx: VmContext<DB>, spec: SpecId, modules: Modules, inspector: I) -> Self {
        let inner = Evm {
            ctx,
            inspector,
            instruction: EthInstructions::new_mainnet_with_spec(spec),
            precompiles: SystemContracts::new(spec),
            frame_stack: FrameStack::new_prealloc(PREALLOCATED_FRAMES),
        };
        Self { inner, modules, suspended: SuspendedFrames::default() }
    }

    pub(super) fn context_mut(&mut self) -> &mut VmContext<DB> {
        &mut self.inner.ctx
    }

    /// The next action of the innermost frame when it is no plain EVM code.
    fn run_program(&mut self) -> Option<InterpreterAction> {
        let frame = self.inner.frame_stack.get();
        if !frame.data.is_call() {
            return None;
        }
        match CodeKind::of(frame.interpreter.bytecode.original_byte_slice()) {
            CodeKind::Evm => None,
            CodeKind::Classic => {
                let ctx = &mut self.inner.ctx;
                Some(frame::run(&self.modules, &mut self.suspended, ctx, frame))
            }
            CodeKind::Fragment | CodeKind::Root => {
                tracing::debug!("fragmented programs are not supported");
                Some(InterpreterAction::Return(InterpreterResult {
                    result: InstructionResult::Revert,
                    output: Bytes::new(),
                    gas: frame.interpreter.gas,
                }))
            }
        }
    }
}

/// Refuses new code that begins with 0xEF and is no program (EIP-3541).
fn refuse_reserved_code(frame: &EthFrame, action: &mut InterpreterAction) {
    if let InterpreterAction::Return(returned) = action
        && frame.data.is_create()
        && returned.result.is_ok()
        && returned.output.first() == Some(&0xEF)
        && CodeKind::of(&returned.output) == CodeKind::Evm
    {
        returned.result = InstructionResult::CreateContractStartingWithEF;
    }
}

impl<DB: Database, I> EvmTr for StylusEvm<DB, I> {
    type Context = VmContext<DB>;
    type Instructions = Instructions<DB>;
    type Precompiles = SystemContracts;
    type Frame = EthFrame;

    fn all(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<Self::Frame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        init: <EthFrame as FrameTr>::FrameInit,
    ) -> Result<FrameInitResult<'_, EthFrame>, Failure<DB>> {
        let is_item = self.inner.frame_init(init)?.map_item(|_| ());
        match is_item {
            ItemOrResult::Result(result) => Ok(ItemOrResult::Result(result)),
            ItemOrResult::Item(()) => {
                let frame = self.inner.frame_stack.get();
                let input = &frame.interpreter.input;
                self.inner.ctx.chain.frames.push(OpenFrame::new(
                    input.target_address,
                    input.caller_address,
                    &frame.input,
                ));
                Ok(ItemOrResult::Item(frame))
            }
        }
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, Failure<DB>> {
        let program = self.run_program();
        let Evm { ctx, instruction, frame_stack, .. } = &mut self.inner;
        let frame = frame_stack.get();
        let action = program.unwrap_or_else(|| {
            let mut action = frame.interpreter.run_plain(
                instruction.instruction_table(),
                instruction.gas_table(),
                ctx,
            );
            refuse_reserved_code(frame, &mut action);
            action
        });
        let next = frame.process_next_action::<_, Failure<DB>>(ctx, action)?;
        if next.is_result() {
            frame.set_finished(true);
        }
        Ok(next)
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, Failure<DB>> {
        if self.inner.frame_stack.get().is_finished() {
            self.inner.ctx.chain.frames.pop();
        }
        self.inner.frame_return_result(result)
    }
}

impl<DB: Database, I: Inspector<VmContext<DB>>> InspectorEvmTr for StylusEvm<DB, I> {
    type Inspector = I;

    fn all_inspector(
        &self,
    ) -> (
        &Self::Context,
        &Self::Instructions,
        &Self::Precompiles,
        &FrameStack<Self::Frame>,
        &Self::Inspector,
    ) {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<Self::Frame>,
        &mut Self::Inspector,
    ) {
        self.inner.all_mut_inspector()
    }

    /// A program has no EVM steps to show; its logs are shown after each stretch that it ran, which
    /// is before the next call it makes.
    fn inspect_frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, Failure<DB>> {
        let logs_before = self.inner.ctx.journal().logs().len();
        let program = self.run_program();
        let Evm { ctx, instruction, frame_stack, inspector, .. } = &mut self.inner;
        let frame = frame_stack.get();
        let action = match program {
            Some(action) => {
                let logs = ctx.journal().logs()[logs_before..].to_vec();
                for log in logs {
                    inspector.log_full(&mut frame.interpreter, ctx, log);
                }
                action
            }
            None => {
                let mut action = inspect_instructions(
                    ctx,
                    &mut frame.interpreter,
                    &mut *inspector,
                    instruction.instruction_table(),
                    instruction.gas_table(),
                );
                refuse_reserved_code(frame, &mut action);
                action
            }
        };
        let mut next = frame.process_next_action::<_, Failure<DB>>(ctx, action)?;
        if let ItemOrResult::Result(result) = &mut next {
            frame_end(ctx, inspector, &frame.input, result);
            frame.set_finished(true);
        }
        Ok(next)
    }
}
