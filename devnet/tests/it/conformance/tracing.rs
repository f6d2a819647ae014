//! Tracers see programs as they see EVM code.

use alloy::primitives::U256;
use revm_inspectors::tracing::{
    TracingInspector, TracingInspectorConfig,
    types::{CallKind, TraceMemberOrder},
};

use super::{
    bare::Bare,
    evm,
    world::{ECHO, FORWARD, FORWARD_DELEGATE, FORWARD_STATIC, program, to, words},
};

#[test]
fn calls_creations_and_logs_of_programs_are_seen() {
    let mut bare = Bare::new();
    let forward = bare.program(&program(FORWARD).code);
    let delegate = bare.program(&program(FORWARD_DELEGATE).code);
    let fixed = bare.program(&program(FORWARD_STATIC).code);
    let evm = bare.contract(&evm::FORWARD);
    let echo = bare.program(&program(ECHO).code);
    let path = [to(evm), to(delegate), to(fixed), to(echo), words([5])].concat();
    let tx = bare.transaction(forward, path);
    let mut inspector = TracingInspector::new(TracingInspectorConfig::default_parity());
    let outcome = bare
        .executor
        .inspect(&mut Bare::environment(), &mut bare.db, tx.clone(), &mut inspector)
        .unwrap();
    let plain = bare.execute(tx);
    assert_eq!(outcome.result, plain.result, "watching changes nothing");
    let nodes = inspector.traces().nodes();
    let seen: Vec<_> = nodes.iter().map(|node| (node.trace.kind, node.trace.address)).collect();
    assert_eq!(
        seen,
        [
            (CallKind::Call, forward),
            (CallKind::Call, evm),
            (CallKind::Call, delegate),
            (CallKind::DelegateCall, fixed),
            (CallKind::StaticCall, echo),
        ]
    );
    assert!(nodes.iter().all(|node| node.trace.success && node.trace.output == words([5])));
    assert_eq!(nodes[4].trace.data, words([5]));
    assert!(nodes.windows(2).all(|pair| pair[1].parent == Some(pair[0].idx)));
}

#[test]
fn logs_stand_between_the_calls_that_surround_them() {
    let mut bare = Bare::new();
    let echo = bare.program(&program(ECHO).code);
    let log = |byte: u8| {
        format!(
            "(i32.store8 (i32.const 100) (i32.const {byte}))
            (call $emit_log (i32.const 100) (i32.const 1) (i32.const 0))"
        )
    };
    let call = "(drop (call $call_contract (i32.const 12) (i32.const 0) (i32.const 0)
        (i32.const 200) (i64.const -1) (i32.const 300)))";
    let body =
        format!("(call $read_args (i32.const 0)) {} {call} {} (i32.const 0)", log(1), log(2));
    let logs = bare.program(&program(&body).code);
    let create = bare.program(
        &program(
            "(call $create1 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))
            (i32.const 1)",
        )
        .code,
    );
    let config = TracingInspectorConfig::default_parity().set_record_logs(true);
    let mut inspector = TracingInspector::new(config);
    let tx = bare.transaction(logs, to(echo));
    bare.executor.inspect(&mut Bare::environment(), &mut bare.db, tx, &mut inspector).unwrap();
    let top = &inspector.traces().nodes()[0];
    assert_eq!(
        top.ordering,
        [TraceMemberOrder::Log(0), TraceMemberOrder::Call(0), TraceMemberOrder::Log(1)]
    );
    assert_eq!(top.logs[1].raw_log.data[..], [2]);

    let mut inspector = TracingInspector::new(config);
    let tx = bare.transaction(create, vec![]);
    bare.executor.inspect(&mut Bare::environment(), &mut bare.db, tx, &mut inspector).unwrap();
    let nodes = inspector.traces().nodes();
    assert!(!nodes[0].trace.success, "the program ended with status 1");
    assert_eq!(nodes[1].trace.kind, CallKind::Create);
    assert_eq!(nodes[1].trace.value, U256::ZERO);
}
