use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use api::aggregator::ErrorCode;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    ApiError,
    body::BodyLimits,
    caller::{Who, network_of},
    request_id,
    streams::{StreamLimits, Streams},
};

/// The path whose answer is made while it is given.
const QUOTE_STREAM: &str = "/v1/quotes/stream";
/// What load balancers ask: they have an answer whatever else there is to do.
const HEALTH: &str = "/health";
/// How often callers who have gone are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Who may ask how much.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// Requests a second without a key, of one address (of IPv6: of one network of 64 bits); `None`
    /// for no bound.
    pub anonymous_per_second: Option<NonZeroU32>,
    /// Whether requests without a key are answered at all.
    pub anonymous: bool,
    /// Proxies of ours, whose word about whom they heard counts.
    pub trusted_proxies: BTreeSet<IpAddr>,
    /// Keys, by SHA-256 of the key.
    pub keys: BTreeMap<[u8; 32], ApiKey>,
    /// Requests that are worked on at once: so many for quotes, and so many others.
    pub concurrency: usize,
    /// Requests for quotes that wait for a place; more are turned away at once.
    pub queue: usize,
    /// How long they wait.
    pub queue_for: Duration,
    /// How long the body of a request may take to come.
    pub body_within: Duration,
    /// How many streams of orders may be open, and for how long.
    pub streams: StreamLimits,
}

impl Default for AdmissionConfig {
    /// Beyond some hundred requests at once a machine answers no more of them, only later: what
    /// comes on top waits for less than a provider takes.
    fn default() -> Self {
        Self {
            anonymous_per_second: NonZeroU32::new(50),
            anonymous: true,
            trusted_proxies: BTreeSet::new(),
            keys: BTreeMap::new(),
            concurrency: 1_024,
            queue: 1_024,
            queue_for: Duration::from_millis(250),
            body_within: Duration::from_secs(5),
            streams: StreamLimits::default(),
        }
    }
}

/// A caller that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Name in the log.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Requests a second; `None` for no bound.
    pub per_second: Option<NonZeroU32>,
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Ask for quotes.
    Quotes,
    /// Announce and read orders.
    Orders,
    /// Be told of changed orders.
    Webhooks,
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "quotes" => Ok(Self::Quotes),
            "orders" => Ok(Self::Orders),
            "webhooks" => Ok(Self::Webhooks),
            other => Err(format!("expected `quotes`, `orders` or `webhooks`, given {other:?}")),
        }
    }
}

/// Whose key a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller(pub(super) String);

/// Refuses what the configuration does not allow, before any work is done.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Guard>);

#[derive(Debug)]
struct Guard {
    config: AdmissionConfig,
    bodies: BodyLimits,
    networks: Option<Limiter<IpAddr>>,
    keyed: BTreeMap<[u8; 32], governor::DefaultDirectRateLimiter>,
    quoting: Arc<Semaphore>,
    queue: Semaphore,
    others: Arc<Semaphore>,
    streams: Streams,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

impl Admission {
    /// Admission by this configuration, of bodies of `max_body` bytes at most.
    pub(super) fn new(config: AdmissionConfig, max_body: usize) -> Self {
        let networks =
            config.anonymous_per_second.map(|rate| RateLimiter::dashmap(Quota::per_second(rate)));
        let keyed = config
            .keys
            .iter()
            .filter_map(|(hash, key)| Some((*hash, key.per_second?)))
            .map(|(hash, rate)| (hash, RateLimiter::direct(Quota::per_second(rate))))
            .collect();
        let places = || Arc::new(Semaphore::new(config.concurrency));
        let (quoting, others) = (places(), places());
        let queue = Semaphore::new(config.queue);
        let bodies = BodyLimits { most: max_body, within: config.body_within };
        let streams = Streams::new(config.streams);
        let guard = Guard { config, bodies, networks, keyed, quoting, queue, others, streams };
        Self(Arc::new(guard))
    }

    /// Forgets callers who have not asked for a while, until `shutdown`.
    pub(super) async fn forget(self, shutdown: CancellationToken) {
        let mut ticks = interval(FORGET);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.0.forget();
        }
    }
}

impl Guard {
    /// Forgets callers to whom the past makes no difference any more.
    fn forget(&self) {
        if let Some(networks) = &self.networks {
            networks.retain_recent();
            networks.shrink_to_fit();
        }
    }

    /// Whom the request counts for, when it may pass. Paths without scope take anybody.
    fn check(&self, request: &Request, scope: Option<Scope>) -> Result<Who, ApiError> {
        let Some(key) = request.headers().get("x-api-key") else {
            // What is kept for somebody is kept for a key.
            if scope == Some(Scope::Webhooks) || (scope.is_some() && !self.config.anonymous) {
                return Err(unauthorized("a key is asked for, in the header x-api-key"));
            }
            return self.check_network(request);
        };
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let known = match (self.config.keys.get(&hash), scope) {
            (Some(known), _) => known,
            (None, None) => return self.check_network(request),
            (None, Some(_)) => return Err(unauthorized("the key in x-api-key is not known")),
        };
        if scope.is_some_and(|scope| !known.scopes.contains(&scope)) {
            let message = "the key in x-api-key lacks the scope for this path";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        if let Some(limiter) = self.keyed.get(&hash) {
            limiter.check().map_err(|until| too_many(&until))?;
        }
        Ok(Who::Key(known.name.clone()))
    }

    fn check_network(&self, request: &Request) -> Result<Who, ApiError> {
        let network = network_of(request, &self.config.trusted_proxies);
        if let Some(limiter) = &self.networks {
            limiter.check_key(&network).map_err(|until| too_many(&until))?;
        }
        Ok(Who::Network(network))
    }
}

/// A place among the requests that are worked on. Free again when nobody holds it.
#[derive(Clone, Debug)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held for what its drop does")] Arc<OwnedSemaphorePermit>,
);

impl Guard {
    /// A place to be worked on; for quotes, which are many, there is a short queue.
    async fn place(&self, scope: Option<Scope>) -> Result<OwnedSemaphorePermit, ApiError> {
        let quoting = scope == Some(Scope::Quotes);
        let places = if quoting { &self.quoting } else { &self.others };
        let full = || {
            ApiError::new(ErrorCode::Overloaded, "too many requests are being worked on")
                .retry_after(1)
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => return Ok(place),
            Err(_) if quoting => {}
            Err(_) => return Err(full()),
        }
        let _waiting = self.queue.try_acquire().map_err(|_| full())?;
        let turn = Arc::clone(places).acquire_owned();
        match tokio::time::timeout(self.config.queue_for, turn).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(full()),
        }
    }

    /// The request, with all that its handler needs, and its place.
    async fn let_in(
        &self,
        request: Request,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>), ApiError> {
        let scope = scope_of(request.uri().path());
        let who = self.check(&request, scope)?;
        // Whoever sends slowly holds no place meanwhile.
        let mut request = self.bodies.read(request).await?;
        if let Who::Key(name) = &who {
            request.extensions_mut().insert(Caller(name.clone()));
        }
        if scope == Some(Scope::Quotes) {
            request.extensions_mut().insert(who.clone());
        }
        if is_order_stream(request.uri().path()) {
            let open = self.streams.open(who)?;
            request.extensions_mut().insert(open);
        }
        // The place is free again when the answer begins: a stream is open for long and works
        // little. A stream of quotes works all the time, and holds it.
        let place = self.place(scope).await?;
        if request.uri().path() == QUOTE_STREAM {
            request.extensions_mut().insert(Place(Arc::new(place)));
            return Ok((request, None));
        }
        Ok((request, Some(place)))
    }

    /// Lets a request through, or answers why not.
    async fn admit(&self, request: Request, next: Next) -> Response {
        if request.uri().path() == HEALTH {
            return next.run(request).await;
        }
        match self.let_in(request).await {
            Ok((request, _place)) => next.run(request).await,
            Err(refused) => turned_away(refused),
        }
    }
}

/// Lets a request through under an id of its own, or answers why not.
pub(super) async fn enter(
    State(Admission(guard)): State<Admission>,
    request: Request,
    next: Next,
) -> Response {
    request_id::name(request, async |request| guard.admit(request, next).await).await
}

/// The scope that a path needs; catalog, health and documentation are open.
fn scope_of(path: &str) -> Option<Scope> {
    if path.starts_with("/v1/quotes") {
        Some(Scope::Quotes)
    } else if path.starts_with("/v1/orders") {
        Some(Scope::Orders)
    } else if path.starts_with("/v1/webhooks") {
        Some(Scope::Webhooks)
    } else {
        None
    }
}

/// Whether the answer is a stream of an order's states.
fn is_order_stream(path: &str) -> bool {
    path.starts_with("/v1/orders/") && path.ends_with("/stream")
}

/// The answer to a request that is not let in.
fn turned_away(refused: ApiError) -> Response {
    let reason = match refused.code {
        ErrorCode::RateLimited => "rate_limited",
        ErrorCode::Overloaded => "overloaded",
        ErrorCode::Unauthorized | ErrorCode::Forbidden => "unauthorized",
        _ => "unreadable",
    };
    metrics::counter!("metalayer_aggregator_turned_away_total", "reason" => reason).increment(1);
    refused.into_response()
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

fn too_many(until: &governor::NotUntil<<DefaultClock as Clock>::Instant>) -> ApiError {
    let wait = until.wait_time_from(DefaultClock::default().now());
    ApiError::new(ErrorCode::RateLimited, format!("wait {} ms", wait.as_millis()))
        .retry_after(wait.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_who_have_gone_are_forgotten() {
        let anonymous_per_second = NonZeroU32::new(1_000_000);
        let config = AdmissionConfig { anonymous_per_second, ..AdmissionConfig::default() };
        let Admission(guard) = Admission::new(config, 0);
        let networks = guard.networks.as_ref().unwrap();
        for last in 0..100 {
            networks.check_key(&IpAddr::from([192, 0, 2, last])).unwrap();
        }
        assert_eq!(networks.len(), 100);
        // Some microseconds later all of them may ask as much as ever.
        let begun = std::time::Instant::now();
        while !networks.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} are kept", networks.len());
            guard.forget();
        }
    }

    #[tokio::test]
    async fn requests_for_quotes_wait_a_while_in_a_short_queue() {
        let config = AdmissionConfig {
            concurrency: 1,
            queue: 1,
            queue_for: Duration::from_secs(60),
            ..AdmissionConfig::default()
        };
        let Admission(guard) = Admission::new(config, 0);
        let first = guard.place(Some(Scope::Quotes)).await.unwrap();
        let mut second = std::pin::pin!(guard.place(Some(Scope::Quotes)));
        assert!(futures::poll!(second.as_mut()).is_pending());
        let third = guard.place(Some(Scope::Quotes)).await.unwrap_err();
        assert_eq!((third.code, third.retry_after), (ErrorCode::Overloaded, Some(1)));
        // Other requests have places of their own, and no queue.
        let other = guard.place(Some(Scope::Orders)).await.unwrap();
        guard.place(None).await.unwrap_err();
        drop((first, other));
        drop(second.await.unwrap());
    }

    #[tokio::test]
    async fn who_waited_in_vain_is_told_to_come_again() {
        let queue_for = Duration::from_millis(1);
        let config = AdmissionConfig { concurrency: 0, queue_for, ..AdmissionConfig::default() };
        let Admission(guard) = Admission::new(config, 0);
        let refused = guard.place(Some(Scope::Quotes)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Overloaded);
    }
}
