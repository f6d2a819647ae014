//! Tracing (`debug_` methods): the call tracer.

use alloy::{
    primitives::B256,
    rpc::types::trace::geth::{
        CallConfig, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingCallOptions,
        GethDebugTracingOptions, GethTrace,
    },
};
use revm::context_interface::result::ExecutionResult;
use revm_inspectors::tracing::{TracingInspector, TracingInspectorConfig};

use super::{Answer, Node, Params, Reader, RpcError, eth, value};

/// Answers `debug_{name}`; `None` when there is no such method.
pub(super) fn answer(node: &Node, name: &str, params: &Params) -> Option<Answer> {
    match name {
        "traceTransaction" => Some(trace_transaction(node, params)),
        "traceCall" => Some(trace_call(node, params)),
        _ => None,
    }
}

fn trace_transaction(node: &Node, params: &Params) -> Answer {
    let hash: B256 = params.required(0, "transaction hash")?;
    let options: Option<GethDebugTracingOptions> = params.optional(1, "options")?;
    let config = call_config(&options.unwrap_or_default())?;
    let mut inspector = inspector(&config);
    let reader = Reader::new(&node.chain, &[]);
    let result = reader.chain.replay(&reader.inner, hash, &mut inspector)?;
    let result = result.ok_or_else(|| RpcError::server("transaction not found"))?;
    render(inspector, config, &result)
}

fn trace_call(node: &Node, params: &Params) -> Answer {
    let options: Option<GethDebugTracingCallOptions> = params.optional(2, "options")?;
    let options = options.unwrap_or_default();
    let config = call_config(&options.tracing_options)?;
    let mut inspector = inspector(&config);
    let reader = Reader::new(&node.chain, &[]);
    // The overrides lie in the options, where `eth_call` has parameters of their own.
    let (call, place) = eth::call::prepare(&reader, &params.first(2))?;
    let call = crate::chain::Call {
        state: options.state_overrides,
        block: options.block_overrides,
        ..call
    };
    let result = reader.chain.inspect(&reader.inner, place, &call, &mut inspector)?;
    render(inspector, config, &result)
}

fn inspector(config: &CallConfig) -> TracingInspector {
    TracingInspector::new(TracingInspectorConfig::from_geth_call_config(config))
}

/// Only the call tracer is there.
fn call_config(options: &GethDebugTracingOptions) -> Result<CallConfig, RpcError> {
    match &options.tracer {
        None | Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::CallTracer)) => {
            let config = options.tracer_config.clone().into_call_config();
            config.map_err(|error| RpcError::invalid_params(error.to_string()))
        }
        Some(_) => Err(RpcError::invalid_params("only the callTracer is supported")),
    }
}

fn render(inspector: TracingInspector, config: CallConfig, result: &ExecutionResult) -> Answer {
    let gas = result.tx_gas_used();
    let frame = inspector.into_geth_builder().geth_call_traces(config, gas);
    value(GethTrace::CallTracer(frame))
}
