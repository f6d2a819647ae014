//! How one request travels over several endpoints: hedged, by quorum, or to all.

use std::{sync::Arc, time::Duration};

use alloy::primitives::hex;
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use serde::de::DeserializeOwned;
use serde_json::{json, value::RawValue};
use tokio::time::Instant;

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

/// The first answer of any endpoint, retried while every endpoint fails in a way that can pass.
pub(crate) fn hedged<'a, R: DeserializeOwned + Send + 'a>(
    endpoints: &'a [Arc<Endpoint>],
    options: &'a ClientOptions,
    method: &'static str,
    params: &'a RawValue,
) -> BoxFuture<'a, Result<R, Error>> {
    let once = move || {
        let ask = move |endpoint: &'a Arc<Endpoint>| endpoint.ask::<R>(method, params).boxed();
        let answer = race(endpoints, options.hedge_after, ask);
        let counted = answer.inspect(move |answer| {
            let Err(error) = answer else { return };
            let kind = error.label();
            metrics::counter!("chain_rpc_failures_total", "method" => method, "kind" => kind)
                .increment(1);
        });
        counted.boxed()
    };
    retried(options, once).boxed()
}

/// Tries again, with growing pauses, while `attempt` fails in a way that can pass.
async fn retried<'a, T>(
    options: &ClientOptions,
    attempt: impl Fn() -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if !error.is_retryable() || failures >= options.retries {
            return Err(error);
        }
        let pause = match &error {
            Error::RateLimited { wait, .. } => *wait,
            _ => Duration::from_millis(100 << failures.min(6)),
        };
        failures += 1;
        tokio::time::sleep(jittered(pause)).await;
    }
}

/// Asks the endpoint that is best off; the next one when it is slow, and at once when it fails.
pub(crate) async fn race<'a, T>(
    endpoints: &'a [Arc<Endpoint>],
    hedge_after: Duration,
    ask: impl Fn(&'a Arc<Endpoint>) -> BoxFuture<'a, Result<T, Error>>,
) -> Result<T, Error> {
    let mut order: Vec<&'a Arc<Endpoint>> = endpoints.iter().collect();
    // Stable: well endpoints keep the order of preference, resting ones come last.
    order.sort_by_key(|endpoint| endpoint.resting_until());
    let mut waiting = order.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut open: Vec<(&'a Arc<Endpoint>, Instant)> = Vec::new();
    let mut failure = None;
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(endpoint) = next {
            open.push((endpoint, Instant::now()));
            asked.push(ask(endpoint).map(move |answer| (endpoint, answer)));
        }
        let hedge = tokio::time::sleep(hedge_after);
        tokio::pin!(hedge);
        let answer = tokio::select! {
            answer = asked.next() => answer,
            () = &mut hedge, if more => continue,
        };
        let Some((endpoint, answer)) = answer else {
            return Err(failure.unwrap_or_else(|| Error::Transport {
                method: "any".to_owned(),
                endpoint: "all".to_owned(),
                detail: "no endpoint".to_owned(),
            }));
        };
        open.retain(|(other, _)| !Arc::ptr_eq(other, endpoint));
        match answer {
            Err(error) if error.is_retryable() => failure = Some(error),
            answer => {
                // Without this an endpoint that never answers would be asked first for ever.
                for (slow, _) in open.iter().filter(|(_, since)| since.elapsed() >= hedge_after) {
                    slow.note_overtaken();
                }
                return answer;
            }
        }
    }
}

/// The answer that `required` endpoints give after decoding; what the rest say does not matter.
pub(crate) async fn quorum<R: DeserializeOwned + PartialEq>(
    endpoints: &[Arc<Endpoint>],
    options: &ClientOptions,
    required: usize,
    method: &'static str,
    params: &RawValue,
) -> Result<R, Error> {
    let patience = options.hedge_after;
    let ready = endpoints.iter().filter(|endpoint| endpoint.rest() <= patience).count();
    // One that rests long is asked all the same where the others are too few without it.
    let patience = if ready < required { None } else { Some(patience) };
    let mut asked: FuturesUnordered<_> =
        endpoints.iter().map(|endpoint| vote::<R>(endpoint, patience, method, params)).collect();
    let mut groups: Vec<(R, usize)> = Vec::new();
    let mut reverts: Vec<(Error, usize)> = Vec::new();
    while let Some(answer) = asked.next().await {
        match answer {
            None => {}
            Some(Ok(answer)) => {
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
            Some(Err(error)) => {
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

/// The answer of one endpoint. One that rests is asked when its rest is over, or `None` when that is longer than
/// `patience`: the others decide without it. Without a patience it is asked at once where that is not soon.
async fn vote<R: DeserializeOwned>(
    endpoint: &Endpoint,
    patience: Option<Duration>,
    method: &'static str,
    params: &RawValue,
) -> Option<Result<R, Error>> {
    let rest = endpoint.rest();
    match patience {
        Some(patience) if rest > patience => return None,
        Some(_) => tokio::time::sleep(rest).await,
        None => {}
    }
    Some(endpoint.ask(method, params).await)
}

/// Hands a signed transaction to all endpoints: one that takes it, or has it already, is enough.
pub(crate) async fn broadcast(endpoints: &[Arc<Endpoint>], raw: &[u8]) -> Result<(), Error> {
    const METHOD: &str = "eth_sendRawTransaction";
    let params = encode(METHOD, &json!([hex::encode_prefixed(raw)]))?;
    let asked = endpoints.iter().map(|endpoint| endpoint.ask::<Box<RawValue>>(METHOD, &params));
    let answers = join_all(asked).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_was_overtaken_is_not_asked_first_again() {
        let endpoints = ["http://hangs.example", "http://answers.example"]
            .map(|url| Arc::new(Endpoint::new(url.parse().unwrap(), reqwest::Client::new())));
        let [hangs, answers] = &endpoints;
        let ask = |endpoint: &Arc<Endpoint>| -> BoxFuture<'_, Result<String, Error>> {
            if Arc::ptr_eq(endpoint, hangs) {
                return std::future::pending().boxed();
            }
            std::future::ready(Ok(endpoint.name())).boxed()
        };
        let answer = race(&endpoints, Duration::from_millis(1), ask).await.unwrap();
        assert_eq!(answer, answers.name());
        assert!(hangs.resting_until().is_some() && answers.resting_until().is_none());
    }
}
