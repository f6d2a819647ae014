//! How one request travels over several endpoints: hedged, by quorum, or to all.

use std::time::Duration;

use alloy::primitives::hex;
use futures::{
    StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use serde::de::DeserializeOwned;
use serde_json::{json, value::RawValue};

use super::{ClientOptions, Error, Rejection, endpoint::Endpoint};

/// How answers are believed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    /// The first answer.
    Hedged,
    /// An answer that this many endpoints give.
    Quorum(usize),
}

pub(crate) fn encode(method: &str, params: &serde_json::Value) -> Result<Box<RawValue>, Error> {
    serde_json::value::to_raw_value(params)
        .map_err(|error| Error::Decode { what: method.to_owned(), detail: error.to_string() })
}

pub(crate) fn decode<R: DeserializeOwned>(method: &str, raw: &RawValue) -> Result<R, Error> {
    serde_json::from_str(raw.get())
        .map_err(|error| Error::Decode { what: method.to_owned(), detail: error.to_string() })
}

/// The first answer of any endpoint, retried while every endpoint fails in a way that can pass.
pub(crate) fn hedged<'a>(
    endpoints: &'a [Endpoint],
    options: &'a ClientOptions,
    method: &'static str,
    params: &'a RawValue,
) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
    Box::pin(retried(endpoints, options, method, params))
}

async fn retried(
    endpoints: &[Endpoint],
    options: &ClientOptions,
    method: &'static str,
    params: &RawValue,
) -> Result<Box<RawValue>, Error> {
    let mut attempt = 0;
    loop {
        let error = match race(endpoints, options.hedge_after, method, params).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        metrics::counter!("chain_rpc_failures_total", "method" => method, "kind" => error.label())
            .increment(1);
        if !error.is_retryable() || attempt >= options.retries {
            return Err(error);
        }
        let pause = match &error {
            Error::RateLimited { wait, .. } => *wait,
            _ => Duration::from_millis(100 << attempt.min(6)),
        };
        attempt += 1;
        tokio::time::sleep(jittered(pause)).await;
    }
}

/// Asks the endpoint that is best off; the next one when it is slow, and at once when it fails.
async fn race(
    endpoints: &[Endpoint],
    hedge_after: Duration,
    method: &'static str,
    params: &RawValue,
) -> Result<Box<RawValue>, Error> {
    let mut order: Vec<&Endpoint> = endpoints.iter().collect();
    // Stable: well endpoints keep the order of preference, resting ones come last.
    order.sort_by_key(|endpoint| endpoint.resting_until());
    let mut waiting = order.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut failure = None;
    loop {
        let next = waiting.next();
        let more = next.is_some();
        asked.extend(next.map(|endpoint| endpoint.request(method, params)));
        let hedge = tokio::time::sleep(hedge_after);
        tokio::pin!(hedge);
        let answer = tokio::select! {
            answer = asked.next() => answer,
            () = &mut hedge, if more => continue,
        };
        match answer {
            Some(Err(error)) if error.is_retryable() => failure = Some(error),
            Some(answer) => return answer,
            None => {
                return Err(failure.unwrap_or_else(|| Error::Transport {
                    method: method.to_owned(),
                    endpoint: "all".to_owned(),
                    detail: "no endpoint".to_owned(),
                }));
            }
        }
    }
}

/// The answer that `required` endpoints give after decoding; what the rest say does not matter.
pub(crate) async fn quorum<R: DeserializeOwned + PartialEq>(
    endpoints: &[Endpoint],
    required: usize,
    method: &'static str,
    params: &RawValue,
) -> Result<R, Error> {
    let mut asked: FuturesUnordered<_> =
        endpoints.iter().map(|endpoint| endpoint.request(method, params)).collect();
    let mut groups: Vec<(R, usize)> = Vec::new();
    let mut reverts: Vec<(Error, usize)> = Vec::new();
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(raw) => {
                let Ok(answer) = decode::<R>(method, &raw) else { continue };
                let at = groups.iter().position(|(known, _)| *known == answer);
                let at = at.unwrap_or_else(|| {
                    groups.push((answer, 0));
                    groups.len() - 1
                });
                groups[at].1 += 1;
                if groups[at].1 >= required {
                    return Ok(groups.swap_remove(at).0);
                }
            }
            Err(error) => {
                // A revert is an answer too: it counts when enough endpoints report the same one.
                let Some(revert) = error.revert() else { continue };
                let at = reverts.iter().position(|(known, _)| {
                    known.revert().is_some_and(|known| known.data == revert.data)
                });
                let at = at.unwrap_or_else(|| {
                    reverts.push((error.clone(), 0));
                    reverts.len() - 1
                });
                reverts[at].1 += 1;
                if reverts[at].1 >= required {
                    return Err(reverts.swap_remove(at).0);
                }
            }
        }
    }
    let agreeing = groups.iter().map(|(_, size)| *size).max().unwrap_or(0);
    Err(Error::NoQuorum { method: method.to_owned(), agreeing, required })
}

/// Hands a signed transaction to all endpoints: one that takes it, or has it already, is enough.
pub(crate) async fn broadcast(endpoints: &[Endpoint], raw: &[u8]) -> Result<(), Error> {
    const METHOD: &str = "eth_sendRawTransaction";
    let params = encode(METHOD, &json!([hex::encode_prefixed(raw)]))?;
    let answers =
        join_all(endpoints.iter().map(|endpoint| endpoint.request(METHOD, &params))).await;
    let mut refusal: Option<Error> = None;
    for answer in answers {
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if Rejection::of(&error) == Some(Rejection::AlreadyKnown) => return Ok(()),
            // The node's word says more than a failed connection.
            Err(error) => {
                if refusal.as_ref().is_none_or(Error::is_retryable) {
                    refusal = Some(error);
                }
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Up to half as long again, so that clients that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::random::<f64>() / 2.0)
}
