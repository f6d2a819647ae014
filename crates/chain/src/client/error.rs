//! What can go wrong between us and a node, and whether asking again can help.

use std::time::Duration;

use alloy::{
    primitives::Bytes,
    sol_types::{Revert as RevertReason, SolError, SolInterface},
    transports::{RpcError, TransportErrorKind},
};
use url::Url;

/// Pause after a refusal for too many requests that names none.
const DEFAULT_WAIT: Duration = Duration::from_millis(500);
/// A server's wish is followed up to here.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A failed exchange with a chain.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint could not be reached, did not answer in time, or answered with something else than JSON-RPC.
    #[error("{method} at {endpoint}: {detail}")]
    Transport {
        /// JSON-RPC method.
        method: String,
        /// Host of the endpoint (never its path or query: they may hold an API key).
        endpoint: String,
        /// What happened.
        detail: String,
    },
    /// The endpoint asks for fewer requests.
    #[error("{method} at {endpoint}: rate limited, asked to wait {wait:?}")]
    RateLimited {
        /// JSON-RPC method.
        method: String,
        /// Host of the endpoint.
        endpoint: String,
        /// How long to leave the endpoint alone.
        wait: Duration,
    },
    /// The node answered with an error that is not a revert.
    #[error("{method}: the node says {code}: {message}")]
    Node {
        /// JSON-RPC method.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The call reverted, or the machine stopped it (out of gas, invalid opcode, stack underflow): then there is no data.
    #[error("{method}: {revert}")]
    Reverted {
        /// JSON-RPC method (`eth_call` or `eth_estimateGas`).
        method: String,
        /// What the contract said.
        revert: Revert,
    },
    /// What a contract answered does not have the expected form.
    #[error("{what}: {detail}")]
    Decode {
        /// Method or contract function.
        what: String,
        /// The fault.
        detail: String,
    },
    /// The endpoint has not got this block yet, of which another one (or it itself, a moment ago) spoke.
    #[error("block {number} is not there yet")]
    Behind {
        /// Number of the block.
        number: u64,
    },
    /// Fewer endpoints than required gave the same answer.
    #[error("{method}: {agreeing} endpoints agree, {required} required")]
    NoQuorum {
        /// JSON-RPC method.
        method: String,
        /// Size of the largest group with one answer.
        agreeing: usize,
        /// Size asked for.
        required: usize,
    },
    /// An endpoint serves another chain than configured.
    #[error("{endpoint} serves chain {given}, expected {expected}")]
    WrongChain {
        /// Host of the endpoint.
        endpoint: String,
        /// Chain id of the configuration.
        expected: u64,
        /// Chain id of the node.
        given: u64,
    },
    /// A chain needs at least one RPC URL.
    #[error("no RPC URL given for chain {chain_id}")]
    NoEndpoint {
        /// Chain id of the configuration.
        chain_id: u64,
    },
}

impl Error {
    /// Whether the same request may succeed later or elsewhere.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::RateLimited { .. }
            | Self::Behind { .. }
            | Self::NoQuorum { .. } => true,
            Self::Node { code, .. } => is_nodes_fault(*code),
            Self::Reverted { .. }
            | Self::Decode { .. }
            | Self::WrongChain { .. }
            | Self::NoEndpoint { .. } => false,
        }
    }

    /// The revert, when that is what happened.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { revert, .. } => Some(revert),
            _ => None,
        }
    }

    /// Short name for a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Transport { .. } => "transport",
            Self::RateLimited { .. } => "rate_limited",
            Self::Node { .. } => "node",
            Self::Reverted { .. } => "reverted",
            Self::Decode { .. } => "decode",
            Self::Behind { .. } => "behind",
            Self::NoQuorum { .. } => "no_quorum",
            Self::WrongChain { .. } => "wrong_chain",
            Self::NoEndpoint { .. } => "no_endpoint",
        }
    }

    /// An answer that is no JSON-RPC, or not of the type that the method has: a proxy's page, a null, half a block.
    pub(crate) fn malformed(method: &str, endpoint: &Url, fault: &serde_json::Error) -> Self {
        Self::Transport {
            method: method.to_owned(),
            endpoint: host(endpoint),
            detail: format!("malformed answer: {fault}"),
        }
    }

    pub(crate) fn from_rpc(
        method: &str,
        endpoint: &Url,
        error: RpcError<TransportErrorKind>,
    ) -> Self {
        let method = method.to_owned();
        match error {
            RpcError::ErrorResp(payload)
                if payload.is_retry_err() && !asks_for_a_smaller_query(&payload.message) =>
            {
                Self::RateLimited { method, endpoint: host(endpoint), wait: DEFAULT_WAIT }
            }
            RpcError::ErrorResp(payload) => {
                let data = payload.as_revert_data();
                let message = payload.message.into_owned();
                let is_reverted = data.is_some() || payload.code == 3 || message.contains("revert");
                if is_reverted || is_halt(&method, &message) {
                    let revert = Revert { data: data.unwrap_or_default(), message };
                    return Self::Reverted { method, revert };
                }
                Self::Node { method, code: payload.code, message }
            }
            RpcError::Transport(kind) if kind.is_retry_err() => {
                let wait = kind.retry_after().unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT);
                Self::RateLimited { method, endpoint: host(endpoint), wait }
            }
            // The text itself (a page of a proxy, often) may be long, and may hold the URL.
            RpcError::DeserError { err, .. } => Self::malformed(&method, endpoint, &err),
            other => Self::Transport {
                method,
                endpoint: host(endpoint),
                detail: redact(&other.to_string(), endpoint),
            },
        }
    }
}

/// Whether the message says that the machine stopped the execution. Every client has its own words for it, and no data.
fn is_halt(method: &str, message: &str) -> bool {
    const HALTS: &[&str] = &[
        "outofgas",
        "invalidopcode",
        "invalidfeopcode",
        "opcodenotfound",
        "badinstruction",
        "invalidjump",
        "stackunderflow",
        "stackoverflow",
        "stacklimitreached",
        "returndataoutofbounds",
        "outofoffset",
        "writeprotection",
        "gasuint64overflow",
        "addresscollision",
        "createcollision",
        "calltoodeep",
        "maxcalldepthexceeded",
        "maxcodesizeexceeded",
        "executionhalted",
    ];
    let letters: String = message
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    matches!(method, "eth_call" | "eth_estimateGas")
        && HALTS.iter().any(|words| letters.contains(words))
}

/// Whether a JSON-RPC code speaks of the node and not of the request: internal error, resource unavailable. (Limits are
/// [`Error::RateLimited`].)
/// Servers' own codes (-32000 above all) mean refusals as often as bad moments: asking the same again is up to the caller.
const fn is_nodes_fault(code: i64) -> bool {
    matches!(code, -32_603 | -32_002)
}

/// Some providers give a query of logs that is too large the code of a rate limit. No waiting makes it smaller.
fn asks_for_a_smaller_query(message: &str) -> bool {
    ["query returned more than", "block range", "response size"]
        .iter()
        .any(|words| message.contains(words))
}

/// What a reverting contract left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revert {
    /// Return data: an ABI-encoded error, a `Error(string)`, or empty.
    pub data: Bytes,
    /// The node's words.
    pub message: String,
}

impl Revert {
    /// The error as one of an interface's, if it is one.
    pub fn decode<E: SolInterface>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }

    /// The error as this one, if it is.
    pub fn decode_as<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }

    /// The text of a `Error(string)`.
    pub fn reason(&self) -> Option<String> {
        RevertReason::abi_decode(&self.data).ok().map(|revert| revert.reason)
    }
}

impl std::fmt::Display for Revert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "reverted: {reason}"),
            None if self.data.is_empty() => write!(f, "reverted without data ({})", self.message),
            None => write!(f, "reverted with {}", self.data),
        }
    }
}

/// Host and port of an endpoint: all that may be shown of it.
pub(crate) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => url.scheme().to_owned(),
    }
}

/// Error texts of HTTP clients quote the URL, and a URL may hold an API key.
fn redact(text: &str, endpoint: &Url) -> String {
    text.replace(endpoint.as_str(), &host(endpoint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transport_error_shows_no_api_key() {
        let endpoint: Url = "https://rpc.example/v3/SECRET".parse().unwrap();
        let cause = TransportErrorKind::custom_str(
            "error sending request for url (https://rpc.example/v3/SECRET)",
        );
        let shown = Error::from_rpc("eth_call", &endpoint, cause).to_string();
        assert!(shown.contains("rpc.example") && !shown.contains("SECRET"), "{shown}");
    }

    #[test]
    fn the_machines_stop_is_a_revert_without_data_in_every_clients_words() {
        let says = |method: &str, message: &str| {
            let payload = json!({ "code": -32_000, "message": message }).to_string();
            let payload = serde_json::from_str(&payload).unwrap();
            let endpoint: Url = "https://rpc.example".parse().unwrap();
            Error::from_rpc(method, &endpoint, RpcError::ErrorResp(payload))
        };
        for words in [
            "out of gas",
            "EVM error: OutOfGas(Basic)",
            "invalid opcode: INVALID",
            "EVM error InvalidFEOpcode",
            "invalid jump destination",
            "stack underflow (0 <=> 1)",
            "stack limit reached 1024 (1023)",
        ] {
            let error = says("eth_call", words);
            assert!(error.revert().is_some_and(|revert| revert.data.is_empty()), "{error:?}");
        }
        for words in ["missing trie node", "execution timeout", "gas required exceeds allowance"] {
            assert!(matches!(says("eth_call", words), Error::Node { .. }), "{words}");
        }
        let sending = says("eth_sendRawTransaction", "out of gas");
        assert!(matches!(sending, Error::Node { .. }), "{sending:?}");
    }
}
