//! JSON-RPC 2.0 framing: single calls, batches, and the faults that a call meets on its way.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::Served;
use crate::{
    faults::{Fault, latency},
    rpc::{Answer, INVALID_REQUEST, LIMIT, PARSE, Params, RpcError},
};

/// Most calls in one batch.
const MAX_BATCH: usize = 1_000;

/// A call as it comes in.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    /// Absent for a notification, which is executed but not answered.
    pub(super) id: Option<Value>,
    pub(super) method: String,
    #[serde(default)]
    params: Option<Value>,
}

impl Request {
    pub(super) fn params(&self) -> Result<Params, RpcError> {
        Params::new(self.params.clone())
    }
}

/// What goes back for a message.
#[derive(Debug)]
pub(super) enum Reply {
    /// This text; empty when there were only notifications.
    Text(String),
    /// The connection breaks.
    Drop,
    /// The client is told to slow down.
    RateLimited,
}

/// Why a call has no answer.
enum Unanswered {
    Drop,
    RateLimited,
}

/// Executes the calls of a message, in their order. `intercept` may answer a call itself.
pub(super) async fn reply(
    served: &Served,
    message: &[u8],
    mut intercept: impl FnMut(&Request) -> Option<Answer>,
) -> Reply {
    let is_batch = message.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let calls: Vec<&RawValue> = if is_batch {
        match serde_json::from_slice(message) {
            Ok(calls) => calls,
            Err(error) => return malformed(PARSE, &error),
        }
    } else {
        match serde_json::from_slice(message) {
            Ok(call) => vec![call],
            Err(error) => return malformed(PARSE, &error),
        }
    };
    if is_batch && (calls.is_empty() || calls.len() > MAX_BATCH) {
        let error =
            RpcError::new(INVALID_REQUEST, format!("batch must hold 1 to {MAX_BATCH} calls"));
        return Reply::Text(response(&Value::Null, Err(error)));
    }
    let mut responses = Vec::with_capacity(calls.len());
    for call in calls {
        let request: Request = match serde_json::from_str(call.get()) {
            Ok(request) => request,
            Err(error) => {
                let error = RpcError::new(INVALID_REQUEST, error.to_string());
                responses.push(response(&Value::Null, Err(error)));
                continue;
            }
        };
        match execute(served, &request, &mut intercept).await {
            Ok(answer) => {
                if let Some(id) = &request.id {
                    responses.push(response(id, answer));
                }
            }
            Err(Unanswered::Drop) => return Reply::Drop,
            Err(Unanswered::RateLimited) => return Reply::RateLimited,
        }
    }
    let joined = responses.join(",");
    Reply::Text(if is_batch && !joined.is_empty() { format!("[{joined}]") } else { joined })
}

/// What a client that speaks no HTTP is told instead of status 429.
pub(super) fn rate_limited() -> String {
    response(&Value::Null, Err(RpcError::new(LIMIT, "rate limit exceeded")))
}

async fn execute(
    served: &Served,
    request: &Request,
    intercept: &mut impl FnMut(&Request) -> Option<Answer>,
) -> Result<Answer, Unanswered> {
    let faults = served.node.faults.on(&request.method);
    let delay = latency(&faults);
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = served.stop.cancelled() => return Err(Unanswered::Drop),
        }
    }
    for fault in &faults {
        match fault {
            Fault::Drop => return Err(Unanswered::Drop),
            Fault::RateLimit => return Err(Unanswered::RateLimited),
            Fault::Error { code, message } => return Ok(Err(RpcError::new(*code, message))),
            Fault::Latency { .. }
            | Fault::DropAnswer
            | Fault::Stale { .. }
            | Fault::OmitLogs { .. }
            | Fault::ForgeLogs { .. } => {}
        }
    }
    let answer = match intercept(request) {
        Some(answer) => answer,
        None => request
            .params()
            .and_then(|params| served.node.answer(&request.method, &params, &faults)),
    };
    if faults.contains(&Fault::DropAnswer) { Err(Unanswered::Drop) } else { Ok(answer) }
}

fn malformed(code: i64, error: &serde_json::Error) -> Reply {
    Reply::Text(response(&Value::Null, Err(RpcError::new(code, error.to_string()))))
}

fn response(id: &Value, answer: Answer) -> String {
    let body = match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.to_value() }),
    };
    body.to_string()
}
