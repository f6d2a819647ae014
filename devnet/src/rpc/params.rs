//! Positional parameters of a JSON-RPC call.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RpcError;

/// The parameters of one call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(Vec<Value>);

impl Params {
    /// From the `params` member: an array, or absent.
    pub(crate) fn new(value: Option<Value>) -> Result<Self, RpcError> {
        match value {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::Array(values)) => Ok(Self(values)),
            Some(_) => Err(RpcError::invalid_params("non-array args")),
        }
    }

    /// The first `count` parameters alone.
    pub(crate) fn first(&self, count: usize) -> Self {
        Self(self.0.iter().take(count).cloned().collect())
    }

    /// The parameter at `index`, named in the error when it is missing or malformed.
    pub(crate) fn required<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<T, RpcError> {
        self.optional(index, name)?.ok_or_else(|| {
            RpcError::invalid_params(format!("missing value for required argument {index}: {name}"))
        })
    }

    /// The parameter at `index`, `None` when absent or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| {
                RpcError::invalid_params(format!("invalid argument {index} ({name}): {error}"))
            }),
        }
    }

    /// A number given as JSON number, decimal or hexadecimal text.
    pub(crate) fn number(&self, index: usize, name: &str) -> Result<Option<u64>, RpcError> {
        let number = match self.0.get(index) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            },
            Some(_) => None,
        };
        let invalid = || {
            RpcError::invalid_params(format!(
                "invalid argument {index} ({name}): expected a number"
            ))
        };
        number.map(Some).ok_or_else(invalid)
    }

    /// As [`Self::number`], which has to be there.
    pub(crate) fn required_number(&self, index: usize, name: &str) -> Result<u64, RpcError> {
        self.number(index, name)?.ok_or_else(|| {
            RpcError::invalid_params(format!("missing value for required argument {index}: {name}"))
        })
    }
}
