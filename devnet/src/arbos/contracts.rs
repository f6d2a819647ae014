use revm::{
    Database,
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult},
    primitives::{Address, AddressSet, Bytes, hardfork::SpecId},
};

use super::{
    ARB_GAS_INFO, ARB_INFO, ARB_OWNER_PUBLIC, ARB_SYS, ARB_WASM, ARB_WASM_CACHE, NODE_INTERFACE,
    arb_gas_info, arb_info, arb_owner_public, arb_sys, arb_wasm, arb_wasm_cache,
    call::{Failure, Reply, SystemCall},
    node_interface,
};
use crate::vm::VmContext;

/// Ethereum's precompiles together with Arbitrum's system contracts.
pub(crate) struct SystemContracts {
    ethereum: EthPrecompiles,
    addresses: AddressSet,
}

const CONTRACTS: [Address; 6] =
    [ARB_SYS, ARB_INFO, ARB_OWNER_PUBLIC, ARB_GAS_INFO, ARB_WASM, ARB_WASM_CACHE];

impl SystemContracts {
    pub(crate) fn new(spec: SpecId) -> Self {
        let ethereum = EthPrecompiles::new(spec);
        let mut addresses = ethereum.warm_addresses().clone();
        addresses.extend(CONTRACTS);
        Self { ethereum, addresses }
    }
}

impl<DB: Database> PrecompileProvider<VmContext<DB>> for SystemContracts {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        let is_changed = PrecompileProvider::<VmContext<DB>>::set_spec(&mut self.ethereum, spec);
        if is_changed {
            *self = Self::new(spec);
        }
        is_changed
    }

    fn run(
        &mut self,
        ctx: &mut VmContext<DB>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let Some(function) =
            contract::<DB>(inputs.bytecode_address, ctx.chain.node_interface.is_some())
        else {
            return self.ethereum.run(ctx, inputs);
        };
        let data = inputs.input.bytes(ctx);
        let mut call = SystemCall {
            ctx,
            contract: inputs.bytecode_address,
            caller: inputs.caller,
            value: inputs.value.get(),
            read_only: inputs.is_static || inputs.target_address != inputs.bytecode_address,
            gas_left: inputs.gas_limit,
        };
        let reply = function(&mut call, &data)
            .and_then(|reply| call.burn_reply(&reply).map(|()| Bytes::from(reply)));
        let mut gas = Gas::new(inputs.gas_limit);
        gas.set_remaining(call.gas_left);
        let (result, output) = match reply {
            Ok(output) => (InstructionResult::Return, output),
            Err(Failure::Revert(output)) => (InstructionResult::Revert, output),
            Err(Failure::OutOfGas) => {
                gas.spend_all();
                (InstructionResult::PrecompileOOG, Bytes::new())
            }
            Err(Failure::Database(error)) => return Err(error.to_string()),
        };
        Ok(Some(InterpreterResult { result, output, gas }))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.addresses
    }
}

type Function<DB> = fn(&mut SystemCall<'_, DB>, &[u8]) -> Reply<DB>;

fn contract<DB: Database>(address: Address, has_node_interface: bool) -> Option<Function<DB>> {
    match address {
        ARB_SYS => Some(arb_sys::call),
        ARB_INFO => Some(arb_info::call),
        ARB_OWNER_PUBLIC => Some(arb_owner_public::call),
        ARB_GAS_INFO => Some(arb_gas_info::call),
        ARB_WASM => Some(arb_wasm::call),
        ARB_WASM_CACHE => Some(arb_wasm_cache::call),
        NODE_INTERFACE if has_node_interface => Some(node_interface::call),
        _ => None,
    }
}
