//! JSON-RPC errors, with the codes and words that clients know from geth.

use alloy::{
    primitives::Bytes,
    sol_types::{Panic, Revert, SolError},
};
use serde_json::{Value, json};

use crate::chain::{CallOutcome, Error};

/// The text is not JSON.
pub(crate) const PARSE: i64 = -32_700;
/// The JSON is not a request.
pub(crate) const INVALID_REQUEST: i64 = -32_600;
/// There is no such method.
pub(crate) const METHOD_NOT_FOUND: i64 = -32_601;
/// The method does not take these parameters.
pub(crate) const INVALID_PARAMS: i64 = -32_602;
/// Anything else that the node refuses.
pub(crate) const SERVER: i64 = -32_000;
/// More was asked for than is allowed.
pub(crate) const LIMIT: i64 = -32_005;
/// Execution reverted; `data` holds the revert data.
pub(crate) const REVERTED: i64 = 3;

/// A JSON-RPC error object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER, message)
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        let message = format!("the method {method} does not exist/is not available");
        Self::new(METHOD_NOT_FOUND, message)
    }

    /// For a call that failed.
    pub(crate) fn failed(outcome: &CallOutcome) -> Self {
        match outcome.halt.as_deref() {
            None => Self::reverted(&outcome.output),
            Some(halt) if halt.starts_with("OutOfGas") => Self::server("out of gas"),
            Some(halt) => Self::server(format!("execution halted: {halt}")),
        }
    }

    fn reverted(output: &Bytes) -> Self {
        let reason = Revert::abi_decode(output).map(|revert| revert.reason).ok();
        let reason =
            reason.or_else(|| Panic::abi_decode(output).map(|panic| panic.to_string()).ok());
        let message = reason
            .map_or_else(|| "execution reverted".into(), |it| format!("execution reverted: {it}"));
        Self { code: REVERTED, message, data: Some(json!(output)) }
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut object = json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(fields)) = (&self.data, object.as_object_mut()) {
            fields.insert("data".into(), data.clone());
        }
        object
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::TooManyLogs { .. } | Error::LogRange { .. } => LIMIT,
            Error::InvertedRange { .. }
            | Error::TimestampTooLow { .. }
            | Error::ReorgTooDeep { .. } => INVALID_PARAMS,
            Error::Refused(_)
            | Error::Invalid(_)
            | Error::Machine(_)
            | Error::Program { .. }
            | Error::UnknownBlock { .. }
            | Error::UnknownBlockHash(_)
            | Error::Pruned { .. }
            | Error::UnknownSnapshot(_)
            | Error::Persist(_) => SERVER,
        };
        let message = match &error {
            // geth's words, which clients match.
            Error::UnknownBlock { .. } | Error::UnknownBlockHash(_) => "header not found".into(),
            Error::Invalid(_) => format!("err: {error}"),
            _ => error.to_string(),
        };
        Self::new(code, message)
    }
}
