//! One RPC URL and how it has behaved lately.

use std::time::{Duration, Instant};

use alloy::rpc::client::RpcClient;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use super::error::{Error, host};

/// Longest time an endpoint is left alone after repeated failures.
const LONGEST_REST: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    rpc: RpcClient,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    resting_until: Option<Instant>,
}

impl Endpoint {
    pub(crate) fn new(url: Url, http: reqwest::Client) -> Self {
        let rpc = RpcClient::new_http_with_client(http, url.clone());
        Self { url, rpc, health: Mutex::default() }
    }

    pub(crate) fn name(&self) -> String {
        host(&self.url)
    }

    /// Asks once and remembers how it went. An answer of another form is the endpoint's fault, as no answer is.
    pub(crate) async fn ask<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &RawValue,
    ) -> Result<R, Error> {
        let answer = self.request(method, params).await.and_then(|raw| self.decode(method, &raw));
        self.note(answer.as_ref().err());
        answer
    }

    fn request<'a>(
        &'a self,
        method: &'static str,
        params: &'a RawValue,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        // Boxed: the transport is compiled here, and not again for every type of answer.
        Box::pin(async move {
            self.rpc
                .request::<_, Box<RawValue>>(method, params.to_owned())
                .await
                .map_err(|error| Error::from_rpc(method, &self.url, error))
        })
    }

    fn decode<R: DeserializeOwned>(&self, method: &str, raw: &RawValue) -> Result<R, Error> {
        serde_json::from_str(raw.get()).map_err(|error| Error::malformed(method, &self.url, &error))
    }

    /// When the endpoint may be asked again; `None` when it is well.
    pub(crate) fn resting_until(&self) -> Option<Instant> {
        self.health.lock().resting_until.filter(|until| *until > Instant::now())
    }

    /// How long the endpoint still rests; nothing when it is well.
    pub(crate) fn rest(&self) -> Duration {
        let until = self.resting_until();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Another endpoint that was asked later has answered first.
    pub(crate) fn note_overtaken(&self) {
        self.health.lock().fail();
    }

    fn note(&self, error: Option<&Error>) {
        let mut health = self.health.lock();
        match error {
            Some(Error::RateLimited { wait, .. }) => {
                health.resting_until = Some(Instant::now() + *wait);
            }
            Some(error) if error.is_retryable() => health.fail(),
            Some(_) | None => *health = Health::default(),
        }
    }
}

impl Health {
    fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let rest = Duration::from_millis(100 << self.failures.min(8)).min(LONGEST_REST);
        self.resting_until = Some(Instant::now() + rest);
    }
}
