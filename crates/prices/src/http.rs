//! A price over HTTP: a JSON document with the price at a fixed place.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use service::clock::Clock;

use crate::{Observation, Source, SourceFault};

/// No honest answer is longer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Longest wait for an answer; a slower one is no use before the next round.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A JSON document over HTTP.
#[derive(Debug)]
pub struct Http {
    name: String,
    /// Symbol to URL.
    urls: BTreeMap<String, String>,
    /// JSON pointer (RFC 6901) to the price, a decimal string or a number.
    price_pointer: String,
    /// JSON pointer to the time in seconds, if the source gives one.
    time_pointer: Option<String>,
    client: reqwest::Client,
    clock: Clock,
}

impl Http {
    /// A source that asks `urls[symbol]` and reads the price at `price_pointer`.
    pub fn new(
        name: String,
        urls: BTreeMap<String, String>,
        price_pointer: String,
        time_pointer: Option<String>,
        clock: Clock,
    ) -> Self {
        Self { name, urls, price_pointer, time_pointer, client: reqwest::Client::new(), clock }
    }

    async fn document(&self, url: &str) -> Result<serde_json::Value, SourceFault> {
        let unreachable = |e: reqwest::Error| SourceFault::Unreachable { reason: e.to_string() };
        let request = self.client.get(url).timeout(TIMEOUT);
        let answer = request.send().await.map_err(unreachable)?;
        let answer = answer.error_for_status().map_err(unreachable)?;
        let mut body = Vec::new();
        let mut chunks = answer.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(unreachable)?);
            if body.len() > LONGEST_ANSWER {
                return Err(SourceFault::Malformed {
                    given: "more than 64 KiB".into(),
                    expected: "a short JSON document",
                });
            }
        }
        serde_json::from_slice(&body).map_err(|_| SourceFault::Malformed {
            given: String::from_utf8_lossy(&body).chars().take(80).collect(),
            expected: "JSON",
        })
    }
}

#[async_trait]
impl Source for Http {
    fn name(&self) -> &str {
        &self.name
    }

    fn symbols(&self) -> Vec<String> {
        self.urls.keys().cloned().collect()
    }

    async fn observe(&self, symbol: &str) -> Result<Observation, SourceFault> {
        let url =
            self.urls.get(symbol).ok_or_else(|| SourceFault::Unknown { symbol: symbol.into() })?;
        let asked_at = self.clock.unix();
        let document = self.document(url).await?;
        observation(&document, &self.price_pointer, self.time_pointer.as_deref(), asked_at)
    }
}

/// Reads price and time. A time in the future counts as now: it must not outlive the limit.
fn observation(
    document: &serde_json::Value,
    price_pointer: &str,
    time_pointer: Option<&str>,
    asked_at: u64,
) -> Result<Observation, SourceFault> {
    let found = document.pointer(price_pointer);
    let text = match found {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    // More digits than a price has are noise of binary fractions.
    let text = match text.split_once('.') {
        Some((whole, fraction)) => {
            format!("{whole}.{}", fraction.chars().take(12).collect::<String>())
        }
        None => text,
    };
    let price = text.parse().map_err(|_| SourceFault::Malformed {
        given: found.map_or_else(|| "nothing".into(), ToString::to_string),
        expected: "a positive decimal price",
    })?;
    let as_of = match time_pointer {
        None => asked_at,
        Some(pointer) => document
            .pointer(pointer)
            .and_then(serde_json::Value::as_u64)
            .ok_or(SourceFault::Malformed { given: "no time".into(), expected: "seconds" })?,
    };
    Ok(Observation { price, as_of: as_of.min(asked_at) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_and_numbers_are_read_and_nonsense_is_not() {
        let read = |document| observation(&document, "/data/price", Some("/data/at"), 1_000);
        let good = read(json!({"data": {"price": "3000.25", "at": 990}})).unwrap();
        assert_eq!((good.price, good.as_of), ("3000.25".parse().unwrap(), 990));
        let number = read(json!({"data": {"price": 0.1, "at": 2_000}})).unwrap();
        assert_eq!((number.price, number.as_of), ("0.1".parse().unwrap(), 1_000));
        for bad in [
            json!({}),
            json!({"data": {"price": -1, "at": 1}}),
            json!({"data": {"price": 0, "at": 1}}),
            json!({"data": {"price": "1é.ééé", "at": 1}}),
            json!({"data": {"price": 1}}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
