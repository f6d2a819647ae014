use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use api::aggregator::ErrorCode;
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::ApiError;

/// Who may ask how much.
#[derive(Clone, Debug)]
pub struct AdmissionConfig {
    /// Requests a second and address without a key; `None` for no bound.
    pub anonymous_per_second: Option<NonZeroU32>,
    /// Whether requests without a key are answered at all.
    pub anonymous: bool,
    /// Keys, by SHA-256 of the key.
    pub keys: BTreeMap<[u8; 32], ApiKey>,
    /// Requests that are worked on at once.
    pub concurrency: usize,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            anonymous_per_second: NonZeroU32::new(50),
            anonymous: true,
            keys: BTreeMap::new(),
            concurrency: 1_024,
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
    anonymous: Option<Limiter<IpAddr>>,
    keyed: BTreeMap<[u8; 32], governor::DefaultDirectRateLimiter>,
    working: Semaphore,
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

impl Admission {
    pub(super) fn new(config: AdmissionConfig) -> Self {
        let anonymous =
            config.anonymous_per_second.map(|rate| RateLimiter::dashmap(Quota::per_second(rate)));
        let keyed = config
            .keys
            .iter()
            .filter_map(|(hash, key)| Some((*hash, key.per_second?)))
            .map(|(hash, rate)| (hash, RateLimiter::direct(Quota::per_second(rate))))
            .collect();
        let working = Semaphore::new(config.concurrency);
        Self(Arc::new(Guard { config, anonymous, keyed, working }))
    }
}

impl Guard {
    /// Whose key the request came with, when it may pass.
    fn check(&self, request: &Request) -> Result<Option<Caller>, ApiError> {
        let Some(scope) = scope_of(request.uri().path()) else { return Ok(None) };
        let Some(key) = request.headers().get("x-api-key") else {
            // What is kept for somebody is kept for a key.
            if !self.config.anonymous || scope == Scope::Webhooks {
                return Err(unauthorized("a key is asked for, in the header x-api-key"));
            }
            let limiter = self.anonymous.as_ref();
            return limiter.map_or(Ok(None), |limiter| {
                let checked = limiter.check_key(&address(request));
                checked.map(|()| None).map_err(|until| too_many(&until))
            });
        };
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let known = self.config.keys.get(&hash);
        let known = known.ok_or_else(|| unauthorized("the key in x-api-key is not known"))?;
        if !known.scopes.contains(&scope) {
            return Err(unauthorized("the key in x-api-key lacks the scope for this path"));
        }
        if let Some(limiter) = self.keyed.get(&hash) {
            limiter.check().map_err(|until| too_many(&until))?;
        }
        Ok(Some(Caller(known.name.clone())))
    }
}

/// Lets a request through, or answers 401, 429 or 503.
pub(super) async fn admit(
    State(Admission(guard)): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    match guard.check(&request) {
        Ok(Some(caller)) => drop(request.extensions_mut().insert(caller)),
        Ok(None) => {}
        Err(refused) => return refused.into_response(),
    }
    // The place is free again when the answer begins: a stream is open for long and works little.
    let Ok(_place) = guard.working.try_acquire() else {
        return ApiError::new(ErrorCode::Overloaded, "too many requests are being worked on")
            .retry_after(1)
            .into_response();
    };
    next.run(request).await
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

fn address(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, message)
}

fn too_many(until: &governor::NotUntil<<DefaultClock as Clock>::Instant>) -> ApiError {
    let wait = until.wait_time_from(DefaultClock::default().now());
    ApiError::new(ErrorCode::RateLimited, format!("wait {} ms", wait.as_millis()))
        .retry_after(wait.as_secs() + 1)
}
